/*
 * progress.h - progress, rate and time left: one line on stderr, from rank 0.
 *
 * On a terminal, the line is rewritten twice a second.  Elsewhere, a plain line with the time of day is printed every
 * 30 seconds, as suits a log file.
 */
#ifndef PATCHSWEEP_PROGRESS_H
#define PATCHSWEEP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_progress {
    const char *what;     /* "sweep" */
    const char *unit;     /* unit of total and done: "token-layers"; NULL: show no rate, and count no cells */
    int64_t total, done;  /* units of this rank; the others keep pace with it */
    double scale;         /* units of all ranks / of this rank */
    int64_t cells;        /* computed cells of all ranks, for the cells/s shown */
    double start, shown;  /* seconds */
    bool quiet, terminal;
} ps_progress;

void ps_progress_begin(ps_progress *progress, const char *what, const char *unit, int64_t total, double scale,
                       int64_t cells, bool quiet);
void ps_progress_add(ps_progress *progress, int64_t more);
void ps_progress_end(ps_progress *progress);

#endif
