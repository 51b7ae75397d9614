/*
 * progress.h - how far, how fast, how long still: one line on stderr, from rank 0.
 *
 * Counts token-layers.  On a terminal the line is rewritten twice a second; elsewhere a plain line
 * with the time of day every 30 seconds, so that a log stays a log.
 */
#ifndef PATCHSWEEP_PROGRESS_H
#define PATCHSWEEP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_progress {
    const char *what;     /* "sweep" */
    int64_t total, done;  /* of this rank's token-layers: the ranks keep pace */
    double scale;         /* all ranks' token-layers over this rank's */
    int64_t cells;        /* of all ranks, for the rate that people think in */
    double start, shown;  /* seconds */
    bool quiet, terminal;
} ps_progress;

void ps_progress_begin(ps_progress *progress, const char *what, int64_t total, double scale,
                       int64_t cells, bool quiet);
void ps_progress_add(ps_progress *progress, int64_t more);
void ps_progress_end(ps_progress *progress);

#endif
