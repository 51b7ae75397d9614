/*
 * child.h - read a file in a child process, because a damaged one may crash a library or keep it busy for ever.
 *
 * The child is this program again, and runs one command.  It is started by posix_spawn() of /proc/self/exe, which
 * copies no memory and is safe while MPI runs.  A signal ends the child when it crashes, and when it uses `limit`
 * seconds of processor time without calling ps_child_progress().  Time spent waiting for a slow disk does not count.
 */
#ifndef PATCHSWEEP_CHILD_H
#define PATCHSWEEP_CHILD_H

#include <stdbool.h>

#include "patchsweep/err.h"
#include "patchsweep/text.h"

#define PS_CHILD_SECONDS 30 /* the usual limit: ten times what the largest dataset that is read at once takes */

/*
 * Run this program with argv and wait for it.  argv[0] is its name, and NULL follows the last argument.  Append the
 * child's stdout to *output and drop its stderr; if `output` is NULL, both go where this process's go.
 *
 * Returns the child's exit status, or
 *   - -1 with PS_EINPUT: it crashed or made no progress.  The message blames the file at `path`.
 *   - -1 with PS_ESTOPPED: someone sent it a signal such as SIGTERM.  The signal is raised in this process too, and
 *     ends it unless stop.h catches it.
 *   - -1 with PS_EFAIL: it was killed (SIGKILL), for example because memory ran out.
 *   - -2: no child can be started.  The caller does the work in this process.
 */
int ps_child_run(const char *const *argv, const char *path, int limit, ps_text *output, ps_err *err);

/* Return whether this process is such a child, and start its clock. */
bool ps_child_begin(void);
/* In a child, restart the clock.  Elsewhere, do nothing. */
void ps_child_progress(void);

#endif
