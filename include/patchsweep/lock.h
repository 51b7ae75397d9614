/*
 * lock.h - one run at a time for an output.
 *
 * The file `<output>.lock` names the run that writes the output: its host, process and Slurm job, and when it began.  A
 * run that takes over from a dead one appends a line of its own, and the last line counts.
 *
 * The run holds the lock by flock().  The kernel releases it when the process ends, so a lock that is free has no
 * living holder, whatever host the file names.
 *
 *   - The file system shares flock() between hosts (NFS since Linux 2.6.12, CephFS, GPFS, Lustre mounted with `flock`):
 *     the lock excludes runs on all hosts.
 *   - flock() is local to a host (NFS mounted with `nolock` or `local_lock`, Lustre with `localflock`, BeeGFS by
 *     default): the user must see to it that two hosts do not write one output at once.
 *   - There is no flock(): the text of the file decides.  The lock is held if it names another host, or a living process
 *     of this one.
 */
#ifndef PATCHSWEEP_LOCK_H
#define PATCHSWEEP_LOCK_H

#include <stdbool.h>

#include "patchsweep/err.h"

typedef struct ps_lock ps_lock;

/*
 * Called once the lock is held, before its file names the new holder, to deal with the files beside the output.
 * `dead`: the previous holder died without releasing the lock.  If it returns -1, the lock is given up and its file
 * keeps the previous holder's line, for the next run to read.
 */
typedef int ps_lock_settle(void *context, bool dead, ps_err *err);

/*
 * Take the lock of `output`.
 *   - Wait up to `patience` seconds for a living holder on this host (the ranks of a killed mpirun take one second).
 *   - Take over from a holder that died, and from an earlier start of the same Slurm job, the latter even without
 *     flock().
 *   - Otherwise fail with PS_EINPUT, naming holder and remedy.
 *   - Fail with PS_EINPUT on a file that is not a lock of ours, and leave it as it is.  Ours is a file that begins with
 *     a holder's line, an empty file, and what a power cut may leave of a line: its beginning followed by NULs, or NULs
 *     alone.
 * Waiting and taking over are announced on stderr.  `settle` may be NULL.
 */
int ps_lock_take(ps_lock **out, const char *output, double patience, ps_lock_settle *settle, void *context, ps_err *err);
/* Remove the file and release the lock.  NULL does nothing. */
void ps_lock_release(ps_lock *lock);

#endif
