/* minmax.h - the smaller and the larger of two sizes. */
#ifndef PATCHSWEEP_MINMAX_H
#define PATCHSWEEP_MINMAX_H

#include <stddef.h>

static inline size_t ps_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t ps_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
