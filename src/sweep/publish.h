/*
 * publish.h - from the ledger to the result file.
 *
 * Package-private; rank 0 only.
 */
#ifndef PATCHSWEEP_SWEEP_PUBLISH_H
#define PATCHSWEEP_SWEEP_PUBLISH_H

#include <stdbool.h>

#include "brief.h"
#include "ledger.h"
#include "patchsweep/err.h"
#include "patchsweep/results.h"
#include "watch.h"

/* What a result is made of; all borrowed. */
typedef struct ps_publication {
    const ps_brief *brief;
    const char *history;
    ps_ledger *ledger;
    ps_watch *watch;              /* when to stop */
    bool quiet;                   /* no progress line */
    const ps_attr *run;           /* [n_run] attributes of /run */
    size_t n_run;
    const double *busy, *idle;    /* [size] seconds of each rank */
    double *peak;                 /* [size] most bytes in memory of each rank; publishing brings rank 0's up to date */
    int size;
    double start;                 /* of this session, on ps_seconds()'s clock */
    double load_seconds, sweep_seconds;
} ps_publication;

/*
 * Work out the scores, say a line of each grid, write the file pair by pair, close it, read it back, and give it its name.
 *
 * PS_ESTOPPED where a signal or the watch's deadline says so: the unfinished file is closed, synced and kept in the
 * brief's rows_dir, and the journal knows how far it came.  A file that is just being checked stays as it is.  The next call on that journal resumes there; where the
 * file is not as it was left, it says so and begins anew.
 */
int ps_publish(const ps_publication *publication, ps_err *err);

/* The most memory that it takes, besides the ledger's. */
size_t ps_publish_bytes(const ps_grid *grid, const ps_config *config);

#endif
