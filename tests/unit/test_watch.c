/* test_watch.c - when a run saves and when it stops, on a clock that the test sets. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "../../src/sweep/watch.h"
#include "../check.h"
#include "patchsweep/stop.h"
#include "patchsweep/wave.h"

static double now;

static double clock_of_the_test(void)
{
    return now;
}

/* At second 1000, of a run that started then. */
static ps_watch begin(double every, double most)
{
    ps_watch w = {.clock = clock_of_the_test};

    now = 1000;
    ps_watch_begin(&w, every, now, most);
    return w;
}

static unsigned word_at(ps_watch *w, double second)
{
    now = second;
    return ps_watch_word(w, true);
}

static void saves_at_the_interval(void)
{
    ps_watch w = begin(60, 0);

    CHECK_INT(word_at(&w, 1059.9), PS_GO_ON);
    CHECK_INT(word_at(&w, 1060), PS_SAVE);
    now = 1061;
    ps_watch_safe(&w, 1);
    CHECK_INT(word_at(&w, 1120.9), PS_GO_ON); /* from the end of the save on */
    CHECK_INT(word_at(&w, 1121), PS_SAVE);
    CHECK_INT(ps_watch_word(&w, false), PS_GO_ON); /* nothing new: nothing to save */
    ps_watch_safe(&w, 0); /* a wave has ended: all is safe */
    CHECK_INT(word_at(&w, 1180), PS_GO_ON);
    CHECK_INT(word_at(&w, 1181), PS_SAVE);
    CHECK(!w.why);
}

static void never_saves_without_an_interval(void)
{
    ps_watch w = begin(0, 0);

    CHECK_INT(word_at(&w, 1e9), PS_GO_ON);
}

/* Saving takes at most a twentieth of the time. */
static void slow_saves_are_rarer(void)
{
    ps_watch w = begin(60, 0);

    now = 1100;
    ps_watch_safe(&w, 10);
    CHECK_INT(word_at(&w, 1299), PS_GO_ON);
    CHECK_INT(word_at(&w, 1300), PS_SAVE);
    ps_watch_safe(&w, 2); /* the slowest counts */
    CHECK_INT(word_at(&w, 1499), PS_GO_ON);
    CHECK_INT(word_at(&w, 1500), PS_SAVE);
}

static void stops_before_the_deadline(void)
{
    ps_watch w = begin(0, 500);

    CHECK_INT(word_at(&w, 1400), PS_GO_ON);
    CHECK_INT(word_at(&w, 1441), PS_STOP | PS_SAVE); /* 41 s a layer: one and a half more would end past 1500 */
    CHECK_STR(w.why, "--max-hours");
    w = begin(0, 500);
    CHECK_INT(word_at(&w, 1500), PS_GO_ON); /* the first layer's time is not known; it is not late yet */
    CHECK_INT(word_at(&w, 1500.1), PS_STOP | PS_SAVE);
    CHECK_INT(word_at(&w, 1501), PS_STOP | PS_SAVE); /* and remains so */
}

/* Time for two saves is kept: the rows' and what may come between. */
static void leaves_time_to_save(void)
{
    ps_watch w = begin(0, 500);

    now = 1300;
    ps_watch_safe(&w, 50);
    CHECK_INT(word_at(&w, 1310), PS_GO_ON); /* 1310 + 15 + 100 */
    CHECK_INT(word_at(&w, 1344), PS_GO_ON); /* 1344 + 51 + 100 */
    w = begin(0, 500);
    now = 1300;
    ps_watch_safe(&w, 50);
    CHECK_INT(word_at(&w, 1342), PS_STOP | PS_SAVE); /* 1342 + 63 + 100 */
    w = begin(0, 500);
    now = 1300;
    ps_watch_safe(&w, 50);
    CHECK_INT(ps_watch_word(&w, false), PS_GO_ON);
    now = 1450;
    CHECK_INT(ps_watch_word(&w, false), PS_STOP); /* nothing new: stops without a save */
}

/* The time between waves is no layer's. */
static void a_wave_begins_anew(void)
{
    ps_watch w = begin(0, 500);

    CHECK_INT(word_at(&w, 1010), PS_GO_ON);
    now = 1390;
    ps_watch_safe(&w, 0);
    CHECK_INT(word_at(&w, 1395), PS_GO_ON); /* a layer of 385 s would not fit */
}

static void slurm_says_when(void)
{
    char end[32];
    double left = 600; /* 30 of which are a margin */

    snprintf(end, sizeof end, "%.0f", (double)time(NULL) + left);
    setenv("SLURM_JOB_END_TIME", end, 1);
    ps_watch w = begin(0, 0);
    CHECK_CLOSE(w.deadline, 1000 + 570, 2);
    CHECK_INT(word_at(&w, 1560), PS_GO_ON);
    CHECK_INT(word_at(&w, 1573), PS_STOP | PS_SAVE);
    CHECK_STR(w.why, "the end of the Slurm job");
    w = begin(0, 100); /* the earlier of both */
    CHECK_CLOSE(w.deadline, 1100, 0);
    CHECK_STR(w.whose, "--max-hours");
    w = begin(0, 3600);
    CHECK_STR(w.whose, "the end of the Slurm job");
    unsetenv("SLURM_JOB_END_TIME");
}

static void always_for_tests(void)
{
    setenv("PS_SAVE_ALWAYS", "1", 1);
    ps_watch w = begin(0, 0);
    CHECK_INT(word_at(&w, 1000), PS_SAVE);
    CHECK_INT(ps_watch_word(&w, false), PS_GO_ON);
    unsetenv("PS_SAVE_ALWAYS");
}

/* The last test: a signal that was caught stays. */
static void a_signal_stops(void)
{
    ps_watch w = begin(0, 0);

    ps_stop_catch();
    CHECK_INT(word_at(&w, 1001), PS_GO_ON);
    raise(SIGUSR1);
    CHECK_INT(ps_watch_word(&w, false), PS_STOP);
    CHECK_INT(word_at(&w, 1002), PS_STOP | PS_SAVE);
    CHECK_STR(w.why, "SIGUSR1");
}

int main(void)
{
    unsetenv("SLURM_JOB_END_TIME");
    unsetenv("PS_SAVE_ALWAYS");
    RUN(saves_at_the_interval);
    RUN(never_saves_without_an_interval);
    RUN(slow_saves_are_rarer);
    RUN(stops_before_the_deadline);
    RUN(leaves_time_to_save);
    RUN(a_wave_begins_anew);
    RUN(slurm_says_when);
    RUN(always_for_tests);
    RUN(a_signal_stops);
    return check_done();
}
