/*
 * brief.h - what a run is asked for, checked before anything is computed.
 *
 * Package-private.  Rank 0 reads all of it; the others are told what they need (rows_dir, model_dir,
 * backend_name, grid), and read the config.
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
    char *part, *journal, *rows_dir; /* what stands beside the output until it is done */
    ps_lock *lock;           /* the output is this run's alone */
    bool complete;           /* it holds this job's result already */
    ps_verdict verdict;      /* what that result says of itself */
    bool replace;            /* what stands at the output's name may be replaced */
    bool other_journal;      /* the journal beside it is another job's, or cannot be read */
} ps_brief;

/* Rank 0.  *brief is zero; what was read of it stays there on failure too. */
int ps_brief_read(ps_brief *brief, const ps_run_options *options, ps_err *err);
/* Let go of the output: another run may take it. */
void ps_brief_let_go(ps_brief *brief);
void ps_brief_release(ps_brief *brief);

#endif
