/*
 * brief.h - what a run is asked for, checked before anything is computed.
 *
 * Package-private.  Rank 0 reads all of it.  The other ranks get rows_dir, model_dir, backend_name and grid by
 * broadcast, and read the config themselves.
 */
#ifndef PATCHSWEEP_SWEEP_BRIEF_H
#define PATCHSWEEP_SWEEP_BRIEF_H

#include <stdbool.h>

#include "patchsweep/config.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/job.h"
#include "patchsweep/lock.h"
#include "patchsweep/pair.h"
#include "patchsweep/run.h"
#include "patchsweep/text.h"
#include "patchsweep/tokenizer.h"
#include "verdict.h"

typedef struct ps_brief {
    ps_job *job;
    ps_tokenizer *tokenizer; /* NULL: tokens have no labels */
    ps_pair *pairs;          /* [job->n_pairs] */
    ps_config *config;
    ps_grid *grid;
    char *model_dir, *revision, *backend_name;
    ps_text identity;        /* identity.h */
    char *output;
    char *part, *journal, *rows_dir; /* beside the output while the run lasts */
    ps_lock *lock;           /* no other run has this output */
    bool complete;           /* the output is already this job's result */
    ps_verdict verdict;      /* of that result */
    bool replace;            /* the file at the output's name may be replaced */
    bool other_journal;      /* the journal belongs to another job, or cannot be read */
} ps_brief;

/* Rank 0.  Read the brief.  *brief must be zero.  After a failure it keeps what was read until then, and must be
 * released. */
int ps_brief_read(ps_brief *brief, const ps_run_options *options, ps_err *err);
/* Release the lock of the output, so that another run may take it. */
void ps_brief_let_go(ps_brief *brief);
void ps_brief_release(ps_brief *brief);

#endif
