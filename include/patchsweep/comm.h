/*
 * comm.h - the ranks of a run, and the few ways in which they communicate.
 *
 * The only interface to MPI (src/base/comm_mpi.c); comm_serial.c implements it for
 * one rank without MPI.  `rank` and `size` mean MPI's and nothing else.  Every
 * call marked Collective must be made by all ranks in the same order, from one
 * thread.  A failure of MPI itself aborts the job.
 */
#ifndef PATCHSWEEP_COMM_H
#define PATCHSWEEP_COMM_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

typedef struct ps_comm ps_comm;

/*
 * Start MPI.  Collective.  PS_EINPUT if the tasks of a Slurm step do not find each other and each becomes a world of
 * one rank: they would all write one file.  The message names the remedy for this MPI library.  PS_EFAIL if the MPI
 * library was built without support for threads, which OpenMP needs.
 */
int ps_comm_open(ps_comm **out, ps_err *err);
void ps_comm_close(ps_comm *comm); /* Collective */
int ps_comm_rank(const ps_comm *comm);
int ps_comm_size(const ps_comm *comm);
int ps_comm_node_rank(const ps_comm *comm); /* 0..node_size-1, in the order of the ranks on this node */
int ps_comm_node_size(const ps_comm *comm); /* the number of ranks on this node */
const char *ps_comm_host(const ps_comm *comm);    /* borrowed */
const char *ps_comm_library(const ps_comm *comm); /* "Open MPI v4.1.4 ..."; borrowed */

/*
 * Collective.  Tell all ranks of a failure on one.  If *err is set on any rank, copy the lowest such rank's error to
 * all ranks and return -1; otherwise return 0.  An error of another rank than 0 is prefixed with the rank and its host.
 * Call it unconditionally, between phases: a rank that skips the call leaves the others waiting.
 */
int ps_comm_agree(ps_comm *comm, ps_err *err);

/* Collective.  `bytes` may exceed 2^31. */
void ps_comm_bcast(ps_comm *comm, void *buf, size_t bytes, int root);
/*
 * Collective.  As ps_comm_bcast for a block whose size only the root knows: on other
 * ranks *buf becomes a new block (owned by the caller).  A rank without memory for
 * it aborts the job.
 */
void ps_comm_bcast_block(ps_comm *comm, void **buf, size_t *bytes, int root);
/*
 * Collective.  Send `bytes` of `buf` to rank 0, which calls `take` with each rank's block, in rank order and beginning
 * with its own.  A block is valid during the call.  After take fails, it is not called again.  Returns on rank 0 what
 * take returned, and 0 on other ranks.
 */
typedef int (*ps_comm_take)(void *context, int rank, const void *block, size_t bytes, ps_err *err);
int ps_comm_gather(ps_comm *comm, const void *buf, size_t bytes, ps_comm_take take, void *context,
                   ps_err *err);
/*
 * Collective.  Gather `bytes` of `mine` from each rank on this node into `all` [node_size, bytes] on each of them, by
 * node rank.  node_size * bytes must be below 2^31.
 */
void ps_comm_node_gather(ps_comm *comm, const void *mine, void *all, size_t bytes);
double ps_comm_min(ps_comm *comm, double x); /* Collective.  The smallest x of all ranks. */
/* Collective.  Replace each of values[n] by its sum over the ranks on this node. */
void ps_comm_node_sum(ps_comm *comm, uint64_t *values, size_t n);

/* End all ranks with exit status `code`.  Print the error's line first.  For failures after start-up. */
void ps_comm_abort(ps_comm *comm, int code) __attribute__((noreturn));

#endif
