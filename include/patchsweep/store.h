/*
 * store.h - the stores of an object as one table, and host memory that mirrors a store.
 *
 * backend.h says what a store is.
 */
#ifndef PATCHSWEEP_STORE_H
#define PATCHSWEEP_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/backend.h"
#include "patchsweep/err.h"

/* Like ps_block, for memory of a backend: `to` points to the pointer that receives a store of n floats. */
typedef struct ps_store {
    float **to;
    size_t n;
} ps_store;
/* Bytes that ps_stores_open() allocates, rounding included. */
uint64_t ps_stores_bytes(const ps_store *stores, size_t n_stores);
/* Open all stores.  If memory runs out, return -1 and leave the stores before the failure open.  Call ps_stores_close() in
 * either case. */
int ps_stores_open(const ps_backend *backend, const ps_store *stores, size_t n_stores, ps_err *err);
void ps_stores_close(const ps_backend *backend, const ps_store *stores, size_t n_stores);

/*
 * Host memory that mirrors a store: the float at offset i of the store has its copy at offset i of the mirror.  If the
 * backend's stores lie in host memory, the mirror is the store itself and nothing is copied.
 */
typedef struct ps_mirror {
    const ps_backend *backend;
    float *host; /* [ps_mirror_floats()], owned by the caller */
} ps_mirror;
/* The number of floats that ps_mirror.host needs for offsets 0 .. n - 1: 0 if stores lie in host memory, or if `backend` is
 * NULL. */
size_t ps_mirror_floats(const ps_backend *backend, size_t n);
/* The host memory that mirrors the floats of `store` from offset `at` on. */
float *ps_mirror_at(const ps_mirror *mirror, float *store, size_t at);
/* Copy n floats from the store to the mirror.  Returns the mirror's address of the first. */
float *ps_mirror_get(const ps_mirror *mirror, float *store, size_t at, size_t n);
/* Copy n floats from the mirror to the store. */
void ps_mirror_put(const ps_mirror *mirror, float *store, size_t at, size_t n);

#endif
