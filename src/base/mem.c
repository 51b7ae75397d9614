/* mem.c - checked allocations, any one of which can be made to fail. */
#include "patchsweep/mem.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Count one allocation.  0: it is the one that PS_FAIL_ALLOC names, and must fail. */
static long fail_in(void)
{
    static long left = -2;

    if (left == -2) {
        const char *s = getenv("PS_FAIL_ALLOC");
        left = s && *s ? strtol(s, NULL, 10) : -1;
    }
    return left > 0 ? --left : left;
}

/* The size of n elements in bytes, at least 1; SIZE_MAX if it overflows. */
static size_t product(size_t n, size_t size)
{
    if (size && n > (SIZE_MAX - 64) / size)
        return SIZE_MAX;
    return n && size ? n * size : 1;
}

static void *checked(void *p, size_t bytes, ps_err *err)
{
    if (!p)
        ps_err_set(err, PS_EFAIL, "out of memory (%zu bytes requested)", bytes);
    return p;
}

void *ps_malloc(size_t n, size_t size, ps_err *err)
{
    size_t bytes = product(n, size);
    return checked(bytes == SIZE_MAX || fail_in() == 0 ? NULL : malloc(bytes), bytes, err);
}

void *ps_calloc(size_t n, size_t size, ps_err *err)
{
    size_t bytes = product(n, size);
    return checked(bytes == SIZE_MAX || fail_in() == 0 ? NULL : calloc(1, bytes), bytes, err);
}

void *ps_realloc(void *old, size_t n, size_t size, ps_err *err)
{
    size_t bytes = product(n, size);
    return checked(bytes == SIZE_MAX || fail_in() == 0 ? NULL : realloc(old, bytes), bytes, err);
}

#define LINE 64
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE ((size_t)8 << 20)

/* Round up to whole cache lines, or to huge pages for large blocks; SIZE_MAX if it overflows. */
static size_t rounded(size_t bytes)
{
    size_t unit = bytes < LARGE ? LINE : HUGE_PAGE;

    return bytes > SIZE_MAX - unit ? SIZE_MAX : (bytes + unit - 1) / unit * unit;
}

/* Allocate in huge pages if the system provides them. */
static void *huge(size_t bytes)
{
    void *p = aligned_alloc(HUGE_PAGE, bytes);

#ifdef MADV_HUGEPAGE
    if (p)
        madvise(p, bytes, MADV_HUGEPAGE); /* a hint: failure is harmless */
#endif
    return p;
}

void *ps_malloc_aligned(size_t n, size_t size, ps_err *err)
{
    size_t bytes = product(n, size), whole = rounded(bytes);
    void *p = NULL;

    if (whole != SIZE_MAX && fail_in() != 0)
        p = bytes < LARGE ? aligned_alloc(LINE, whole) : huge(whole);
    return checked(p, bytes, err);
}

uint64_t ps_blocks_bytes(const ps_block *blocks, size_t n_blocks)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n_blocks; i++) {
        size_t bytes = blocks[i].n ? rounded(product(blocks[i].n, blocks[i].size)) : 0;
        if (sum + bytes < sum)
            return UINT64_MAX;
        sum += bytes;
    }
    return sum;
}

int ps_blocks_alloc(const ps_block *blocks, size_t n_blocks, ps_err *err)
{
    for (size_t i = 0; i < n_blocks; i++) {
        void *p = ps_malloc_aligned(blocks[i].n, blocks[i].size, err);
        if (!p)
            return -1;
        memcpy(blocks[i].to, &p, sizeof p);
    }
    return 0;
}

void ps_blocks_free(const ps_block *blocks, size_t n_blocks)
{
    for (size_t i = 0; i < n_blocks; i++) {
        void *p;
        memcpy(&p, blocks[i].to, sizeof p);
        free(p);
    }
}

char *ps_strndup(const char *s, size_t n, ps_err *err)
{
    char *copy = ps_malloc(n + 1, 1, err);

    if (copy) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

char *ps_strdup(const char *s, ps_err *err)
{
    return ps_strndup(s, strlen(s), err);
}

void ps_free(void *p)
{
    free(p);
}

void ps_mem_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

int ps_grow(void *vec, size_t n, size_t *cap, size_t size, ps_err *err)
{
    void *p;

    if (n < *cap)
        return 0;
    size_t wanted = *cap ? *cap * 2 : 16;
    memcpy(&p, vec, sizeof p);
    p = ps_realloc(p, wanted, size, err);
    if (!p)
        return -1;
    memcpy(vec, &p, sizeof p);
    *cap = wanted;
    return 0;
}
