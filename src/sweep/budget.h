/*
 * budget.h - the memory that a run needs on a node, and the largest waves that fit into it.
 *
 * Package-private.  The owners of memory say what they allocate, and the budget is the sum.  A plan is the same on
 * every rank.  So each rank adds up its own needs, and the ranks of a node add up theirs.
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
    uint64_t memory;   /* most bytes that the ranks of a node may hold together; 0: most of what is available */
    int64_t wave_rows; /* most rows of a wave, over all ranks; 0: no bound */
    size_t panel_rows; /* most rows of a product; 0: the default */
} ps_budget;

/*
 * Collective.  Plan the sweep with the largest waves for which every node has memory.  *max_rows gets the most rows of
 * such a wave.  Memory that this process already holds counts, and so do the weights before they are loaded.
 * PS_EINPUT where the memory is too little for a sensible wave; the message lists the needs.  The outcome is the same
 * on all ranks.  The caller owns *plan.
 */
int ps_budget_plan(ps_plan **plan, int64_t *max_rows, const ps_budget *budget, ps_err *err);

#endif
