/*
 * mem.h - the only caller of malloc.
 *
 * Counts and sizes are multiplied with an overflow check.  Running out of memory is an error like any other.  Free all
 * blocks with ps_free(), which takes NULL.  PS_FAIL_ALLOC=n in the environment makes the n-th allocation fail.
 */
#ifndef PATCHSWEEP_MEM_H
#define PATCHSWEEP_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

/* Allocate n elements of `size` bytes.  n may be 0.  NULL with *err set (PS_EFAIL) if there is no memory. */
void *ps_malloc(size_t n, size_t size, ps_err *err);
void *ps_calloc(size_t n, size_t size, ps_err *err);            /* zeroed */
void *ps_realloc(void *old, size_t n, size_t size, ps_err *err); /* on failure, `old` stays as it was */
void *ps_malloc_aligned(size_t n, size_t size, ps_err *err);    /* to cache lines; large blocks to huge pages */
char *ps_strdup(const char *s, ps_err *err);
char *ps_strndup(const char *s, size_t n, ps_err *err);
void ps_free(void *p);

/*
 * The blocks that an object consists of, as one table.  The same table allocates, frees and measures them, so an object
 * cannot allocate other than it says it needs.  `to` points to the pointer that gets n elements of `size` bytes,
 * aligned to cache lines.
 */
typedef struct ps_block {
    void *to;
    size_t n, size;
} ps_block;
uint64_t ps_blocks_bytes(const ps_block *blocks, size_t n_blocks); /* rounded up as the allocator does */
/* Allocate all blocks.  On failure some are allocated already; the caller frees the table in either case. */
int ps_blocks_alloc(const ps_block *blocks, size_t n_blocks, ps_err *err);
void ps_blocks_free(const ps_block *blocks, size_t n_blocks);

/* Return freed memory that the C library holds back to the system. */
void ps_mem_trim(void);

/*
 * Make room for one more element in a vector of n elements.  `vec` points to the pointer to its elements, of `size`
 * bytes each; *cap is its capacity.  On failure the vector stays as it was.
 */
int ps_grow(void *vec, size_t n, size_t *cap, size_t size, ps_err *err);

#endif
