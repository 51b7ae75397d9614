/* schedule.c - make strands of cells and base runs, and panels of the live strands of a layer. */
#include "patchsweep/schedule.h"

#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/minmax.h"
#include "strands.h"

/* ---- opening ---- */

#define N_BLOCKS 9

static void list_blocks(ps_schedule *s, ps_block blocks[N_BLOCKS])
{
    size_t strands = s->needs.most_strands, rows = (size_t)s->needs.panel_rows;
    size_t in_panel = ps_min(strands, rows);
    size_t patterns = s->needs.patterns ? rows : 0;
    const ps_block all[N_BLOCKS] = {
        {&s->strands, strands, sizeof *s->strands},
        {&s->order, strands, sizeof *s->order},
        {&s->panels, strands + 1, sizeof *s->panels},
        {&s->places, in_panel, sizeof *s->places},
        /* a step has a list for each input, its positions and its put rows; X's rows and the patterns' queries at the end */
        {&s->ints, (s->in.n_steps * (PS_MAX_INPUTS + 1) + 1) * rows + patterns, sizeof *s->ints},
        {&s->puts, PS_MAX_EDITS * rows, sizeof *s->puts},
        {&s->queries, rows + patterns, sizeof *s->queries},
        {&s->heads, patterns, sizeof *s->heads},
        {&s->spans, s->most_spans, sizeof *s->spans},
    };

    memcpy(blocks, all, sizeof all);
}

static void prepare(ps_schedule *s, const ps_schedule_needs *needs)
{
    /* of K and of V: pieces of two runs, cut and filled up by the cell's own rows; again for a pattern of the source run */
    size_t spans = 2 * (size_t)(2 * needs->most_pieces + 2 * PS_MAX_EDITS + 4) * (needs->patterns ? 2 : 1);

    *s = (ps_schedule){.needs = *needs, .in = ps_program_resolve(needs->program),
                       .most_spans = ps_min(needs->most_strands, (size_t)needs->panel_rows) * spans};
}

uint64_t ps_schedule_bytes(const ps_schedule_needs *needs)
{
    ps_schedule s;
    ps_block blocks[N_BLOCKS];

    prepare(&s, needs);
    list_blocks(&s, blocks);
    return ps_blocks_bytes(blocks, N_BLOCKS) + sizeof s;
}

int ps_schedule_open(ps_schedule **out, const ps_schedule_needs *needs, ps_err *err)
{
    ps_schedule *s = ps_calloc(1, sizeof *s, err);
    ps_block blocks[N_BLOCKS];

    if (!s)
        return -1;
    prepare(s, needs);
    list_blocks(s, blocks);
    if (ps_blocks_alloc(blocks, N_BLOCKS, err) < 0) {
        ps_schedule_close(s);
        return -1;
    }
    *out = s;
    return 0;
}

void ps_schedule_close(ps_schedule *s)
{
    ps_block blocks[N_BLOCKS];

    if (!s)
        return;
    list_blocks(s, blocks);
    ps_blocks_free(blocks, N_BLOCKS);
    ps_free(s);
}

/* ---- strands ---- */

static void add_strand(ps_schedule *s, strand one)
{
    if (s->n_strands == s->needs.most_strands)
        PS_BUG("more than %zu strands", s->n_strands);
    one.row = s->n_x_rows;
    s->n_x_rows += one.n;
    s->strands[s->n_strands++] = one;
}

static void add_base_run(void *context, int32_t pair, enum ps_which which, int32_t first)
{
    ps_schedule *s = context;
    int32_t T = s->needs.base->grid->pairs[pair].n_positions;

    if (s->needs.leads)
        add_strand(s, (strand){.pair = pair, .T = T, .base = which, .source = which, .first = first, .n = T - first,
                               .of_x = {{first, PS_AT_BASE}, {T, PS_AT_X}},
                               .of_step = {{first, PS_AT_BASE}, {T, PS_AT_STEP}}});
}

static void add_cell(ps_schedule *s, const ps_carried *c)
{
    int32_t T = s->needs.base->grid->pairs[c->pair].n_positions, first = ps_path_first_row(c->path);
    int32_t entry = ps_path_entry(c->path);

    add_strand(s, (strand){.cell = c, .pair = c->pair, .T = T, .base = c->base, .source = c->source, .first = first,
                           .n = T - first, .entry = entry == INT32_MAX ? INT32_MAX : c->layer + entry});
}

void ps_schedule_begin(ps_schedule *s, int32_t first_pair, int32_t n_pairs, const ps_carried *cells, size_t n_cells)
{
    s->n_strands = 0;
    s->n_x_rows = 0;
    ps_base_rows_number(s->needs.base, first_pair, n_pairs, add_base_run, s);
    s->n_base = s->n_strands;
    for (const ps_carried *c = cells; c < cells + n_cells; c++)
        add_cell(s, c);
}

size_t ps_schedule_n_strands(const ps_schedule *s)
{
    return s->n_strands;
}

ps_strand_rows ps_schedule_strand(const ps_schedule *s, size_t i)
{
    const strand *t = &s->strands[i];

    return (ps_strand_rows){.cell = t->cell, .pair = t->pair, .which = t->base, .first = t->first, .n = t->n, .row = t->row,
                            .entry = t->entry};
}

int32_t ps_schedule_last_row(const ps_schedule *s, size_t i)
{
    const strand *t = &s->strands[s->n_base + i];

    switch (ps_path_end_place(t->cell->path, s->needs.n_layers - 1 - t->cell->layer)) {
    case PS_AT_X:
        return t->row + t->n - 1;
    case PS_AT_SOURCE:
        return ~ps_strand_base_row(s, t, t->source, t->T - 1);
    default:
        return ~ps_strand_base_row(s, t, t->base, t->T - 1);
    }
}

/* ---- panels ---- */

/* The most rows that any step of the layer has for a strand. */
static int32_t rows_of(const ps_schedule *s, const strand *t)
{
    int32_t most = t->phase ? 0 : t->n;

    for (size_t v = 0; t->phase && v <= s->in.n_steps; v++) {
        int32_t n = t->phase->n_step[v] + t->phase->n_put[v];
        most = n > most ? n : most;
    }
    return most;
}

/* Group order[first .. end - 1] into panels of about equal rows, at most panel_rows each. */
static void add_panels(ps_schedule *s, size_t first, size_t end)
{
    int64_t total = 0, limit = s->needs.panel_rows;

    for (size_t i = first; i < end; i++)
        total += rows_of(s, s->order[i]);
    int64_t n_panels = (total + limit - 1) / limit, share = n_panels ? (total + n_panels - 1) / n_panels : 0;
    for (size_t i = first; i < end;) {
        panel *p = &s->panels[s->n_panels++];
        *p = (panel){.first = i};
        for (; i < end; i++) {
            int32_t n = rows_of(s, s->order[i]);
            if (p->n && (p->rows >= share || p->rows + n > limit))
                break;
            p->rows += n;
            p->n++;
        }
        if (p->rows > limit)
            PS_BUG("%d rows in a panel of %lld", (int)p->rows, (long long)limit);
    }
}

/* Does a strand read base values of the current layer that are computed after attention? */
static bool is_late(const ps_schedule *s, const strand *t)
{
    return t->phase && ps_schedule_is_late(t->phase, s->in.attend);
}

ps_panels ps_schedule_layer(ps_schedule *s, int32_t layer)
{
    ps_panels made = {0};
    size_t n = 0;
    bool last = layer == s->needs.n_layers - 1;

    s->layer = layer;
    s->n_panels = 0;
    for (; n < s->n_base; n++)
        s->order[n] = &s->strands[n];
    size_t n_base = n;
    for (int late = 0; late < 2; late++) {
        size_t first = n;
        for (strand *t = s->strands + s->n_base; t < s->strands + s->n_strands; t++) {
            if (t->entry > layer)
                continue;
            t->phase = ps_path_phase(t->cell->path, layer - t->cell->layer, last);
            if (is_late(s, t) == late && rows_of(s, t) > 0)
                s->order[n++] = t;
        }
        if (late == 0 && !s->needs.alone) {
            add_panels(s, 0, n_base);
            made.n_base = s->n_panels;
            add_panels(s, n_base, n);
        } else if (late == 0)
            add_panels(s, 0, n);
        else {
            size_t before = s->n_panels;
            add_panels(s, first, n);
            made.n_late = s->n_panels - before;
        }
    }
    made.n = s->n_panels - made.n_base;
    return made;
}
