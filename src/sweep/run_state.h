/*
 * run_state.h - what a rank holds during a run, and the parts of a run that have files of their own.
 *
 * Package-private: run.c opens, fills and frees all of it.
 */
#ifndef PATCHSWEEP_SWEEP_RUN_STATE_H
#define PATCHSWEEP_SWEEP_RUN_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brief.h"
#include "ledger.h"
#include "patchsweep/backend.h"
#include "patchsweep/cellset.h"
#include "patchsweep/comm.h"
#include "patchsweep/cores.h"
#include "patchsweep/plan.h"
#include "patchsweep/progress.h"
#include "patchsweep/run.h"
#include "patchsweep/text.h"
#include "patchsweep/wave.h"
#include "patchsweep/weights.h"
#include "snapshot.h"
#include "verdict.h"
#include "watch.h"

typedef struct ps_run_state {
    const ps_run_options *options;
    ps_comm *comm;
    int rank, size;
    ps_cores cores;
    double start, load_seconds, sweep_seconds;
    ps_brief brief; /* whole on rank 0 */
    /* rank 0 */
    ps_text history;
    ps_verdict verdict;
    ps_ledger *ledger;
    ps_watch watch;
    ps_progress progress;
    /* every rank */
    ps_weights *weights;
    ps_backend *backend;
    ps_cellset *done, *flight; /* done: on rank 0 the ledger's; flight: NULL where nothing is */
    ps_snapshot *snapshot;
    int generation;   /* of the last good snapshot */
    int64_t max_rows; /* of a wave, over all ranks */
    ps_plan *plan;
    ps_wave *wave;
    size_t at_wave;
    bool same_bits;   /* rank 0: all ranks compute the same bits */
    bool saved;       /* rank 0: rows of the current wave are in a snapshot */
    bool computed;    /* earlier runs computed all cells: no weights are loaded */
    bool heard;       /* rank 0: a signal to stop was noticed */
    double busy, idle;
} ps_run_state;

/*
 * Collective.  Run the waves of the plan one after another.  Rank 0 appends the outcome of each to the journal.
 * PS_ESTOPPED on all ranks where rank 0 was told to stop; any other failure is of this rank alone, and the others wait.
 */
int ps_run_waves(ps_run_state *run, ps_err *err);

/*
 * Collective.  Gather what every rank says of itself, such as its host and its peak of memory.  Rank 0 then reaches the
 * verdict, and publishes the result with the attributes of its group /run.
 */
int ps_run_record(ps_run_state *run, ps_err *err);

#endif
