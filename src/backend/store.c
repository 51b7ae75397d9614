/* store.c - open and close tables of stores; copy between stores and their mirrors. */
#include "patchsweep/store.h"

#include "patchsweep/mem.h"

uint64_t ps_stores_bytes(const ps_store *stores, size_t n_stores)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n_stores; i++) {
        const ps_block block = {NULL, stores[i].n, sizeof(float)};
        uint64_t bytes = ps_blocks_bytes(&block, 1);
        if (sum + bytes < sum)
            return UINT64_MAX;
        sum += bytes;
    }
    return sum;
}

int ps_stores_open(const ps_backend *backend, const ps_store *stores, size_t n_stores, ps_err *err)
{
    for (size_t i = 0; i < n_stores; i++) {
        *stores[i].to = backend->ops.store_open(backend, stores[i].n, err);
        if (!*stores[i].to)
            return -1;
    }
    return 0;
}

void ps_stores_close(const ps_backend *backend, const ps_store *stores, size_t n_stores)
{
    for (size_t i = 0; i < n_stores; i++)
        backend->ops.store_close(backend, *stores[i].to);
}

size_t ps_mirror_floats(const ps_backend *backend, size_t n)
{
    return !backend || backend->ops.in_host ? 0 : n;
}

float *ps_mirror_at(const ps_mirror *m, float *store, size_t at)
{
    return (m->backend->ops.in_host ? store : m->host) + at;
}

float *ps_mirror_get(const ps_mirror *m, float *store, size_t at, size_t n)
{
    float *host = ps_mirror_at(m, store, at);

    if (!m->backend->ops.in_host)
        m->backend->ops.get(m->backend, host, store + at, n);
    return host;
}

void ps_mirror_put(const ps_mirror *m, float *store, size_t at, size_t n)
{
    if (!m->backend->ops.in_host)
        m->backend->ops.put(m->backend, store + at, m->host + at, n);
}
