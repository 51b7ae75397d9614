/* err.c - filling and prefixing a failure's one line. */
#include "patchsweep/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ps_err_set(ps_err *err, int code, const char *fmt, ...)
{
    va_list ap;

    err->code = code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return -1;
}

int ps_err_prefix(ps_err *err, const char *fmt, ...)
{
    char old[sizeof err->text];
    va_list ap;

    memcpy(old, err->text, sizeof old);
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n, room = sizeof err->text - 1;
    if (used + 2 > room)
        return -1; /* the context alone fills the line */
    size_t rest = strlen(old) < room - used - 2 ? strlen(old) : room - used - 2;
    memcpy(err->text + used, ": ", 2);
    memcpy(err->text + used + 2, old, rest);
    err->text[used + 2 + rest] = '\0';
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
