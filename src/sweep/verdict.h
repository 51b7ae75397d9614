/*
 * verdict.h - what a run finds wrong with its own result.
 *
 * Package-private; rank 0 only.  Failed self-checks make the result doubtful, and the run ends with status 1.  Values
 * that are not finite come from the model, and are only warned of.  Either is stored as the attribute `warning` of
 * /run, which `show`, `plot` and `inspect` repeat.
 */
#ifndef PATCHSWEEP_SWEEP_VERDICT_H
#define PATCHSWEEP_SWEEP_VERDICT_H

#include <stdbool.h>

#include "ledger.h"
#include "patchsweep/err.h"
#include "patchsweep/pair.h"
#include "patchsweep/results.h"
#include "patchsweep/text.h"

typedef struct ps_verdict {
    ps_text text; /* one line; "" where nothing is wrong */
    bool failed;  /* self-checks failed */
} ps_verdict;

/* Judge the results that `ledger` has for a grid of `pairs`.  Returns -1 if memory runs out.  The caller releases
 * the text. */
int ps_verdict_reach(ps_verdict *verdict, const ps_grid *grid, const ps_pair *pairs, ps_ledger *ledger, ps_err *err);
/* Read the verdict that a result file has. */
void ps_verdict_read(ps_verdict *verdict, const ps_result_file *file);
/* Warn on stderr of what is wrong with the result `path`.  If checks failed, return PS_EFAIL instead. */
int ps_verdict_tell(const ps_verdict *verdict, const char *path, ps_err *err);

#endif
