/*
 * rate.h - how fast this machine multiplies matrices, reads memory and reads files.
 */
#ifndef PATCHSWEEP_RATE_H
#define PATCHSWEEP_RATE_H

#include "patchsweep/backend.h"

/*
 * FLOP/s of `backend`'s products with `operand`s: [2048, 2048] by [8192, 2048], both large, as those of a sweep
 * are (`quick`: a quarter of each side), the median of three; in `description` (256 bytes) what does
 * them.  PS_EINPUT where there are none here.
 */
int ps_rate_product(const char *backend, enum ps_dtype operand, int n_threads, bool quick, double *flops,
                    char *description, ps_err *err);
/* Bytes per second that `n_threads` together read out of memory. */
int ps_rate_memory(int n_threads, double *bytes, ps_err *err);
/* Bytes per second of one reader of file `path` (1 GiB of it at most) past the page cache; NULL: of a file of
 * 256 MiB made for the purpose in the current folder, which has no name and goes when it is closed. */
int ps_rate_file(const char *path, double *bytes, ps_err *err);

#endif
