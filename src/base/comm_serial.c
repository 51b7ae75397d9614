/* comm_serial.c - comm.h for one rank.  `make MPI=0` compiles it instead of comm_mpi.c. */
#include "patchsweep/comm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "patchsweep/mem.h"

struct ps_comm {
    char host[256];
};

int ps_comm_open(ps_comm **out, ps_err *err)
{
    ps_comm *comm = ps_calloc(1, sizeof *comm, err);

    if (!comm)
        return -1;
    gethostname(comm->host, sizeof comm->host - 1);
    *out = comm;
    return 0;
}

void ps_comm_close(ps_comm *comm)
{
    ps_free(comm);
}

int ps_comm_rank(const ps_comm *comm)
{
    (void)comm;
    return 0;
}

int ps_comm_size(const ps_comm *comm)
{
    (void)comm;
    return 1;
}

int ps_comm_node_rank(const ps_comm *comm)
{
    (void)comm;
    return 0;
}

int ps_comm_node_size(const ps_comm *comm)
{
    (void)comm;
    return 1;
}

const char *ps_comm_host(const ps_comm *comm)
{
    return comm->host;
}

const char *ps_comm_library(const ps_comm *comm)
{
    (void)comm;
    return "none";
}

int ps_comm_agree(ps_comm *comm, ps_err *err)
{
    (void)comm;
    return err->code ? -1 : 0;
}

void ps_comm_bcast(ps_comm *comm, void *buf, size_t bytes, int root)
{
    (void)comm, (void)buf, (void)bytes, (void)root;
}

void ps_comm_bcast_block(ps_comm *comm, void **buf, size_t *bytes, int root)
{
    (void)comm, (void)buf, (void)bytes, (void)root;
}

int ps_comm_gather(ps_comm *comm, const void *buf, size_t bytes, ps_comm_take take, void *context,
                   ps_err *err)
{
    (void)comm;
    return take(context, 0, buf, bytes, err);
}

void ps_comm_node_gather(ps_comm *comm, const void *mine, void *all, size_t bytes)
{
    (void)comm;
    memcpy(all, mine, bytes);
}

double ps_comm_min(ps_comm *comm, double x)
{
    (void)comm;
    return x;
}

void ps_comm_node_sum(ps_comm *comm, uint64_t *values, size_t n)
{
    (void)comm, (void)values, (void)n;
}

void ps_comm_abort(ps_comm *comm, int code)
{
    (void)comm;
    exit(code);
}
