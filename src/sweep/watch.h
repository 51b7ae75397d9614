/*
 * watch.h - when rows in flight are saved, and when a run stops.
 *
 * Package-private; rank 0 only.  Asked between two layers, it knows how long the last one took and how long a
 * save takes, so that there is time for both before the end.  PS_SAVE_ALWAYS in the environment makes it save before
 * every layer, for tests.
 */
#ifndef PATCHSWEEP_SWEEP_WATCH_H
#define PATCHSWEEP_SWEEP_WATCH_H

#include <stdbool.h>

typedef struct ps_watch {
    double every;              /* seconds between saves; 0: none but to stop */
    double deadline;           /* on ps_seconds()'s clock; INFINITY: none */
    const char *whose;         /* deadline */
    double asked_at;           /* the last time, in this wave; NAN before */
    double safe_at, save_took; /* the last save or end of a wave; the longest save */
    const char *why;           /* it says stop; NULL while it does not */
    double (*clock)(void);     /* in tests, instead of ps_seconds(); NULL otherwise */
} ps_watch;

/*
 * From now on: save every `every` seconds, end within `most` seconds of `start` (0: no bound) or before Slurm ends the
 * job, whichever is first.  *watch was zero, but for its clock.
 */
void ps_watch_begin(ps_watch *watch, double every, double start, double most);
/* Before a layer: enum ps_word bits; `new`: there is something that is not saved yet. */
unsigned ps_watch_word(ps_watch *watch, bool new);
/* All is safe: a save that took so long, or the end of a wave (0). */
void ps_watch_safe(ps_watch *watch, double took);

#endif
