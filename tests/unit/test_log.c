/* test_log.c - lines on stderr, and one that is rewritten: no line ends up behind it. */
#include "patchsweep/log.h"

#include <stdlib.h>
#include <unistd.h>

#include "../check.h"

/* What `fn` writes to stderr, in a buffer that the next call overwrites. */
static const char *written_by(void (*fn)(void))
{
    static char seen[4096];
    char name[] = "/tmp/patchsweep-XXXXXX";
    int fd = mkstemp(name), old = dup(STDERR_FILENO);

    unlink(name);
    fflush(stderr);
    dup2(fd, STDERR_FILENO);
    fn();
    fflush(stderr);
    dup2(old, STDERR_FILENO);
    ssize_t n = pread(fd, seen, sizeof seen - 1, 0);
    seen[n > 0 ? n : 0] = '\0';
    close(fd);
    close(old);
    return seen;
}

static void say_lines(void)
{
    ps_info("one");
    ps_log_clear();
    ps_warn("two\n");
}

static void say_status(void)
{
    ps_log_status("half");
    ps_log_status("done");
    ps_warn("attention");
    ps_info("next");
    ps_log_status("more");
    ps_log_clear();
    ps_log_clear();
}

static void test_lines(void)
{
    CHECK_STR(written_by(say_lines), "patchsweep: one\npatchsweep: warning: two\\n\n");
}

static void test_status(void)
{
    CHECK_STR(written_by(say_status), "\rhalf\033[K\rdone\033[K\r\033[Kpatchsweep: warning: attention\npatchsweep: next\n"
                                      "\rmore\033[K\r\033[K");
}

int main(void)
{
    RUN(test_lines);
    RUN(test_status);
    return check_done();
}
