/*
 * utf8.h - UTF-8 (RFC 3629), and which characters may go to a terminal.
 */
#ifndef PATCHSWEEP_UTF8_H
#define PATCHSWEEP_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length in bytes of the valid sequence that s[n] begins with, or 0. */
int ps_utf8_length(const char *s, size_t n);
/* The offset of the first byte that is not valid UTF-8, or n if all are. */
size_t ps_utf8_check(const char *s, size_t n);
/* Decode one code point of valid UTF-8; *len is its length in bytes (1..4). */
uint32_t ps_utf8_decode(const char *s, int *len);
/* Encode one code point; returns its length in bytes (1..4). */
int ps_utf8_encode(char out[4], uint32_t cp);

/*
 * Copy `s` for display on a terminal.  Control characters (C0, DEL, C1, and the bidirectional overrides) and bytes that
 * are not UTF-8 become \xNN or \u{NNNN}.  Truncated to fit.
 */
void ps_printable(char *out, size_t out_bytes, const char *s);
#define PS_EXCERPT 256 /* bytes that any excerpt fits in */
/* Copy about 60 bytes of text[n] around byte `from`, for display on a terminal.  Characters stay whole, and "..." marks
 * an end that was cut off. */
void ps_excerpt(char out[PS_EXCERPT], const char *text, size_t n, size_t from);
/* As ps_printable(), in double quotes.  The closing quote is kept if the text is truncated.  out_bytes >= 3. */
void ps_quoted(char *out, size_t out_bytes, const char *s);

/* Whether this character can steer a terminal or reorder a line. */
bool ps_utf8_steers(uint32_t cp);

#endif
