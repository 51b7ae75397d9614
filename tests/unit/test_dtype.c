/*
 * test_dtype.c - every half and bf16 there is, and rounding against a second way to round.
 *
 * The second way works on values, not bits: it looks for the nearest of two neighbours that
 * bracket a number, in double, where all of them and their distances are exact.
 */
#include "patchsweep/dtype.h"

#include <stdbool.h>
#include <stdlib.h>

#include "../check.h"

/* A 16-bit type: its exponent's and its fraction's bits. */
typedef struct layout {
    enum ps_dtype dtype;
    int exponent, fraction;
} layout;

static const layout layouts[] = {{PS_DTYPE_F16, 5, 10}, {PS_DTYPE_BF16, 8, 7}};

/* The number that IEEE 754 says these bits are; infinity and NaN for the last exponent. */
static double value(const layout *type, unsigned bits)
{
    int top = (1 << type->exponent) - 1, bias = top >> 1;
    int exponent = (int)(bits >> type->fraction) & top, fraction = (int)bits & ((1 << type->fraction) - 1);
    double sign = bits & 0x8000 ? -1 : 1;

    if (exponent == top)
        return fraction ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - bias - type->fraction);
    return sign * ldexp(fraction + (1 << type->fraction), exponent - bias - type->fraction);
}

static bool same(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b && !signbit(a) == !signbit(b);
}

/* Nearest, ties to the even bits: magnitudes are sorted as their bits are. */
static unsigned nearest(const layout *type, float f)
{
    unsigned infinity = ((1u << type->exponent) - 1) << type->fraction, low = 0, high = infinity;
    unsigned sign = signbit(f) ? 0x8000 : 0;
    double x = fabs((double)f);

    if (isinf(f))
        return sign | infinity;
    while (high - low > 1) { /* value(low) <= x < value(high) */
        unsigned middle = (low + high) / 2;
        if (value(type, middle) <= x)
            low = middle;
        else
            high = middle;
    }
    /* Past the largest finite number, infinity stands where the next number would. */
    double above = high == infinity ? 2 * value(type, low) - value(type, low - 1) : value(type, high);
    double to_low = x - value(type, low), to_high = above - x;
    return sign | (to_low < to_high || (to_low == to_high && low % 2 == 0) ? low : high);
}

static unsigned narrowed(const layout *type, float f)
{
    uint16_t h;

    ps_narrow(&h, &f, type->dtype, 1);
    return h;
}

static float from_bits(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

static bool rounds(const layout *type, float f)
{
    unsigned seen = narrowed(type, f), wanted = isnan(f) ? 0 : nearest(type, f);
    bool good = isnan(f) ? isnan(value(type, seen)) && (seen >> 15) == (unsigned)!!signbit(f) : seen == wanted;

    if (!good)
        printf("# %s of %a is %04x, not %04x\n", ps_dtype_names[type->dtype], (double)f, seen, wanted);
    return good;
}

/* ---- tests ---- */

static void names_and_sizes(void)
{
    CHECK_STR(ps_dtype_names[PS_DTYPE_F32], "f32");
    CHECK_STR(ps_dtype_names[PS_DTYPE_F16], "f16");
    CHECK_STR(ps_dtype_names[PS_DTYPE_BF16], "bf16");
    CHECK_INT(ps_dtype_bytes(PS_DTYPE_F32), 4);
    CHECK_INT(ps_dtype_bytes(PS_DTYPE_F16), 2);
    CHECK_INT(ps_dtype_bytes(PS_DTYPE_BF16), 2);
}

static void all_values(void)
{
    static uint16_t in[65536], back[65536];
    static float wide[65536];

    for (unsigned i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    for (int k = 0; k < 2; k++) {
        const layout *type = &layouts[k];
        int wrong = 0, lost = 0;
        ps_widen(wide, in, type->dtype, 65536);
        ps_narrow(back, wide, type->dtype, 65536);
        for (unsigned i = 0; i < 65536; i++) {
            double wanted = value(type, i);
            wrong += !same((double)wide[i], wanted);
            lost += isnan(wanted) ? !isnan(value(type, back[i])) : back[i] != i;
        }
        CHECK_INT(wrong, 0);
        CHECK_INT(lost, 0);
    }
}

/* Each number, the middle between it and the next, and the floats beside that middle. */
static void ties_and_their_neighbours(void)
{
    for (int k = 0; k < 2; k++) {
        const layout *type = &layouts[k];
        unsigned infinity = ((1u << type->exponent) - 1) << type->fraction;
        int wrong = 0;
        for (unsigned i = 0; i < infinity; i++) {
            double low = value(type, i), step = i + 1 < infinity ? value(type, i + 1) - low : low - value(type, i - 1);
            float middle = (float)(low + step / 2);
            float beside[] = {(float)low, nextafterf((float)low, INFINITY), nextafterf(middle, 0), middle,
                              nextafterf(middle, INFINITY)};
            for (size_t b = 0; b < sizeof beside / sizeof *beside && wrong < 20; b++)
                wrong += !rounds(type, beside[b]) + !rounds(type, -beside[b]);
        }
        CHECK_INT(wrong, 0);
    }
}

/* Floats of all exponents, infinities and NaNs among them. */
static void all_over_the_floats(void)
{
    for (int k = 0; k < 2; k++) {
        int wrong = 0;
        for (uint64_t u = 0; u <= UINT32_MAX && wrong < 20; u += 9973)
            wrong += !rounds(&layouts[k], from_bits((uint32_t)u));
        for (uint32_t u = 0x7f7ffff0; u < 0x7f800010; u++)
            wrong += !rounds(&layouts[k], from_bits(u)) + !rounds(&layouts[k], from_bits(u | 0x80000000));
        CHECK(rounds(&layouts[k], from_bits(0x7fffffff)) && rounds(&layouts[k], from_bits(0xffffffff)));
        CHECK_INT(wrong, 0);
    }
}

/* A file's bytes need no alignment; nothing behind the last element is touched. */
static void unaligned(void)
{
    unsigned char bytes[16], out[16];
    float wide[4] = {9, 9, 9, 9};
    const float in[3] = {1.5f, -0.0f, from_bits(0x7fc12345)};

    for (int k = 0; k < PS_N_DTYPES; k++) {
        enum ps_dtype dtype = (enum ps_dtype)k;
        size_t n = 3 * ps_dtype_bytes(dtype);
        memset(out, 0xaa, sizeof out);
        memset(bytes, 0xaa, sizeof bytes);
        ps_narrow(out + 1, in, dtype, 3);
        CHECK(out[0] == 0xaa && out[n + 1] == 0xaa);
        memcpy(bytes + 1, out + 1, n);
        ps_widen(wide, bytes + 1, dtype, 3);
        CHECK(wide[0] == 1.5f && wide[1] == 0 && signbit(wide[1]) && isnan(wide[2]) && wide[3] == 9);
    }
    ps_widen(wide, bytes, PS_DTYPE_F16, 0); /* nothing */
    ps_narrow(out, wide, PS_DTYPE_F32, 0);
    /* F32 is copied, a NaN's payload with it. */
    ps_narrow(out + 1, in, PS_DTYPE_F32, 3);
    CHECK(!memcmp(out + 1, in, sizeof in));
}

int main(void)
{
    RUN(names_and_sizes);
    RUN(all_values);
    RUN(ties_and_their_neighbours);
    RUN(all_over_the_floats);
    RUN(unaligned);
    return check_done();
}
