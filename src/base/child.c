/* child.c - posix_spawn() of this program, a pipe, and a timer of processor time. */
#include "patchsweep/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "patchsweep/mem.h"
#include "patchsweep/stop.h"

#define MARK "PS_CHILD" /* environment variable of a child: its limit in seconds */

extern char **environ;

static int seconds; /* a child's limit; 0: this process is no child */

/* ---- in the child ---- */

bool ps_child_begin(void)
{
    const struct rlimit no_core = {0, 0};
    const char *mark = getenv(MARK);

    if (!mark)
        return false;
    seconds = atoi(mark) > 0 ? atoi(mark) : PS_CHILD_SECONDS;
    unsetenv(MARK);
    signal(SIGPROF, SIG_DFL);
    setrlimit(RLIMIT_CORE, &no_core); /* a crash here is expected: dump no core */
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* die with the parent: nobody else waits for the result */
    ps_child_progress();
    return true;
}

void ps_child_progress(void)
{
    const struct itimerval left = {.it_value = {.tv_sec = seconds}};

    if (seconds)
        setitimer(ITIMER_PROF, &left, NULL);
}

/* ---- in the parent ---- */

/* Start the child with this process's environment plus MARK.  `output`: a descriptor for its stdout, or -1. */
static pid_t spawn(const char *const *argv, int limit, int output)
{
    posix_spawn_file_actions_t actions;
    char mark[32];
    pid_t child = -1;
    size_t n = 0, at = 0;
    ps_err ignored = PS_ERR_INIT;

    while (environ[n])
        n++;
    char **with = ps_calloc(n + 2, sizeof *with, &ignored);
    if (!with || posix_spawn_file_actions_init(&actions) != 0) {
        ps_free(with);
        return -1;
    }
    snprintf(mark, sizeof mark, MARK "=%d", limit);
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], MARK "=", sizeof MARK) != 0)
            with[at++] = environ[i];
    with[at] = mark;
    if (output >= 0) {
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    }
    if (posix_spawn(&child, "/proc/self/exe", &actions, NULL, (char *const *)argv, with) != 0)
        child = -1;
    posix_spawn_file_actions_destroy(&actions);
    ps_free(with);
    return child;
}

static void read_all(int from, ps_text *output)
{
    char block[4096];
    ssize_t n;

    while ((n = read(from, block, sizeof block)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            ps_text_add(output, block, (size_t)n);
}

/* The error for a child that ended by a signal.  A signal that the child did not cause was meant for this process too. */
static int explain_signal(int signal_number, const char *path, ps_err *err)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS, SIGTRAP};

    if (signal_number == SIGPROF)
        return ps_err_set(err, PS_EINPUT, "'%s' is damaged: reading it makes no progress", path);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (signal_number == own[i])
            return ps_err_set(err, PS_EINPUT, "'%s' is damaged: the HDF5 library crashes when it reads it (%s)", path,
                              strsignal(signal_number));
    if (signal_number != SIGKILL && !ps_stop_signal())
        raise(signal_number);
    if (ps_stop_signal())
        return ps_err_set(err, PS_ESTOPPED, "stopped by %s while reading '%s'", ps_stop_name(ps_stop_signal()), path);
    return ps_err_set(err, PS_EFAIL, "cannot read '%s': the process that read it was killed", path);
}

int ps_child_run(const char *const *argv, const char *path, int limit, ps_text *output, ps_err *err)
{
    int ends[2] = {-1, -1}, status = 0;

    fflush(NULL);
    if (output && pipe2(ends, O_CLOEXEC) < 0)
        return -2;
    pid_t child = spawn(argv, limit, ends[1]);
    if (output) {
        close(ends[1]);
        if (child > 0)
            read_all(ends[0], output);
        close(ends[0]);
    }
    if (child <= 0)
        return -2;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -2;
    if (WIFSIGNALED(status))
        return explain_signal(WTERMSIG(status), path, err);
    return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -2;
}
