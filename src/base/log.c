/* log.c - one line per message, without control characters; errors name their rank. */
#include "patchsweep/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "patchsweep/text.h"

static int log_rank, log_size = 1;
static bool status_shown; /* the terminal's last line is a status, which has no newline */

void ps_log_set_rank(int rank, int size)
{
    log_rank = rank;
    log_size = size;
}

void ps_log(enum ps_log_level level, const char *fmt, ...)
{
    static const char *const prefix[] = {"error: ", "warning: ", ""};
    char raw[4096], shown[4 * sizeof raw];
    va_list ap;

    if (level != PS_LOG_ERROR && log_rank != 0)
        return;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    ps_printable(shown, sizeof shown, raw);
    ps_log_clear();
    if (log_size > 1 && level == PS_LOG_ERROR && log_rank > 0)
        fprintf(stderr, "patchsweep: [rank %d] %s%s\n", log_rank, prefix[level], shown);
    else
        fprintf(stderr, "patchsweep: %s%s\n", prefix[level], shown);
    fflush(stderr);
}

void ps_log_status(const char *line)
{
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    status_shown = true;
}

void ps_log_clear(void)
{
    if (!status_shown)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    status_shown = false;
}
