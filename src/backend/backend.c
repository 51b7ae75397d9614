/* backend.c - the registry, and the little memory that operations need. */
#include "patchsweep/backend.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"

/* Do equal rows come out equal, however many and wherever they stand? */
static bool equal_rows(const ps_backend *backend, float *room, size_t rows, size_t n, size_t k)
{
    float *x = room, *w = x + rows * k, *out = w + n * k;

    for (size_t i = 0; i < n * k; i++) {
        float value = (float)(i * 7919 % 1009) / 1009.0f - 0.5f;
        ps_narrow((char *)w + i * ps_dtype_bytes(backend->operand), &value, backend->operand, 1);
    }
    for (size_t i = 0; i < rows * k; i++)
        x[i] = (float)(i % k * 104729 % 997) / 997.0f - 0.5f;
    backend->ops.matmul(backend, out, x, w, NULL, rows, n, k);
    float *alone = out + rows * n;
    backend->ops.matmul(backend, alone, x, w, NULL, 1, n, k);
    for (size_t r = 0; r < rows; r++)
        if (memcmp(out + r * n, alone, n * sizeof *out))
            return false;
    return true;
}

enum { PROBE_N = 96, PROBE_K = 160, PROBE_ROWS = 100 };

/* Kernels differ from processor to processor: what they do is measured, not looked up. */
static int measure_bits(ps_backend *backend, ps_err *err)
{
    static const size_t rows[] = {2, 5, 17, 36, PROBE_ROWS};
    float *room;

    backend->same_bits = true;
    room = ps_malloc_aligned((size_t)PROBE_ROWS * (PROBE_K + PROBE_N) + (size_t)PROBE_N * (PROBE_K + 1),
                             sizeof *room, err);
    if (!room)
        return -1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        backend->same_bits = backend->same_bits && equal_rows(backend, room, rows[i], PROBE_N, PROBE_K);
    ps_free(room);
    return 0;
}

static void describe(ps_backend *b)
{
    if (!strcmp(b->ops.name, "ref"))
        snprintf(b->description, sizeof b->description, "plain C");
    else if (b->operand == PS_DTYPE_BF16)
        ps_backend_onednn_describe(b->description, sizeof b->description);
    else {
        ps_backend_cpu_describe(b->description, sizeof b->description);
        ps_backend_cpu_advise(b->advice, sizeof b->advice);
    }
}

/* Fill the slots. */
static int choose(ps_backend *b, const char *name, ps_err *err)
{
    b->ops = ps_backend_ref;
    if (!strcmp(name, "ref"))
        return 0;
    if (strcmp(name, "cpu") && strcmp(name, "auto"))
        return ps_err_set(err, PS_EINPUT, "backend '%s' is not known; use auto, cpu or ref", name);
    ps_backend_cpu(&b->ops, b->n_threads);
    return b->operand == PS_DTYPE_BF16 ? ps_backend_onednn(&b->ops, err) : 0;
}

static int make_room(ps_backend *b, const ps_backend_needs *needs, ps_err *err)
{
    size_t width = needs->max_width > PROBE_K ? needs->max_width : PROBE_K;
    size_t scratch = b->operand == PS_DTYPE_BF16 ? ps_backend_onednn_scratch(needs->max_rows, width)
                                                 : ps_backend_cpu_scratch(width);

    b->max_rows = needs->max_rows;
    b->max_positions = (needs->max_positions + 15) / 16 * 16; /* a thread's scores: whole lines */
    b->scores = ps_malloc_aligned((size_t)b->n_threads * b->max_positions, sizeof *b->scores, err);
    b->scratch = ps_malloc_aligned(scratch, 1, err);
    return b->scores && b->scratch ? 0 : -1;
}

int ps_backend_open(ps_backend **out, const char *name, const ps_backend_needs *needs, ps_err *err)
{
    ps_backend *b = ps_calloc(1, sizeof *b, err);

    if (!b)
        return -1;
    b->n_threads = needs->n_threads;
    b->operand = needs->operand;
    omp_set_num_threads(b->n_threads);
    if (choose(b, name, err) < 0 || make_room(b, needs, err) < 0 || measure_bits(b, err) < 0) {
        ps_backend_close(b);
        return -1;
    }
    describe(b);
    *out = b;
    return 0;
}

void ps_backend_close(ps_backend *backend)
{
    if (!backend)
        return;
    ps_free(backend->scores);
    ps_free(backend->scratch);
    ps_free(backend);
}

const char *ps_backend_describe(const ps_backend *backend)
{
    return backend->description;
}

const char *ps_backend_advice(const ps_backend *backend)
{
    return backend->advice[0] ? backend->advice : NULL;
}
