/* stop.c - signal handlers that set a flag. */
#include "patchsweep/stop.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "patchsweep/err.h"

static const struct {
    int signal;
    const char *name;
    bool unless_ignored; /* leave it ignored if it was at the start: nohup ignores SIGHUP */
} signals[] = {{SIGUSR1, "SIGUSR1", false}, {SIGTERM, "SIGTERM", false}, {SIGINT, "SIGINT", false},
               {SIGHUP, "SIGHUP", true}};

#define N_SIGNALS (sizeof signals / sizeof *signals)

static volatile sig_atomic_t caught;
static struct timespec first; /* when the first signal came; written once, by the handler */

/* Signals within a second count as one: a launcher may forward what the terminal has sent to all processes already. */
static void handle(int signal)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!caught) {
        first = now;
        caught = signal;
        return;
    }
    double since = (double)(now.tv_sec - first.tv_sec) + 1e-9 * (double)(now.tv_nsec - first.tv_nsec);
    if (since >= 1)
        _exit(PS_ESTOPPED);
}

void ps_stop_catch(void)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART}, before;

    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaddset(&action.sa_mask, signals[i].signal);
    for (size_t i = 0; i < N_SIGNALS; i++) {
        if (signals[i].unless_ignored && sigaction(signals[i].signal, NULL, &before) == 0 &&
            before.sa_handler == SIG_IGN)
            continue;
        sigaction(signals[i].signal, &action, NULL);
    }
}

int ps_stop_signal(void)
{
    return caught;
}

const char *ps_stop_name(int signal)
{
    for (size_t i = 0; i < N_SIGNALS; i++)
        if (signals[i].signal == signal)
            return signals[i].name;
    return "a signal";
}

double ps_stop_slurm_end(void)
{
    const char *s = getenv("SLURM_JOB_END_TIME");

    return s ? strtod(s, NULL) : 0;
}
