/*
 * claim.h - an output and the names beside it, for one run alone.
 *
 * The user may have files of his own named `<output>.part`, `.lock`, `.journal` or `.rows`.  They are not
 * changed: one that is not ours stops the run.  An empty file or folder is taken to be ours.  What is ours is known
 *   - by its content: lock and journal begin with a line or a magic of ours
 *   - by a marker: the folder `<output>.rows` has one in it (rows_dir.h)
 *   - by the lock: a holder's line is written only after these names were found to be free or ours.  So an unfinished
 *     result or a spoilt journal beside a dead holder's lock is that holder's.
 */
#ifndef PATCHSWEEP_CLAIM_H
#define PATCHSWEEP_CLAIM_H

#include "patchsweep/err.h"
#include "patchsweep/lock.h"

/*
 * Take the lock of `output` (lock.h has `patience`), and remove a dead run's unfinished files.  PS_EINPUT where the name
 * is empty or too long, where something other than a regular file stands at it (a symbolic link too), where another
 * run holds it, or where a file or folder that is not ours has one of the names beside it.
 */
int ps_claim_output(ps_lock **lock, const char *output, double patience, ps_err *err);

#endif
