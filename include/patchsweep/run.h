/*
 * run.h - a sweep from job file to result file.
 */
#ifndef PATCHSWEEP_RUN_H
#define PATCHSWEEP_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/comm.h"
#include "patchsweep/err.h"

typedef struct ps_run_options {
    const char *job;               /* the job file */
    const char *const *overrides;  /* [n_overrides] "key=value" */
    size_t n_overrides;
    const char *output;            /* NULL: the job's own, or the job's name with .h5 */
    const char *command;           /* the command line, for the file's history */
    bool force;                    /* replace a result of another job */
    bool quiet;                    /* no progress, no tables */
    uint64_t memory;               /* bytes a node's ranks may use together; 0: a share of what there is */
    long panel_rows;               /* rows of one matrix product at most; 0: the default */
    long wave_rows;                /* rows of one wave at most, over all ranks; 0: as many as memory allows */
    double save_minutes;           /* between saves of the rows in flight; 0: only when told to stop */
    double max_hours;              /* stop before; 0: no bound */
} ps_run_options;

#define PS_SAVE_MINUTES 10 /* the default */

/*
 * Collective.  Run the sweep, or resume one that was interrupted: what it keeps until it is done stands beside
 * the output, `<output>.journal` and `<output>.rows/`.  0: done, or the output holds this job's complete result already.
 * -1: *err is set, on all ranks alike where the failure came before the sweep; later ones abort the job.  PS_ESTOPPED: a
 * signal or the time said so, and all that was done is kept.  PS_EFAIL is returned too where the result is there, but
 * self-checks of the run that made it have failed.
 */
int ps_run(const ps_run_options *options, ps_comm *comm, ps_err *err);

#endif
