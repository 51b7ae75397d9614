/*
 * utf8.h - UTF-8 (RFC 3629), and which characters may go to a terminal.
 */
#ifndef PATCHSWEEP_UTF8_H
#define PATCHSWEEP_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the valid sequence that s[n] begins with, or 0. */
int ps_utf8_length(const char *s, size_t n);
/* Offset of the first byte that is not valid UTF-8 (RFC 3629), or n if all is. */
size_t ps_utf8_check(const char *s, size_t n);
/* Decode one code point of valid UTF-8; *len gets its bytes (1..4). */
uint32_t ps_utf8_decode(const char *s, int *len);
/* Encode; returns the bytes written (1..4). */
int ps_utf8_encode(char out[4], uint32_t cp);

/*
 * Copy `s` for a terminal: control characters (C0, DEL, C1, and the bidirectional
 * overrides) and bytes that are not UTF-8 become \xNN or \u{NNNN}; cut to fit.
 */
void ps_printable(char *out, size_t out_bytes, const char *s);
#define PS_EXCERPT 256 /* bytes that any excerpt fits in */
/* Copy for a terminal what text[n] has about byte `from`: some 60 bytes of it in whole characters, "..." where it goes on. */
void ps_excerpt(char out[PS_EXCERPT], const char *text, size_t n, size_t from);
/* As ps_printable(), in double quotes; the closing quote is never cut off.  out_bytes >= 3. */
void ps_quoted(char *out, size_t out_bytes, const char *s);

/* Whether this character can steer a terminal or reorder a line. */
bool ps_utf8_steers(uint32_t cp);

#endif
