/*
 * identity.h - what must be the same for two runs to be one.
 *
 * Package-private; rank 0 only.  Lines of "field: value": program, which may differ (ps_identity_of_job), job, tokens of
 * the pairs, precision, config, tokenizer, every weight file (its size, the CRC32C of its header and of blocks all over it).
 */
#ifndef PATCHSWEEP_SWEEP_IDENTITY_H
#define PATCHSWEEP_SWEEP_IDENTITY_H

#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/job.h"
#include "patchsweep/text.h"

int ps_identity_build(ps_text *out, const ps_job *job, const ps_grid *grid, const char *model_dir, ps_err *err);
/* The identity without its first line, the program's: what must be the same.  Results and journals of another revision are as
 * good, as far as their formats' versions are the same. */
const char *ps_identity_of_job(const char *identity);
/* PS_EINPUT names the first field in which `theirs` is not `ours`; of the job, its key and both values (job_diff.h). */
int ps_identity_compare(const char *theirs, const char *ours, ps_err *err);

#endif
