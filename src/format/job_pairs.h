/*
 * job_pairs.h - the pairs of a job, from the file and from `pairs_file`.
 */
#ifndef PATCHSWEEP_FORMAT_JOB_PAIRS_H
#define PATCHSWEEP_FORMAT_JOB_PAIRS_H

#include "patchsweep/err.h"
#include "patchsweep/job.h"
#include "patchsweep/json.h"
#include "patchsweep/text.h"

/* The keys that pairs are made from, checked for their types; NULL where not given. */
typedef struct ps_pair_source {
    const ps_node *template, *fill, *pairs, *pairs_file;
} ps_pair_source;

/*
 * Fill job->pairs: those of `pairs`, then those of `pairs_file`.  Appends them all as one JSON
 * array to *text.  PS_EINPUT with the pair's place: "pairs[3].answer: ...", "many.jsonl:17: ...".
 */
int ps_job_pairs_read(ps_job *job, const ps_pair_source *source, ps_text *text, ps_err *err);
void ps_job_pairs_free(ps_job_pair *pairs, size_t n);

#endif
