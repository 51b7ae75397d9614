/* test_crc.c - CRC32C against published values, and in pieces. */
#include "../check.h"
#include "patchsweep/crc.h"

/* RFC 3720, appendix B.4, and the usual check value. */
static void published_values(void)
{
    unsigned char bytes[32];

    CHECK(ps_crc32c(0, "123456789", 9) == 0xe3069283u);
    CHECK(ps_crc32c(0, "", 0) == 0);
    memset(bytes, 0, sizeof bytes);
    CHECK(ps_crc32c(0, bytes, sizeof bytes) == 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    CHECK(ps_crc32c(0, bytes, sizeof bytes) == 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    CHECK(ps_crc32c(0, bytes, sizeof bytes) == 0x46dd794eu);
}

static void pieces_make_the_whole(void)
{
    const char *text = "Whatever happens, finished work stays finished.";
    size_t n = strlen(text);

    for (size_t cut = 0; cut <= n; cut++)
        CHECK(ps_crc32c(ps_crc32c(0, text, cut), text + cut, n - cut) == ps_crc32c(0, text, n));
}

/* Long blocks are summed in three parts side by side; short ones, and the table, are not. */
static void long_blocks(void)
{
    static unsigned char bytes[(1 << 20) + 24];
    static const size_t sizes[] = {(1 << 18) - 1, 1 << 18, (1 << 18) + 1, (1 << 18) + 23, 600011, sizeof bytes};
    uint32_t state = 1;

    for (size_t i = 0; i < sizeof bytes; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(state >> 24);
    }
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint32_t whole = ps_crc32c(7, bytes, sizes[k]), pieces = 7;
        for (size_t at = 0; at < sizes[k]; at += 1000)
            pieces = ps_crc32c(pieces, bytes + at, sizes[k] - at < 1000 ? sizes[k] - at : 1000);
        CHECK(whole == pieces);
    }
}

int main(void)
{
    RUN(published_values);
    RUN(pieces_make_the_whole);
    RUN(long_blocks);
    return check_done();
}
