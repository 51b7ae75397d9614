/*
 * publish.h - from the ledger to the result file.
 *
 * Package-private; rank 0 only.
 */
#ifndef PATCHSWEEP_SWEEP_PUBLISH_H
#define PATCHSWEEP_SWEEP_PUBLISH_H

#include "ledger.h"
#include "patchsweep/config.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/job.h"
#include "patchsweep/pair.h"
#include "patchsweep/results.h"
#include "patchsweep/tokenizer.h"

/* What a result is made of; all borrowed. */
typedef struct ps_publication {
    const char *output, *part;    /* its name, and the one that it grows under */
    const ps_job *job;
    const ps_pair *pairs;         /* [n_pairs of grid] */
    const ps_grid *grid;
    const ps_config *config;
    const ps_tokenizer *tokenizer; /* NULL: none */
    const char *revision, *identity, *history;
    ps_ledger *ledger;
    const ps_attr *root, *run;    /* [n_root], [n_run] attributes of the file and of /run */
    size_t n_root, n_run;
    const double *busy, *idle;    /* [size] seconds of each rank */
    int size;
} ps_publication;

/* Work out the scores, say a line of each grid, write the file, read it back, and give it its name. */
int ps_publish(const ps_publication *publication, ps_err *err);

#endif
