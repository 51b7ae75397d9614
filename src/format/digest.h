/*
 * digest.h - a checksum of every dataset, kept beside it as its attribute `crc32c`.
 *
 * Private to results.c and result_file.c.  Sums run over values as the file has them, so that a
 * reader with another library can work them out too: numbers little-endian in order, strings with a zero byte behind each.
 */
#ifndef PATCHSWEEP_FORMAT_DIGEST_H
#define PATCHSWEEP_FORMAT_DIGEST_H

#include "h5.h"

/* Read every dataset of a file that was just written, and leave its checksum. */
int ps_digests_write(ps_h5 file, ps_err *err);
/* Read every dataset and compare.  PS_EINPUT names the first that is damaged or has no checksum; *n: how
 * many were good. */
int ps_digests_check(ps_h5 file, size_t *n, ps_err *err);

#endif
