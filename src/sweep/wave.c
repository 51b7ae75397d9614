/*
 * wave.c - the walk through the layers.
 *
 * What advances is a strand: consecutive rows of one run, from some position to its end.  Of a base run
 * the rows that no other had before are a strand, and so is each cell above its entry.  Strands are sorted by
 * entry, so the live ones are always the first ones, and their rows one block of x.
 *
 * A layer takes the live strands panel by panel:
 *
 *     project   norm, q, k, v of the rows that are nobody's copy
 *     publish   the base runs' x, q, k, v go to every rank
 *     finish    attention, whose keys come in pieces: base rows before t, the
 *               patched row, the cell's own; then the rest of the layer
 *
 * The rows of a strand that enters here are copies of base rows (but for a patched MLP output): their
 * q, k and v are the base runs'.  In the last layer a cell's rows serve as keys, and only
 * its last row goes on.
 *
 * With the base runs comes rank 0's word: to save the wave as it stands before the layer, or to stop.  What is saved
 * there is what another run restores (under_way), whose strands may be dealt to other ranks and other waves.
 */
#include "patchsweep/wave.h"

#include <string.h>

#include "engine.h"
#include "patchsweep/check.h"
#include "patchsweep/forward.h"
#include "patchsweep/host.h"

/* ---- strands ---- */

static void add_strand(ps_wave *w, strand s)
{
    const strand *last = w->n_strands ? &w->strands[w->n_strands - 1] : NULL;

    s.row = last ? last->row + (size_t)last->n : 0;
    w->strands[w->n_strands++] = s;
}

/* Rows that a base run is the first to have: in the trunk's order, so that a base row's place in x is its
 * place in the trunk. */
static void add_base_run(void *context, int32_t pair, enum ps_which which, int32_t first)
{
    ps_wave *w = context;
    const ps_grid_pair *p = &w->grid->pairs[pair];

    if (w->rank == 0)
        add_strand(w, (strand){.pair = pair, .base = which, .first = first, .n = p->n_positions - first});
}

static void add_cell(ps_wave *w, const ps_cell *cell)
{
    const ps_grid_pair *p = &w->grid->pairs[cell->pair];
    int32_t first = ps_cell_first_row(cell, p->n_positions, p->first_difference);

    add_strand(w, (strand){.cell = cell, .pair = cell->pair,
                           .base = ps_cell_base(cell), .source = ps_cell_source(cell),
                           .first = first, .n = p->n_positions - first,
                           .entry = ps_cell_entry(cell)});
}

/* This rank's cells, and the one that all ranks compute, which enters where the wave starts: nothing saves it. */
static void add_cells(ps_wave *w, const ps_plan_wave *wave)
{
    const ps_cell *shared = ps_comm_size(w->comm) > 1 ? &w->shared : NULL;
    size_t end = wave->first_cell + wave->n_cells;

    w->shared = ps_check_of_ranks(wave->first_pair, wave->start, w->grid);
    for (size_t i = wave->first_cell; i <= end; i++) {
        if (shared && (i == end || ps_cell_entry(&w->plan->cells[i]) >= wave->start)) {
            add_cell(w, shared);
            shared = NULL;
        }
        if (i < end && w->plan->owner[i] == w->rank)
            add_cell(w, &w->plan->cells[i]);
    }
}

/* Strands of the wave on this rank; the base rows of x hold the embeddings. */
static void begin(ps_wave *w, const ps_plan_wave *wave)
{
    w->n_strands = w->n_live = 0;
    ps_trunk_begin(&w->trunk, wave, add_base_run, w);
    w->n_trunk = w->n_strands;
    add_cells(w, wave);
    for (const strand *s = w->strands; s < w->strands + w->n_trunk; s++)
        ps_forward_embed(w->forward, w->x + s->row * w->d,
                         w->grid->pairs[s->pair].ids[s->base] + s->first, (size_t)s->n);
}

/*
 * What of the wave is under way before `layer`, and where it stands: the strands that entered at lower boundaries, the base
 * runs' branches where they are kept, and by name alone the cells still to come.  What is saved here is what is
 * restored here.
 */
static size_t under_way(ps_wave *w, int32_t layer)
{
    ps_rows *at = w->rows_at;

    for (const strand *s = w->strands; s < w->strands + w->n_strands; s++) {
        ps_rows r = {.first = s->first, .n = s->n, .rows = w->x + s->row * w->d};
        if (s->cell == &w->shared)
            continue;
        if (s->cell) {
            r.cell = *s->cell;
            r.n = s->entry < layer ? s->n : 0;
            *at++ = r;
            continue;
        }
        r.kind = PS_ROWS_BASE;
        r.cell = (ps_cell){.pair = s->pair, .direction = (uint8_t)s->base};
        *at++ = r;
        if (!w->trunk.branches)
            continue;
        r.kind = PS_ROWS_MID;
        r.rows = w->next_mid + s->row * w->d;
        *at++ = r;
        r.kind = PS_ROWS_MLP;
        r.rows = w->next_mlp + s->row * w->d;
        *at++ = r;
    }
    return (size_t)(at - w->rows_at);
}

/* Go on with what another run saved: the strands below the wave's first layer are live. */
static int resume(ps_wave *w, const ps_plan_wave *wave, const ps_wave_sink *sink, ps_err *err)
{
    if (!wave->start)
        return 0;
    if (!sink->restore)
        PS_BUG("a wave that starts at layer %d and nobody to restore it", (int)wave->start);
    while (w->n_live < w->n_strands && w->strands[w->n_live].entry < wave->start)
        w->n_live++;
    return sink->restore(sink->context, w->rows_at, under_way(w, wave->start), err);
}

/* The first position of a strand that goes on through `layer`: in the last layer a cell needs its
 * last row alone. */
static int32_t first_active(const ps_wave *w, const strand *s, int32_t layer)
{
    return s->cell && layer == w->L - 1 ? s->first + s->n - 1 : s->first;
}

static bool patched_by_copy(const strand *s)
{
    return ps_site_kinds[s->cell->site].copy;
}

/* Rows of a strand that this layer must project: all, but of an entering cell only the one row that
 * is nobody's copy. */
static int32_t n_projected(const strand *s, int32_t layer)
{
    if (!s->cell || s->entry < layer)
        return s->n;
    return patched_by_copy(s) ? 0 : 1;
}

/* ---- entry ---- */

/* Rows of a cell that enters: base rows behind t, and at t the source's state or the base's with
 * the source's MLP output. */
static void fill_entering(ps_wave *w, const strand *s)
{
    const ps_trunk *t = &w->trunk;
    int32_t position = s->cell->position;

    for (int32_t i = 0; i < s->n; i++) {
        int32_t at = s->first + i;
        enum ps_which from = at == position && patched_by_copy(s) ? s->source : s->base;
        float *row = w->x + (s->row + (size_t)i) * w->d;
        memcpy(row, t->x + ps_trunk_row(t, s->pair, from, at) * w->d, w->d * sizeof *row);
    }
    if (patched_by_copy(s))
        return;
    float *row = w->x + s->row * w->d;
    const float *mid = t->mid + ps_trunk_row(t, s->pair, s->base, position) * w->d;
    const float *mlp = t->mlp + ps_trunk_row(t, s->pair, s->source, position) * w->d;
    for (size_t i = 0; i < w->d; i++)
        row[i] = mid[i] + mlp[i];
}

/* Admit the cells whose entry is `boundary`. */
static void enter(ps_wave *w, int32_t boundary)
{
    while (w->n_live < w->n_strands && w->strands[w->n_live].entry <= boundary) {
        const strand *s = &w->strands[w->n_live++];
        if (s->cell)
            fill_entering(w, s);
    }
}

/* ---- panels ---- */

/*
 * Group strands first .. end into panels of about equal rows, none above panel_rows.
 */
static void add_panels(ps_wave *w, size_t first, size_t end)
{
    size_t total = 0, share;

    for (size_t i = first; i < end; i++)
        total += (size_t)w->strands[i].n;
    share = (total + w->panel_rows - 1) / w->panel_rows;
    share = share ? (total + share - 1) / share : 0;
    for (size_t i = first; i < end;) {
        panel *p = &w->panels[w->n_panels++];
        *p = (panel){.strands = &w->strands[i]};
        for (; i < end; i++) {
            size_t n = (size_t)w->strands[i].n;
            if (p->n && (p->rows >= share || p->rows + n > w->panel_rows))
                break;
            p->rows += n;
            p->n++;
        }
    }
}

/* Alone, rank 0 takes the base runs along in its first panels, before any cell; with other ranks
 * they have panels of their own, which go ahead. */
static void make_panels(ps_wave *w)
{
    bool ahead = ps_comm_size(w->comm) > 1;

    w->n_panels = 0;
    if (ahead)
        add_panels(w, 0, w->n_trunk);
    w->n_trunk_panels = w->n_panels;
    add_panels(w, ahead ? w->n_trunk : 0, w->n_live);
}

/* ---- a panel's steps ---- */

/* The rows to project, gathered and normed: w->h, w->positions.  Returns their number. */
static size_t gather_projected(ps_wave *w, panel *p, int32_t layer)
{
    const ps_backend_ops *op = ps_forward_ops(w->forward);
    size_t n = 0;

    for (strand *s = p->strands; s < p->strands + p->n; s++) {
        s->at = n;
        for (int32_t i = 0; i < n_projected(s, layer); i++, n++) {
            w->index[n] = (int32_t)s->row + i;
            w->positions[n] = s->first + i;
        }
    }
    op->move(w->rows, NULL, w->x, w->index, n, w->d);
    ps_forward_norm(w->forward, w->h, w->rows, n);
    return n;
}

/* q of those projected rows that go on: all of them but in the last layer. */
static void project_q(ps_wave *w, panel *p, int32_t layer, size_t n_projected_rows)
{
    const ps_backend_ops *op = ps_forward_ops(w->forward);
    size_t n = 0;

    for (strand *s = p->strands; s < p->strands + p->n; s++) {
        int32_t projected = n_projected(s, layer), skip = first_active(w, s, layer) - s->first;
        s->q_at = n;
        for (int32_t i = skip; i < projected; i++, n++) {
            w->index[n] = (int32_t)s->at + i;
            w->positions[n] = s->first + i;
        }
    }
    const float *h = w->h;
    if (n < n_projected_rows) {
        op->move(w->rows, NULL, w->h, w->index, n, w->d);
        h = w->rows;
    }
    ps_forward_q(w->forward, w->q, h, w->positions, n);
}

static void project(ps_wave *w, panel *p, int32_t layer)
{
    ps_trunk *t = &w->trunk;
    size_t n = gather_projected(w, p, layer);

    ps_forward_kv(w->forward, w->k, w->v, w->h, w->positions, n);
    project_q(w, p, layer, n);
    for (const strand *s = p->strands; s < p->strands + p->n && !s->cell; s++) {
        size_t rows = (size_t)s->n;
        memcpy(t->q + s->row * w->q_width, w->q + s->q_at * w->q_width,
               rows * w->q_width * sizeof(float));
        memcpy(t->k + s->row * w->kv_width, w->k + s->at * w->kv_width,
               rows * w->kv_width * sizeof(float));
        memcpy(t->v + s->row * w->kv_width, w->v + s->at * w->kv_width,
               rows * w->kv_width * sizeof(float));
    }
}

/* What a strand's rows see, in order of position. */
static void keys_of(const ps_wave *w, ps_keys *keys, const strand *s, int32_t layer)
{
    const ps_trunk *t = &w->trunk;
    int32_t end = s->first + s->n;

    if (!s->cell) {
        ps_trunk_keys(t, keys, s->pair, s->base, 0, end);
        return;
    }
    int32_t position = s->cell->position, projected = n_projected(s, layer);
    keys += ps_trunk_keys(t, keys, s->pair, s->base, 0, position);
    if (s->first > position || projected == 0)
        keys += ps_trunk_keys(t, keys, s->pair, s->source, position, position + 1);
    if (projected)
        *keys++ = (ps_keys){w->k + s->at * w->kv_width, w->v + s->at * w->kv_width, projected};
    if (s->entry == layer)
        ps_trunk_keys(t, keys, s->pair, s->base, position + 1, end);
}

/* Attention's work as it is put together: queries, and the rows that they come out as. */
typedef struct queries {
    size_t n, out_row;
} queries;

/* Queries at positions from .. to-1, with q rows at `q`. */
static void add_queries(ps_wave *w, queries *to, const ps_keys *keys, const float *q, int32_t from,
                        int32_t end)
{
    w->queries[to->n++] = (ps_queries){.q = q, .out = w->a + to->out_row * w->q_width, .first = from,
                                       .n = end - from, .keys = keys};
    to->out_row += (size_t)(end - from);
}

/* Those of rows that are a base run's. */
static void add_trunk_queries(ps_wave *w, queries *to, const ps_keys *keys, int32_t pair,
                              enum ps_which which, int32_t from, int32_t end)
{
    const ps_trunk *t = &w->trunk;

    for (int32_t piece; from < end; from += piece) {
        piece = ps_trunk_piece(t, pair, which, from, end);
        add_queries(w, to, keys, t->q + ps_trunk_row(t, pair, which, from) * w->q_width, from, from + piece);
    }
}

/* An entering cell's queries are base rows', but for a patched row that was projected. */
static void add_entering(ps_wave *w, queries *to, const ps_keys *keys, const strand *s, int32_t from)
{
    int32_t t = s->cell->position;

    if (from == t) {
        if (patched_by_copy(s))
            add_trunk_queries(w, to, keys, s->pair, s->source, t, t + 1);
        else
            add_queries(w, to, keys, w->q + s->q_at * w->q_width, t, t + 1);
        from = t + 1;
    }
    add_trunk_queries(w, to, keys, s->pair, s->base, from, s->first + s->n);
}

/* Attention's work for the panel; returns the rows of w->a, w->index their places in x. */
static size_t make_queries(ps_wave *w, const panel *p, int32_t layer, size_t *n_queries)
{
    queries made = {0, 0};
    ps_keys *keys = w->keys;

    for (const strand *s = p->strands; s < p->strands + p->n; s++, keys += w->keys_per_strand) {
        int32_t from = first_active(w, s, layer), end = s->first + s->n;
        for (int32_t i = from; i < end; i++)
            w->index[made.out_row + (size_t)(i - from)] = (int32_t)s->row + i - s->first;
        keys_of(w, keys, s, layer);
        if (!s->cell)
            add_queries(w, &made, keys, w->trunk.q + s->row * w->q_width, from, end);
        else if (s->entry < layer)
            add_queries(w, &made, keys, w->q + s->q_at * w->q_width, from, end);
        else
            add_entering(w, &made, keys, s, from);
    }
    *n_queries = made.n;
    return made.out_row;
}

/* Attention and the rest of the layer for a projected panel. */
static void finish(ps_wave *w, const panel *p, int32_t layer)
{
    const ps_backend_ops *op = ps_forward_ops(w->forward);
    bool keep = w->trunk.branches && !p->strands->cell;
    size_t n_queries, n = make_queries(w, p, layer, &n_queries);

    ps_forward_attend(w->forward, w->queries, n_queries);
    op->move(w->rows, NULL, w->x, w->index, n, w->d);
    ps_forward_rest(w->forward, w->rows, w->a, n, keep ? w->mid : NULL, keep ? w->mlp : NULL);
    op->move(w->x, w->index, w->rows, NULL, n, w->d);
    size_t row = 0;
    for (const strand *s = p->strands; keep && s < p->strands + p->n && !s->cell; s++) {
        size_t bytes = (size_t)s->n * w->d * sizeof(float);
        memcpy(w->next_mid + s->row * w->d, w->mid + row * w->d, bytes);
        memcpy(w->next_mlp + s->row * w->d, w->mlp + row * w->d, bytes);
        row += (size_t)s->n;
    }
}

/* ---- layers ---- */

/* Collective.  The base runs at a layer's entrance, from rank 0 to all, and rank 0's word. */
static unsigned publish(ps_wave *w, unsigned word)
{
    double start = ps_seconds();

    word = ps_trunk_bcast(&w->trunk, word, w->comm);
    w->idle += ps_seconds() - start;
    return word;
}

/* Rank 0: the base rows as they enter boundary `boundary`; x itself moves on under later panels. */
static void keep_base_rows(ps_wave *w, int32_t boundary)
{
    size_t bytes = w->trunk.n_rows * w->d * sizeof(float);

    memcpy(w->trunk.x, w->x, bytes);
    if (!w->trunk.branches || boundary == 0)
        return;
    memcpy(w->trunk.mid, w->next_mid, bytes);
    memcpy(w->trunk.mlp, w->next_mlp, bytes);
}

/* One base run's rows of a layer, a piece at a time. */
static int report_run(ps_wave *w, int32_t pair, enum ps_which which, int32_t layer,
                      const ps_wave_sink *sink, ps_err *err)
{
    int32_t T = w->grid->pairs[pair].n_positions;

    for (int32_t at = 0, n; at < T; at += n) {
        n = ps_trunk_piece(&w->trunk, pair, which, at, T);
        const ps_activations states = {.pair = pair, .which = which, .layer = layer, .first = at, .n = n,
                                       .rows = w->x + ps_trunk_row(&w->trunk, pair, which, at) * w->d};
        if (sink->activations(sink->context, &states, err) < 0)
            return -1;
    }
    return 0;
}

static int report_activations(ps_wave *w, int32_t layer, const ps_wave_sink *sink, ps_err *err)
{
    const ps_plan_wave *wave = w->trunk.wave;

    if (w->rank != 0 || !sink->activations)
        return 0;
    for (int32_t pair = wave->first_pair; pair < wave->first_pair + wave->n_pairs; pair++)
        for (int which = 0; which < PS_N_WHICH; which++)
            if (w->grid->activations >> which & 1 &&
                report_run(w, pair, (enum ps_which)which, layer, sink, err) < 0)
                return -1;
    return 0;
}

static void finish_and_report(ps_wave *w, const panel *p, int32_t layer, const ps_wave_sink *sink)
{
    finish(w, p, layer);
    if (sink->progress)
        sink->progress(sink->context, (int64_t)p->rows);
}

/* Collective.  Project the base runs, hear the word, admit the cells of this boundary.  What is saved is what stood
 * before the layer: rank 0's entering cells are told apart by their entry. */
static int enter_layer(ps_wave *w, int32_t layer, const ps_wave_sink *sink, unsigned *word, ps_err *err)
{
    *word = PS_GO_ON;
    if (w->rank == 0) {
        if (sink->word)
            *word = sink->word(sink->context, layer);
        keep_base_rows(w, layer);
        enter(w, layer);
        make_panels(w);
        for (size_t i = 0; !(*word & PS_STOP) && i < w->n_trunk_panels; i++)
            project(w, &w->panels[i], layer);
    }
    *word = publish(w, *word);
    if (*word & PS_SAVE && sink->save(sink->context, layer, w->rows_at, under_way(w, layer), err) < 0)
        return -1;
    if (w->rank != 0) {
        enter(w, layer);
        make_panels(w);
    }
    return 0;
}

static int walk_layer(ps_wave *w, int32_t layer, const ps_wave_sink *sink, bool *stopped, ps_err *err)
{
    unsigned word;

    if (ps_forward_layer(w->forward, layer, err) < 0 || enter_layer(w, layer, sink, &word, err) < 0)
        return -1;
    *stopped = word & PS_STOP;
    if (*stopped)
        return 0;
    for (size_t i = 0; i < w->n_panels; i++) {
        if (i >= w->n_trunk_panels)
            project(w, &w->panels[i], layer);
        finish_and_report(w, &w->panels[i], layer, sink);
    }
    return report_activations(w, layer, sink, err);
}

/* ---- the end ---- */

/* Last rows of the base runs and of the cells, side by side, the shared cell's behind them.  Returns how many. */
static size_t gather_finals(ps_wave *w, const ps_plan_wave *wave)
{
    size_t n = 0, bytes = w->d * sizeof(float), end = 2 * (size_t)wave->n_pairs + w->n_strands - w->n_trunk;

    for (int32_t pair = wave->first_pair; pair < wave->first_pair + wave->n_pairs; pair++)
        for (int which = 0; which < PS_N_WHICH; which++, n++) {
            size_t row = ps_trunk_row(&w->trunk, pair, (enum ps_which)which,
                                      w->grid->pairs[pair].n_positions - 1);
            memcpy(w->final + n * w->d, w->trunk.x + row * w->d, bytes);
            w->final_pair[n] = pair;
        }
    for (const strand *s = w->strands + w->n_trunk; s < w->strands + w->n_strands; s++) {
        size_t row = s->row + (size_t)s->n - 1, to = s->cell == &w->shared ? end - 1 : n++;
        memcpy(w->final + to * w->d, w->x + row * w->d, bytes);
        w->final_pair[to] = s->pair;
    }
    return end;
}

int ps_wave_run(ps_wave *w, size_t index, const ps_wave_sink *sink, ps_wave_values *values,
                ps_err *err)
{
    const ps_plan_wave *wave = &w->plan->waves[index];
    size_t base = 2 * (size_t)wave->n_pairs, shared = ps_comm_size(w->comm) > 1;
    const ps_readout *readouts;
    double start = ps_seconds();

    w->idle = 0;
    *values = (ps_wave_values){.stopped = false};
    begin(w, wave);
    if (resume(w, wave, sink, err) < 0)
        return -1;
    for (int32_t layer = wave->start; layer < w->L; layer++) {
        if (walk_layer(w, layer, sink, &values->stopped, err) < 0)
            return -1;
        if (values->stopped)
            return 0;
    }
    if (w->rank == 0)
        keep_base_rows(w, w->L);
    publish(w, PS_GO_ON);
    enter(w, w->L);
    size_t n = gather_finals(w, wave);
    const ps_head_rows rows = {.x = w->final, .pair_of = w->final_pair, .n = n, .first_pair = wave->first_pair,
                               .n_pairs = wave->n_pairs, .baselines = w->rank == 0};
    if (ps_head_read(w->head, &rows, w->values, &readouts, err) < 0)
        return -1;
    *values = (ps_wave_values){
        .n_cells = n - base - shared, .cells = (const double (*)[PS_N_METRICS])w->values + base,
        .shared = shared ? w->values[n - 1] : NULL, .shared_cell = w->shared,
        .finals = w->final + base * w->d, .base = (const double (*)[PS_N_METRICS])w->values,
        .base_readouts = readouts, .base_finals = w->final,
        .busy_seconds = ps_seconds() - start - w->idle, .idle_seconds = w->idle};
    return 0;
}
