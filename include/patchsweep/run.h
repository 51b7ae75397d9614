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
    const char *output;            /* NULL: the job's `output`, or the job file's name with .h5 */
    const char *command;           /* the command line, for the file's history */
    bool force;                    /* replace a result of another job */
    bool quiet;                    /* no progress, no tables */
    uint64_t memory;               /* most bytes that the ranks of a node may hold together; 0: most of what is available */
    long panel_rows;               /* most rows of one matrix product; 0: the default */
    long wave_rows;                /* most rows of one wave, over all ranks; 0: as many as memory allows */
    double save_minutes;           /* minutes between saves of the rows in flight; 0: save only when told to stop */
    double max_hours;              /* stop within so many hours; 0: no bound */
} ps_run_options;

#define PS_SAVE_MINUTES 10 /* the default */

/*
 * Collective.  Run the sweep, or resume one that was interrupted.  While it lasts, `<output>.journal` and
 * `<output>.rows/` beside the output keep what is done.
 * Returns 0 if the result is complete, also if the output was this job's complete result before.  Returns -1 with *err
 * set otherwise.  A failure before the sweep is returned on all ranks alike; a later one aborts the job.  PS_ESTOPPED:
 * a signal or the time limit ended the run, and all that was done is kept.  PS_EFAIL is returned also if the result is
 * complete, but self-checks of the run that made it have failed.
 */
int ps_run(const ps_run_options *options, ps_comm *comm, ps_err *err);

#endif
