/*
 * part.h - write a file under another name until it is complete.
 *
 * A file that others read is never written in place.  It is written beside its final name, with ".part" appended;
 * fsynced; renamed over the old file; and the folder is fsynced.  A process that is killed before the rename leaves the
 * old file as it was.
 */
#ifndef PATCHSWEEP_PART_H
#define PATCHSWEEP_PART_H

#include <stdbool.h>

#include "patchsweep/err.h"

/*
 * Set *part (owned by the caller) to the name under which to write `path` until it is complete.  Check that a file can
 * be created there, so that hours of work do not end in "permission denied", and remove it again.  The caller creates
 * the file with O_EXCL.  PS_EINPUT with the remedy, or PS_EFAIL.  A file that already has the name is the user's:
 * PS_EINPUT.
 */
int ps_part_begin(char **part, const char *path, ps_err *err);
/*
 * fsync `part`, rename it to `path`, and fsync the folder.  PS_EINPUT if `path` exists and is not a regular file, or
 * exists at all without `replace`.  On failure `part` stays.
 */
int ps_part_commit(const char *part, const char *path, bool replace, ps_err *err);

#endif
