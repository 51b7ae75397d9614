/*
 * part.h - a file under another name until it is complete.
 *
 * A file that others read is never written in place: it grows beside its final name (".part" behind it), is fsynced,
 * renamed over the old one, and the folder is fsynced.  Whoever is killed in between leaves the old file as it was.
 */
#ifndef PATCHSWEEP_PART_H
#define PATCHSWEEP_PART_H

#include <stdbool.h>

#include "patchsweep/err.h"

/*
 * The name to write `path` under until it is complete (owned by the caller).  The caller creates the file with O_EXCL.
 * Checks now that it can be written there, so that hours of work do not end in "permission denied": PS_EINPUT with the
 * remedy, or PS_EFAIL.  A file that has the name already is the user's: PS_EINPUT.  Leaves no file behind.
 */
int ps_part_begin(char **part, const char *path, ps_err *err);
/*
 * fsync `part`, rename it to `path`, fsync the folder.  PS_EINPUT where something other than a regular file stands at
 * `path`, or anything at all without `replace`; `part` is left.
 */
int ps_part_commit(const char *part, const char *path, bool replace, ps_err *err);

#endif
