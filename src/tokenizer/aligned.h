/*
 * aligned.h - text under normalization, each byte with its origin in the original text.
 *
 * A normalizer may replace, insert or compose characters, but a token must be mapped to a range of original bytes.  So
 * each byte carries the range of the original characters that it comes from.  All bytes of one character carry the same
 * range.
 */
#ifndef PATCHSWEEP_TOKENIZER_ALIGNED_H
#define PATCHSWEEP_TOKENIZER_ALIGNED_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

typedef struct ps_origin {
    uint32_t start, end; /* bytes of the original text */
} ps_origin;

typedef struct ps_aligned {
    char *bytes;     /* [n], valid UTF-8, without a final NUL */
    ps_origin *from; /* [n] */
    size_t n, cap;
} ps_aligned; /* starts as {0} */

/* Append s[n], all of which originates from `from`. */
int ps_aligned_add(ps_aligned *text, const char *s, size_t n, ps_origin from, ps_err *err);
/* Append source[start..end) with its origins. */
int ps_aligned_copy(ps_aligned *text, const ps_aligned *source, size_t start, size_t end, ps_err *err);
/* Append valid UTF-8 as the original text: each character is its own origin. */
int ps_aligned_original(ps_aligned *text, const char *s, size_t n, ps_err *err);
void ps_aligned_release(ps_aligned *text);

#endif
