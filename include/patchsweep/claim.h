/*
 * claim.h - an output and the names beside it, for one run alone.
 *
 * The user may have files of his own named `<output>.part`, `.lock`, `.journal` or `.rows`.  They are not
 * changed: a lock, part or journal that is not ours stops the run, and an empty one is taken to be ours.  What is ours is known
 *   - by its content: lock, journal and the parts of snapshots begin with a line or a magic of ours
 *   - by the lock: a holder's line is written only after these names were found to be free or ours.  So whatever
 *     stands there beside a dead holder's lock is that holder's: its unfinished result, or what a power cut has left.
 */
#ifndef PATCHSWEEP_CLAIM_H
#define PATCHSWEEP_CLAIM_H

#include "patchsweep/err.h"
#include "patchsweep/lock.h"

/*
 * Take the lock of `output` (lock.h has `patience`), and remove a dead run's unfinished files.  PS_EINPUT where the name
 * is empty or too long, where something other than a regular file stands at it (a symbolic link too), where another
 * run holds it, or where a file that is not ours has one of the names beside it.
 */
int ps_claim_output(ps_lock **lock, const char *output, double patience, ps_err *err);

#endif
