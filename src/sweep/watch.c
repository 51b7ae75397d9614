/* watch.c - clocks, deadlines and signals. */
#include "watch.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include "patchsweep/host.h"
#include "patchsweep/stop.h"
#include "patchsweep/wave.h"

#define SLURM_MARGIN 30   /* seconds to stop before Slurm's end, which is known to the minute */
#define SAVES_APART 20    /* saves start at least so many times the length of a save apart */

static double seconds(const ps_watch *w)
{
    return w->clock ? w->clock() : ps_seconds();
}

void ps_watch_begin(ps_watch *w, double every, double start, double most)
{
    double now = seconds(w), slurm = ps_stop_slurm_end();

    *w = (ps_watch){.every = every, .deadline = INFINITY, .asked_at = NAN, .safe_at = now, .clock = w->clock};
    if (most > 0) {
        w->deadline = start + most;
        w->whose = "--max-hours";
    }
    if (slurm > 0 && now + slurm - (double)time(NULL) - SLURM_MARGIN < w->deadline) {
        w->deadline = now + slurm - (double)time(NULL) - SLURM_MARGIN;
        w->whose = "the end of the Slurm job";
    }
}

bool ps_watch_over(ps_watch *w, double takes)
{
    if (ps_stop_signal())
        w->why = ps_stop_name(ps_stop_signal());
    else if (seconds(w) + takes > w->deadline)
        w->why = w->whose;
    return w->why != NULL;
}

unsigned ps_watch_word(ps_watch *w, bool new)
{
    double now = seconds(w), layer = isnan(w->asked_at) ? 0 : now - w->asked_at;

    w->asked_at = now;
    if (ps_watch_over(w, 1.5 * layer + 2 * w->save_took)) /* time for another layer and a save */
        return PS_STOP | (new ? PS_SAVE : 0);
    if (new && getenv("PS_SAVE_ALWAYS"))
        return PS_SAVE;
    double apart = fmax(w->every, SAVES_APART * w->save_took);
    return new && w->every > 0 && now - w->safe_at >= apart ? PS_SAVE : PS_GO_ON;
}

void ps_watch_safe(ps_watch *w, double took)
{
    w->save_took = fmax(w->save_took, took);
    w->safe_at = seconds(w);
    w->asked_at = took > 0 ? w->safe_at : NAN; /* after a wave, the time to the next question is not that of a layer */
}
