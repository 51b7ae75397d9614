/*
 * metric.h - from logits to numbers, a panel of the vocabulary at a time.
 *
 * A row's logits are never held whole: a readout takes them panel by panel and keeps what the metrics
 * need.  KL needs the clean run's probabilities, which are known only up to a
 * factor until the last panel; the reference keeps that factor's running estimate, and every readout
 * against it is rescaled alike (the online softmax of Milakov and Gimelshein, arXiv:1805.02867).
 */
#ifndef PATCHSWEEP_METRIC_H
#define PATCHSWEEP_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/terms.h"

/* Readout of one row, as far as it got.  Starts as {.answer = ..., .foil = ..., .largest = -INFINITY}. */
typedef struct ps_readout {
    double answer, foil; /* logits, known beforehand; foil NaN where there is none */
    double largest, sum; /* sum of exp(z - largest) */
    double cross;        /* sum of w (z_clean - z) with the reference's weights w */
    int64_t greater;     /* logits above the answer's */
    struct {
        float logit;
        int32_t id;      /* -1: none yet */
    } top[2];            /* the two largest: the row's prediction and the runner-up */
} ps_readout;

/* The clean run's side of KL: weights w[j] = exp(z_clean[j] - largest) of the current panel. */
typedef struct ps_reference {
    double largest;  /* of the clean logits so far; starts at -INFINITY */
    double rescale;  /* factor for the cross sums of earlier panels */
    const float *z;  /* the panel's clean logits, [n]; borrowed from the caller */
    float *w;        /* [n]; memory of the caller */
} ps_reference;

/* Take the clean run's logits z[n] of the next panel. */
void ps_reference_panel(ps_reference *reference, const float *z, float *w, size_t n);
/* Take a row's logits z[n] of the same panel, tokens first .. first+n.  A NULL reference: no KL. */
void ps_readout_panel(ps_readout *readout, const ps_reference *reference, const float *z, size_t n,
                      int32_t first, int32_t answer_id);

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
