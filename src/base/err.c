/*
 * err.c - fill in and prefix an error's one line.
 *
 * The line may quote names and values of hostile files.  All of it is made printable here, so no message can control
 * a terminal or take more than one line.
 */
#include "patchsweep/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/utf8.h"

/* Format the text and make it printable. */
static void fill(char *out, size_t out_bytes, const char *fmt, va_list ap)
{
    char raw[sizeof((ps_err *)0)->text];

    if (vsnprintf(raw, sizeof raw, fmt, ap) < 0)
        raw[0] = '\0';
    ps_printable(out, out_bytes, raw);
}

int ps_err_set(ps_err *err, int code, const char *fmt, ...)
{
    va_list ap;

    err->code = code;
    va_start(ap, fmt);
    fill(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return -1;
}

int ps_err_prefix(ps_err *err, const char *fmt, ...)
{
    char old[sizeof err->text];
    va_list ap;

    memcpy(old, err->text, sizeof old);
    va_start(ap, fmt);
    fill(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    size_t used = strlen(err->text);
    if (used + 3 > sizeof err->text)
        return -1; /* the prefix alone fills the line */
    memcpy(err->text + used, ": ", 3);
    ps_printable(err->text + used + 2, sizeof err->text - used - 2, old); /* truncates between characters */
    return -1;
}

int ps_err_errno(ps_err *err, const char *fmt, ...)
{
    int saved = errno;
    char what[sizeof err->text - 128];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return ps_err_set(err, PS_EFAIL, "%s: %s", what, strerror(saved));
}

void ps_bug(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "patchsweep: bug at %s:%d: ", file, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}
