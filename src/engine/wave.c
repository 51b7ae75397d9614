/*
 * wave.c - the walk through the layers.
 *
 * The schedule lists which rows each step of a layer computes and where their inputs lie; panel.c computes them.  A layer has
 * three parts:
 *
 *     base rows   Rank 0 computes the base runs up to attention's inputs, and sends them to every rank with its command.
 *     panels      Every rank carries its cells through the layer.  Rank 0 completes the base runs first.
 *     late        If cells read base values that are computed after attention (an MLP's output), rank 0 sends these too, and
 *                 those cells follow.
 *
 * Rank 0's command is to go on, to save the wave as it stands before the layer, or to stop.  A later run restores what was saved
 * (under_way).  It may deal the strands to other ranks and other waves.
 */
#include "patchsweep/wave.h"

#include <string.h>

#include "engine.h"
#include "patchsweep/check.h"
#include "patchsweep/host.h"

/* ---- strands ---- */

static int carry(ps_wave *w, const ps_cell *cell, ps_err *err)
{
    const ps_path *path = ps_grid_path(w->grid, cell, err);

    if (!path)
        return -1;
    w->cells[w->n_cells] = cell;
    w->carried[w->n_cells++] = (ps_carried){.path = path, .pair = cell->pair, .layer = cell->layer,
                                            .base = ps_cell_base(cell), .source = ps_cell_source(cell), .head = cell->head};
    return 0;
}

/* Note the layers in which a cell of any rank reads base values that are computed after attention. */
static int note_late(ps_wave *w, const ps_cell *cell, ps_err *err)
{
    const ps_path *path = ps_grid_path(w->grid, cell, err);

    for (int32_t layer = cell->layer; path && layer < w->L && layer - cell->layer < ps_path_n_phases(path); layer++)
        w->late[layer] = w->late[layer] || ps_schedule_is_late(ps_path_phase(path, layer - cell->layer, layer == w->L - 1),
                                                               w->in.attend);
    return path ? 0 : -1;
}

/* List this rank's cells, and after them the cell that every rank computes.  The latter enters where the wave starts, so it is
 * not saved. */
static int carry_cells(ps_wave *w, ps_err *err)
{
    w->n_cells = 0;
    memset(w->late, 0, (size_t)w->L * sizeof *w->late);
    for (size_t i = w->now->first_cell; i < w->now->first_cell + w->now->n_cells; i++)
        if (note_late(w, &w->plan->cells[i], err) < 0 ||
            (w->plan->owner[i] == w->rank && carry(w, &w->plan->cells[i], err) < 0))
            return -1;
    w->shared = ps_check_of_ranks(w->now->first_pair, w->now->start, w->grid);
    return w->size > 1 ? carry(w, &w->shared, err) : 0;
}

/* Make this rank's strands of the wave, and fill the base rows of X with embeddings. */
static int begin(ps_wave *w, ps_err *err)
{
    if (carry_cells(w, err) < 0)
        return -1;
    ps_schedule_begin(w->schedule, w->now->first_pair, w->now->n_pairs, w->carried, w->n_cells);
    if (w->base.n != w->now->trunk_rows)
        PS_BUG("%d base rows where the plan has %lld", (int)w->base.n, (long long)w->now->trunk_rows);
    ps_base_values_begin(&w->kept, (size_t)w->base.n);
    for (size_t i = 0; i < ps_schedule_n_strands(w->schedule); i++) {
        ps_strand_rows s = ps_schedule_strand(w->schedule, i);
        size_t at = (size_t)s.row * w->d, n = (size_t)s.n * w->d;
        if (s.cell) { /* rows that no layer has written are saved too */
            w->backend->ops.zero(w->backend, w->x + at, n);
            continue;
        }
        ps_forward_embed(w->forward, ps_mirror_at(&w->mirror, w->x, at), w->grid->pairs[s.pair].ids[s.which] + s.first,
                         s.first, (size_t)s.n);
        ps_mirror_put(&w->mirror, w->x, at, n);
    }
    return 0;
}

/*
 * List what is under way before `layer`, in rows_at[]: base runs, cells that entered in lower layers, and, without rows, cells
 * that have not entered yet.  Saving and restoring use the same list.  Returns how many there are.
 */
static size_t under_way(ps_wave *w, int32_t layer)
{
    ps_rows *at = w->rows_at;

    for (size_t i = 0; i < ps_schedule_n_strands(w->schedule); i++) {
        ps_strand_rows s = ps_schedule_strand(w->schedule, i);
        const ps_cell *cell = s.cell ? w->cells[s.cell - w->carried] : NULL;
        if (cell && cell->check == PS_CHECK_RANKS)
            continue;
        *at++ = (ps_rows){.kind = cell ? PS_ROWS_CELL : PS_ROWS_BASE,
                          .key = cell ? ps_grid_key(w->grid, cell) : ps_rows_run(s.pair, s.which), .first = s.first,
                          .n = cell && s.entry >= layer ? 0 : s.n,
                          .rows = ps_mirror_at(&w->mirror, w->x, (size_t)s.row * w->d)};
    }
    return (size_t)(at - w->rows_at);
}

/* The offset in x of rows in the mirror. */
static size_t offset_of(const ps_wave *w, const ps_rows *r)
{
    return (size_t)(r->rows - ps_mirror_at(&w->mirror, w->x, 0));
}

/* Restore what another run saved before the layer at which the wave starts. */
static int resume(ps_wave *w, const ps_wave_sink *sink, ps_err *err)
{
    if (!w->now->start)
        return 0;
    if (!sink->restore)
        PS_BUG("a wave that starts at layer %d and nobody to restore it", (int)w->now->start);
    size_t n = under_way(w, w->now->start);
    if (sink->restore(sink->context, w->rows_at, n, err) < 0)
        return -1;
    for (const ps_rows *r = w->rows_at; r < w->rows_at + n; r++)
        ps_mirror_put(&w->mirror, w->x, offset_of(w, r), (size_t)r->n * w->d);
    return 0;
}

/* Collective.  Save the wave as it stands before `layer`. */
static int save(ps_wave *w, int32_t layer, const ps_wave_sink *sink, ps_err *err)
{
    size_t n = under_way(w, layer);

    for (const ps_rows *r = w->rows_at; r < w->rows_at + n; r++)
        ps_mirror_get(&w->mirror, w->x, offset_of(w, r), (size_t)r->n * w->d);
    return sink->save(sink->context, layer, w->rows_at, n, err);
}

/* ---- layers ---- */

/* Rank 0: keep the base rows as they enter a layer, because the layer's panels overwrite X. */
static void keep_base_rows(ps_wave *w)
{
    if (w->rank == 0)
        w->backend->ops.move(w->kept.at[0], NULL, w->x, NULL, NULL, (size_t)w->base.n, w->d);
}

/* Collective.  Send rank 0's command, its base rows of X, and the other early values that it has computed. */
static unsigned send_early(ps_wave *w, unsigned command)
{
    double start = ps_seconds();

    command = ps_base_values_send_early(&w->kept, command, w->comm, &w->mirror);
    for (int i = 0; i < 2; i++) {
        enum ps_reg reg = i ? PS_V : PS_K;
        ps_broadcast(w->comm, &w->mirror, w->reg[reg], (size_t)w->base.n * ps_program_width(w->config, reg));
    }
    w->idle += ps_seconds() - start;
    return command;
}

/* Collective. */
static void send_late(ps_wave *w)
{
    double start = ps_seconds();

    ps_base_values_send_late(&w->kept, w->comm, &w->mirror);
    w->idle += ps_seconds() - start;
}

/* Report one base run's rows after a layer, a piece at a time. */
static int report_run(ps_wave *w, int32_t pair, enum ps_which which, int32_t layer,
                      const ps_wave_sink *sink, ps_err *err)
{
    int32_t T = w->grid->pairs[pair].n_positions;

    for (int32_t at = 0, n; at < T; at += n) {
        n = ps_base_piece(&w->base, pair, which, at, T);
        size_t row = (size_t)ps_base_row(&w->base, pair, which, at);
        const ps_activations states = {.pair = pair, .which = which, .layer = layer, .first = at, .n = n,
                                       .rows = ps_mirror_get(&w->mirror, w->x, row * w->d, (size_t)n * w->d)};
        if (sink->activations(sink->context, &states, err) < 0)
            return -1;
    }
    return 0;
}

static int report_activations(ps_wave *w, int32_t layer, const ps_wave_sink *sink, ps_err *err)
{
    const ps_plan_wave *wave = w->now;

    if (w->rank != 0 || !sink->activations)
        return 0;
    for (int32_t pair = wave->first_pair; pair < wave->first_pair + wave->n_pairs; pair++)
        for (int which = 0; which < PS_N_WHICH; which++)
            if (w->grid->activations >> which & 1 &&
                report_run(w, pair, (enum ps_which)which, layer, sink, err) < 0)
                return -1;
    return 0;
}

/* Run steps from .. to - 1 of panels first .. end - 1. */
static void run_panels(ps_wave *w, size_t first, size_t end, size_t from, size_t to, const ps_wave_sink *sink)
{
    for (size_t i = first; i < end; i++) {
        const ps_work *work = ps_schedule_panel(w->schedule, i, from, to);
        ps_panel_run(w, work, from, to);
        if (to == w->in.n_steps && sink->progress)
            sink->progress(sink->context, work->rows);
    }
}

/* Collective.  Rank 0 computes the base runs up to attention's inputs, if other ranks wait for them, and sends its command.  X is
 * saved after that: no step has written it yet. */
static int enter_layer(ps_wave *w, int32_t layer, const ps_panels *panels, const ps_wave_sink *sink, unsigned *command,
                       ps_err *err)
{
    *command = PS_GO_ON;
    keep_base_rows(w);
    if (w->rank == 0) {
        if (sink->command)
            *command = sink->command(sink->context, layer);
        if (!(*command & PS_STOP))
            run_panels(w, 0, panels->n_base, 0, w->in.attend, sink);
    }
    *command = send_early(w, *command);
    return *command & PS_SAVE ? save(w, layer, sink, err) : 0;
}

static int walk_layer(ps_wave *w, int32_t layer, const ps_wave_sink *sink, bool *stopped, ps_err *err)
{
    ps_panels panels = ps_schedule_layer(w->schedule, layer);
    size_t end = panels.n_base + panels.n, late = end - panels.n_late;
    unsigned command;

    if (ps_forward_layer(w->forward, layer, err) < 0 || enter_layer(w, layer, &panels, sink, &command, err) < 0)
        return -1;
    *stopped = command & PS_STOP;
    if (*stopped)
        return 0;
    run_panels(w, 0, panels.n_base, w->in.attend, w->in.n_steps, sink);
    run_panels(w, panels.n_base, late, 0, w->in.n_steps, sink);
    if (w->late[layer])
        send_late(w);
    run_panels(w, late, end, 0, w->in.n_steps, sink);
    return report_activations(w, layer, sink, err);
}

/* ---- the end ---- */

/* Gather the last rows of the base runs, then of the cells, then of the cell that every rank computes.  Returns how many. */
static size_t gather_finals(ps_wave *w)
{
    const ps_plan_wave *wave = w->now;
    size_t n = 0;

    for (int32_t pair = wave->first_pair; pair < wave->first_pair + wave->n_pairs; pair++)
        for (int which = 0; which < PS_N_WHICH; which++, n++) {
            w->final_row[n] = ~ps_base_row(&w->base, pair, (enum ps_which)which, w->grid->pairs[pair].n_positions - 1);
            w->final_pair[n] = pair;
        }
    for (size_t i = 0; i < w->n_cells; i++, n++) {
        w->final_row[n] = ps_schedule_last_row(w->schedule, i); /* its own, or a base run's */
        w->final_pair[n] = w->carried[i].pair;
    }
    w->backend->ops.move(w->final, NULL, w->x, w->kept.at[0], w->final_row, n, w->d);
    return n;
}

int ps_wave_run(ps_wave *w, size_t index, const ps_wave_sink *sink, ps_wave_values *values,
                ps_err *err)
{
    const ps_plan_wave *wave = &w->plan->waves[index];
    size_t base = 2 * (size_t)wave->n_pairs, shared = w->size > 1;
    const ps_readout *readouts;
    double start = ps_seconds();

    w->now = wave;
    w->idle = 0;
    *values = (ps_wave_values){.stopped = false};
    if (begin(w, err) < 0 || resume(w, sink, err) < 0)
        return -1;
    for (int32_t layer = wave->start; layer < w->L; layer++) {
        if (walk_layer(w, layer, sink, &values->stopped, err) < 0)
            return -1;
        if (values->stopped)
            return 0;
    }
    keep_base_rows(w);
    ps_base_values_send_x(&w->kept, w->comm, &w->mirror);
    size_t n = gather_finals(w);
    const ps_lm_head_rows rows = {.x = w->final, .pair_of = w->final_pair, .n = n, .first_pair = wave->first_pair,
                               .n_pairs = wave->n_pairs, .baselines = w->rank == 0};
    if (ps_lm_head_read(w->head, &rows, w->values, &readouts, err) < 0)
        return -1;
    const float *finals = ps_mirror_get(&w->mirror, w->final, 0, n * w->d);
    *values = (ps_wave_values){
        .n_cells = n - base - shared, .cells = (const double (*)[PS_N_METRICS])w->values + base,
        .shared = shared ? w->values[n - 1] : NULL, .shared_cell = w->shared,
        .finals = finals + base * w->d, .base = (const double (*)[PS_N_METRICS])w->values,
        .base_readouts = readouts, .base_finals = finals,
        .busy_seconds = ps_seconds() - start - w->idle, .idle_seconds = w->idle};
    return 0;
}
