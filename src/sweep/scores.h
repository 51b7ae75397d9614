/*
 * scores.h - every cell's metrics, collected on rank 0 wave by wave.
 *
 * Package-private.  All values start as NaN.  Computed cells are put in wave by wave, free cells are
 * filled from the base runs' values, and scores are computed at the end.
 */
#ifndef PATCHSWEEP_SWEEP_SCORES_H
#define PATCHSWEEP_SWEEP_SCORES_H

#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/metric.h"
#include "patchsweep/results.h"

/* The outcome of a base run. */
typedef struct ps_baseline {
    double values[PS_N_METRICS];
    ps_readout readout; /* its prediction */
} ps_baseline;

typedef struct ps_scores {
    const ps_grid *grid;
    ps_baseline (*base)[PS_N_WHICH]; /* [n_pairs] */
    double **tables; /* [n_pairs * sites * directions]: [kept metric, axes of the site] each, in `values`, or NULL */
    double *values;
    double *score, *degenerate, *done; /* [axes of the site] of the grid computed last */
} ps_scores;

uint64_t ps_scores_bytes(const ps_grid *grid); /* bytes that ps_scores_init() allocates */
/* Release after a failure too. */
int ps_scores_init(ps_scores *scores, const ps_grid *grid, ps_err *err);
void ps_scores_release(ps_scores *scores);

void ps_scores_put(ps_scores *scores, const ps_cell *cell, const double values[PS_N_METRICS]);
/* Fill in the free cells from the baselines, which must be complete. */
void ps_scores_fill_free(ps_scores *scores);

/* The range of the scores of one pair, site and direction. */
typedef struct ps_score_range {
    double least, most;
    ps_cell at; /* cell with the largest score */
    size_t n;                /* cells that have a score */
} ps_score_range;

/*
 * Compute the scores of a pair, site and direction from `metric`, which the grid must keep, into scores->score,
 * degenerate and done.  They are valid until the next call.
 */
ps_score_range ps_scores_compute(ps_scores *scores, int32_t pair, enum ps_site site,
                                 enum ps_direction direction, enum ps_metric metric);
/* Write the scores computed last, and the metrics that the job asks for, to the current pair of `results`, which is
 * pair `index`.  `finals` as in ps_results_add_grid(). */
int ps_scores_write(const ps_scores *scores, ps_results *results, int32_t index, enum ps_site site,
                    enum ps_direction direction, const ps_row_source *finals, ps_err *err);

#endif
