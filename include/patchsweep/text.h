/*
 * text.h - a growable byte string, and a few functions on text.
 *
 * A ps_text starts as {0}.  It may hold NULs, and always ends in one more that `n` does not count.  A failed allocation
 * is remembered: later additions do nothing, and ps_text_ok() fails.  So a text needs one check, when it is complete.
 */
#ifndef PATCHSWEEP_TEXT_H
#define PATCHSWEEP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/utf8.h"

typedef struct ps_text {
    char *bytes; /* [n + 1]; NULL while empty */
    size_t n, cap;
    bool failed;
} ps_text;

void ps_text_add(ps_text *text, const char *bytes, size_t n);
void ps_text_puts(ps_text *text, const char *s);
void ps_text_printf(ps_text *text, const char *fmt, ...) PS_PRINTF(2, 3);
/* Add s[n] as a JSON string literal, quotes included.  Write the characters that ps_printable() escapes as \uNNNN,
 * which programs read as the same text and terminals do not obey.  Write a byte that is not UTF-8 as U+FFFD. */
void ps_text_json(ps_text *text, const char *s, size_t n);
/* 0, or -1 with *err set if an addition ran out of memory. */
int ps_text_ok(const ps_text *text, ps_err *err);
const char *ps_text_str(const ps_text *text); /* never NULL; borrowed */
void ps_text_release(ps_text *text);

/* Parse a size: "512M", "1.5G", "64GiB", "1000"; units are powers of 1024.  False for anything else, and for 0. */
bool ps_parse_bytes(const char *text, uint64_t *bytes);

/*
 * The name in names[n] that `word` is a mistyping of.  NULL if there is none, or more than one equally near.
 *
 * Names are compared word by word, for a name of which one word differs means something else: mlp_out for attn_out, k_by_pos for
 * v_by_pos, denoise for noise.  nearest.c has the limits.
 */
const char *ps_nearest(const char *word, const char *const *names, size_t n);

#endif
