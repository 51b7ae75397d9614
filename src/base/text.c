/* text.c - a growable byte buffer, and small functions on text. */
#include "patchsweep/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/mem.h"

static bool reserve(ps_text *text, size_t more)
{
    ps_err ignored;

    if (text->failed)
        return false;
    if (text->n + more + 1 <= text->cap)
        return true;
    size_t cap = text->cap ? text->cap : 64;
    while (cap < text->n + more + 1)
        cap *= 2;
    char *bytes = ps_realloc(text->bytes, cap, 1, &ignored);
    if (!bytes) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->cap = cap;
    return true;
}

void ps_text_add(ps_text *text, const char *bytes, size_t n)
{
    if (!reserve(text, n))
        return;
    if (n)
        memcpy(text->bytes + text->n, bytes, n);
    text->n += n;
    text->bytes[text->n] = '\0';
}

void ps_text_puts(ps_text *text, const char *s)
{
    ps_text_add(text, s, strlen(s));
}

void ps_text_printf(ps_text *text, const char *fmt, ...)
{
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n >= 0 && reserve(text, (size_t)n)) {
        vsnprintf(text->bytes + text->n, (size_t)n + 1, fmt, again);
        text->n += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

int ps_text_ok(const ps_text *text, ps_err *err)
{
    return text->failed ? ps_err_set(err, PS_EFAIL, "out of memory while building text") : 0;
}

const char *ps_text_str(const ps_text *text)
{
    return text->bytes ? text->bytes : "";
}

void ps_text_release(ps_text *text)
{
    ps_free(text->bytes);
    *text = (ps_text){0};
}

void ps_text_json(ps_text *text, const char *s, size_t n)
{
    ps_text_puts(text, "\"");
    for (size_t i = 0, step; i < n; i += step) {
        int len = ps_utf8_length(s + i, n - i), bytes;
        uint32_t cp = len ? ps_utf8_decode(s + i, &bytes) : 0xfffd;
        step = len ? (size_t)len : 1;
        if (cp == '"' || cp == '\\')
            ps_text_printf(text, "\\%c", (int)cp);
        else if (cp == '\n')
            ps_text_puts(text, "\\n");
        else if (ps_utf8_steers(cp) || !len)
            ps_text_printf(text, "\\u%04x", (unsigned)cp);
        else
            ps_text_add(text, s + i, step);
    }
    ps_text_puts(text, "\"");
}

bool ps_parse_bytes(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    double value = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;

    if (end == text || !(value > 0) || text[0] < '0' || text[0] > '9')
        return false;
    if (unit) {
        value *= (double)(1ull << 10 * (unit - units + 1));
        end += strcmp(end + 1, "iB") == 0 ? 3 : strcmp(end + 1, "B") == 0 ? 2 : 1;
    }
    if (*end || value >= 0x1p63 || value < 1)
        return false;
    *bytes = (uint64_t)value;
    return true;
}
