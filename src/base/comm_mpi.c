/*
 * comm_mpi.c - comm.h over MPI-3.  The only file that includes mpi.h.
 *
 * MPI's counts are ints, so long messages are sent in pieces of 2^30 bytes.
 */
#include "patchsweep/comm.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/log.h"
#include "patchsweep/mem.h"

#define PIECE ((size_t)1 << 30)

struct ps_comm {
    MPI_Comm mpi, node; /* all ranks, and those of this node */
    int rank, size, node_rank, node_size;
    char host[MPI_MAX_PROCESSOR_NAME + 1];
    char library[MPI_MAX_LIBRARY_VERSION_STRING + 1];
};

static long env_number(const char *name)
{
    const char *s = getenv(name);

    return s ? strtol(s, NULL, 10) : 0;
}

/* ---- Slurm steps whose tasks do not find each other ---- */

/* MPI libraries, recognised by how their description begins, and how to start several ranks of each under Slurm. */
static const struct library {
    const char *begins, *name, *remedy;
} libraries[] = {
    {"Open MPI", "Open MPI", "start it with 'srun --mpi=pmix' or with mpirun"},
    {"Intel", "Intel MPI", "set I_MPI_PMI_LIBRARY to Slurm's libpmi2.so and start it with 'srun --mpi=pmi2', or use mpirun"},
    {"MPI VERSION    : CRAY", "Cray MPI", "start it with 'srun --mpi=cray_shasta'"},
    {"MVAPICH", "MVAPICH", "start it with 'srun --mpi=pmi2' or with mpirun"},
    {"MPICH", "MPICH", "start it with 'srun --mpi=pmi2' or with mpiexec"},
    {"", "this MPI library", "start it with the 'srun --mpi=...' that it wants ('srun --mpi=list' names them)"},
};

/* Whether this is one of several tasks of a Slurm step, and no launcher of the MPI library said that there is one rank. */
static bool in_step_of_several(void)
{
    return env_number("SLURM_STEP_NUM_TASKS") > 1 && env_number("OMPI_COMM_WORLD_SIZE") != 1 && env_number("PMI_SIZE") != 1;
}

static int refuse_step(const char *description, ps_err *err)
{
    const struct library *library = libraries;

    while (strncmp(description, library->begins, strlen(library->begins)))
        library++;
    return ps_err_set(err, PS_EINPUT, "this Slurm step has %ld tasks, but %s sees each as a run of its own; %s",
                      env_number("SLURM_STEP_NUM_TASKS"), library->name, library->remedy);
}

/* Without a launcher's variables Open MPI would end the process in MPI_Init(), with a page of text. */
static int check_launcher(const char *library, ps_err *err)
{
    static const char *const variables[] = {"PMIX_RANK", "PMI_RANK", "OMPI_COMM_WORLD_SIZE"};

    if (strncmp(library, "Open MPI", 8) || !in_step_of_several())
        return 0;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (getenv(variables[i]))
            return 0;
    return refuse_step(library, err);
}

/* ---- opening ---- */

static int start_mpi(ps_comm *comm, ps_err *err)
{
    int n = 0, provided = MPI_THREAD_SINGLE, size = 0;

    MPI_Get_library_version(comm->library, &n);
    comm->library[strcspn(comm->library, ",\n")] = '\0';
    if (check_launcher(comm->library, err) < 0)
        return -1;
    /* Open MPI's hwloc would look for GPUs on ten X displays.  We need none, and the search is slow if names do not
     * resolve. */
    setenv("HWLOC_COMPONENTS", "-gl", 0);
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size == 1 && in_step_of_several())
        refuse_step(comm->library, err);
    else if (provided < MPI_THREAD_FUNNELED)
        ps_err_set(err, PS_EFAIL, "the MPI library (%.60s) was built without support for threads, MPI_THREAD_FUNNELED",
                   comm->library);
    if (!err->code)
        return 0;
    MPI_Finalize();
    return -1;
}

int ps_comm_open(ps_comm **out, ps_err *err)
{
    int n = 0;
    ps_comm *comm = ps_calloc(1, sizeof *comm, err);

    if (!comm)
        return -1;
    if (start_mpi(comm, err) < 0) {
        ps_free(comm);
        return -1;
    }
    MPI_Comm_dup(MPI_COMM_WORLD, &comm->mpi);
    MPI_Comm_rank(comm->mpi, &comm->rank);
    MPI_Comm_size(comm->mpi, &comm->size);
    MPI_Comm_split_type(comm->mpi, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &comm->node);
    MPI_Comm_rank(comm->node, &comm->node_rank);
    MPI_Comm_size(comm->node, &comm->node_size);
    MPI_Get_processor_name(comm->host, &n);
    *out = comm;
    return 0;
}

void ps_comm_close(ps_comm *comm)
{
    if (!comm)
        return;
    MPI_Comm_free(&comm->node);
    MPI_Comm_free(&comm->mpi);
    MPI_Finalize();
    ps_free(comm);
}

int ps_comm_rank(const ps_comm *comm)
{
    return comm->rank;
}

int ps_comm_size(const ps_comm *comm)
{
    return comm->size;
}

int ps_comm_node_rank(const ps_comm *comm)
{
    return comm->node_rank;
}

int ps_comm_node_size(const ps_comm *comm)
{
    return comm->node_size;
}

const char *ps_comm_host(const ps_comm *comm)
{
    return comm->host;
}

const char *ps_comm_library(const ps_comm *comm)
{
    return comm->library;
}

int ps_comm_agree(ps_comm *comm, ps_err *err)
{
    int mine = err->code ? comm->rank : comm->size, first;

    MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm->mpi);
    if (first == comm->size)
        return 0;
    if (first == comm->rank && first > 0) /* rank 0 did not fail: say which rank did */
        ps_err_prefix(err, "rank %d on %s", comm->rank, comm->host);
    MPI_Bcast(err, (int)sizeof *err, MPI_BYTE, first, comm->mpi);
    return -1;
}

void ps_comm_bcast(ps_comm *comm, void *buf, size_t bytes, int root)
{
    char *p = buf;

    for (; bytes > 0; p += PIECE) {
        size_t n = bytes < PIECE ? bytes : PIECE;
        MPI_Bcast(p, (int)n, MPI_BYTE, root, comm->mpi);
        bytes -= n;
    }
}

/* Allocate, or abort the job: after start-up a rank cannot fail alone, because the others would wait for it. */
static void *alloc_or_abort(ps_comm *comm, size_t bytes)
{
    ps_err err = PS_ERR_INIT;
    void *p = ps_malloc(bytes, 1, &err);

    if (!p) {
        ps_error("%s", err.text);
        ps_comm_abort(comm, err.code);
    }
    return p;
}

void ps_comm_bcast_block(ps_comm *comm, void **buf, size_t *bytes, int root)
{
    uint64_t n = *bytes;

    MPI_Bcast(&n, 1, MPI_UINT64_T, root, comm->mpi);
    if (comm->rank != root)
        *buf = alloc_or_abort(comm, n);
    *bytes = n;
    ps_comm_bcast(comm, *buf, n, root);
}

enum { TAG_GATHER = 1 };

static void send_all(ps_comm *comm, const void *buf, size_t bytes)
{
    const char *p = buf;

    for (; bytes > 0; p += PIECE) {
        size_t n = bytes < PIECE ? bytes : PIECE;
        MPI_Send(p, (int)n, MPI_BYTE, 0, TAG_GATHER, comm->mpi);
        bytes -= n;
    }
}

static void receive_all(ps_comm *comm, void *buf, size_t bytes, int from)
{
    char *p = buf;

    for (; bytes > 0; p += PIECE) {
        size_t n = bytes < PIECE ? bytes : PIECE;
        MPI_Recv(p, (int)n, MPI_BYTE, from, TAG_GATHER, comm->mpi, MPI_STATUS_IGNORE);
        bytes -= n;
    }
}

int ps_comm_gather(ps_comm *comm, const void *buf, size_t bytes, ps_comm_take take, void *context,
                   ps_err *err)
{
    uint64_t n = bytes;

    if (comm->rank != 0) {
        MPI_Send(&n, 1, MPI_UINT64_T, 0, TAG_GATHER, comm->mpi);
        send_all(comm, buf, bytes);
        return 0;
    }
    int rc = take(context, 0, buf, bytes, err);
    for (int from = 1; from < comm->size; from++) {
        MPI_Recv(&n, 1, MPI_UINT64_T, from, TAG_GATHER, comm->mpi, MPI_STATUS_IGNORE);
        void *block = alloc_or_abort(comm, n);
        receive_all(comm, block, n, from); /* even after a failure: the sender is waiting */
        if (!rc)
            rc = take(context, from, block, n, err);
        ps_free(block);
    }
    return rc;
}

void ps_comm_node_gather(ps_comm *comm, const void *mine, void *all, size_t bytes)
{
    MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, comm->node);
}

double ps_comm_min(ps_comm *comm, double x)
{
    double least;

    MPI_Allreduce(&x, &least, 1, MPI_DOUBLE, MPI_MIN, comm->mpi);
    return least;
}

void ps_comm_node_sum(ps_comm *comm, uint64_t *values, size_t n)
{
    MPI_Allreduce(MPI_IN_PLACE, values, (int)n, MPI_UINT64_T, MPI_SUM, comm->node);
}

void ps_comm_abort(ps_comm *comm, int code)
{
    fflush(NULL);
    MPI_Abort(comm ? comm->mpi : MPI_COMM_WORLD, code);
    exit(code);
}
