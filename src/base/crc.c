/* crc.c - the processor's instruction where there is one, else a table of bytes. */
#include "patchsweep/crc.h"

#include <string.h>

#if defined(__SSE4_2__)

uint32_t ps_crc32c(uint32_t crc, const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t sum = ~crc & 0xffffffffu, word;

    for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; n > 0; n--, p++)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *p);
    return ~(uint32_t)sum;
}

#else

static uint32_t of_byte(uint32_t byte)
{
    for (int bit = 0; bit < 8; bit++)
        byte = byte >> 1 ^ (byte & 1 ? 0x82f63b78u : 0);
    return byte;
}

uint32_t ps_crc32c(uint32_t crc, const void *data, size_t n)
{
    static uint32_t table[256];
    const unsigned char *p = data;
    uint32_t sum = ~crc;

    if (!table[1])
        for (uint32_t i = 0; i < 256; i++)
            table[i] = of_byte(i);
    for (; n > 0; n--, p++)
        sum = sum >> 8 ^ table[(sum ^ *p) & 255];
    return ~sum;
}

#endif
