/*
 * job_diff.h - in what two jobs differ.
 *
 * Package-private.  Jobs are compared as they ran: the JSON of ps_job.text, key by key.  `output` does not count: a result
 * may have any name.  A key that only one of the jobs has is compared with its default: the other's version did not know it.
 */
#ifndef PATCHSWEEP_SWEEP_JOB_DIFF_H
#define PATCHSWEEP_SWEEP_JOB_DIFF_H

#include <stddef.h>

#include "patchsweep/err.h"

/*
 * 0 where the jobs theirs[n] and ours[m] are the same sweep, 1 where one of them is no JSON object; else -1 with *err set.
 * PS_EINPUT names the first key that differs, the pair's id where it is in a pair, and both values.
 */
int ps_job_diff(const char *theirs, size_t n, const char *ours, size_t m, ps_err *err);

#endif
