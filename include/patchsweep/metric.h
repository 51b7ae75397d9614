/*
 * metric.h - from readouts of rows (readout.h) to numbers.
 */
#ifndef PATCHSWEEP_METRIC_H
#define PATCHSWEEP_METRIC_H

#include <stdbool.h>

#include "patchsweep/readout.h"
#include "patchsweep/terms.h"

/* Every metric of a finished readout; `clean` is the clean row's own. */
void ps_metric_values(double values[PS_N_METRICS], const ps_readout *readout, const ps_readout *clean);

/* Whether these metrics (a bit mask) need all logits, not only those of answer and foil. */
bool ps_metrics_need_vocabulary(unsigned metrics);

/*
 * (patched - corrupt) / (clean - corrupt); 0 and *degenerate = 1 where the denominator is 0.
 * The formula is the same in both directions: see src/README.md, Numbers.
 */
double ps_score(double patched, double clean, double corrupt, int *degenerate);

#endif
