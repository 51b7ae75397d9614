/*
 * lock.h - one run at a time for an output.
 *
 * The file `<output>.lock` says who writes the output: host, process, Slurm job, since when.  A writer that takes the place
 * of a dead one adds a line of its own, and the last line counts.  The writer holds the file by flock().  The kernel lets go of it when the process ends, so that a lock that is free has no living holder, whatever
 * host the file names.  Between hosts that holds where the file system shares flock(): NFS (Linux 2.6.12 and newer),
 * CephFS, GPFS, Lustre mounted with `flock`.  On mounts that keep it to one host (NFS with `nolock` or `local_lock`,
 * Lustre with `localflock`, BeeGFS as it comes), see yourself that one output is not written from two hosts at once.
 * Where a file system has no flock() at all, the file's words decide: a holder on another host, or alive on this one,
 * holds it.
 */
#ifndef PATCHSWEEP_LOCK_H
#define PATCHSWEEP_LOCK_H

#include <stdbool.h>

#include "patchsweep/err.h"

typedef struct ps_lock ps_lock;

/*
 * Called with the lock held, before the file names the new holder: see to what stands beside the output.  `dead`: a
 * holder died without letting go.  -1 gives the lock up, and leaves the dead holder's line for the next one to see.
 */
typedef int ps_lock_settle(void *context, bool dead, ps_err *err);

/*
 * Take the lock of `output`.
 *   - A living holder on this host has `patience` seconds to end (a killed mpirun's ranks take one second).
 *   - A holder that died is replaced.  So is one of an earlier start of the same Slurm job, even without flock().
 *   - Any other holder is PS_EINPUT, which names the holder and the remedy.
 *   - A file that is no lock of ours is PS_EINPUT and left as it is.  Ours is a file that is empty, begins with a holder's
 *     line, or holds the beginning of one with NULs behind it, or NULs alone: a power cut may leave that of a line.
 * Waiting and replacing are announced on stderr.  `settle` may be NULL.
 */
int ps_lock_take(ps_lock **out, const char *output, double patience, ps_lock_settle *settle, void *context, ps_err *err);
/* Let go and remove the file; NULL is fine. */
void ps_lock_release(ps_lock *lock);

#endif
