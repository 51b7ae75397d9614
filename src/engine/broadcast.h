/*
 * broadcast.h - send floats of a store on rank 0 to the same store of every other rank.
 *
 * Package-private.
 */
#ifndef PATCHSWEEP_ENGINE_BROADCAST_H
#define PATCHSWEEP_ENGINE_BROADCAST_H

#include <stddef.h>

#include "patchsweep/comm.h"
#include "patchsweep/store.h"

/* The mirror that ps_broadcast() uses must have room for so many floats. */
#define PS_BROADCAST_FLOATS ((size_t)1 << 18)

/* Collective.  Send n floats of `store`: in place if it lies in host memory, else in pieces through the mirror. */
void ps_broadcast(ps_comm *comm, const ps_mirror *mirror, float *store, size_t n);

#endif
