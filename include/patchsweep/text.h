/*
 * text.h - bytes that grow, and a few things said of text.
 *
 * A ps_text starts as {0}, always ends in a NUL that does not count, and may hold
 * NULs of its own.  A failed allocation sticks: later additions do nothing, and
 * ps_text_ok() tells at the end, so that building text needs one check.
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
/* A JSON string literal, quotes included.  What ps_printable() escapes is \uNNNN here, the same to a
 * program and harmless on a terminal; a byte that is not UTF-8 is U+FFFD. */
void ps_text_json(ps_text *text, const char *s, size_t n);
/* 0, or -1 with *err set where an addition found no memory. */
int ps_text_ok(const ps_text *text, ps_err *err);
const char *ps_text_str(const ps_text *text); /* never NULL; borrowed */
void ps_text_release(ps_text *text);

/* "512M", "1.5G", "64GiB", "1000": bytes, units being powers of 1024.  False for anything else, and for 0. */
bool ps_parse_bytes(const char *text, uint64_t *bytes);

/* The name in names[n] nearest to `word` by edit distance, or NULL when none is near. */
const char *ps_nearest(const char *word, const char *const *names, size_t n);

#endif
