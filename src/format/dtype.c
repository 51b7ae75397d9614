/* dtype.c - widen and narrow, bit by bit where C has no type for it. */
#include "patchsweep/dtype.h"

#include <string.h>

const char *const ps_dtype_names[PS_N_DTYPES] = {
    [PS_DTYPE_F32] = "f32", [PS_DTYPE_F16] = "f16", [PS_DTYPE_BF16] = "bf16"};

size_t ps_dtype_bytes(enum ps_dtype dtype)
{
    return dtype == PS_DTYPE_F32 ? 4 : 2;
}

static inline float bits_to_float(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t float_to_bits(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

/* IEEE binary16: subnormals are small multiples of 2^-24. */
static inline float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;

    if (exponent == 0) {
        float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    if (exponent == 31)
        return bits_to_float(sign | 0x7f800000 | fraction << 13);
    return bits_to_float(sign | (exponent + 112) << 23 | fraction << 13);
}

static inline uint16_t float_to_half(float f)
{
    uint32_t u = float_to_bits(f), sign = u >> 16 & 0x8000, rest = u & 0x7fffffff;

    if (rest > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (rest >= 0x477ff000) /* rounds to 2^16 or past it */
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000) { /* subnormal: adding 1/2 lets the FPU round at 2^-24 */
        uint32_t shifted = float_to_bits(bits_to_float(rest) + 0.5f) - 0x3f000000;
        return (uint16_t)(sign | shifted);
    }
    rest += 0xfff + (rest >> 13 & 1);
    return (uint16_t)(sign | ((rest - 0x38000000) >> 13));
}

static inline uint16_t float_to_bf16(float f)
{
    uint32_t u = float_to_bits(f), rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;

    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 0x40 : rounded);
}

/* A loop for each type, so that the compiler can vectorize it. */
void ps_widen(float *out, const void *in, enum ps_dtype dtype, size_t n)
{
    const unsigned char *p = in;
    uint16_t h;

    switch (dtype) {
    case PS_DTYPE_BF16:
        for (size_t i = 0; i < n; i++) {
            memcpy(&h, p + 2 * i, 2);
            out[i] = bits_to_float((uint32_t)h << 16);
        }
        return;
    case PS_DTYPE_F16:
        for (size_t i = 0; i < n; i++) {
            memcpy(&h, p + 2 * i, 2);
            out[i] = half_to_float(h);
        }
        return;
    default:
        memcpy(out, in, n * sizeof *out);
    }
}

void ps_narrow(void *out, const float *in, enum ps_dtype dtype, size_t n)
{
    unsigned char *p = out;
    uint16_t h;

    switch (dtype) {
    case PS_DTYPE_BF16:
        for (size_t i = 0; i < n; i++) {
            h = float_to_bf16(in[i]);
            memcpy(p + 2 * i, &h, 2);
        }
        return;
    case PS_DTYPE_F16:
        for (size_t i = 0; i < n; i++) {
            h = float_to_half(in[i]);
            memcpy(p + 2 * i, &h, 2);
        }
        return;
    default:
        memcpy(out, in, n * sizeof *in);
    }
}
