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
#include <stdint.h>

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
 * The blocks that an object consists of, as one table: what it allocates and what it says that it needs cannot differ.
 * `to` points to the pointer that gets n elements of `size` bytes, on cache lines.
 */
typedef struct ps_block {
    void *to;
    size_t n, size;
} ps_block;
uint64_t ps_blocks_bytes(const ps_block *blocks, size_t n_blocks); /* with what is lost to rounding */
/* Allocate all, or fill in as many as there is memory for and return -1: free the table either way. */
int ps_blocks_alloc(const ps_block *blocks, size_t n_blocks, ps_err *err);
void ps_blocks_free(const ps_block *blocks, size_t n_blocks);

/* Give memory that was freed back to the system, where the library keeps it for later. */
void ps_mem_trim(void);

/*
 * Grow a vector: make room for one more element behind `n` in *vec (a pointer to
 * a pointer), *cap being its capacity.  Returns 0, or -1 with *err set and the
 * vector as it was.
 */
int ps_grow(void *vec, size_t n, size_t *cap, size_t size, ps_err *err);

#endif
