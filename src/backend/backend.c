/* backend.c - the registry, and the little memory that operations need. */
#include "patchsweep/backend.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"

int ps_backend_open(ps_backend **out, const char *name, int n_threads, size_t max_positions,
                    ps_err *err)
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
    if (!backend->scores) {
        ps_backend_close(backend);
        return -1;
    }
    if (strcmp(backend->ops.name, "ref"))
        ps_backend_cpu_describe(backend->description, sizeof backend->description);
    else
        snprintf(backend->description, sizeof backend->description, "plain C");
    *out = backend;
    return 0;
}

void ps_backend_close(ps_backend *backend)
{
    if (!backend)
        return;
    ps_free(backend->scores);
    ps_free(backend);
}

const char *ps_backend_describe(const ps_backend *backend)
{
    return backend->description;
}
