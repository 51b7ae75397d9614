/*
 * metric.c - readouts, in blocks of floats summed in double.
 *
 * A block's sum is over 256 floats in vector lanes; blocks add up in double, in order:
 * the result depends on the row alone.
 */
#include "patchsweep/metric.h"

#include <math.h>

#include "patchsweep/vexp.h"

#define BLOCK 256

static float largest_of(const float *z, size_t n)
{
    float largest = -INFINITY;

#pragma omp simd reduction(max : largest)
    for (size_t j = 0; j < n; j++)
        largest = z[j] > largest ? z[j] : largest;
    return largest;
}

void ps_reference_panel(ps_reference *ref, const float *z, float *w, size_t n)
{
    double largest = fmax(ref->largest, largest_of(z, n));
    float shift = (float)largest;

    ref->rescale = exp(ref->largest - largest);
    ref->largest = largest;
    ref->z = z;
    ref->w = w;
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        w[j] = ps_vexp(z[j] - shift);
}

static double sum_exp(const float *z, size_t n, float shift)
{
    double total = 0;

    for (size_t b = 0; b < n; b += BLOCK) {
        size_t end = n - b < BLOCK ? n : b + BLOCK;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = b; j < end; j++)
            sum += ps_vexp(z[j] - shift);
        total += sum;
    }
    return total;
}

static double sum_cross(const ps_reference *ref, const float *z, size_t n)
{
    double total = 0;

    for (size_t b = 0; b < n; b += BLOCK) {
        size_t end = n - b < BLOCK ? n : b + BLOCK;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = b; j < end; j++)
            sum += ref->w[j] * (ref->z[j] - z[j]);
        total += sum;
    }
    return total;
}

/* Logits above `than`, the answer's own place left out: it was computed another way. */
static int64_t count_greater(const float *z, size_t n, float than, int64_t answer_at)
{
    int64_t count = 0;

#pragma omp simd reduction(+ : count)
    for (size_t j = 0; j < n; j++)
        count += z[j] > than;
    return count - (answer_at >= 0 && answer_at < (int64_t)n && z[answer_at] > than);
}

/* The two largest so far; the first of equals. */
static void keep_top(ps_readout *r, const float *z, size_t n, int32_t first)
{
    for (size_t j = 0; j < n; j++) {
        if (r->top[1].id >= 0 && !(z[j] > r->top[1].logit))
            continue;
        r->top[1].logit = z[j];
        r->top[1].id = first + (int32_t)j;
        if (r->top[0].id < 0 || z[j] > r->top[0].logit) {
            float was = r->top[0].logit;
            int32_t id = r->top[0].id;
            r->top[0] = r->top[1];
            r->top[1].logit = was;
            r->top[1].id = id;
        }
    }
}

void ps_readout_panel(ps_readout *r, const ps_reference *ref, const float *z, size_t n,
                      int32_t first, int32_t answer_id)
{
    float top = largest_of(z, n);
    double largest = fmax(r->largest, top);

    r->sum = r->sum * exp(r->largest - largest) + sum_exp(z, n, (float)largest);
    r->greater += count_greater(z, n, (float)r->answer, (int64_t)answer_id - first);
    if (r->top[1].id < 0 || top > r->top[1].logit)
        keep_top(r, z, n, first);
    r->largest = largest;
    if (ref)
        r->cross = r->cross * ref->rescale + sum_cross(ref, z, n);
}

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
