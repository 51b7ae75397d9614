/*
 * cost.h - the work and memory of a plan, counted, to size a job before it is queued.
 */
#ifndef PATCHSWEEP_COST_H
#define PATCHSWEEP_COST_H

#include "patchsweep/config.h"
#include "patchsweep/grid.h"
#include "patchsweep/plan.h"

typedef struct ps_cost {
    double flops;       /* of all ranks: matrix products, attention, the LM head */
    double naive_flops; /* of a whole forward pass for each cell of the grid and each base run */
    double parameters;  /* numbers in the model's matrices */
    double rows;        /* hidden states that the largest wave keeps */
} ps_cost;

/*
 * Count the floating-point operations of the waves of `plan`; a multiply-add counts as two.  A row of a layer takes 2 k n
 * for every matrix [n, k], and 4 head_dim n_heads for every key that its query sees.  Only rows that are computed count
 * (path.h).
 */
ps_cost ps_cost_of(const ps_plan *plan, const ps_grid *grid, const ps_config *config);

#endif
