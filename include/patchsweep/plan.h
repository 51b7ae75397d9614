/*
 * plan.h - which cells go in which wave, and on which rank.
 *
 * A plan is a pure function of its inputs: every rank builds the same plan, and none is sent.  All ranks have the same
 * waves.  At every layer of a wave the ranks wait for the busiest one.  So cells are dealt in the order of their entry, each
 * to the rank that carries the fewest rows so far.
 */
#ifndef PATCHSWEEP_PLAN_H
#define PATCHSWEEP_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/cell.h"
#include "patchsweep/cellset.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"

/* The cells that go through the layers together, and the pairs whose base runs carry them. */
typedef struct ps_plan_wave {
    int32_t first_pair, n_pairs; /* consecutive */
    size_t first_cell, n_cells;  /* in ps_plan.cells */
    int64_t trunk_rows;          /* base rows: different prefixes of the pairs' tokens */
    int32_t start;               /* the first layer: 0 unless the wave resumes from a snapshot */
} ps_plan_wave;

/* The most pairs in a wave: their base rows go through the LM head in one piece. */
#define PS_PLAN_MAX_PAIRS 512

/* The most that a rank carries in any wave, without base runs. */
typedef struct ps_plan_share {
    int64_t rows;
    size_t cells;
} ps_plan_share;

typedef struct ps_plan {
    ps_cell *cells;  /* [n_cells] the cells to compute, ordered by wave, then entry, then rows (most first) */
    int32_t *owner;  /* [n_cells] the rank of each */
    size_t n_cells, n_checks; /* n_checks of the n_cells are checks */
    size_t n_free;   /* cells that are not computed: free cells, and cells whose twin is computed (grid.h) */
    ps_plan_wave *waves; /* [n_waves] */
    size_t n_waves;
    int size;
    ps_plan_share *shares; /* [size] */
    int64_t work;      /* token-layers of all ranks, base runs included */
    double efficiency; /* rows over all layers: the mean of the ranks / the sum of the busiest rank of each layer */
} ps_plan;

/* Options of a plan; all zero for a whole new sweep. */
typedef struct ps_plan_options {
    bool free_too; /* send free cells and twins through the engine as well (for tests) */
    bool checks;   /* add the self-checks of each pair (check.h) */
    const ps_cellset *done;   /* cells that need not be computed.  A pair is left out too once its base runs are done and
                                 none of its cells remains.  NULL: nothing is done yet */
    const ps_cellset *flight; /* cells in the snapshot: they resume before `layer`, in waves of their own.  NULL: none */
    int32_t layer;            /* the layer before which `flight` resumes */
} ps_plan_options;

/*
 * Plan `grid` for `size` ranks.  A wave has at most `max_rows` rows in all, base runs
 * included, unless a single cell needs more.  `options` may be NULL.
 */
int ps_plan_build(ps_plan **out, const ps_grid *grid, int size, int64_t max_rows,
                  const ps_plan_options *options, ps_err *err);
void ps_plan_free(ps_plan *plan);

/* The least efficiency at which all ranks count as useful: the busiest rank of a layer carries twice the mean. */
#define PS_PLAN_USEFUL 0.5
/* Find how many ranks, up to `most`, are useful for `grid`. */
int ps_plan_useful_ranks(const ps_grid *grid, int64_t max_rows, int most, int *useful, ps_err *err);

uint64_t ps_plan_bytes(const ps_plan *plan);
/* The most rows of any wave over all ranks, base runs included. */
int64_t ps_plan_max_rows(const ps_plan *plan, const ps_grid *grid);
/* The most rows that `rank` carries in any wave: without base runs, with the cell that every rank computes. */
int64_t ps_plan_rows(const ps_plan *plan, int rank);
/* The most cells of `rank` in any wave, with the cell that every rank computes. */
size_t ps_plan_max_cells(const ps_plan *plan, int rank);
/* The most pairs, and the most base rows, of any wave. */
int32_t ps_plan_max_pairs(const ps_plan *plan);
int64_t ps_plan_max_trunk_rows(const ps_plan *plan);

#endif
