/*
 * trunk.h - the base runs of a wave's pairs, at the layer in hand.
 *
 * Package-private.  A pair's clean and corrupt run share their rows before D: 2T - D rows, the
 * shared ones, then the clean ones from D on, then the corrupt ones.  Rank 0 computes them, every rank
 * holds them; they lie in one block so that a layer's is one broadcast:
 *
 *     x, q, k, v   at the layer's entrance
 *     mid, mlp     of the layer before (only where a site needs them): its residual stream
 *                  behind attention, and its MLP's output
 */
#ifndef PATCHSWEEP_SWEEP_TRUNK_H
#define PATCHSWEEP_SWEEP_TRUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/backend.h"
#include "patchsweep/comm.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/plan.h"

typedef struct ps_trunk {
    const ps_grid *grid;
    const ps_plan_wave *wave;
    int64_t *first_row; /* [pairs of the wave] where a pair's rows begin */
    size_t n_rows;      /* of the wave */
    size_t d, q_width, kv_width;
    bool branches;      /* mid and mlp are kept */
    float *block;
    float *x, *q, *k, *v, *mid, *mlp; /* into block: [n_rows, width] each */
} ps_trunk;

/* Room for the largest wave of `plan`. */
int ps_trunk_init(ps_trunk *trunk, const ps_grid *grid, const ps_plan *plan, size_t d,
                  size_t q_width, size_t kv_width, ps_err *err);
void ps_trunk_release(ps_trunk *trunk);

/* Lay the block out for `wave`. */
void ps_trunk_begin(ps_trunk *trunk, const ps_plan_wave *wave);

/* Row of run `which` of pair `pair` at `position`. */
size_t ps_trunk_row(const ps_trunk *trunk, int32_t pair, enum ps_which which, int32_t position);

/* Collective.  Rank 0's block to all. */
void ps_trunk_bcast(ps_trunk *trunk, ps_comm *comm);

/* Append the keys of run `which` at positions from .. to-1 to the pieces of `queries`. */
void ps_trunk_keys(const ps_trunk *trunk, ps_queries *queries, int32_t pair, enum ps_which which,
                   int32_t from, int32_t to);

#endif
