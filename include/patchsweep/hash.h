/*
 * hash.h - hashes for tables in memory.
 *
 * Another build may compute other values, so they are never written to a file; files have the checksums of crc.h.
 * The tables here have a power of two of slots.  Use the low bits of a hash as the index of its slot.
 */
#ifndef PATCHSWEEP_HASH_H
#define PATCHSWEEP_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Hash s[n]: FNV-1a of 64 bits, folded so that the low bits depend on all of them. */
static inline uint64_t ps_hash(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

/* Hash an ordered pair of numbers: multiplicative hashing (Knuth, TAOCP 6.4), folded as above. */
static inline uint64_t ps_hash_pair(int32_t a, int32_t b)
{
    uint64_t h = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) * 0x9e3779b97f4a7c15u;

    return h ^ h >> 32;
}

#endif
