/*
 * spoil.c - a node whose memory goes bad, for the tests: a matrix changes after it was loaded and compared.
 *
 *   PS_SPOIL_BYTES=N   the first block of N bytes, a multiple of 64, that aligned_alloc() hands out: a matrix of float32
 *   PS_SPOIL_AT=K      its numbers become larger by a twentieth when MPI_Bcast() is called for the K-th time after that
 *   PS_SPOIL_SYNC=K    ... or when a file is flushed to the disk for the K-th time: a rank alone sends nothing
 *
 * Part of shim.so.  MPI_Bcast's handles are passed on as they come, whatever MPI makes of them.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#include "spoil.h"

int MPI_Bcast(void *buffer, int count, void *type, int root, void *comm);

static float *block;
static size_t block_bytes;

static long number(const char *name)
{
    const char *s = getenv(name);

    return s ? strtol(s, NULL, 10) : 0;
}

/* The function that this one stands in front of. */
static uintptr_t next(const char *name)
{
    return (uintptr_t)dlsym(RTLD_NEXT, name);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    void *(*const real)(size_t, size_t) = (void *(*)(size_t, size_t))next("aligned_alloc");
    void *p = real(alignment, bytes);

    if (!block && bytes == (size_t)number("PS_SPOIL_BYTES")) {
        block = p;
        block_bytes = bytes;
    }
    return p;
}

/* Count a call of what the variable `name` counts, and spoil the matrix at the call that it gives. */
static void note_call(const char *name, long *calls)
{
    if (block && ++*calls == number(name))
        for (size_t i = 0; i < block_bytes / sizeof *block; i++)
            block[i] *= 1.05f;
}

void spoil_at_sync(void)
{
    static long calls;

    note_call("PS_SPOIL_SYNC", &calls);
}

int MPI_Bcast(void *buffer, int count, void *type, int root, void *comm)
{
    int (*const real)(void *, int, void *, int, void *) = (int (*)(void *, int, void *, int, void *))next("MPI_Bcast");
    static long calls;

    note_call("PS_SPOIL_AT", &calls);
    return real(buffer, count, type, root, comm);
}
