/*
 * test_attention.c - attention of cpu against ref's: spans of keys, many runs, windows, caps; the same bits in any company.
 */
#include <stdlib.h>

#include "backends.h"

static ps_backend *ref, *cpu;

/* Cut `total` rows of a store into four spans, in any order of rows; empty ones are left out. */
static void cut_rows(ps_key_span spans[4], int32_t total)
{
    int32_t cut[5] = {0, total, total, total, total}, order[4] = {0, 1, 2, 3};
    ps_key_span *to = spans;

    for (int i = 1; i < 4; i++)
        cut[i] = cut[i - 1] + rand_int(total - cut[i - 1] + 1);
    for (int i = 3; i > 0; i--) {
        int j = rand_int(i + 1), was = order[i];
        order[i] = order[j];
        order[j] = was;
    }
    for (int i = 0; i < 4; i++)
        if (cut[order[i]] < cut[order[i] + 1])
            *to++ = (ps_key_span){cut[order[i]], cut[order[i] + 1] - cut[order[i]]};
}

/* A run whose keys and values come in up to four spans each, some of one row. */
static void one_attention(ps_heads heads, int32_t first, int32_t n)
{
    size_t qw = (size_t)(heads.n_heads * heads.head_dim), kvw = (size_t)(heads.n_kv_heads * heads.head_dim);
    int32_t total = first + n, skip = rand_int(3);
    size_t rows = (size_t)(n + skip);
    float *q = numbers(rows * qw), *k = numbers((size_t)total * kvw), *v = numbers((size_t)total * kvw);
    float *a = numbers(rows * qw), *b = numbers(rows * qw);
    ps_key_span spans[8];
    const ps_query query = {.q = skip, .first = first, .n = n, .k = 0, .v = 4};
    ps_attention work = {.out = a, .q = q, .k = k, .v = v, .queries = &query, .n_queries = 1, .spans = spans};

    cut_rows(spans, total);
    cut_rows(spans + 4, total);
    ref->ops.attend(ref, &work, heads);
    work.out = b;
    cpu->ops.attend(cpu, &work, heads);
    CHECK(worst(a + (size_t)skip * qw, b + (size_t)skip * qw, (size_t)n * qw) <= 4e-6);
    free(q), free(k), free(v), free(a), free(b);
}

static void attend_equals_ref(void)
{
    static const ps_heads shapes[] = {{1, 1, 2, 1, 0, 0}, {4, 2, 16, 0.25f, 0, 0}, {9, 3, 64, 0.125f, 0, 0}, {6, 1, 10, 3, 0, 0},
                                      {3, 3, 7, 0.5f, 0, 0}, {4, 2, 16, 2, 0, 1.5f}, {4, 2, 16, 1, 5, 0}, {6, 2, 7, 2, 1, 4},
                                      {2, 1, 24, 1, 13, 30}, {2, 1, 24, 1, 1000, 0}};

    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        one_attention(shapes[s], 0, 1);
        one_attention(shapes[s], 12, 1);
        for (int i = 0; i < 6; i++)
            one_attention(shapes[s], rand_int(20), 1 + rand_int(25));
    }
}

/* A run of several blocks of rows on two threads, and each of its rows alone: the same bits. */
static void attention_rows_do_not_see_each_other(void)
{
    const ps_heads heads = {.n_heads = 4, .n_kv_heads = 2, .head_dim = 24, .scale = 0.2f};
    enum { N = 101, FIRST = 7, QW = 4 * 24, KVW = 2 * 24 };
    float *q = numbers(N * QW), *k = numbers((FIRST + N) * KVW), *v = numbers((FIRST + N) * KVW);
    float *a = numbers(N * QW), *b = numbers(N * QW);
    const ps_key_span span = {0, FIRST + N};
    const ps_query runs[2] = {{.q = 0, .first = FIRST, .n = N - 1}, {.q = N - 1, .first = FIRST + N - 1, .n = 1}};
    ps_attention work = {.out = a, .q = q, .k = k, .v = v, .queries = runs, .n_queries = 2, .spans = &span};

    cpu->ops.attend(cpu, &work, heads);
    work.out = b;
    work.n_queries = 1;
    for (int32_t i = 0; i < N; i++) {
        const ps_query one = {.q = i, .first = FIRST + i, .n = 1};
        work.queries = &one;
        cpu->ops.attend(cpu, &work, heads);
    }
    CHECK(!memcmp(a, b, N * QW * sizeof *a));
    free(q), free(k), free(v), free(a), free(b);
}

/*
 * Keys and values out of every window's reach are not touched: they are not numbers, and lie in spans of their own, at the
 * beginning of a span, and behind the query.  What is in reach gives the bits of an attention that has no others.
 */
static void windows_touch_what_they_reach(void)
{
    enum { KEYS = 40, WINDOW = 6, QW = 4 * 8, KVW = 2 * 8, FIRST = 25, N = 3, GONE = FIRST - WINDOW + 1 };
    ps_heads heads = {.n_heads = 4, .n_kv_heads = 2, .head_dim = 8, .scale = 0.4f, .window = WINDOW};
    static const ps_key_span cut[] = {{0, 7}, {7, 13}, {20, 20}, {0, 1}, {1, GONE - 1}, {GONE, KEYS - GONE}};
    static const ps_key_span near[] = {{GONE, WINDOW}, {GONE + 1, WINDOW}, {GONE + 2, WINDOW}};
    const ps_query query = {.first = FIRST, .n = N, .k = 0, .v = 3};
    float *q = numbers(N * QW), *k = numbers(KEYS * KVW), *v = numbers(KEYS * KVW), *out = numbers(N * QW), *one = numbers(N * QW);
    ps_attention work = {.out = out, .q = q, .k = k, .v = v, .queries = &query, .n_queries = 1, .spans = cut};

    for (size_t i = 0; i < KEYS * KVW; i++)
        if (i / KVW < GONE || i / KVW >= FIRST + N)
            k[i] = v[i] = NAN;
    for (int b = 0; b < 2; b++) {
        const ps_backend *backend = b ? cpu : ref;
        heads.window = WINDOW;
        work.out = out;
        work.queries = &query;
        work.spans = cut;
        backend->ops.attend(backend, &work, heads);
        heads.window = 0;
        work.out = one;
        work.spans = near;
        for (int32_t i = 0; i < N; i++) {
            const ps_query alone = {.q = i, .first = WINDOW - 1, .n = 1, .k = i, .v = i};
            work.queries = &alone;
            backend->ops.attend(backend, &work, heads);
        }
        CHECK(!memcmp(out, one, N * QW * sizeof *out));
        CHECK(worst(out, out, N * QW) == 0); /* numbers, all of them */
    }
    free(q), free(k), free(v), free(out), free(one);
}

/* Caps above 1e5 change nothing that float32 shows, and a small one keeps scores together: nearly a mean of the values. */
static void caps_are_felt(void)
{
    enum { T = 9, HD = 4 };
    ps_heads heads = {.n_heads = 1, .n_kv_heads = 1, .head_dim = HD, .scale = 3};
    float *q = numbers(T * HD), *k = numbers(T * HD), *v = numbers(T * HD), *plain = numbers(T * HD), *out = numbers(T * HD);
    const ps_key_span span = {0, T};
    const ps_query query = {.n = T};
    ps_attention work = {.out = plain, .q = q, .k = k, .v = v, .queries = &query, .n_queries = 1, .spans = &span};

    for (int b = 0; b < 2; b++) {
        const ps_backend *backend = b ? cpu : ref;
        float mean = 0;
        heads.softcap = 0;
        work.out = plain;
        backend->ops.attend(backend, &work, heads);
        work.out = out;
        heads.softcap = 1e5f;
        backend->ops.attend(backend, &work, heads);
        CHECK(worst(out, plain, T * HD) <= 4e-6);
        heads.softcap = 1e-4f;
        backend->ops.attend(backend, &work, heads);
        for (int i = 0; i < T; i++)
            mean += v[i * HD] / T;
        CHECK_CLOSE(out[(T - 1) * HD], mean, 2e-4);
        CHECK(worst(out, plain, T * HD) > 1e-2);
    }
    free(q), free(k), free(v), free(plain), free(out);
}

/* Many runs of odd lengths over the same keys, on one thread, on two and on more than there are: ref's numbers, and
 * the same bits on all. */
static void runs_attend_together(void)
{
    enum { RUNS = 9, KEYS = 60, QW = 6 * 10, KVW = 2 * 10 };
    static const int threads[] = {1, 2, 5};
    static const int32_t first[RUNS] = {0, 0, 59, 1, 17, 30, 58, 0, 13}, n[RUNS] = {1, 60, 1, 7, 33, 5, 2, 31, 1};
    const ps_heads heads = {.n_heads = 6, .n_kv_heads = 2, .head_dim = 10, .scale = 0.3f};
    static const ps_key_span spans[] = {{KEYS - 21, 21}, {0, KEYS - 21}};
    ps_query runs[RUNS];
    int32_t rows = 0;

    for (int i = 0; i < RUNS; rows += n[i++])
        runs[i] = (ps_query){.q = rows, .first = first[i], .n = n[i]};
    size_t floats = (size_t)rows * QW;
    float *q = numbers(floats), *k = numbers(KEYS * KVW), *v = numbers(KEYS * KVW);
    float *wanted = numbers(floats), *bits = numbers(floats), *out = numbers(floats);
    ps_attention work = {.out = wanted, .q = q, .k = k, .v = v, .queries = runs, .n_queries = RUNS, .spans = spans};
    ref->ops.attend(ref, &work, heads);
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        ps_backend *backend = open_backend("cpu", threads[t], PS_DTYPE_F32, 120);
        work.out = out;
        work.n_queries = RUNS;
        memset(out, 0xff, floats * sizeof *out);
        backend->ops.attend(backend, &work, heads);
        CHECK(worst(out, wanted, floats) <= 4e-6);
        CHECK(t == 0 || !memcmp(out, bits, floats * sizeof *out));
        memcpy(bits, out, floats * sizeof *out);
        work.n_queries = 0;
        backend->ops.attend(backend, &work, heads); /* nothing is fine too */
        ps_backend_close(backend);
    }
    free(q), free(k), free(v), free(wanted), free(bits), free(out);
}

int main(void)
{
    ref = open_backend("ref", 1, PS_DTYPE_F32, 400);
    cpu = open_backend("cpu", 2, PS_DTYPE_F32, 120);
    if (!ref || !cpu)
        return 1;
    RUN(attend_equals_ref);
    RUN(attention_rows_do_not_see_each_other);
    RUN(runs_attend_together);
    RUN(windows_touch_what_they_reach);
    RUN(caps_are_felt);
    ps_backend_close(ref);
    ps_backend_close(cpu);
    return check_done();
}
