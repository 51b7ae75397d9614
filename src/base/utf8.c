/* utf8.c - UTF-8 sequences as RFC 3629 defines them. */
#include "patchsweep/utf8.h"

#include <stdio.h>
#include <string.h>

int ps_utf8_length(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    int len = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;

    if (!len || (size_t)len > n)
        return 0;
    for (int i = 1; i < len; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    /* overlong forms, surrogates, past U+10FFFF */
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
        (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
        return 0;
    return len;
}

size_t ps_utf8_check(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n) {
        int len = ps_utf8_length(s + i, n - i);
        if (!len)
            break;
        i += (size_t)len;
    }
    return i;
}

uint32_t ps_utf8_decode(const char *s, int *len)
{
    const unsigned char *u = (const unsigned char *)s;

    if (u[0] < 0x80) {
        *len = 1;
        return u[0];
    }
    *len = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    uint32_t cp = u[0] & (0x7fu >> *len);
    for (int i = 1; i < *len; i++)
        cp = cp << 6 | (u[i] & 0x3fu);
    return cp;
}

int ps_utf8_encode(char out[4], uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    int len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (int i = len - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)((0xf00 >> len & 0xff) | cp);
    return len;
}

bool ps_utf8_steers(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x061c || cp == 0x200e ||
           cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) ||
           cp == 0xfeff;
}

void ps_printable(char *out, size_t out_bytes, const char *s)
{
    size_t n = strlen(s), used = 0;

    for (size_t i = 0; i < n;) {
        char piece[16];
        int len = ps_utf8_length(s + i, n - i), bytes = len;
        uint32_t cp = len ? ps_utf8_decode(s + i, &bytes) : (unsigned char)s[i];
        if (!len || (cp < 0x80 && ps_utf8_steers(cp)))
            snprintf(piece, sizeof piece, cp == '\n' ? "\\n" : "\\x%02x", (unsigned)cp);
        else if (ps_utf8_steers(cp))
            snprintf(piece, sizeof piece, "\\u{%04x}", (unsigned)cp);
        else
            snprintf(piece, sizeof piece, "%.*s", len, s + i);
        size_t more = strlen(piece);
        if (used + more + 1 > out_bytes)
            break;
        memcpy(out + used, piece, more);
        used += more;
        i += len ? (size_t)len : 1;
    }
    if (out_bytes)
        out[used] = '\0';
}

/* Whether this byte is a continuation byte. */
static bool continues(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

void ps_excerpt(char out[PS_EXCERPT], const char *text, size_t n, size_t from)
{
    enum { MOST = 60, BEFORE = 20 };
    size_t begin = n > MOST && from > BEFORE ? from - BEFORE : 0, end = n - begin > MOST ? begin + MOST : n;
    char raw[MOST + 16];

    for (int i = 0; i < 3 && begin > 0 && continues(text[begin]); i++)
        begin--;
    for (int i = 0; i < 3 && end < n && continues(text[end]); i++)
        end--;
    snprintf(raw, sizeof raw, "%s%.*s%s", begin ? "..." : "", (int)(end - begin), text + begin, end < n ? "..." : "");
    ps_printable(out, PS_EXCERPT, raw);
}

void ps_quoted(char *out, size_t out_bytes, const char *s)
{
    out[0] = '"';
    ps_printable(out + 1, out_bytes - 2, s);
    memcpy(out + strlen(out), "\"", 2);
}
