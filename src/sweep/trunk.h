/*
 * trunk.h - the base runs of a wave's pairs, at the layer in hand.
 *
 * Package-private.  Runs that begin with the same tokens, of one pair or of many, share the rows of
 * that beginning: there is a row for every different prefix, in the order in which the
 * wave's runs (clean and corrupt of each pair) first have it.  Rank 0 computes them, every rank holds them;
 * they lie in one block so that a layer's is one broadcast:
 *
 *     word         what is to be done before the layer (enum ps_word)
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
    int32_t *row_of;    /* [n_nodes of the grid] where a prefix's row is, in this wave */
    size_t n_rows;      /* of the wave */
    size_t max_rows;    /* of any wave */
    int32_t max_pieces; /* consecutive rows that a run falls into, at most, in any wave */
    size_t d, q_width, kv_width;
    bool branches;      /* mid and mlp are kept */
    float *block;       /* the word stands in its first cache line */
    float *x, *q, *k, *v, *mid, *mlp; /* into block: [n_rows, width] each */
} ps_trunk;

/* A trunk for the waves of `plan`, without the block of rows. */
int ps_trunk_init(ps_trunk *trunk, const ps_grid *grid, const ps_plan *plan, size_t d,
                  size_t q_width, size_t kv_width, ps_err *err);
/* Allocate the block, for the largest wave. */
int ps_trunk_alloc(ps_trunk *trunk, ps_err *err);
uint64_t ps_trunk_bytes(ps_trunk *trunk); /* of both */
void ps_trunk_release(ps_trunk *trunk);

/* Lay the block out for `wave`.  `visit`, where not NULL, is told of the rows that each run is the first
 * to have: those of positions `first` and on, of which there is at least one. */
typedef void ps_trunk_visit(void *context, int32_t pair, enum ps_which which, int32_t first);
void ps_trunk_begin(ps_trunk *trunk, const ps_plan_wave *wave, ps_trunk_visit *visit, void *context);

/* Row of run `which` of pair `pair` at `position`. */
size_t ps_trunk_row(const ps_trunk *trunk, int32_t pair, enum ps_which which, int32_t position);

/* How many rows from that one on follow each other in the block, up to position `end`; at least 1. */
int32_t ps_trunk_piece(const ps_trunk *trunk, int32_t pair, enum ps_which which, int32_t position,
                       int32_t end);

/* Collective.  Rank 0's block to all, and its word with it.  Returns the word. */
unsigned ps_trunk_bcast(ps_trunk *trunk, unsigned word, ps_comm *comm);

/* The keys of run `which` at positions from .. to-1, piece by piece, to keys[0] and on.  Returns how many
 * pieces: at most max_pieces. */
int32_t ps_trunk_keys(const ps_trunk *trunk, ps_keys *keys, int32_t pair, enum ps_which which,
                      int32_t from, int32_t to);

#endif
