/*
 * cores.h - divide the cores of a node among its ranks.
 *
 * A rank uses the cores that it was bound to on purpose (by an option of mpirun, srun, taskset or numactl).  A binding
 * that Open MPI's launcher chose by default is undone.  Ranks that may use the same cores divide them into equal
 * blocks of neighbouring whole cores.  A rank runs one thread per core, or fewer if OMP_NUM_THREADS says so.
 */
#ifndef PATCHSWEEP_CORES_H
#define PATCHSWEEP_CORES_H

#include <stdbool.h>

#include "patchsweep/comm.h"
#include "patchsweep/err.h"

enum { PS_CORES_ADVICE = 5 };

typedef struct ps_cores {
    int cores;   /* cores that this rank may use */
    int threads; /* threads that it runs: at least 1, at most `cores` */
    char text[200]; /* on rank 0: "2 ranks on 1 node, 32 cores and 32 threads each" */
    char advice[PS_CORES_ADVICE][400]; /* on rank 0: lines on cores that are idle or shared, with the remedy; "": none */
} ps_cores;

/*
 * Collective; comm is NULL in a process without MPI.  Take this rank's share of its node's cores, and bind the process
 * to it.  Call it before the first parallel region, and give the backend out->threads threads.  Fails only for lack of
 * memory, and then on all ranks.
 */
int ps_cores_take(ps_cores *out, ps_comm *comm, ps_err *err);

/* ---- the parts, for tests ---- */

/* What each rank tells rank 0. */
typedef struct ps_cores_report {
    char host[64];
    int node_rank, cores, threads;
    int wanted;     /* OMP_NUM_THREADS; 0: not set */
    int node_ranks; /* ranks on its node */
    int node_cores; /* cores of its node that the job may use */
    int used_cores; /* cores of its node that at least one rank may use */
    bool shared;    /* another rank may use one of this rank's cores */
} ps_cores_report;

/* OMP_NUM_THREADS as a number; of a list, the first.  0 if it is NULL or not a number above 0. */
int ps_cores_wanted(const char *omp_num_threads);
/* Fill in out->text and out->advice from the reports of n ranks. */
void ps_cores_describe(ps_cores *out, const ps_cores_report *reports, int n);

#endif
