/* process.c - descriptors 0 to 2, and whether all of stdout was written. */
#include "patchsweep/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "patchsweep/err.h"
#include "patchsweep/log.h"

static bool no_stdout; /* stdout was closed at the start */

void ps_process_begin(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        no_stdout = no_stdout || fd == STDOUT_FILENO;
        if (open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) != fd) /* so that writing to stdout fails */
            _Exit(PS_EFAIL); /* no /dev/null, and perhaps no stderr for a message */
    }
    signal(SIGXFSZ, SIG_IGN);
}

void ps_process_without_stdout(void)
{
    int fd = no_stdout ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    dup2(fd, STDOUT_FILENO);
    close(fd);
}

int ps_process_end(int status)
{
    int failed = ferror(stdout);

    errno = 0;
    if (fclose(stdout) == 0 && !failed)
        return status;
    if (status == PS_OK)
        ps_error("cannot write all of standard output%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
    return status == PS_OK ? PS_EFAIL : status;
}
