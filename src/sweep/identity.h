/*
 * identity.h - what must be the same for a run to resume another, or for a result to be a job's.
 *
 * Package-private; rank 0 only.  An identity is lines of "field: value": program, job, tokens of the pairs, precision,
 * config, tokenizer, and every weight file (its size, the CRC32C of its header and of blocks all over it).  The
 * program may differ (ps_identity_of_job).
 */
#ifndef PATCHSWEEP_SWEEP_IDENTITY_H
#define PATCHSWEEP_SWEEP_IDENTITY_H

#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/job.h"
#include "patchsweep/text.h"

int ps_identity_build(ps_text *out, const ps_job *job, const ps_grid *grid, const char *model_dir, ps_err *err);
/* Return the identity without its first line, the program's: all that must be the same.  Another revision's results
 * and journals can be used if their formats' versions are the same. */
const char *ps_identity_of_job(const char *identity);
/* Compare two identities.  PS_EINPUT names the first field in which they differ.  If the field is the job, the
 * message has the key and both values (job_diff.h). */
int ps_identity_compare(const char *theirs, const char *ours, ps_err *err);

#endif
