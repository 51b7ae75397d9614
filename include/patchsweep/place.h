/*
 * place.h - the name of an output, and the names beside it.
 *
 * A run keeps four things beside its output until the output is complete: `<output>.lock`, `<output>.journal`,
 * `<output>.part` and the folder `<output>.rows`.  The user may have files of his own under any of these names.
 * Functions here refuse what is no regular file (a symbolic link, a FIFO, a device, a socket) and never follow a
 * link or wait for a FIFO.  Whether a regular file is ours is for its owner to tell (lock.h, journal.h, claim.h).
 */
#ifndef PATCHSWEEP_PLACE_H
#define PATCHSWEEP_PLACE_H

#include <fcntl.h> /* AT_FDCWD and O_... for ps_place_open() */

#include "patchsweep/err.h"

enum ps_beside { PS_LOCK, PS_PART, PS_JOURNAL, PS_ROWS, PS_N_BESIDE };

/* ".lock", ".part", ".journal", ".rows". */
extern const char *const ps_beside_suffix[PS_N_BESIDE];

/* "<output><suffix>". Owned by the caller. */
char *ps_beside(const char *output, enum ps_beside which, ps_err *err);

/*
 * Check that `output` can be the name of a file with `suffix` behind it: it is not empty, the file system allows the
 * length, and what stands there is a regular file or nothing.  PS_EINPUT otherwise.
 */
int ps_place_check(const char *output, const char *suffix, ps_err *err);

/*
 * Open the regular file `name` in folder `dir` (AT_FDCWD: as open() does) with O_... `flags`.  Returns a descriptor, or
 * -1 with *err set: PS_EINPUT where anything but a regular file stands there.  `shown` is the path for messages.
 */
int ps_place_open(int dir, const char *name, int flags, const char *shown, ps_err *err);

/* Where the name of a file leads that is open. */
enum ps_leads { PS_LEADS_UNKNOWN = -1, PS_LEADS_NOWHERE, PS_LEADS_ELSEWHERE, PS_LEADS_HERE };
/* Does `path` lead to the file open as `fd`?  PS_LEADS_UNKNOWN with *err set where that cannot be found out. */
enum ps_leads ps_place_leads(const char *path, int fd, ps_err *err);

/* PS_EINPUT for a `what` that is not ours: "'<path>' is not a patchsweep <what> but ...", with the remedy.  Returns -1. */
int ps_place_foreign(const char *path, const char *what, ps_err *err);

/* Refuse `path` unless nothing stands there, or a regular file; with `folder`, a folder instead.  1: it is there. */
int ps_place_taken(const char *path, int folder, ps_err *err);

#endif
