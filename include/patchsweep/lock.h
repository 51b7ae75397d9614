/*
 * lock.h - one run at a time for an output.
 *
 * A file beside the output says whose it is: host, process, job, since when. It is held by flock(), which
 * ends with its process; where a file system knows no such locks, by what it says.
 */
#ifndef PATCHSWEEP_LOCK_H
#define PATCHSWEEP_LOCK_H

#include "patchsweep/err.h"

typedef struct ps_lock ps_lock;

/*
 * Take the lock of `path`, which is the file `<path>.lock`.  A holder on this host is given
 * `patience` seconds to go (a killed mpirun's ranks take one), saying so; one that died is replaced,
 * saying so, and so is one of an earlier start of the same Slurm job, on whatever host (Slurm runs a job once at a
 * time); any other is PS_EINPUT, which names the holder and the remedy.
 */
int ps_lock_take(ps_lock **out, const char *path, double patience, ps_err *err);
/* Let go and remove the file; NULL is fine. */
void ps_lock_release(ps_lock *lock);

#endif
