/* backends.h - what tests of the backends' operations need: numbers, the worst difference, a backend by name. */
#ifndef PATCHSWEEP_TESTS_BACKENDS_H
#define PATCHSWEEP_TESTS_BACKENDS_H

#include <stdlib.h>

#include "../check.h"
#include "patchsweep/backend.h"
#include "rand.h"

static float *numbers(size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 63) / 64 * 64 + 64);

    rand_fill(x, n);
    return x;
}

static double worst(const float *a, const float *b, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        double off = fabs((double)a[i] - b[i]);
        most = off > most || isnan(off) ? off : most;
    }
    return most;
}

static ps_backend *open_backend(const char *name, int n_threads, enum ps_dtype operand, size_t max_rows)
{
    const ps_backend_needs needs = {.n_threads = n_threads, .operand = operand, .max_positions = 128,
                                    .max_rows = max_rows, .max_depth = 4096, .max_matrix = 1 << 20};
    ps_backend *backend = NULL;
    ps_err err = PS_ERR_INIT;

    if (ps_backend_open(&backend, name, &needs, &err) < 0) {
        printf("# %s\n", err.text);
        CHECK(err.code == PS_EINPUT);
    }
    return backend;
}

#endif
