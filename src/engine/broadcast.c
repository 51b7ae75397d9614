/* broadcast.c - a broadcast from store to store, through host memory. */
#include "broadcast.h"

/* Send one piece that fits into the mirror. */
static void send(ps_comm *comm, const ps_mirror *mirror, float *store, size_t n)
{
    float *host = ps_comm_rank(comm) == 0 ? ps_mirror_get(mirror, store, 0, n) : ps_mirror_at(mirror, store, 0);

    ps_comm_bcast(comm, host, n * sizeof *host, 0);
    if (ps_comm_rank(comm) != 0)
        ps_mirror_put(mirror, store, 0, n);
}

void ps_broadcast(ps_comm *comm, const ps_mirror *mirror, float *store, size_t n)
{
    size_t most = mirror->backend->ops.in_host ? n : PS_BROADCAST_FLOATS;

    if (ps_comm_size(comm) == 1)
        return;
    for (size_t at = 0, some; at < n; at += some) {
        some = n - at < most ? n - at : most;
        send(comm, mirror, store + at, some);
    }
}
