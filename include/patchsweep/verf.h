/*
 * verf.h - erf for floats, written so that the compiler vectorises loops over it.
 *
 * Below 0.93 erf(x) = x + x P(x^2), P of degree 6; above it 1 - exp(Q(|x|)), Q of degree 6 fitted to log(erfc) up to 4, past
 * which erf is 1 in float.  Fitted so that the relative error is below 2e-9.  Within 1.5 ulp of erf everywhere
 * (tests/unit/test_backend.c).
 */
#ifndef PATCHSWEEP_VERF_H
#define PATCHSWEEP_VERF_H

#include <math.h>

#include "patchsweep/vexp.h"

static inline float ps_verf(float x)
{
    float t = fabsf(x), s = x * x;
    float p = 8.31641082e-5f;
    p = p * s - 8.12990940e-4f;
    p = p * s + 5.19989524e-3f;
    p = p * s - 2.68589351e-2f;
    p = p * s + 1.12836868e-1f;
    p = p * s - 3.76126319e-1f;
    p = p * s + 1.28379166e-1f;
    float near = x + x * p;
    float u = t > 4.0f ? 4.0f : t; /* NaN stays */
    float q = 1.94778651e-4f;
    q = q * u - 3.03182867e-3f;
    q = q * u + 2.21814197e-2f;
    q = q * u - 1.03836969e-1f;
    q = q * u - 6.37290358e-1f;
    q = q * u - 1.12761128f;
    q = q * u - 2.11304039e-4f;
    float far = copysignf(1.0f - ps_vexp(q), x);
    return t < 0.93f ? near : far;
}

#endif
