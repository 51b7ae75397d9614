/*
 * vexp.h - exp for floats, written so that the compiler vectorises loops over it.
 *
 * exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; ln 2 in two parts (Cody and
 * Waite), exp(r) by its Taylor polynomial of degree 7, whose first omitted term is below
 * 2e-9 there.  Within 2 ulp of exp on [-87, 88] (tests/unit/test_backend.c); below -87.3 it is 0,
 * above 88.3 it stays finite: the callers' arguments are never positive but by rounding.
 */
#ifndef PATCHSWEEP_VEXP_H
#define PATCHSWEEP_VEXP_H

#include <stdint.h>
#include <string.h>

static inline float ps_vexp(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float clamped = x < -87.3f ? -87.3f : x > 88.3f ? 88.3f : x; /* NaN stays, through r and p */
    float number = clamped > -87.3f ? clamped : -87.3f;          /* ... but makes no n */
    float n = (number * 1.44269504f + magic) - magic;
    float r = clamped - n * 0.693145752f;
    r = r - n * 1.42860677e-6f;
    float p = 1.98412698e-4f;
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return x < -87.3f ? 0.0f : p * scale;
}

#endif
