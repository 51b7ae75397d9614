/*
 * text.h - bytes that grow, and a few functions on text.
 *
 * A ps_text starts as {0}, always ends in a NUL that does not count, and may hold
 * NULs of its own.  A failed allocation is remembered: later additions do nothing, and
 * ps_text_ok() fails.  Building a text needs that one check, at its end.
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
/* Add a JSON string literal, quotes included.  Characters that ps_printable() escapes are written as \uNNNN: the same
 * to a program, and harmless on a terminal.  A byte that is not UTF-8 is written as U+FFFD. */
void ps_text_json(ps_text *text, const char *s, size_t n);
/* 0, or -1 with *err set where an addition found no memory. */
int ps_text_ok(const ps_text *text, ps_err *err);
const char *ps_text_str(const ps_text *text); /* never NULL; borrowed */
void ps_text_release(ps_text *text);

/* Parse a size: "512M", "1.5G", "64GiB", "1000"; units are powers of 1024.  False for anything else, and for 0. */
bool ps_parse_bytes(const char *text, uint64_t *bytes);

/* The name in names[n] nearest to `word` by edit distance, or NULL where none is within two changes, or one in three
 * letters. */
const char *ps_nearest(const char *word, const char *const *names, size_t n);

#endif
