/*
 * dtype.h - element types of files, and their exact widening to float.
 */
#ifndef PATCHSWEEP_DTYPE_H
#define PATCHSWEEP_DTYPE_H

#include <stddef.h>
#include <stdint.h>

enum ps_dtype { PS_DTYPE_F32, PS_DTYPE_F16, PS_DTYPE_BF16, PS_N_DTYPES };

extern const char *const ps_dtype_names[PS_N_DTYPES]; /* "f32", "f16", "bf16" */
size_t ps_dtype_bytes(enum ps_dtype dtype);

/* out[n] = in[n] as floats, exactly.  `in` need not be aligned. */
void ps_widen(float *out, const void *in, enum ps_dtype dtype, size_t n);
/* out[n] = in[n], rounded to nearest even. */
void ps_narrow(void *out, const float *in, enum ps_dtype dtype, size_t n);

#endif
