/*
 * vtanh.h - tanh for floats, written so that the compiler vectorises loops over it.
 *
 * Below 0.6 tanh(x) = x + x s P(s), s = x^2, P of degree 4 fitted so that the relative error is below 3e-9 there; above it
 * 1 - 2 / (exp(2 |x|) + 1).  Within 1.5 ulp of tanh everywhere (tests/unit/test_backend.c).
 */
#ifndef PATCHSWEEP_VTANH_H
#define PATCHSWEEP_VTANH_H

#include <math.h>

#include "patchsweep/vexp.h"

static inline float ps_vtanh(float x)
{
    float t = fabsf(x), s = x * x;
    float p = -5.90586103e-3f;
    p = p * s + 2.08053775e-2f;
    p = p * s - 5.37866801e-2f;
    p = p * s + 1.33319587e-1f;
    p = p * s - 3.33332986e-1f;
    float near = x + x * (s * p);
    float far = copysignf(1.0f - 2.0f / (ps_vexp(2.0f * t) + 1.0f), x);
    return t < 0.6f ? near : far; /* NaN stays, through ps_vexp() */
}

#endif
