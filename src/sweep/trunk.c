/* trunk.c - the layout of the base runs' block, and keys out of it. */
#include "trunk.h"

#include "patchsweep/mem.h"

static bool needs_branches(const ps_grid *grid)
{
    for (int site = 0; site < PS_N_SITES; site++)
        if (grid->sites >> site & 1 && !ps_site_kinds[site].copy)
            return true;
    return false;
}

static size_t row_floats(const ps_trunk *t)
{
    return t->d + t->q_width + 2 * t->kv_width + (t->branches ? 2 * t->d : 0);
}

int ps_trunk_init(ps_trunk *t, const ps_grid *grid, const ps_plan *plan, size_t d, size_t q_width,
                  size_t kv_width, ps_err *err)
{
    *t = (ps_trunk){.grid = grid, .d = d, .q_width = q_width, .kv_width = kv_width,
                    .branches = needs_branches(grid)};
    t->first_row = ps_malloc((size_t)ps_plan_max_pairs(plan), sizeof *t->first_row, err);
    t->block = ps_malloc_aligned((size_t)ps_plan_max_trunk_rows(plan) * row_floats(t),
                                 sizeof(float), err);
    return t->first_row && t->block ? 0 : -1;
}

void ps_trunk_release(ps_trunk *t)
{
    ps_free(t->first_row);
    ps_free(t->block);
}

void ps_trunk_begin(ps_trunk *t, const ps_plan_wave *wave)
{
    int64_t row = 0;

    t->wave = wave;
    for (int32_t i = 0; i < wave->n_pairs; i++) {
        t->first_row[i] = row;
        row += ps_grid_base_rows(&t->grid->pairs[wave->first_pair + i]);
    }
    size_t n = t->n_rows = (size_t)row;
    t->x = t->block;
    t->q = t->x + n * t->d;
    t->k = t->q + n * t->q_width;
    t->v = t->k + n * t->kv_width;
    t->mid = t->v + n * t->kv_width; /* not there unless t->branches */
    t->mlp = t->mid + n * t->d;
}

size_t ps_trunk_row(const ps_trunk *t, int32_t pair, enum ps_which which, int32_t position)
{
    const ps_grid_pair *p = &t->grid->pairs[pair];
    int64_t at = position < p->first_difference || which == PS_CLEAN
                     ? position
                     : p->n_positions + position - p->first_difference;

    return (size_t)(t->first_row[pair - t->wave->first_pair] + at);
}

void ps_trunk_bcast(ps_trunk *t, ps_comm *comm)
{
    ps_comm_bcast(comm, t->block, t->n_rows * row_floats(t) * sizeof(float), 0);
}

static void add_keys(const ps_trunk *t, ps_queries *queries, size_t row, int32_t n)
{
    if (n <= 0)
        return;
    if (queries->n_keys == PS_MAX_KEYS)
        PS_BUG("more than %d pieces of keys", PS_MAX_KEYS);
    queries->keys[queries->n_keys++] =
        (ps_keys){t->k + row * t->kv_width, t->v + row * t->kv_width, n};
}

void ps_trunk_keys(const ps_trunk *t, ps_queries *queries, int32_t pair, enum ps_which which,
                   int32_t from, int32_t to)
{
    int32_t D = t->grid->pairs[pair].first_difference;
    int32_t shared_end = to < D ? to : D, own_from = from > D ? from : D;

    if (from < shared_end)
        add_keys(t, queries, ps_trunk_row(t, pair, which, from), shared_end - from);
    if (own_from < to)
        add_keys(t, queries, ps_trunk_row(t, pair, which, own_from), to - own_from);
}
