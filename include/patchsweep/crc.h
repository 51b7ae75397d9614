/*
 * crc.h - CRC32C (Castagnoli, RFC 3720 appendix B.4): a flipped bit is found for certain, garbage but for one
 * time in four billion.
 */
#ifndef PATCHSWEEP_CRC_H
#define PATCHSWEEP_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` was the checksum of (0: nothing), followed by data[n]. */
uint32_t ps_crc32c(uint32_t crc, const void *data, size_t n);

#endif
