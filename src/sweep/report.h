/*
 * report.h - the lines that a run prints, and the attributes of its result.
 *
 * Package-private; rank 0 only.
 */
#ifndef PATCHSWEEP_SWEEP_REPORT_H
#define PATCHSWEEP_SWEEP_REPORT_H

#include "patchsweep/job.h"
#include "patchsweep/pair.h"
#include "patchsweep/results.h"
#include "patchsweep/tokenizer.h"
#include "scores.h"

/* Print one line on stdout: what each base run predicts.  Warn on stderr if the pair is a poor one: the clean run
 * does not predict the answer, or the baselines hardly differ. */
void ps_report_pair(const ps_pair *pair, const ps_baseline base[PS_N_WHICH], enum ps_metric score,
                    const ps_tokenizer *tokenizer);
/* Print one line on stdout: shape and range of the scores of a grid of `pair`. */
void ps_report_scores(const ps_grid *grid, const ps_pair *pair, const ps_score_range *range);

/* Begin a pair of the result, with the baselines and predictions as attributes of its group. */
int ps_report_begin_pair(ps_results *results, const ps_pair *pair, const ps_baseline base[PS_N_WHICH],
                         const ps_tokenizer *tokenizer, ps_err *err);

#endif
