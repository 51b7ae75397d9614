/*
 * cores.h - the cores of a node, shared out among its ranks.
 *
 * A rank uses the cores that it was bound to on purpose (an option of mpirun, srun, taskset, numactl).  A binding that Open
 * MPI's launcher chose by default is undone.  Ranks of a node that may use the same cores get equal blocks of
 * them, whole cores that are neighbours.  A rank has one thread a core, or fewer where OMP_NUM_THREADS says so.
 */
#ifndef PATCHSWEEP_CORES_H
#define PATCHSWEEP_CORES_H

#include <stdbool.h>

#include "patchsweep/comm.h"
#include "patchsweep/err.h"

enum { PS_CORES_ADVICE = 5 };

typedef struct ps_cores {
    int cores;   /* that this rank may use */
    int threads; /* that it uses: at least 1, at most `cores` */
    /* Rank 0: "2 ranks on 1 node, 32 cores and 32 threads each", and what to do where cores are idle or shared, a
     * line each; "" where there is nothing to say. */
    char text[200], advice[PS_CORES_ADVICE][400];
} ps_cores;

/*
 * Collective; comm NULL for a process alone.  Take this rank's share of its node's cores, and bind the process to it.  To
 * be called before the first parallel region; the backend is to have out->threads threads.  Fails, on all ranks, for want of
 * memory alone.
 */
int ps_cores_take(ps_cores *out, ps_comm *comm, ps_err *err);

/* ---- the parts, for tests ---- */

/* What a rank has to tell rank 0. */
typedef struct ps_cores_report {
    char host[64];
    int node_rank, cores, threads;
    int wanted;  /* OMP_NUM_THREADS; 0: not set */
    int node_ranks, node_cores, used_cores; /* of its node: ranks, cores of the job, cores that some rank may use */
    bool shared; /* another rank may use one of this rank's cores */
} ps_cores_report;

/* OMP_NUM_THREADS as a number: 0 where it is NULL or no number above 0; of a list, the first. */
int ps_cores_wanted(const char *omp_num_threads);
/* out->text and out->advice of n ranks. */
void ps_cores_describe(ps_cores *out, const ps_cores_report *reports, int n);

#endif
