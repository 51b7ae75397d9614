/*
 * byte_level.h - GPT-2's alphabet: each byte as one printable character.
 *
 * The 188 bytes that are printable in Latin-1 represent themselves.  The 68 others are numbered from U+0100 on, in
 * order: a space is U+0120, a newline U+010A.
 */
#ifndef PATCHSWEEP_TOKENIZER_BYTE_LEVEL_H
#define PATCHSWEEP_TOKENIZER_BYTE_LEVEL_H

#include <stdint.h>

/* The character of a byte. */
static inline uint32_t ps_byte_level_char(unsigned char byte)
{
    return byte <= 0x20   ? 0x100u + byte
           : byte == 0x7f ? 0x121u
           : byte == 0xad ? 0x143u
           : byte >= 0x80 && byte <= 0xa0 ? 0x122u + byte - 0x80u
                                          : byte;
}

/* The byte of a character, or -1 for one outside the alphabet. */
static inline int ps_byte_level_byte(uint32_t cp)
{
    int byte = cp < 0x100    ? (int)cp
               : cp <= 0x120 ? (int)(cp - 0x100)
               : cp == 0x121 ? 0x7f
               : cp <= 0x142 ? (int)(cp - 0x122 + 0x80)
               : cp == 0x143 ? 0xad
                             : -1;

    return byte >= 0 && ps_byte_level_char((unsigned char)byte) == cp ? byte : -1;
}

#endif
