/* crc.c - the processor's CRC32 instruction if it has one (checked at run time), otherwise a table. */
#include "patchsweep/crc.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* bit 31 is x^0, bit 0 is x^31 */

#if defined(__x86_64__)

#define LONG_ENOUGH ((size_t)1 << 18) /* bytes from which joining three sums costs less than it saves */

/* The product of a and b modulo the polynomial. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? POLYNOMIAL : 0);
    }
    return product;
}

/* x^(8 * bytes) modulo the polynomial.  Multiplying a sum by it appends that many zero bytes. */
static uint32_t shift_of(size_t bytes)
{
    uint32_t power = 1u << 31, square = 1u << 23; /* 1, x^8 */

    for (; bytes; bytes >>= 1) {
        if (bytes & 1)
            power = multiply(power, square);
        square = multiply(square, square);
    }
    return power;
}

/* Sum three blocks of n bytes side by side: the instruction takes three cycles, and one can start every cycle. */
__attribute__((target("sse4.2"))) static uint64_t sum_three(uint64_t sum, const unsigned char *p, size_t n)
{
    uint64_t second = 0, third = 0, a, b, c;
    uint32_t shift = shift_of(n);

    for (size_t i = 0; i < n; i += sizeof a) {
        memcpy(&a, p + i, sizeof a);
        memcpy(&b, p + n + i, sizeof b);
        memcpy(&c, p + 2 * n + i, sizeof c);
        sum = __builtin_ia32_crc32di(sum, a);
        second = __builtin_ia32_crc32di(second, b);
        third = __builtin_ia32_crc32di(third, c);
    }
    sum = multiply((uint32_t)sum, shift) ^ second;
    return multiply((uint32_t)sum, shift) ^ third;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const unsigned char *p, size_t n)
{
    uint64_t sum = ~crc & 0xffffffffu, word;

    if (n >= LONG_ENOUGH) {
        size_t third = n / 24 * 8;
        sum = sum_three(sum, p, third);
        p += 3 * third;
        n -= 3 * third;
    }
    for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; n > 0; n--, p++)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *p);
    return ~(uint32_t)sum;
}

#endif

static uint32_t crc_of_byte(uint32_t byte)
{
    for (int bit = 0; bit < 8; bit++)
        byte = byte >> 1 ^ (byte & 1 ? POLYNOMIAL : 0);
    return byte;
}

static uint32_t by_table(uint32_t crc, const unsigned char *p, size_t n)
{
    static uint32_t table[256];
    uint32_t sum = ~crc;

    if (!table[1])
        for (uint32_t i = 0; i < 256; i++)
            table[i] = crc_of_byte(i);
    for (; n > 0; n--, p++)
        sum = sum >> 8 ^ table[(sum ^ *p) & 255];
    return ~sum;
}

uint32_t ps_crc32c(uint32_t crc, const void *data, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return by_instruction(crc, data, n);
#endif
    return by_table(crc, data, n);
}
