/*
 * mem.h - the only caller of malloc.
 *
 * Counts and sizes are multiplied with an overflow check; running out of memory
 * is an error like any other.  All blocks are freed with ps_free(), which takes
 * NULL.  PS_FAIL_ALLOC=n in the environment makes the n-th allocation fail.
 */
#ifndef PATCHSWEEP_MEM_H
#define PATCHSWEEP_MEM_H

#include <stddef.h>

#include "patchsweep/err.h"

/* n elements of `size` bytes each; n == 0 gives a block that may be freed.
 * NULL with *err set (PS_EFAIL) when there is no memory. */
void *ps_malloc(size_t n, size_t size, ps_err *err);
void *ps_calloc(size_t n, size_t size, ps_err *err);            /* zeroed */
void *ps_realloc(void *old, size_t n, size_t size, ps_err *err); /* old survives a failure */
void *ps_malloc_aligned(size_t n, size_t size, ps_err *err);    /* cache lines; large blocks: huge pages */
char *ps_strdup(const char *s, ps_err *err);
char *ps_strndup(const char *s, size_t n, ps_err *err);
void ps_free(void *p);

/*
 * Grow a vector: make room for one more element behind `n` in *vec (a pointer to
 * a pointer), *cap being its capacity.  Returns 0, or -1 with *err set and the
 * vector as it was.
 */
int ps_grow(void *vec, size_t n, size_t *cap, size_t size, ps_err *err);

#endif
