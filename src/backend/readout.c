/*
 * readout.c - readouts, in blocks of floats summed in double.
 *
 * A block's sum is over 256 floats in vector lanes; blocks add up in double, in order:
 * the result depends on the row alone.
 */
#include "patchsweep/readout.h"

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

static double sum_cross(const float *clean_z, const float *w, const float *z, size_t n)
{
    double total = 0;

    for (size_t b = 0; b < n; b += BLOCK) {
        size_t end = n - b < BLOCK ? n : b + BLOCK;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = b; j < end; j++)
            sum += w[j] * (clean_z[j] - z[j]);
        total += sum;
    }
    return total;
}

/* Count logits above `than`, except the answer's own: `than` was computed in another way. */
static int64_t count_greater(const float *z, size_t n, float than, int64_t answer_at)
{
    int64_t count = 0;

#pragma omp simd reduction(+ : count)
    for (size_t j = 0; j < n; j++)
        count += z[j] > than;
    return count - (answer_at >= 0 && answer_at < (int64_t)n && z[answer_at] > than);
}

/* Keep the two largest logits so far; of equal ones, the first. */
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

void ps_readout_panel(ps_readout *r, const ps_reference *ref, const float *clean_z, const float *clean_w, const float *z,
                      size_t n, int32_t first)
{
    float top = largest_of(z, n);
    double largest = fmax(r->largest, top);

    r->sum = r->sum * exp(r->largest - largest) + sum_exp(z, n, (float)largest);
    r->greater += count_greater(z, n, (float)r->answer, (int64_t)ref->answer_id - first);
    if (r->top[1].id < 0 || top > r->top[1].logit)
        keep_top(r, z, n, first);
    r->largest = largest;
    r->cross = r->cross * ref->rescale + sum_cross(clean_z, clean_w, z, n);
}

/* ---- one row of a reading ---- */

/* One logit, summed in double in the order of the columns. */
static double logit(const float *h, const float *w, size_t d)
{
    double sum = 0;

    for (size_t i = 0; i < d; i++)
        sum += (double)h[i] * w[i];
    return sum;
}

void ps_reading_pick(const ps_reading *g, size_t row)
{
    size_t reference = (size_t)(g->reference_of[row] - g->first_reference);
    const float *h = g->h + row * g->d, *answer = g->target + reference * 2 * g->d;

    g->readouts[row] = (ps_readout){
        .answer = logit(h, answer, g->d),
        .foil = g->references[reference].foil_id >= 0 ? logit(h, answer + g->d, g->d) : NAN,
        .largest = -INFINITY, .top = {{0, -1}, {0, -1}}};
}

void ps_reading_refer(const ps_reading *g, size_t i)
{
    float *z = g->clean_z + i * g->tokens;
    const float *from = g->logits + 2 * i * g->tokens;

    for (size_t j = 0; j < g->tokens; j++)
        z[j] = from[j];
    ps_reference_panel(&g->references[i], z, g->clean_w + i * g->tokens, g->tokens);
}

void ps_reading_read(const ps_reading *g, size_t row)
{
    size_t reference = (size_t)(g->reference_of[row] - g->first_reference), at = reference * g->tokens;

    ps_readout_panel(&g->readouts[row], &g->references[reference], g->clean_z + at, g->clean_w + at,
                     g->logits + row * g->tokens, g->tokens, g->first_token);
}
