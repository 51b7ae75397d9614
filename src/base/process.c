/* process.c - descriptors 0 to 2, and what became of stdout. */
#include "patchsweep/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/err.h"
#include "patchsweep/log.h"

void ps_process_begin(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _Exit(PS_EFAIL); /* no /dev/null, and no place to say so */
    signal(SIGXFSZ, SIG_IGN);
}

int ps_process_end(int status)
{
    int failed = ferror(stdout);

    errno = 0;
    if (fclose(stdout) == 0 && !failed)
        return status;
    if (status == PS_OK)
        ps_error("cannot write all of the standard output%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
    return status == PS_OK ? PS_EFAIL : status;
}
