/* mem.c - checked allocation, and a way to make any one of them fail. */
#include "patchsweep/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Counts down to the allocation that PS_FAIL_ALLOC names; -1: none. */
static long fail_in(void)
{
    static long left = -2;

    if (left == -2) {
        const char *s = getenv("PS_FAIL_ALLOC");
        left = s && *s ? strtol(s, NULL, 10) : -1;
    }
    return left > 0 ? --left : left;
}

/* Bytes of n elements, or SIZE_MAX where the product does not fit. */
static size_t product(size_t n, size_t size)
{
    if (size && n > (SIZE_MAX - 64) / size)
        return SIZE_MAX;
    return n && size ? n * size : 1;
}

static void *checked(void *p, size_t bytes, ps_err *err)
{
    if (!p)
        ps_err_set(err, PS_EFAIL, "out of memory (%zu bytes asked for)", bytes);
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

/* Allocate in huge pages where the system grants them. */
static void *huge(size_t bytes)
{
    size_t whole = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *p = whole < bytes ? NULL : aligned_alloc(HUGE_PAGE, whole);

#ifdef MADV_HUGEPAGE
    if (p)
        madvise(p, whole, MADV_HUGEPAGE); /* may fail */
#endif
    return p;
}

void *ps_malloc_aligned(size_t n, size_t size, ps_err *err)
{
    size_t bytes = product(n, size);
    void *p = NULL;

    if (bytes != SIZE_MAX && fail_in() != 0)
        p = bytes < LARGE ? aligned_alloc(LINE, (bytes + LINE - 1) / LINE * LINE) : huge(bytes);
    return checked(p, bytes, err);
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
