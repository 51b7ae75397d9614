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
 * Start MPI.  Collective.  PS_EINPUT where a Slurm step of several tasks comes up as so many worlds of one rank, which would
 * all write one file: the message names the remedy for the MPI library at hand.  PS_EFAIL where MPI cannot live beside
 * OpenMP's threads.
 */
int ps_comm_open(ps_comm **out, ps_err *err);
void ps_comm_close(ps_comm *comm); /* Collective */
int ps_comm_rank(const ps_comm *comm);
int ps_comm_size(const ps_comm *comm);
int ps_comm_node_rank(const ps_comm *comm); /* among the ranks on this node, in their order */
int ps_comm_node_size(const ps_comm *comm); /* ranks on this node */
const char *ps_comm_host(const ps_comm *comm);    /* borrowed */
const char *ps_comm_library(const ps_comm *comm); /* "Open MPI v4.1.4 ..."; borrowed */

/*
 * Collective.  Make a local failure everyone's: if *err is set on any rank, the
 * lowest such rank's error is copied to all of them and -1 returned; 0 otherwise.  Unless it is
 * rank 0's, the rank and its host are put in front.
 * Stands alone between phases, never behind a test that one rank may fail.
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
 * Collective.  Send `bytes` of `buf` to rank 0, where `take` is called once per rank, in
 * rank order (rank 0's own too), with a block that lives for the call.  What take returns
 * is rank 0's result; elsewhere 0.
 */
typedef int (*ps_comm_take)(void *context, int rank, const void *block, size_t bytes, ps_err *err);
int ps_comm_gather(ps_comm *comm, const void *buf, size_t bytes, ps_comm_take take, void *context,
                   ps_err *err);
/*
 * Collective.  Gather `bytes` of `mine` from each rank on this node: `all` [node_size][bytes], by node rank, on each of
 * them.  For small things: node_size * bytes stays below 2^31.
 */
void ps_comm_node_gather(ps_comm *comm, const void *mine, void *all, size_t bytes);
double ps_comm_min(ps_comm *comm, double x); /* Collective */
/* Collective.  Each of values[n] becomes the sum over the ranks of this rank's node. */
void ps_comm_node_sum(ps_comm *comm, uint64_t *values, size_t n);

/* End all ranks with `code`.  For a failure past start-up, after its line was printed. */
void ps_comm_abort(ps_comm *comm, int code) __attribute__((noreturn));

#endif
