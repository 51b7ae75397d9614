/*
 * rate.h - how fast this machine multiplies matrices, reads memory and reads files.
 */
#ifndef PATCHSWEEP_RATE_H
#define PATCHSWEEP_RATE_H

#include "patchsweep/backend.h"

/*
 * Measure the FLOP/s of matrix products with operands of type `operand`: [2048, 2048] by [8192, 2048], about as large as
 * in a sweep (`quick`: a quarter of each side); the median of three.  `description` (256 bytes) gets the name of the
 * implementation.  PS_EINPUT where `backend` has no such products on this machine.
 */
int ps_rate_product(const char *backend, enum ps_dtype operand, int n_threads, bool quick, double *flops,
                    char *description, ps_err *err);
/* Measure the bytes per second that `n_threads` threads together read from memory. */
int ps_rate_memory(int n_threads, double *bytes, ps_err *err);
/* Measure the bytes per second at which one thread reads file `path`, at most 1 GiB of it, past the page cache.
 * NULL: a file of 256 MiB in the current folder, which has no name and vanishes when it is closed. */
int ps_rate_file(const char *path, double *bytes, ps_err *err);

#endif
