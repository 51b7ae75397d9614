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

/* What a result is written from.  All borrowed. */
typedef struct ps_publication {
    const ps_brief *brief;
    const char *history;
    ps_ledger *ledger;
    ps_watch *watch;              /* tells when to stop */
    bool quiet;                   /* no progress line */
    const ps_attr *run;           /* [n_run] attributes of /run */
    size_t n_run;
    const double *busy, *idle;    /* [size] seconds of each rank */
    double *peak;                 /* [size] peak bytes of each rank; ps_publish() updates rank 0's */
    int size;
    double start;                 /* of this session, on ps_seconds()'s clock */
    double load_seconds, sweep_seconds;
} ps_publication;

/*
 * Compute the scores, print a line for each grid, write the file pair by pair, close it, read it back, and rename it
 * to the output's name.
 *
 * PS_ESTOPPED where a signal or the watch's deadline ends it.  The unfinished file is then closed, synced and kept in
 * the brief's rows_dir, and the journal records how far it came.  If it was only being read back, it is kept
 * unchanged.  The next call with that journal resumes there.  If the file has changed since, the next call warns and
 * starts anew.
 */
int ps_publish(const ps_publication *publication, ps_err *err);

/* The most bytes that ps_publish() takes, besides the ledger's. */
size_t ps_publish_bytes(const ps_grid *grid, const ps_config *config);

#endif
