/*
 * test_backend.c - every operation of every backend but attention against `ref`, on odd shapes; vexp, vtanh and verf against libm.
 *
 * Tolerances: a float sum of n products of numbers in [-1, 1) errs by about sqrt(n) 2^-24 of its
 * terms' size; 2e-6 sqrt(n) leaves a factor of 30.
 */
#include <stdlib.h>

#include "../check.h"
#include "backends.h"
#include "patchsweep/verf.h"
#include "patchsweep/vexp.h"
#include "patchsweep/vtanh.h"

static ps_backend *ref, *cpu, *openblas; /* of float32 operands */
static ps_backend *ref_bf16, *cpu_bf16; /* of bfloat16 ones; the latter NULL where there are none */

static void norm_equals_ref(void)
{
    static const size_t shapes[][2] = {{1, 1}, {1, 576}, {3, 37}, {17, 24}, {130, 129}};

    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        size_t rows = shapes[s][0], d = shapes[s][1];
        float *x = numbers(rows * d), *w = numbers(d), *a = numbers(rows * d), *b = numbers(rows * d);
        ref->ops.norm(a, x, w, 1e-5f, rows, d);
        cpu->ops.norm(b, x, w, 1e-5f, rows, d);
        CHECK(worst(a, b, rows * d) <= 2e-6);
        for (int i = 0; i < 2; i++) { /* in place */
            const ps_backend *backend = i ? ref : cpu;
            memcpy(i ? b : a, x, rows * d * sizeof *x);
            backend->ops.norm(i ? b : a, i ? b : a, w, 1e-5f, rows, d);
        }
        CHECK(worst(a, b, rows * d) <= 2e-6);
        free(x), free(w), free(a), free(b);
    }
}

/* With and without bias, of rows far from 0 too, and in place: the same bits as into another row. */
static void layer_norm_equals_ref(void)
{
    static const size_t shapes[][2] = {{1, 1}, {1, 576}, {3, 37}, {17, 24}, {130, 129}};

    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int how = 0; how < 4; how++) {
            size_t rows = shapes[s][0], d = shapes[s][1], n = rows * d;
            float *x = numbers(n), *w = numbers(d), *bias = numbers(d), *a = numbers(n), *b = numbers(n);
            for (size_t i = 0; how & 2 && i < n; i++)
                x[i] += 20;
            ref->ops.layer_norm(a, x, w, how & 1 ? bias : NULL, 1e-5f, rows, d);
            cpu->ops.layer_norm(b, x, w, how & 1 ? bias : NULL, 1e-5f, rows, d);
            CHECK(worst(a, b, n) <= (how & 2 ? 6e-6 : 2e-6));
            memcpy(a, x, n * sizeof *x);
            cpu->ops.layer_norm(a, a, w, how & 1 ? bias : NULL, 1e-5f, rows, d);
            CHECK(!memcmp(a, b, n * sizeof *a));
            free(x), free(w), free(bias), free(a), free(b);
        }
}

/* Odd shapes, some past a tile, a strip, a block, a group or the depth of a pass of ours. */
static const size_t products[][3] = { /* rows, n, k */
    {1, 1, 1}, {1, 7, 64}, {2, 131, 24}, {5, 64, 37}, {33, 19, 129}, {14, 32, 512}, {15, 33, 513}, {100, 96, 576},
    {350, 290, 40}, {3, 17, 1100}};

/* A matrix [n, k] of `dtype`, as `backend` holds it. */
static ps_matrix hold(const ps_backend *backend, const float *w, enum ps_dtype dtype, size_t n, size_t k)
{
    enum ps_dtype held = backend->ops.held[dtype];
    float *rows = numbers(n * k);
    char *out = aligned_alloc(64, (ps_matrix_bytes(&backend->ops, held, n, k) + 63) / 64 * 64);

    ps_narrow(rows, w, held, n * k);
    ps_matrix_lay_out(&backend->ops, out, rows, held, n, k);
    free(rows);
    return (ps_matrix){out, held, n, k};
}

static void let_go(ps_matrix m)
{
    free((void *)(uintptr_t)m.data);
}

/* Products of `backend` against ref's, with weights of `dtype`. */
static void check_products(const ps_backend *backend, const ps_backend *oracle, enum ps_dtype dtype)
{
    for (size_t s = 0; s < sizeof products / sizeof *products; s++)
        for (int bias = 0; bias < 2; bias++) {
            size_t rows = products[s][0], n = products[s][1], k = products[s][2];
            float *x = numbers(rows * k), *w = numbers(n * k), *c = numbers(n);
            float *a = numbers(rows * n), *b = numbers(rows * n), *back = numbers(k);
            uint16_t *narrow = malloc(n * k * sizeof *narrow);
            if (dtype != PS_DTYPE_F32) { /* as a file has them */
                ps_narrow(narrow, w, dtype, n * k);
                ps_widen(w, narrow, dtype, n * k);
            }
            ps_matrix held_a = hold(oracle, w, dtype, n, k), held_b = hold(backend, w, dtype, n, k);
            oracle->ops.matmul(oracle, a, x, &held_a, bias ? c : NULL, rows);
            backend->ops.matmul(backend, b, x, &held_b, bias ? c : NULL, rows);
            CHECK(worst(a, b, rows * n) <= 2e-6 * sqrt((double)k + 1));
            for (size_t j = 0; j < n; j += 1 + n / 3) { /* what was laid out comes back */
                ps_matrix_row(&backend->ops, &held_b, j, back);
                CHECK(!memcmp(back, w + j * k, k * sizeof *back));
            }
            let_go(held_a), let_go(held_b);
            free(x), free(w), free(c), free(a), free(b), free(back), free(narrow);
        }
}

static void matmul_equals_ref(void)
{
    for (int dtype = 0; dtype < PS_N_DTYPES; dtype++) {
        check_products(cpu, ref, (enum ps_dtype)dtype);
        check_products(openblas, ref, (enum ps_dtype)dtype);
    }
}

/* Both round x the same way and take products exactly: sums of float32 against sums of double. */
static void bf16_matmul_equals_ref(void)
{
    if (cpu_bf16)
        check_products(cpu_bf16, ref_bf16, PS_DTYPE_BF16);
    else
        check_skip("no bfloat16 products on this machine");
}

static void rope_equals_ref(void)
{
    enum { ROWS = 21, HEADS = 3, HALF = 5, POSITIONS = 40 };
    float *x = numbers(ROWS * HEADS * 2 * HALF), *cos = numbers(POSITIONS * HALF);
    float *sin = numbers(POSITIONS * HALF), *y = numbers(ROWS * HEADS * 2 * HALF);
    int32_t at[ROWS];

    memcpy(y, x, ROWS * HEADS * 2 * HALF * sizeof *x);
    for (int i = 0; i < ROWS; i++)
        at[i] = rand_int(POSITIONS);
    ref->ops.rope(x, at, cos, sin, ROWS, HEADS, 2 * HALF, 2 * HALF);
    cpu->ops.rope(y, at, cos, sin, ROWS, HEADS, 2 * HALF, 2 * HALF);
    CHECK(worst(x, y, ROWS * HEADS * 2 * HALF) <= 1e-6);
    free(x), free(y), free(cos), free(sin);
}

/* The first dimensions of each head are rotated as if the head were no wider; the others stay. */
static void rope_of_a_part_equals_ref(void)
{
    enum { ROWS = 21, HEADS = 3, HD = 11, POSITIONS = 40 };

    for (size_t rotary = 0; rotary < HD; rotary += 2) {
        float *x = numbers(ROWS * HEADS * HD), *cos = numbers(POSITIONS * HD), *sin = numbers(POSITIONS * HD);
        float *y = numbers(ROWS * HEADS * HD), *narrow = numbers(ROWS * HEADS * HD), *was = numbers(ROWS * HEADS * HD);
        int32_t at[ROWS];
        memcpy(y, x, ROWS * HEADS * HD * sizeof *x);
        memcpy(was, x, ROWS * HEADS * HD * sizeof *x);
        for (size_t i = 0; i < ROWS * HEADS; i++)
            memcpy(narrow + i * rotary, x + i * HD, rotary * sizeof *x);
        for (int i = 0; i < ROWS; i++)
            at[i] = rand_int(POSITIONS);
        ref->ops.rope(x, at, cos, sin, ROWS, HEADS, HD, rotary);
        ref->ops.rope(narrow, at, cos, sin, ROWS, HEADS, rotary, rotary);
        cpu->ops.rope(y, at, cos, sin, ROWS, HEADS, HD, rotary);
        CHECK(worst(x, y, ROWS * HEADS * HD) <= 1e-6);
        for (size_t i = 0; i < ROWS * HEADS; i++) {
            CHECK(!memcmp(x + i * HD, narrow + i * rotary, rotary * sizeof *x));
            CHECK(!memcmp(y + i * HD + rotary, was + i * HD + rotary, (HD - rotary) * sizeof *x));
        }
        free(x), free(y), free(cos), free(sin), free(narrow), free(was);
    }
}

static void activations_equal_ref(void)
{
    static const size_t sizes[] = {1, 15, 37, 5001, 12289};

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int act = PS_ACT_SILU; act <= PS_ACT_GELU_TANH; act++) {
            size_t n = sizes[s];
            float *a = numbers(n), *b = numbers(n), *c = numbers(n), *up = numbers(n);
            for (size_t i = 0; i < n; i++)
                c[i] = b[i] = a[i] *= i % 2 ? 60 : 4; /* the tails too */
            ref->ops.act(a, (enum ps_act)act, n);
            cpu->ops.act(b, (enum ps_act)act, n);
            CHECK(worst(a, b, n) <= 2e-5);
            for (size_t i = 0; i < n; i++)
                CHECK(fabs(a[i] - b[i]) <= 4e-7 * (1 + fabs(c[i])));
            memcpy(a, c, n * sizeof *a); /* act(gate) * up, the gate rounded to float */
            memcpy(b, c, n * sizeof *b);
            ref->ops.act(a, (enum ps_act)act, n);
            for (size_t i = 0; i < n; i++)
                a[i] *= up[i];
            ref->ops.glu(b, up, (enum ps_act)act, n);
            CHECK(!memcmp(a, b, n * sizeof *a));
            cpu->ops.glu(c, up, (enum ps_act)act, n);
            CHECK(worst(b, c, n) <= 2e-5);
            free(a), free(b), free(c), free(up);
        }
}

/* Values of torch.nn.functional in float64. */
static void activations_are_torchs(void)
{
    static const float x[] = {-4, -1.5f, -0.25f, 0, 0.5f, 2, 7};
    static const double wanted[][7] = {
        {-0.0719448398483662, -0.273638285709535, -0.10945587477855, 0, 0.311229665600927, 1.76159415595576, 6.9936226416392},
        {-0.00012668496733248, -0.100210801903287, -0.100323418579269, 0, 0.345731230637007, 1.95449973610364, 6.99999999999104},
        {-7.02459481922713e-05, -0.100428423019767, -0.100324649298315, 0, 0.345714009825144, 1.95459769408777, 7},
    };

    for (int act = PS_ACT_SILU; act <= PS_ACT_GELU_TANH; act++)
        for (int b = 0; b < 2; b++) {
            float y[7];
            memcpy(y, x, sizeof y);
            (b ? cpu : ref)->ops.act(y, (enum ps_act)act, 7);
            for (int i = 0; i < 7; i++)
                CHECK_CLOSE(y[i], wanted[act][i], 6e-7);
        }
}

static void softcap_equals_ref(void)
{
    static const size_t sizes[] = {1, 15, 37, 5001};
    static const float caps[] = {0.5f, 30, 1e4f};

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t c = 0; c < sizeof caps / sizeof *caps; c++) {
            size_t n = sizes[s];
            float *a = numbers(n), *b = numbers(n);
            for (size_t i = 0; i < n; i++)
                b[i] = a[i] *= 90;
            ref->ops.softcap(a, caps[c], n);
            cpu->ops.softcap(b, caps[c], n);
            for (size_t i = 0; i < n; i++)
                CHECK(fabs(a[i] - b[i]) <= 3e-7 * fabs(a[i]) && fabs(a[i]) <= caps[c]);
            free(a), free(b);
        }
}

static void elementwise_equals_ref(void)
{
    static const size_t sizes[] = {1, 15, 37, 5001};

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s];
        float *a = numbers(n), *b = numbers(n), *y = numbers(n);
        memcpy(b, a, n * sizeof *a);
        ref->ops.add(a, a, y, n);
        cpu->ops.add(b, b, y, n);
        CHECK(worst(a, b, n) == 0);
        free(a), free(b), free(y);
    }
}

static void move_equals_ref(void)
{
    enum { ROWS = 70, D = 13 };
    float *x = numbers(ROWS * D), *a = numbers(ROWS * D), *b = numbers(ROWS * D);
    int32_t there[ROWS];

    for (int i = 0; i < ROWS; i++)
        there[i] = (i * 29 + 5) % ROWS; /* each once */
    for (int how = 0; how < 4; how++) {
        const int32_t *to = how & 1 ? there : NULL, *from = how & 2 ? there : NULL;
        ref->ops.move(a, to, x, NULL, from, ROWS, D);
        cpu->ops.move(b, to, x, NULL, from, ROWS, D);
        CHECK(!memcmp(a, b, ROWS * D * sizeof *a));
    }
    free(x), free(a), free(b);
}

static void vexp_is_exp(void)
{
    double most = 0;

    for (double x = -87.2; x < 88; x += 0.00037) {
        double wanted = exp((double)(float)x), off = fabs(ps_vexp((float)x) - wanted) / wanted;
        most = off > most ? off : most;
    }
    CHECK_CLOSE(most, 0, 2 * 0x1p-23);
    CHECK(ps_vexp(0) == 1);
    CHECK(ps_vexp(-1000) == 0);
    CHECK(ps_vexp(-INFINITY) == 0);
    CHECK(isnan(ps_vexp(NAN)) && isfinite(ps_vexp(INFINITY)));
}

/* The error of `seen` in units of the last place of a float near `wanted`. */
static double ulps(double seen, double wanted)
{
    int exponent;

    frexp(wanted, &exponent);
    return fabs(seen - wanted) / ldexp(1, exponent - 24);
}

static void vtanh_and_verf_are_exact(void)
{
    double tanh_off = 0, erf_off = 0;

    for (double x = 1e-6; x < 12; x = x < 0.01 ? x * 1.003 : x + 0.000013) {
        float f = (float)x;
        tanh_off = fmax(tanh_off, ulps(ps_vtanh(f), tanh(f)));
        erf_off = fmax(erf_off, ulps(ps_verf(f), erf(f)));
        CHECK(ps_vtanh(-f) == -ps_vtanh(f) && ps_verf(-f) == -ps_verf(f));
    }
    CHECK(tanh_off < 1.5);
    CHECK(erf_off < 1.5);
    CHECK(ps_vtanh(0) == 0 && ps_verf(0) == 0);
    CHECK(ps_vtanh(1e30f) == 1 && ps_verf(INFINITY) == 1 && ps_vtanh(-INFINITY) == -1 && ps_verf(-1e30f) == -1);
    CHECK(isnan(ps_vtanh(NAN)) && isnan(ps_verf(NAN)));
}

/* What a row comes out as does not depend on the rows beside it (operations that we write). */
static void rows_do_not_see_each_other(void)
{
    enum { D = 53, ROWS = 40 };
    float *x = numbers(ROWS * D), *w = numbers(D), *all = numbers(ROWS * D), one[D];

    for (int layer = 0; layer < 2; layer++) {
        if (layer)
            cpu->ops.layer_norm(all, x, w, w, 1e-6f, ROWS, D);
        else
            cpu->ops.norm(all, x, w, 1e-6f, ROWS, D);
        for (size_t r = 0; r < ROWS; r++) {
            if (layer)
                cpu->ops.layer_norm(one, x + r * D, w, w, 1e-6f, 1, D);
            else
                cpu->ops.norm(one, x + r * D, w, 1e-6f, 1, D);
            CHECK(!memcmp(one, all + r * D, sizeof one));
        }
    }
    free(x), free(w), free(all);
}

/* Nor do numbers: the same one at any place, alone or among others, has the same activation. */
static void numbers_do_not_see_each_other(void)
{
    enum { N = 9001 };
    float *x = numbers(N), *all = numbers(N), *up = numbers(N), *gated = numbers(N);

    for (int act = PS_ACT_SILU; act <= PS_ACT_GELU_TANH; act++) {
        memcpy(all, x, N * sizeof *x);
        memcpy(gated, x, N * sizeof *x);
        cpu->ops.act(all, (enum ps_act)act, N);
        cpu->ops.glu(gated, up, (enum ps_act)act, N);
        for (size_t at = 0, n; at < N; at += n) {
            float some[70], both[70];
            n = 1 + (size_t)rand_int(70);
            n = n < N - at ? n : N - at;
            memcpy(some, x + at, n * sizeof *x);
            memcpy(both, x + at, n * sizeof *x);
            cpu->ops.act(some, (enum ps_act)act, n);
            cpu->ops.glu(both, up + at, (enum ps_act)act, n);
            CHECK(!memcmp(some, all + at, n * sizeof *x) && !memcmp(both, gated + at, n * sizeof *x));
        }
    }
    free(x), free(all), free(up), free(gated);
}

/* Nor do products: alone, in a crowd, first or last. OpenBLAS's may. */
static void check_company(const ps_backend *backend, size_t n, size_t k)
{
    enum { ROWS = 333 };
    float *x = numbers(ROWS * k), *wide = numbers(n * k), *all = numbers(ROWS * n), *one = numbers(ROWS * n);
    ps_matrix w = hold(backend, wide, PS_DTYPE_BF16, n, k);

    backend->ops.matmul(backend, all, x, &w, NULL, ROWS);
    for (size_t from = 0, rows = 1; from < ROWS; from += rows, rows = 1 + (size_t)rand_int(70)) {
        rows = rows < ROWS - from ? rows : ROWS - from;
        backend->ops.matmul(backend, one, x + from * k, &w, NULL, rows);
        CHECK(!memcmp(one, all + from * n, rows * n * sizeof *one));
    }
    let_go(w);
    free(x), free(wide), free(all), free(one);
}

static void products_do_not_see_each_other(void)
{
    static const size_t shapes[][2] = {{1, 1}, {16, 32}, {131, 24}, {96, 37}, {192, 576}, {576, 1536}, {1321, 128}};
    const ps_backend *backends[] = {cpu, cpu_bf16};

    for (int b = 0; b < 2 && backends[b]; b++) {
        CHECK(backends[b]->same_bits);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            check_company(backends[b], shapes[s][0], shapes[s][1]);
    }
}

/* Nor does the type that weights are held in matter, where it holds them exactly. */
static void types_give_the_same_bits(void)
{
    enum { ROWS = 37, N = 70, K = 600 };
    float *x = numbers(ROWS * K), *w = numbers(N * K), *a = numbers(ROWS * N), *b = numbers(ROWS * N);

    for (size_t i = 0; i < N * K; i++)
        w[i] = (float)(int)(w[i] * 100) / 128; /* in 8 bits */
    ps_matrix exact = hold(cpu, w, PS_DTYPE_F32, N, K);
    cpu->ops.matmul(cpu, a, x, &exact, NULL, ROWS);
    for (int dtype = PS_DTYPE_F16; dtype < PS_N_DTYPES; dtype++) {
        ps_matrix held = hold(cpu, w, (enum ps_dtype)dtype, N, K);
        cpu->ops.matmul(cpu, b, x, &held, NULL, ROWS);
        CHECK(!memcmp(a, b, ROWS * N * sizeof *a));
        let_go(held);
    }
    let_go(exact);
    free(x), free(w), free(a), free(b);
}

/* Every operation of `backend`, on no rows: its outputs stay as they were. */
static void check_empty(const ps_backend *backend)
{
    enum { N = 64 };
    const ps_heads heads = {.n_heads = 2, .n_kv_heads = 1, .head_dim = 4, .scale = 1};
    float *x = numbers(N * N), *out = numbers(N), *was = numbers(N);
    int32_t at[1] = {0};
    ps_matrix w = hold(backend, x, PS_DTYPE_F32, N, N);
    const ps_key_span span = {0, N};
    const ps_query query = {.n = 0};
    const ps_attention none = {.out = out, .q = x, .k = x, .v = x, .queries = &query, .n_queries = 0, .spans = &span};
    const ps_attention empty = {.out = out, .q = x, .k = x, .v = x, .queries = &query, .n_queries = 1, .spans = &span};

    memcpy(was, out, N * sizeof *was);
    backend->ops.norm(out, x, x, 1e-5f, 0, N);
    backend->ops.layer_norm(out, x, x, x, 1e-5f, 0, N);
    backend->ops.matmul(backend, out, x, &w, NULL, 0);
    backend->ops.matmul(backend, out, x, &w, x, 0);
    backend->ops.rope(out, at, x, x, 0, 2, 4, 4);
    backend->ops.attend(backend, &none, heads);
    backend->ops.attend(backend, &empty, heads);
    backend->ops.act(out, PS_ACT_GELU, 0);
    backend->ops.glu(out, x, PS_ACT_SILU, 0);
    backend->ops.softcap(out, 30, 0);
    backend->ops.add(out, x, x, 0);
    backend->ops.move(out, at, x, NULL, at, 0, N);
    CHECK(!memcmp(out, was, N * sizeof *was));
    let_go(w);
    free(x), free(out), free(was);
}

static void no_rows_are_fine(void)
{
    check_empty(ref);
    check_empty(cpu);
    check_empty(openblas);
    if (cpu_bf16)
        check_empty(cpu_bf16);
}

int main(void)
{
    const ps_backend_needs needs = {.n_threads = 1};
    ps_err err = PS_ERR_INIT;
    ps_backend *none;

    ref = open_backend("ref", 1, PS_DTYPE_F32, 400);
    cpu = open_backend("cpu", 2, PS_DTYPE_F32, 120); /* takes more rows in turns */
    ref_bf16 = open_backend("ref", 1, PS_DTYPE_BF16, 400);
    cpu_bf16 = open_backend("cpu", 2, PS_DTYPE_BF16, 60);
    openblas = open_backend("openblas", 2, PS_DTYPE_F32, 60);
    if (!ref || !cpu || !ref_bf16 || !openblas)
        return 1;
    RUN(norm_equals_ref);
    RUN(layer_norm_equals_ref);
    RUN(matmul_equals_ref);
    RUN(bf16_matmul_equals_ref);
    RUN(rope_equals_ref);
    RUN(rope_of_a_part_equals_ref);
    RUN(activations_equal_ref);
    RUN(activations_are_torchs);
    RUN(softcap_equals_ref);
    RUN(elementwise_equals_ref);
    RUN(move_equals_ref);
    RUN(no_rows_are_fine);
    RUN(vexp_is_exp);
    RUN(vtanh_and_verf_are_exact);
    RUN(rows_do_not_see_each_other);
    RUN(numbers_do_not_see_each_other);
    RUN(products_do_not_see_each_other);
    RUN(types_give_the_same_bits);
    ps_backend_close(ref);
    ps_backend_close(cpu);
    ps_backend_close(ref_bf16);
    ps_backend_close(cpu_bf16);
    ps_backend_close(openblas);
    CHECK_ERR(ps_backend_open(&none, "gpu", &needs, &err), err, PS_EINPUT, "'gpu' is not known");
    return check_done();
}
