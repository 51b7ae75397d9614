/* progress.c - the progress line, and when to print it. */
#include "patchsweep/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "patchsweep/host.h"
#include "patchsweep/log.h"

#define TERMINAL_SECONDS 0.5
#define LOG_SECONDS 30.0

static bool is_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

void ps_progress_begin(ps_progress *p, const char *what, const char *unit, int64_t total, double scale,
                       int64_t cells, bool quiet)
{
    *p = (ps_progress){.what = what, .unit = unit, .total = total, .scale = scale, .cells = cells,
                       .start = ps_seconds(), .shown = ps_seconds(), .quiet = quiet,
                       .terminal = is_terminal()};
}

/* "1:02:03" or "2:03" */
static const char *clock_text(char out[24], double seconds)
{
    long s = (long)(seconds + 0.5);

    if (s >= 3600)
        snprintf(out, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 24, "%ld:%02ld", s / 60, s % 60);
    return out;
}

/* ", 1.2e+05 token-layers/s", or nothing where no unit is counted. */
static const char *rate_text(char out[64], const ps_progress *p, int64_t done, double spent)
{
    out[0] = '\0';
    if (p->unit)
        snprintf(out, 64, ", %.3g %s/s", spent > 0 ? (double)done * p->scale / spent : 0, p->unit);
    return out;
}

static void show(const ps_progress *p, double spent)
{
    double share = p->total ? (double)p->done / (double)p->total : 1;
    double left = share > 0 ? spent / share - spent : 0;
    char gone[24], eta[24], utc[21], rate[64], line[256];

    clock_text(gone, spent);
    clock_text(eta, left);
    rate_text(rate, p, p->done, spent);
    if (p->terminal) {
        snprintf(line, sizeof line, "%s %.1f %%%s, %s elapsed, %s left", p->what, 100 * share, rate, gone, eta);
        ps_log_status(line);
        return;
    }
    ps_utc(utc);
    ps_info("%s %s %.1f %% done%s, %s elapsed, %s left", utc, p->what, 100 * share, rate, gone, eta);
}

void ps_progress_add(ps_progress *p, int64_t more)
{
    double now = ps_seconds();

    p->done += more;
    if (p->quiet || now - p->shown < (p->terminal ? TERMINAL_SECONDS : LOG_SECONDS))
        return;
    p->shown = now;
    show(p, now - p->start);
}

void ps_progress_end(ps_progress *p)
{
    double spent = ps_seconds() - p->start;
    char rate[64];

    if (p->quiet)
        return;
    ps_log_clear();
    rate_text(rate, p, p->total, spent);
    if (p->unit)
        ps_info("%s done: computed %lld cells in %.2f s, %.3g cells/s%s", p->what, (long long)p->cells, spent,
                spent > 0 ? (double)p->cells / spent : 0, rate);
    else
        ps_info("%s done in %.2f s", p->what, spent);
}
