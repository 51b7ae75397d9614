/*
 * test_moves.c - operations that copy rows, round them and read them out: the bits of `ref`, and of plain loops.
 */
#include <stdlib.h>

#include "../check.h"
#include "patchsweep/backend.h"
#include "rand.h"

static ps_backend *ref, *ref_bf16, *cpu;

static float *numbers(size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64 + 64);

    rand_fill(x, n);
    return x;
}

/* move() with two sources, and put_heads(). */
static void rows_come_from_two_places(void)
{
    enum { ROWS = 70, BASE = 9, HEADS = 3, HD = 5, D = HEADS * HD };
    float *x = numbers(ROWS * D), *base = numbers(BASE * D), *a = numbers(ROWS * D), *b = numbers(ROWS * D);
    int32_t from[ROWS];
    ps_put puts[2 * ROWS];

    for (int i = 0; i < ROWS; i++)
        from[i] = i % 3 ? i * 29 % ROWS : ~(i % BASE);
    ref->ops.move(a, NULL, x, base, from, ROWS, D);
    cpu->ops.move(b, NULL, x, base, from, ROWS, D);
    for (int i = 0; i < ROWS; i++)
        CHECK(!memcmp(a + i * D, i % 3 ? x + from[i] * D : base + i % BASE * D, D * sizeof *a));
    CHECK(!memcmp(a, b, ROWS * D * sizeof *a));
    for (int i = 0; i < 2 * ROWS; i++) /* two heads a row */
        puts[i] = (ps_put){.to = i / 2, .from = i % BASE, .head = i % 2 * 2};
    ref->ops.put_heads(a, base, puts, 2 * ROWS, HD, D);
    cpu->ops.put_heads(b, base, puts, 2 * ROWS, HD, D);
    for (int i = 0; i < ROWS; i++)
        for (int head = 0; head < HEADS; head++) {
            const float *row = head == 1 ? i % 3 ? x + from[i] * D : base + i % BASE * D
                                         : base + (2 * i + head / 2) % BASE * D;
            CHECK(!memcmp(a + i * D + head * HD, row + head * HD, HD * sizeof *a));
        }
    CHECK(!memcmp(a, b, ROWS * D * sizeof *a));
    free(x), free(base), free(a), free(b);
}

/* Rounding to bfloat16; rounding to float32 changes nothing. */
static void round_equals_ref(void)
{
    static const size_t sizes[] = {1, 255, 256, 257, 5001};

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s];
        float *x = numbers(n), *a = numbers(n), *b = numbers(n);
        ps_backend own = *cpu;
        own.operand = PS_DTYPE_BF16; /* no products are needed here */
        memcpy(a, x, n * sizeof *x);
        memcpy(b, x, n * sizeof *x);
        ref_bf16->ops.round(ref_bf16, a, n);
        own.ops.round(&own, b, n);
        CHECK(!memcmp(a, b, n * sizeof *a));
        for (size_t i = 0; i < n; i++)
            CHECK(fabsf(a[i] - x[i]) <= 0x1p-8f * fabsf(x[i]) && ((union { float f; uint32_t u; }){a[i]}.u & 0xffff) == 0);
        cpu->ops.round(cpu, x, n);
        ref->ops.round(ref, x, n);
        ref_bf16->ops.round(ref_bf16, x, n);
        CHECK(!memcmp(a, x, n * sizeof *a));
        free(x), free(a), free(b);
    }
}

enum { READ_PAIRS = 3, READ_ROWS = 41, READ_TOKENS = 77, READ_D = 19 };

static void read_with(const ps_backend *backend, const ps_reading *shape, ps_readout *readouts, ps_reference *references)
{
    ps_reading g = *shape;

    g.readouts = readouts;
    g.references = references;
    g.clean_z = numbers(READ_PAIRS * READ_TOKENS);
    g.clean_w = numbers(READ_PAIRS * READ_TOKENS);
    for (int32_t i = 0; i < READ_PAIRS; i++)
        references[i] = (ps_reference){.answer_id = 5 + 30 * i, .foil_id = i == 1 ? -1 : i, .largest = -INFINITY};
    memset(readouts, 0, READ_ROWS * sizeof *readouts);
    backend->ops.pick(backend, &g);
    for (g.first_token = 0; g.first_token < 2 * READ_TOKENS; g.first_token += READ_TOKENS) {
        g.logits = shape->logits + (size_t)g.first_token * READ_ROWS;
        backend->ops.refer(backend, &g);
        backend->ops.read(backend, &g);
    }
    free(g.clean_z), free(g.clean_w);
}

/* Two panels of logits on one thread and on two; single logits against plain sums. */
static void readings_equal_ref(void)
{
    int32_t pair_of[READ_ROWS];
    float *h = numbers(READ_ROWS * READ_D), *target = numbers(READ_PAIRS * 2 * READ_D);
    float *logits = numbers(2 * READ_ROWS * READ_TOKENS);
    ps_reference ref_references[READ_PAIRS], references[READ_PAIRS];
    ps_readout ref_readouts[READ_ROWS], readouts[READ_ROWS];

    for (int r = 0; r < READ_ROWS; r++)
        pair_of[r] = 7 + (r < 2 * READ_PAIRS ? r / 2 : rand_int(READ_PAIRS));
    const ps_reading shape = {.reference_of = pair_of, .first_reference = 7, .n_references = READ_PAIRS, .n = READ_ROWS, .h = h,
                              .target = target, .d = READ_D, .logits = logits, .tokens = READ_TOKENS};
    read_with(ref, &shape, ref_readouts, ref_references);
    read_with(cpu, &shape, readouts, references);
    for (int r = 0; r < READ_ROWS; r++) {
        double answer = 0, foil = 0;
        for (int i = 0; i < READ_D; i++) {
            answer += (double)h[r * READ_D + i] * target[(pair_of[r] - 7) * 2 * READ_D + i];
            foil += (double)h[r * READ_D + i] * target[((pair_of[r] - 7) * 2 + 1) * READ_D + i];
        }
        CHECK(readouts[r].answer == answer && (pair_of[r] == 8 ? isnan(readouts[r].foil) : readouts[r].foil == foil));
        CHECK(r % 2 || r >= 2 * READ_PAIRS || readouts[r].cross == 0); /* the clean run against itself */
    }
    for (int r = 0; r < READ_ROWS; r++) /* compare bits: a foil may be NaN */
        CHECK(!memcmp(&ref_readouts[r], &readouts[r], sizeof *readouts));
    for (int i = 0; i < READ_PAIRS; i++)
        CHECK(ref_references[i].largest == references[i].largest && ref_references[i].rescale == references[i].rescale);
    free(h), free(target), free(logits);
}

/* Call these operations on no rows: outputs stay as they were. */
static void check_empty(const ps_backend *backend)
{
    enum { N = 64 };
    float *x = numbers(N), *out = numbers(N), *was = numbers(N);
    ps_readout readout = {.answer = 3}, untouched = readout;
    ps_reference reference = {.largest = 4};
    const ps_reading none = {.readouts = &readout, .references = &reference, .h = x, .target = x, .d = 1, .logits = x,
                             .clean_z = out, .clean_w = out, .tokens = N};

    memcpy(was, out, N * sizeof *was);
    backend->ops.put_heads(out, x, NULL, 0, 8, N);
    backend->ops.round(backend, out, 0);
    backend->ops.zero(backend, out, 0);
    backend->ops.put(backend, out, x, 0);
    backend->ops.get(backend, out, x, 0);
    backend->ops.pick(backend, &none);
    backend->ops.refer(backend, &none);
    backend->ops.read(backend, &none);
    CHECK(!memcmp(out, was, N * sizeof *was) && !memcmp(&readout, &untouched, sizeof readout) && reference.largest == 4);
    free(x), free(out), free(was);
}

static void nothing_is_fine(void)
{
    check_empty(ref);
    check_empty(ref_bf16);
    check_empty(cpu);
}

static ps_backend *open_backend(const char *name, int n_threads, enum ps_dtype operand)
{
    const ps_backend_needs needs = {.n_threads = n_threads, .operand = operand, .max_positions = 1, .max_rows = 1};
    ps_backend *backend = NULL;
    ps_err err = PS_ERR_INIT;

    CHECK(ps_backend_open(&backend, name, &needs, &err) == 0);
    return backend;
}

int main(void)
{
    ref = open_backend("ref", 1, PS_DTYPE_F32);
    ref_bf16 = open_backend("ref", 1, PS_DTYPE_BF16);
    cpu = open_backend("cpu", 2, PS_DTYPE_F32);
    RUN(rows_come_from_two_places);
    RUN(round_equals_ref);
    RUN(readings_equal_ref);
    RUN(nothing_is_fine);
    ps_backend_close(ref);
    ps_backend_close(ref_bf16);
    ps_backend_close(cpu);
    return check_done();
}
