/*
 * claim.h - claim an output and the names beside it for one run.
 *
 * The user may have files named `<output>.part`, `.lock`, `.journal` or `.rows`.  They are not changed: a file that is
 * not ours stops the run.  An empty file or folder is taken to be ours.  Ours are recognised
 *   - by their contents: lock and journal begin with a line or a magic of ours
 *   - by a marker in the folder `<output>.rows` (rows_dir.h)
 *   - by the lock.  It names a holder only after these names were found to be free or ours.  So an unfinished result
 *     or a spoilt journal beside a dead holder's lock belongs to that holder.
 */
#ifndef PATCHSWEEP_CLAIM_H
#define PATCHSWEEP_CLAIM_H

#include "patchsweep/err.h"
#include "patchsweep/lock.h"

/*
 * Take the lock of `output` (`patience` as in lock.h), and remove the unfinished files of a dead run.  PS_EINPUT if
 * the name is empty or too long, if it is no regular file (or is a symbolic link), if another run holds it, or if a
 * file or folder that is not ours has one of the names beside it.
 */
int ps_claim_output(ps_lock **lock, const char *output, double patience, ps_err *err);

#endif
