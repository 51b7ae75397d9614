/*
 * cost.h - what a plan will take, counted: so that a job can be sized before it is queued.
 */
#ifndef PATCHSWEEP_COST_H
#define PATCHSWEEP_COST_H

#include "patchsweep/config.h"
#include "patchsweep/grid.h"
#include "patchsweep/plan.h"

typedef struct ps_cost {
    double flops;       /* of all ranks: products, attention, the LM head */
    double naive_flops; /* of one whole forward pass for each cell of the grid, and the two base runs */
    double weights;     /* numbers in the model's tensors */
    double rows;        /* hidden states of the largest wave, which live as long as it does */
} ps_cost;

/*
 * The floating-point operations of the waves of `plan`, a multiply-add being two: for each row of each
 * layer 2 k n for a matrix [n, k] it goes through, 4 head_dim n_heads for each key a query sees.  What the
 * engine leaves out is left out here (cost.c says what).
 */
ps_cost ps_cost_of(const ps_plan *plan, const ps_grid *grid, const ps_config *config);

#endif
