/*
 * child.h - reading a damaged file may crash a library or keep it busy for ever: let a child process do it.
 *
 * The child is this program again (posix_spawn of /proc/self/exe, which copies no memory, so that it is safe with
 * MPI running too), and does one command.  It ends by a signal where it crashes, and where it uses `limit` seconds of
 * processor time without ps_child_progress(): waiting for a slow disk is no fault.
 */
#ifndef PATCHSWEEP_CHILD_H
#define PATCHSWEEP_CHILD_H

#include <stdbool.h>

#include "patchsweep/err.h"
#include "patchsweep/text.h"

#define PS_CHILD_SECONDS 30 /* a limit: the largest dataset that is read at once takes a tenth of it */

/*
 * Run this program with argv (argv[0] is its name, NULL behind the last) and wait for it; its output goes into
 * *output (and what it says on stderr nowhere), or where this process's goes where `output` is NULL.  Returns its exit status; -1 with PS_EINPUT
 * where it crashed or made no progress, which is blamed on the file at `path`; -2 where no child can be had: do it here.
 * A signal that someone sent it (as SIGTERM) is raised here too: it ends this process, or where stop.h catches it returns
 * -1 with PS_ESTOPPED.  -1 with PS_EFAIL where it was killed (SIGKILL), as where memory runs out.
 */
int ps_child_run(const char *const *argv, const char *path, int limit, ps_text *output, ps_err *err);

/* Is this process such a child?  Its clock starts here. */
bool ps_child_begin(void);
/* In a child: it is getting somewhere.  Elsewhere: nothing. */
void ps_child_progress(void);

#endif
