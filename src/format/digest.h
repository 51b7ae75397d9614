/*
 * digest.h - checksums of all that a result holds, compared with those that were written beside it.
 *
 * Two attributes of each object, of eight hexadecimal digits, so that a reader with another library can work them out too:
 *
 *     crc32c             of a dataset: CRC32C of its values as the file has them: numbers little-endian in order,
 *                        strings with a zero byte behind each
 *     attributes_crc32c  of a dataset, a group or the root: the sum, modulo 2^32, of a CRC32C for each attribute but these two,
 *                        over its name, its type, its count and its value:
 *                            name  a zero byte behind it
 *                            type  "text", "i4", "i8", "u1", "f4", "f8" or "links", a zero byte behind it
 *                            count "0" of a scalar, else the number of values in decimal; a zero byte behind it
 *                            value numbers and strings as above; of links (DIMENSION_LIST, REFERENCE_LIST) the names of the
 *                                  datasets that they lead to, as strings, with REFERENCE_LIST's axis as i4 behind each
 *
 * The writer sums what it was given (h5.h), so that comparing what is read finds what did not reach the file.
 * Private to result_file.c.
 */
#ifndef PATCHSWEEP_FORMAT_DIGEST_H
#define PATCHSWEEP_FORMAT_DIGEST_H

#include "h5.h"

/* The outcome so far. */
typedef struct ps_digests {
    size_t datasets; /* number whose checksums match */
    bool attributes; /* set by the caller: attributes have checksums; files of older versions have none */
} ps_digests;

/*
 * Read group `path` and all below it, and compare.  PS_EINPUT names the first object that differs from what was
 * written, and says whether its values or its attributes differ.
 */
int ps_digests_check(ps_h5 file, const char *path, ps_digests *digests, ps_err *err);

#endif
