/*
 * budget.h - what a run needs of a node's memory, and the largest waves that fit into it.
 *
 * Package-private.  The owners of memory say what they allocate; this is their sum.  A plan is the same on every
 * rank, so each rank adds up its own needs of a plan, and the ranks of a node add up theirs.
 */
#ifndef PATCHSWEEP_SWEEP_BUDGET_H
#define PATCHSWEEP_SWEEP_BUDGET_H

#include "patchsweep/backend.h"
#include "patchsweep/comm.h"
#include "patchsweep/config.h"
#include "patchsweep/plan.h"

typedef struct ps_budget {
    const ps_grid *grid;
    const ps_config *config;
    const char *model_dir;
    const ps_backend *backend;
    ps_comm *comm;
    ps_plan_options plan;
    uint64_t memory;   /* bytes that the ranks of a node may hold together; 0: most of what is available */
    int64_t wave_rows; /* rows of a wave at most, over all ranks; 0: no bound */
    size_t panel_rows; /* rows of a product at most; 0: the default */
} ps_budget;

/*
 * Collective.  Plan the sweep with the largest waves, of *max_rows rows at most, for which every node has memory.  What
 * this process holds already counts; the weights count before they are loaded.  PS_EINPUT where the memory is too little
 * for a sensible wave: the message lists what is needed.  The outcome is the same on all ranks; *plan is the caller's.
 */
int ps_budget_plan(ps_plan **plan, int64_t *max_rows, const ps_budget *budget, ps_err *err);

#endif
