/*
 * watch.h - when to save the rows in flight, and when to stop the run.
 *
 * Package-private; rank 0 only.  The watch is asked before every layer.  It measures how long a layer and a save take,
 * and stops the run while there is still time for both.  PS_SAVE_ALWAYS in the environment makes it save before every
 * layer, for tests.
 */
#ifndef PATCHSWEEP_SWEEP_WATCH_H
#define PATCHSWEEP_SWEEP_WATCH_H

#include <stdbool.h>

typedef struct ps_watch {
    double every;              /* seconds between saves; 0: save only when stopping */
    double deadline;           /* on ps_seconds()'s clock; INFINITY: none */
    const char *whose;         /* name of the deadline, for messages */
    double asked_at;           /* time of the last question in this wave; NAN before the first */
    double safe_at, save_took; /* time of the last save or end of a wave; seconds of the longest save */
    const char *why;           /* the reason to stop; NULL: none yet */
    double (*clock)(void);     /* in tests, instead of ps_seconds(); NULL otherwise */
} ps_watch;

/*
 * Begin: save every `every` seconds.  Stop within `most` seconds of `start` (0: no bound), or before Slurm ends the
 * job, whichever is first.  *watch must be zero but for its clock.
 */
void ps_watch_begin(ps_watch *watch, double every, double start, double most);
/* Decide before a layer: return enum ps_command bits.  `new`: there is something that is not saved yet. */
unsigned ps_watch_word(ps_watch *watch, bool new);
/* Whether to stop now, if `takes` seconds must be left before the deadline.  watch->why gets the reason. */
bool ps_watch_over(ps_watch *watch, double takes);
/* Note that everything is saved, by a save that took `took` seconds or by the end of a wave (0). */
void ps_watch_safe(ps_watch *watch, double took);

#endif
