/* rand.h - the tests' own generator (splitmix64): the same numbers everywhere. */
#ifndef PATCHSWEEP_TESTS_RAND_H
#define PATCHSWEEP_TESTS_RAND_H

#include <stddef.h>
#include <stdint.h>

static uint64_t rand_state = 1;

static inline uint64_t rand_u64(void)
{
    uint64_t z = (rand_state += 0x9e3779b97f4a7c15u);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* In [0, n). */
static inline int rand_int(int n)
{
    return (int)(rand_u64() % (uint64_t)n);
}

/* In [-1, 1). */
static inline float rand_float(void)
{
    return (float)((double)(int64_t)rand_u64() * 0x1p-63);
}

static inline void rand_fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = rand_float();
}

#endif
