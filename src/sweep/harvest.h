/*
 * harvest.h - a wave's cells, from all ranks into the ledger.
 *
 * Package-private.
 */
#ifndef PATCHSWEEP_SWEEP_HARVEST_H
#define PATCHSWEEP_SWEEP_HARVEST_H

#include "ledger.h"
#include "patchsweep/comm.h"
#include "patchsweep/plan.h"
#include "patchsweep/wave.h"

typedef struct ps_harvest {
    ps_comm *comm;
    const ps_grid *grid;
    const ps_plan *plan;
    size_t d_model;
    ps_ledger *ledger; /* on rank 0 */
} ps_harvest;

/* Collective.  Send this rank's cells of `wave` to rank 0.  Rank 0 adds the cells of all ranks to the ledger, in
 * rank order. */
int ps_harvest_cells(const ps_harvest *harvest, const ps_plan_wave *wave, const ps_wave_values *values, ps_err *err);
/* Most bytes that ps_harvest_cells() takes on `rank`, for any wave of `plan`, records of the journal included. */
uint64_t ps_harvest_bytes(const ps_grid *grid, const ps_plan *plan, size_t d_model, int rank);

#endif
