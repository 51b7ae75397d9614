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

    for (size_t i = 0; i < n * k; i++)
        w[i] = (float)(i * 7919 % 1009) / 1009.0f - 0.5f;
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

/* Kernels differ from processor to processor: what they do is measured, not looked up. */
static int measure_bits(ps_backend *backend, ps_err *err)
{
    enum { N = 96, K = 160, MOST = 100 };
    static const size_t rows[] = {2, 5, 17, 36, MOST};
    float *room;

    backend->same_bits = true;
    room = ps_malloc_aligned((size_t)MOST * (K + N) + (size_t)N * (K + 1), sizeof *room, err);
    if (!room)
        return -1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        backend->same_bits = backend->same_bits && equal_rows(backend, room, rows[i], N, K);
    ps_free(room);
    return 0;
}

int ps_backend_open(ps_backend **out, const char *name, int n_threads, size_t max_positions,
                    size_t max_width, ps_err *err)
{
    ps_backend *backend = ps_calloc(1, sizeof *backend, err);

    if (!backend)
        return -1;
    backend->ops = ps_backend_ref;
    if (!strcmp(name, "cpu") || !strcmp(name, "auto"))
        ps_backend_cpu(&backend->ops, n_threads);
    else if (strcmp(name, "ref")) {
        ps_free(backend);
        return ps_err_set(err, PS_EINPUT, "backend '%s' is not known; use auto, cpu or ref", name);
    }
    omp_set_num_threads(n_threads);
    backend->n_threads = n_threads;
    backend->max_positions = (max_positions + 15) / 16 * 16; /* a thread's scores: whole lines */
    backend->scores = ps_malloc_aligned((size_t)backend->n_threads * backend->max_positions,
                                        sizeof *backend->scores, err);
    backend->padded = ps_malloc_aligned(ps_backend_cpu_padding(max_width), sizeof *backend->padded, err);
    if (!backend->scores || !backend->padded || measure_bits(backend, err) < 0) {
        ps_backend_close(backend);
        return -1;
    }
    if (strcmp(backend->ops.name, "ref")) {
        ps_backend_cpu_describe(backend->description, sizeof backend->description);
        ps_backend_cpu_advise(backend->advice, sizeof backend->advice);
    } else
        snprintf(backend->description, sizeof backend->description, "plain C");
    *out = backend;
    return 0;
}

void ps_backend_close(ps_backend *backend)
{
    if (!backend)
        return;
    ps_free(backend->scores);
    ps_free(backend->padded);
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
