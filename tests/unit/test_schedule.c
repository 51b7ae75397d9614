/*
 * test_schedule.c - schedules carried out on hashes instead of floats, against one whole pass for each cell.
 *
 * A row is a hash for each of two heads, an output of a step the hash of its inputs. Equal hashes at the end
 * mean that every step had the rows it should have had, from the run it should have had them from. Several ranks
 * are played one after the other; values that were not broadcast yet are poison.
 */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "patchsweep/schedule.h"
#include "programs.h"

enum { HEADS = 2, MAX_T = 12, MAX_L = 4, MAX_PAIRS = 3, MAX_CELLS = 60, MAX_ROWS = 4096, N_VALUES = PS_MAX_STEPS + 1 };

typedef struct row { uint64_t h[HEADS]; } row;

static const row poison = {{0xdeadbeef, 0xdeadbeef}};
static uint64_t state = 88172645463325252u;

static int32_t dice(int32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int32_t)(state % (uint64_t)n);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    a = (a ^ b) * 0x9e3779b97f4a7c15u;
    return a ^ a >> 29;
}

static row mix_rows(row a, row b)
{
    return (row){{mix(mix(a.h[0], b.h[0]), b.h[1]), mix(mix(a.h[1], b.h[1]), b.h[0])}};
}

/* The output of step i of a layer from its inputs at one row; attention folds keys and values in before. */
static row run_step(const ps_step *step, size_t i, int32_t layer, const row *in, size_t n, int32_t position)
{
    row out = {{mix(i, (uint64_t)layer), mix(i + 100, (uint64_t)layer)}};

    for (size_t k = 0; k < n; k++)
        out = mix_rows(out, in[k]);
    return step->op == PS_OP_ROPE ? mix_rows(out, (row){{(uint64_t)position, 7}}) : out;
}

static row embed(int32_t id)
{
    return (row){{mix(1, (uint64_t)id), mix(2, (uint64_t)id)}};
}

/* ---- one whole pass ---- */

typedef struct pass { row value[MAX_L + 1][N_VALUES][MAX_T]; } pass;

typedef struct cell {
    ps_carried carried;
    ps_edit edits[PS_MAX_EDITS];
    size_t n_edits;
    ps_path *path;
} cell;

/* Attention at row r: queries and keys of one pass, values of another. */
static row attend_row(const ps_step *step, size_t i, int32_t layer, const size_t now[PS_N_REGS], const pass *qk, const pass *v,
                      int32_t r)
{
    row values[2 * MAX_T + 2];
    size_t m = 0;

    values[m++] = qk->value[layer][now[PS_Q]][r];
    for (int32_t j = 0; j <= r; j++)
        values[m++] = qk->value[layer][now[PS_K]][j];
    for (int32_t j = 0; j <= r; j++)
        values[m++] = v->value[layer][now[PS_V]][j];
    return run_step(step, i, layer, values, m, r);
}

/* Lay the edits of value v: `step` left it, or it is X at the entrance. */
static void edit_rows(pass *p, int32_t layer, size_t v, const ps_step *step, const size_t now[PS_N_REGS], const cell *c,
                      const pass *source)
{
    row *rows = p->value[layer][v];

    for (size_t i = 0; c && i < c->n_edits; i++) {
        const ps_edit *e = &c->edits[i];
        bool post = e->tap == PS_TAP_RESID_POST, pattern = e->tap == PS_TAP_PATTERN;
        bool here = !step ? post || e->tap == PS_TAP_RESID_PRE
                          : pattern ? step->op == PS_OP_ATTEND : step->tap && !post && e->tap == step->tap;
        if (!here || c->carried.layer + e->offset + post != layer)
            continue;
        for (int32_t r = e->first; r < e->first + e->n; r++) {
            row from = pattern ? attend_row(step, v - 1, layer, now, source, p, r) : source->value[layer][v][r];
            for (int h = 0; h < HEADS; h++)
                if (e->head < 0 || e->head == h)
                    rows[r].h[h] = from.h[h];
        }
    }
}

static void whole_pass(pass *p, const ps_step *program, int32_t L, const int32_t *ids, int32_t T, const cell *c,
                       const pass *source)
{
    size_t n = ps_program_n(program);

    for (int32_t r = 0; r < T; r++)
        p->value[0][0][r] = embed(ids[r]);
    for (int32_t l = 0; l <= L; l++) {
        size_t now[PS_N_REGS] = {0};
        if (l)
            memcpy(p->value[l][0], p->value[l - 1][n], sizeof p->value[l][0]);
        edit_rows(p, l, 0, NULL, now, c, source);
        for (size_t i = 0; l < L && i < n; i++) {
            uint8_t in[PS_MAX_INPUTS];
            size_t n_in = ps_step_inputs(&program[i], in);
            for (int32_t r = 0; r < T; r++) {
                row values[PS_MAX_INPUTS];
                for (size_t k = 0; k < n_in; k++)
                    values[k] = p->value[l][now[in[k]]][r];
                p->value[l][i + 1][r] = program[i].op == PS_OP_ATTEND ? attend_row(&program[i], i, l, now, p, p, r)
                                                                      : run_step(&program[i], i, l, values, n_in, r);
            }
            edit_rows(p, l, i + 1, &program[i], now, c, source);
            now[program[i].out] = i + 1;
        }
    }
}

/* ---- a rank ---- */

typedef struct rank {
    ps_schedule *schedule;
    ps_base_rows base;
    ps_carried carried[MAX_CELLS];
    row *x, *reg[PS_N_REGS], *scratch[PS_MAX_INPUTS]; /* K and V: base rows first */
    size_t cells[MAX_CELLS], n_cells;
} rank;

/* What the ranks have in common: base rows of every value, as they were broadcast. */
static row kept[N_VALUES][MAX_ROWS], sent[N_VALUES][MAX_ROWS];

static row *register_of(rank *k, const ps_work *work, uint8_t reg)
{
    return k->reg[reg] + (reg == PS_K || reg == PS_V ? work->kv_row : 0);
}

static void gather(row *to, const int32_t *list, int32_t n, const row *own, const row *base)
{
    for (int32_t i = 0; i < n; i++)
        to[i] = list[i] < 0 ? base[~list[i]] : own[list[i]];
}

static row attend_one(rank *k, const ps_work *work, const ps_query *q, int32_t i, const row *query, size_t step,
                      const ps_step *s, int32_t layer)
{
    row values[2 * MAX_T + 2] = {query[q->q + i]};
    size_t m = 1;

    for (int what = 0; what < 2; what++) {
        const ps_key_span *span = work->spans + (what ? q->v : q->k);
        for (int32_t left = q->first + i + 1; left > 0; left -= span->n, span++)
            for (int32_t j = 0; j < span->n && j < left; j++)
                values[m++] = k->reg[what ? PS_V : PS_K][span->row + j];
    }
    return run_step(s, step, layer, values, m, q->first + i);
}

/* Heads that attend as in the source run. */
static void carry_out_patterns(rank *k, const ps_work *work, row *out, const row *base, size_t i, const ps_step *s, int32_t layer)
{
    const ps_pattern_work *p = &work->pattern;

    for (int32_t r = 0; r < p->n; r++)
        k->scratch[0][r] = base[p->q[r]];
    for (int32_t n = 0; n < p->n_queries; n++)
        for (int32_t r = 0; r < p->queries[n].n; r++) {
            row made = attend_one(k, work, &p->queries[n], r, k->scratch[0], i, s, layer);
            for (int h = 0; h < HEADS; h++)
                if (p->heads[n].head < 0 || p->heads[n].head == h)
                    out[p->heads[n].out + r].h[h] = made.h[h];
        }
}

static void carry_out(rank *k, const ps_step *program, const ps_work *work, size_t from, size_t to, int32_t layer,
                      bool leads, bool alone)
{
    row(*base)[MAX_ROWS] = leads ? kept : sent; /* who computes base rows has them at once */
    size_t now[PS_N_REGS] = {0};

    (void)alone;
    for (size_t i = 0; i < to; i++) {
        const ps_step *s = &program[i];
        const ps_step_work *w = &work->step[i];
        uint8_t in[PS_MAX_INPUTS];
        size_t n_in = ps_step_inputs(s, in);
        const row *read[PS_MAX_INPUTS];
        if (i < from) {
            now[s->out] = i + 1;
            continue;
        }
        for (size_t a = 0; a < n_in && (a == 0 || s->op != PS_OP_ATTEND); a++) {
            const row *own = now[in[a]] ? register_of(k, work, in[a]) : k->x;
            read[a] = own;
            if (!w->in[a])
                continue;
            gather(k->scratch[a], w->in[a], w->n, own, base[now[in[a]]]);
            read[a] = k->scratch[a];
        }
        row *out = register_of(k, work, s->out);
        if (s->op == PS_OP_ATTEND)
            for (const ps_query *q = work->queries; q < work->queries + work->n_queries; q++)
                for (int32_t r = 0; r < q->n; r++)
                    out[q->q + r] = attend_one(k, work, q, r, read[0], i, s, layer);
        else
            for (int32_t r = 0; r < w->n; r++) {
                row values[PS_MAX_INPUTS];
                for (size_t a = 0; a < n_in; a++)
                    values[a] = read[a][r];
                out[r] = run_step(s, i, layer, values, n_in, w->positions ? w->positions[r] : 0);
            }
        memcpy(kept[i + 1] + work->base_row, out, (size_t)work->n_base * sizeof(row));
        for (int32_t r = 0; r < w->n_put_rows; r++)
            out[w->n + r] = base[i + 1][w->put_rows[r]];
        for (const ps_put *put = w->puts; put < w->puts + w->n_puts; put++)
            out[put->to].h[put->head] = base[i + 1][put->from].h[put->head];
        if (s->op == PS_OP_ATTEND)
            carry_out_patterns(k, work, out, base[now[PS_Q]], i, s, layer);
        now[s->out] = i + 1;
    }
    for (int32_t r = 0; r < work->n_out; r++)
        k->x[work->out[r]] = k->reg[PS_X][r];
}

/* ---- the walk ---- */

typedef struct world {
    const ps_step *program;
    ps_grid grid;
    ps_grid_pair pairs[MAX_PAIRS];
    int32_t ids[MAX_PAIRS][PS_N_WHICH][MAX_T], nodes[MAX_PAIRS][PS_N_WHICH][MAX_T];
    int32_t L;
    cell cells[MAX_CELLS];
    size_t n_cells;
    rank ranks[4];
    int size;
} world;

static void send(world *w, size_t from, size_t to)
{
    int32_t n = w->ranks[0].base.n;
    size_t kv[2] = {0, 0};

    for (size_t i = 0; i < ps_program_attend(w->program); i++) {
        kv[0] = w->program[i].out == PS_K ? i + 1 : kv[0];
        kv[1] = w->program[i].out == PS_V ? i + 1 : kv[1];
    }
    for (size_t v = from; v < to; v++) {
        memcpy(sent[v], kept[v], (size_t)n * sizeof(row));
        for (int k = 1; k < w->size; k++)
            for (int what = 0; what < 2; what++)
                if (v == kv[what])
                    memcpy(w->ranks[k].reg[what ? PS_V : PS_K], kept[v], (size_t)n * sizeof(row));
    }
}

static void walk_layer(world *w, int32_t layer)
{
    size_t n = ps_program_n(w->program), attend = ps_program_attend(w->program);
    bool alone = w->size == 1;
    ps_panels panels[4];
    rank *first = &w->ranks[0];

    for (size_t v = 0; v < N_VALUES; v++)
        for (size_t r = 0; r < MAX_ROWS; r++)
            kept[v][r] = sent[v][r] = poison;
    memcpy(kept[0], first->x, (size_t)first->base.n * sizeof(row));
    for (int k = 0; k < w->size; k++)
        panels[k] = ps_schedule_layer(w->ranks[k].schedule, layer);
    for (size_t i = 0; i < panels[0].n_base; i++)
        carry_out(first, w->program, ps_schedule_panel(first->schedule, i, 0, attend), 0, attend, layer, true, alone);
    if (!alone)
        send(w, 0, attend + 1);
    for (int k = w->size - 1; k >= 0; k--) {
        rank *r = &w->ranks[k];
        for (size_t i = 0; k == 0 && i < panels[0].n_base; i++)
            carry_out(r, w->program, ps_schedule_panel(r->schedule, i, attend, n), attend, n, layer, true, alone);
        for (size_t i = panels[k].n_base; i < panels[k].n_base + panels[k].n - panels[k].n_late; i++)
            carry_out(r, w->program, ps_schedule_panel(r->schedule, i, 0, n), 0, n, layer, k == 0, alone);
    }
    send(w, attend + 1, n + 1);
    for (int k = 0; k < w->size; k++) {
        rank *r = &w->ranks[k];
        size_t end = panels[k].n_base + panels[k].n;
        for (size_t i = end - panels[k].n_late; i < end; i++)
            carry_out(r, w->program, ps_schedule_panel(r->schedule, i, 0, n), 0, n, layer, k == 0, alone);
    }
}

static void open_rank(world *w, int k, int32_t panel_rows)
{
    rank *r = &w->ranks[k];
    ps_err err = PS_ERR_INIT;
    size_t n = 0;

    for (size_t i = 0; i < w->n_cells; i++)
        if ((int)(i % (size_t)w->size) == k) {
            r->cells[n] = i;
            r->carried[n++] = w->cells[i].carried;
        }
    r->n_cells = n;
    CHECK(ps_base_rows_init(&r->base, &w->grid, &err) == 0);
    ps_base_rows_number(&r->base, 0, w->grid.n_pairs, NULL, NULL);
    const ps_schedule_needs needs = {.program = w->program, .base = &r->base, .n_layers = w->L,
                                     .most_strands = n + 2 * (size_t)w->grid.n_pairs, .most_pieces = r->base.most_pieces,
                                     .panel_rows = panel_rows < MAX_T ? MAX_T : panel_rows, .leads = k == 0,
                                     .alone = w->size == 1, .patterns = true};
    CHECK(ps_schedule_open(&r->schedule, &needs, &err) == 0);
    ps_schedule_begin(r->schedule, 0, w->grid.n_pairs, r->carried, n);
    r->x = calloc(MAX_ROWS, sizeof *r->x);
    for (int reg = 0; reg < PS_N_REGS; reg++)
        r->reg[reg] = calloc(MAX_ROWS, sizeof(row));
    for (int i = 0; i < PS_MAX_INPUTS; i++)
        r->scratch[i] = calloc(MAX_ROWS, sizeof(row));
    for (size_t i = 0; i < ps_schedule_n_strands(r->schedule); i++) {
        ps_strand_rows rows = ps_schedule_strand(r->schedule, i);
        for (int32_t t = 0; !rows.cell && t < rows.n; t++)
            r->x[rows.row + t] = embed(w->ids[rows.pair][rows.which][rows.first + t]);
    }
}

static void close_rank(rank *r)
{
    ps_schedule_close(r->schedule);
    ps_base_rows_release(&r->base);
    free(r->x);
    for (int reg = 0; reg < PS_N_REGS; reg++)
        free(r->reg[reg]);
    for (int i = 0; i < PS_MAX_INPUTS; i++)
        free(r->scratch[i]);
}

/* Pairs that may begin alike, among themselves too. */
static void make_grid(world *w)
{
    int32_t n_nodes = 0;

    w->grid = (ps_grid){.n_layers = w->L, .pairs = w->pairs, .n_pairs = 1 + dice(MAX_PAIRS)};
    for (int32_t p = 0; p < w->grid.n_pairs; p++) {
        int32_t T = 1 + dice(MAX_T), D = dice(T);
        w->pairs[p] = (ps_grid_pair){.n_positions = T, .first_difference = D,
                                     .ids = {w->ids[p][0], w->ids[p][1]}, .nodes = {w->nodes[p][0], w->nodes[p][1]}};
        for (int which = 0; which < PS_N_WHICH; which++)
            for (int32_t t = 0; t < T; t++)
                w->ids[p][which][t] = t < D ? 3 + (t == 2 && p == 1) : 10 * which + dice(2);
    }
    for (int32_t p = 0; p < w->grid.n_pairs; p++)
        for (int which = 0; which < PS_N_WHICH; which++)
            for (int32_t t = 0; t < w->pairs[p].n_positions; t++) {
                int32_t node = -1;
                for (int32_t q = 0; q <= p && node < 0; q++)
                    for (int other = 0; other < PS_N_WHICH && node < 0; other++)
                        if ((q < p || other < which) && t < w->pairs[q].n_positions &&
                            !memcmp(w->ids[q][other], w->ids[p][which], ((size_t)t + 1) * sizeof(int32_t)))
                            node = w->nodes[q][other][t];
                w->nodes[p][which][t] = node < 0 ? n_nodes++ : node;
            }
    w->grid.n_nodes = n_nodes;
}

static ps_edit any_edit(const world *w, int32_t T)
{
    ps_edit e = {.offset = dice(4) ? 0 : dice(3), .head = -1};

    do
        e.tap = (uint8_t)(1 + dice(PS_N_TAPS - 1));
    while (e.tap != PS_TAP_RESID_PRE && ps_program_tap(w->program, (enum ps_tap)e.tap) < 0);
    bool heads = e.tap == PS_TAP_Q || e.tap == PS_TAP_K || e.tap == PS_TAP_V || e.tap == PS_TAP_Z || e.tap == PS_TAP_PATTERN;
    if (heads && dice(2))
        e.head = dice(HEADS);
    e.first = dice(3) ? dice(T) : 0;
    e.n = dice(3) ? 1 : T - e.first;
    return e;
}

/* The value that an edit of a tap is laid on; 0: X at the entrance. */
static int value_of(const world *w, int tap)
{
    return ps_program_tap(w->program, (enum ps_tap)tap) + 1;
}

/* Cells of all kinds; free ones only where they are forced. */
static void make_cells(world *w)
{
    ps_err err = PS_ERR_INIT;

    for (w->n_cells = 0; w->n_cells < MAX_CELLS;) {
        cell *c = &w->cells[w->n_cells];
        int32_t pair = dice(w->grid.n_pairs), T = w->pairs[pair].n_positions;
        enum ps_which base = (enum ps_which)dice(2);
        bool forced = !dice(5);
        *c = (cell){.carried = {.pair = pair, .layer = dice(w->L), .base = base, .source = (enum ps_which)!base}};
        if (forced && dice(2))
            c->carried.source = base;
        c->edits[c->n_edits++] = any_edit(w, T);
        if (!dice(4)) /* the same in the next layer */
            c->edits[c->n_edits] = c->edits[0], c->edits[c->n_edits++].offset++;
        else if (!dice(4)) { /* another, of the same head */
            c->edits[c->n_edits] = any_edit(w, T);
            c->edits[c->n_edits].head = c->edits[c->n_edits].head < 0 || c->edits[0].head < 0 ? c->edits[c->n_edits].head
                                                                                             : c->edits[0].head;
            c->n_edits += value_of(w, c->edits[1].tap) != value_of(w, c->edits[0].tap);
        }
        for (size_t i = 0; i < c->n_edits; i++) /* whichever head a path is made with */
            if (c->edits[i].head >= 0)
                c->carried.head = c->edits[i].head;
        CHECK(ps_path_build(&c->path, w->program, T, w->pairs[pair].first_difference, c->edits, c->n_edits, forced, &err) == 0);
        c->carried.path = c->path;
        if (ps_path_end(c->path, w->L - 1 - c->carried.layer) == PS_OWN)
            w->n_cells++;
        else if (dice(20))
            ps_path_free(c->path); /* free, and now and then carried all the same */
        else
            w->n_cells++;
    }
}

static int wrong_cells(world *w)
{
    static pass runs[PS_N_WHICH], patched;
    int wrong = 0;

    for (int k = 0; k < w->size; k++)
        for (size_t i = 0; i < w->ranks[k].n_cells; i++) {
            const cell *c = &w->cells[w->ranks[k].cells[i]];
            int32_t T = w->pairs[c->carried.pair].n_positions;
            for (int which = 0; which < PS_N_WHICH; which++)
                whole_pass(&runs[which], w->program, w->L, w->ids[c->carried.pair][which], T, NULL, NULL);
            whole_pass(&patched, w->program, w->L, w->ids[c->carried.pair][c->carried.base], T, c, &runs[c->carried.source]);
            int32_t at = ps_schedule_last_row(w->ranks[k].schedule, i);
            row seen = at < 0 ? kept[0][~at] : w->ranks[k].x[at];
            wrong += memcmp(&seen, &patched.value[w->L][0][T - 1], sizeof seen) != 0;
        }
    return wrong;
}

static void schedules_are_whole_passes(void)
{
    static world w;
    int wrong = 0;

    for (int round = 0; round < 50 * N_PROGRAMS; round++) {
        w = (world){.program = programs[round % N_PROGRAMS], .L = 1 + dice(MAX_L), .size = 1 + dice(4)};
        make_grid(&w);
        make_cells(&w);
        int32_t panel_rows = 1 + dice(dice(2) ? 15 : 80);
        for (int k = 0; k < w.size; k++)
            open_rank(&w, k, panel_rows);
        for (int32_t layer = 0; layer < w.L; layer++)
            walk_layer(&w, layer);
        memcpy(kept[0], w.ranks[0].x, (size_t)w.ranks[0].base.n * sizeof(row));
        wrong += wrong_cells(&w);
        for (int k = 0; k < w.size; k++)
            close_rank(&w.ranks[k]);
        for (size_t i = 0; i < w.n_cells; i++)
            ps_path_free(w.cells[i].path);
    }
    CHECK_INT(wrong, 0);
}

/* Only a cell that takes a value from behind attention waits for it, in its own layer and no other. */
static void few_cells_are_late(void)
{
    static const struct { uint8_t tap; bool late; } cases[] = {
        {PS_TAP_RESID_PRE, false}, {PS_TAP_RESID_POST, false}, {PS_TAP_Q, false}, {PS_TAP_V, false},
        {PS_TAP_RESID_MID, false}, /* its row is then the source's behind the layer too */
        {PS_TAP_Z, true}, {PS_TAP_ATTN_OUT, true}, {PS_TAP_MLP_OUT, true}};
    static world w;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int32_t layer = 0; layer < MAX_L - 1; layer++) {
            const ps_edit edit = {.tap = cases[i].tap, .first = 4, .n = 1, .head = -1};
            ps_err err = PS_ERR_INIT;
            w = (world){.program = ps_program_pre_norm_glu, .L = MAX_L, .size = 2, .n_cells = 2};
            w.grid = (ps_grid){.n_layers = MAX_L, .pairs = w.pairs, .n_pairs = 1, .n_nodes = 16};
            w.pairs[0] = (ps_grid_pair){.n_positions = 8, .first_difference = 3, .nodes = {w.nodes[0][0], w.nodes[0][1]}};
            for (int32_t t = 0; t < 8; t++)
                w.nodes[0][0][t] = t, w.nodes[0][1][t] = t < 3 ? t : 8 + t;
            for (int k = 0; k < 2; k++) {
                CHECK(ps_path_build(&w.cells[k].path, ps_program_pre_norm_glu, 8, 3, &edit, 1, false, &err) == 0);
                w.cells[k].carried = (ps_carried){.path = w.cells[k].path, .layer = layer, .base = PS_CORRUPT};
            }
            open_rank(&w, 0, 64);
            open_rank(&w, 1, 64);
            for (int32_t l = 0; l < MAX_L; l++)
                CHECK_INT(ps_schedule_layer(w.ranks[1].schedule, l).n_late, cases[i].late && l == layer);
            for (int k = 0; k < 2; k++) {
                close_rank(&w.ranks[k]);
                ps_path_free(w.cells[k].path);
            }
        }
}

int main(void)
{
    RUN(few_cells_are_late);
    RUN(schedules_are_whole_passes);
    return check_done();
}
