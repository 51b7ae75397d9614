/*
 * publish.h - from the ledger to the result file.
 *
 * Package-private; rank 0 only.
 */
#ifndef PATCHSWEEP_SWEEP_PUBLISH_H
#define PATCHSWEEP_SWEEP_PUBLISH_H

#include "brief.h"
#include "ledger.h"
#include "patchsweep/err.h"
#include "patchsweep/results.h"

/* What a result is made of; all borrowed. */
typedef struct ps_publication {
    const ps_brief *brief;
    const char *history;
    ps_ledger *ledger;
    const ps_attr *root, *run;    /* [n_root], [n_run] attributes of the file and of /run */
    size_t n_root, n_run;
    const double *busy, *idle;    /* [size] seconds of each rank */
    double *peak;                 /* [size] most bytes in memory of each rank; publishing brings rank 0's up to date */
    int size;
} ps_publication;

/* Work out the scores, say a line of each grid, write the file, read it back, and give it its name. */
int ps_publish(const ps_publication *publication, ps_err *err);

#endif
