/* metric.c - from finished readouts to numbers. */
#include "patchsweep/metric.h"

#include <math.h>

void ps_metric_values(double values[PS_N_METRICS], const ps_readout *r, const ps_readout *clean)
{
    double lse = r->largest + log(r->sum), lse_clean = clean->largest + log(clean->sum);

    values[PS_LOGIT_ANSWER] = r->answer;
    values[PS_LOGIT_FOIL] = r->foil;
    values[PS_LOGIT_DIFF] = r->answer - r->foil;
    values[PS_LOGPROB_ANSWER] = r->answer - lse;
    values[PS_KL] = r->cross / clean->sum + lse - lse_clean;
    values[PS_ANSWER_RANK] = (double)r->greater;
}

bool ps_metrics_need_vocabulary(unsigned metrics)
{
    return metrics & (1u << PS_LOGPROB_ANSWER | 1u << PS_KL | 1u << PS_ANSWER_RANK);
}

double ps_score(double patched, double clean, double corrupt, int *degenerate)
{
    *degenerate = clean - corrupt == 0;
    /* + 0.0: nothing over a negative difference is 0, not -0 */
    return *degenerate ? 0 : (patched - corrupt) / (clean - corrupt) + 0.0;
}
