/* trunk.c - the layout of the base runs' block, and keys out of it. */
#include "trunk.h"

#include <string.h>

#include "patchsweep/mem.h"

#define WORD_FLOATS 16 /* a cache line, so that the rows behind it begin one */

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

/* Number the wave's rows, as they come.  Returns how many pieces the most scattered run has. */
static int32_t number_rows(ps_trunk *t, ps_trunk_visit *visit, void *context)
{
    int32_t row = 0, most = 0, first_pair = t->wave->first_pair, end_pair = first_pair + t->wave->n_pairs;

    for (int32_t pair = first_pair; pair < end_pair; pair++)
        for (int which = 0; which < PS_N_WHICH; which++)
            for (int32_t i = 0; i < t->grid->pairs[pair].n_positions; i++)
                t->row_of[t->grid->pairs[pair].nodes[which][i]] = -1;
    for (int32_t pair = first_pair; pair < end_pair; pair++)
        for (int which = 0; which < PS_N_WHICH; which++) {
            const int32_t *nodes = t->grid->pairs[pair].nodes[which];
            int32_t T = t->grid->pairs[pair].n_positions, pieces = 0, first = 0;
            while (first < T && t->row_of[nodes[first]] >= 0)
                first++;
            for (int32_t i = first; i < T; i++)
                t->row_of[nodes[i]] = row++;
            if (first < T && visit)
                visit(context, pair, (enum ps_which)which, first);
            for (int32_t i = 0; i < T; i += ps_trunk_piece(t, pair, (enum ps_which)which, i, T))
                pieces++;
            most = pieces > most ? pieces : most;
        }
    t->n_rows = (size_t)row;
    return most;
}

int ps_trunk_init(ps_trunk *t, const ps_grid *grid, const ps_plan *plan, size_t d, size_t q_width,
                  size_t kv_width, ps_err *err)
{
    *t = (ps_trunk){.grid = grid, .d = d, .q_width = q_width, .kv_width = kv_width,
                    .branches = needs_branches(grid), .row_of = ps_malloc((size_t)grid->n_nodes, sizeof *t->row_of, err)};
    if (!t->row_of)
        return -1;
    t->max_rows = (size_t)ps_plan_max_trunk_rows(plan);
    for (size_t w = 0; w < plan->n_waves; w++) {
        t->wave = &plan->waves[w];
        int32_t pieces = number_rows(t, NULL, NULL);
        t->max_pieces = pieces > t->max_pieces ? pieces : t->max_pieces;
    }
    return 0;
}

static ps_block block_of(ps_trunk *t)
{
    return (ps_block){&t->block, WORD_FLOATS + t->max_rows * row_floats(t), sizeof(float)};
}

uint64_t ps_trunk_bytes(ps_trunk *t)
{
    const ps_block block = block_of(t);

    return (uint64_t)t->grid->n_nodes * sizeof *t->row_of + ps_blocks_bytes(&block, 1);
}

int ps_trunk_alloc(ps_trunk *t, ps_err *err)
{
    const ps_block block = block_of(t);

    return ps_blocks_alloc(&block, 1, err);
}

void ps_trunk_release(ps_trunk *t)
{
    ps_free(t->row_of);
    ps_free(t->block);
}

void ps_trunk_begin(ps_trunk *t, const ps_plan_wave *wave, ps_trunk_visit *visit, void *context)
{
    t->wave = wave;
    number_rows(t, visit, context);
    if ((int64_t)t->n_rows != wave->trunk_rows)
        PS_BUG("%zu base rows where the plan has %lld", t->n_rows, (long long)wave->trunk_rows);
    t->x = t->block + WORD_FLOATS;
    t->q = t->x + t->n_rows * t->d;
    t->k = t->q + t->n_rows * t->q_width;
    t->v = t->k + t->n_rows * t->kv_width;
    t->mid = t->v + t->n_rows * t->kv_width; /* not there unless t->branches */
    t->mlp = t->mid + t->n_rows * t->d;
}

size_t ps_trunk_row(const ps_trunk *t, int32_t pair, enum ps_which which, int32_t position)
{
    return (size_t)t->row_of[t->grid->pairs[pair].nodes[which][position]];
}

int32_t ps_trunk_piece(const ps_trunk *t, int32_t pair, enum ps_which which, int32_t position,
                       int32_t end)
{
    const int32_t *nodes = t->grid->pairs[pair].nodes[which];
    int32_t next = position + 1;

    while (next < end && t->row_of[nodes[next]] == t->row_of[nodes[next - 1]] + 1)
        next++;
    return next - position;
}

unsigned ps_trunk_bcast(ps_trunk *t, unsigned word, ps_comm *comm)
{
    memset(t->block, 0, WORD_FLOATS * sizeof *t->block);
    memcpy(t->block, &word, sizeof word);
    ps_comm_bcast(comm, t->block, (WORD_FLOATS + t->n_rows * row_floats(t)) * sizeof(float), 0);
    memcpy(&word, t->block, sizeof word);
    return word;
}

int32_t ps_trunk_keys(const ps_trunk *t, ps_keys *keys, int32_t pair, enum ps_which which,
                      int32_t from, int32_t to)
{
    int32_t n = 0;

    for (int32_t piece; from < to; from += piece) {
        size_t row = ps_trunk_row(t, pair, which, from);
        piece = ps_trunk_piece(t, pair, which, from, to);
        keys[n++] = (ps_keys){t->k + row * t->kv_width, t->v + row * t->kv_width, piece};
    }
    return n;
}
