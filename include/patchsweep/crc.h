/*
 * crc.h - CRC32C (Castagnoli, RFC 3720 appendix B.4).
 *
 * Detects every single flipped bit, and random garbage except once in four billion times.
 */
#ifndef PATCHSWEEP_CRC_H
#define PATCHSWEEP_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Continue the checksum `crc` (0 at the beginning) over data[n], and return the new checksum. */
uint32_t ps_crc32c(uint32_t crc, const void *data, size_t n);

#endif
