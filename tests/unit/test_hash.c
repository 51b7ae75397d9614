/* test_hash.c - the published vectors of FNV-1a, folded; pairs of small numbers do not meet in a table's low bits. */
#include <string.h>

#include "../check.h"
#include "patchsweep/hash.h"

static void fnv_vectors(void)
{
    static const struct {
        const char *s;
        uint64_t hash; /* http://www.isthe.com/chongo/src/fnv/test_fnv.c */
    } cases[] = {{"", 0xcbf29ce484222325u}, {"a", 0xaf63dc4c8601ec8cu}, {"foobar", 0x85944171f73967e8u}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(ps_hash(cases[i].s, strlen(cases[i].s)) == (cases[i].hash ^ cases[i].hash >> 32));
}

/* 64 x 64 pairs in a table of 8192 slots: as many slots are taken as by chance, which is about 3220. */
static void pairs_spread(void)
{
    static unsigned char taken[8192];
    int n = 0;

    for (int32_t a = -1; a < 63; a++)
        for (int32_t b = 0; b < 64; b++)
            n += !taken[ps_hash_pair(a, b) & 8191]++;
    CHECK(n > 2900);
    CHECK(ps_hash_pair(1, 2) != ps_hash_pair(2, 1));
}

int main(void)
{
    RUN(fnv_vectors);
    RUN(pairs_spread);
    return check_done();
}
