/*
 * test_child.c - a process that does what may crash, watched by its parent.
 *
 * The child is this very program: its first argument says what it does.
 */
#include "patchsweep/child.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/stop.h"

static void spin(double seconds)
{
    clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);

    while (clock() < end)
        ;
}

static int be_child(const char *what)
{
    struct rlimit core;

    if (!strcmp(what, "answer"))
        printf("an answer");
    else if (!strcmp(what, "crash")) {
        signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
        raise(SIGSEGV);
    } else if (!strcmp(what, "killed"))
        raise(SIGKILL);
    else if (!strcmp(what, "stopped"))
        raise(SIGUSR1);
    else if (!strcmp(what, "hang"))
        for (;;)
            ;
    else if (!strcmp(what, "sleep"))
        usleep(1500000); /* longer than its limit, but without using the processor */
    else if (!strcmp(what, "work"))
        for (int i = 0; i < 8; i++) {
            spin(0.25);
            ps_child_progress();
        }
    else if (!strcmp(what, "core")) {
        getrlimit(RLIMIT_CORE, &core);
        return core.rlim_cur == 0 ? 4 : 5;
    } else
        return 3;
    return 0;
}

/* Run it with a limit of one second; what it answered is appended to `said`. */
static int run(const char *what, ps_text *said, ps_err *err)
{
    const char *const argv[] = {"test_child", what, NULL};

    *err = (ps_err)PS_ERR_INIT;
    return ps_child_run(argv, "some.h5", 1, said, err);
}

static void test_status_and_output(void)
{
    ps_text said = {0};
    ps_err err;

    CHECK_INT(run("answer", &said, &err), 0);
    CHECK_STR(ps_text_str(&said), "an answer");
    CHECK_INT(run("other", NULL, &err), 3);
    CHECK_INT(run("core", NULL, &err), 4);
    ps_text_release(&said);
}

static void test_crash(void)
{
    ps_err err;

    CHECK_ERR(run("crash", NULL, &err), err, PS_EINPUT, "'some.h5' is damaged: the HDF5 library crashes");
}

/* What others did to it is no fault of the file, and a signal that this process waits for is its own to answer. */
static void test_ended_by_others(void)
{
    ps_err err;

    CHECK_ERR(run("killed", NULL, &err), err, PS_EFAIL, "was killed");
    ps_stop_catch();
    CHECK_ERR(run("stopped", NULL, &err), err, PS_ESTOPPED, "stopped by SIGUSR1");
    CHECK_INT(ps_stop_signal(), SIGUSR1);
}

/* Processor time counts, from the last progress on. */
static void test_hang(void)
{
    ps_err err;

    CHECK_ERR(run("hang", NULL, &err), err, PS_EINPUT, "makes no progress");
    CHECK_INT(run("sleep", NULL, &err), 0);
    CHECK_INT(run("work", NULL, &err), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && ps_child_begin())
        return be_child(argv[1]);
    RUN(test_status_and_output);
    RUN(test_crash);
    RUN(test_hang);
    RUN(test_ended_by_others);
    return check_done();
}
