/*
 * job_diff.h - where two jobs differ.
 *
 * Package-private.  Compares jobs as they ran: the JSON of ps_job.text, key by key.  `output` does not count, because
 * a result may have any name.  If only one job has a key, the other job's version did not know the key and ran with
 * its default, so the default is compared.
 */
#ifndef PATCHSWEEP_SWEEP_JOB_DIFF_H
#define PATCHSWEEP_SWEEP_JOB_DIFF_H

#include <stddef.h>

#include "patchsweep/err.h"

/*
 * Compare the jobs theirs[n] and ours[m].  Returns 0 if they are the same sweep, 1 if one of them is no JSON object,
 * else -1 with *err set.  PS_EINPUT names the first key that differs, the pair's id if the key is in a pair, and both
 * values.
 */
int ps_job_diff(const char *theirs, size_t n, const char *ours, size_t m, ps_err *err);

#endif
