/*
 * place.h - the name of an output, and the names beside it.
 *
 * Until its output is complete, a run keeps beside it the files `<output>.lock`, `<output>.journal` and
 * `<output>.part`, and the folder `<output>.rows`.  The user may have files of his own under any of these names.  The
 * functions here refuse anything but a regular file (a symbolic link, a FIFO, a device, a socket), and never follow a
 * link or wait for a FIFO.  Whether a regular file is ours is decided by lock.h, journal.h and claim.h.
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
 * Check that a file can be written as `output`: the name is not empty, the file system allows its length with `suffix`
 * appended, and nothing but a regular file has that name.  PS_EINPUT otherwise.
 */
int ps_place_check(const char *output, const char *suffix, ps_err *err);

/*
 * Open the regular file `name` in the folder `dir` (AT_FDCWD: as open() does) with O_... `flags`.  Returns a
 * descriptor, or -1 with *err set: PS_EINPUT if it is not a regular file.  `shown` is the path for messages.
 */
int ps_place_open(int dir, const char *name, int flags, const char *shown, ps_err *err);

/* What the name of an open file leads to now: nothing, another file, or the open one. */
enum ps_leads { PS_LEADS_UNKNOWN = -1, PS_LEADS_NOWHERE, PS_LEADS_ELSEWHERE, PS_LEADS_HERE };
/* Look up whether `path` still leads to the file open as `fd`.  PS_LEADS_UNKNOWN with *err set if the look-up fails. */
enum ps_leads ps_place_leads(const char *path, int fd, ps_err *err);

/* Fail with PS_EINPUT: "'<path>' is not a patchsweep <what> but ...", and the remedy.  Returns -1. */
int ps_place_foreign(const char *path, const char *what, ps_err *err);

/* 1 if `path` is a regular file (with `folder`: a folder), 0 if nothing has that name, -1 with *err set otherwise. */
int ps_place_taken(const char *path, int folder, ps_err *err);

#endif
