/*
 * topology.h - the processors of a machine: sets of CPUs, and which of them are one core.
 *
 * Package-private.  A CPU is what the kernel counts (a hardware thread); the CPUs of a core share its arithmetic units,
 * so that a core is worth one thread of matrix products.
 */
#ifndef PATCHSWEEP_BASE_TOPOLOGY_H
#define PATCHSWEEP_BASE_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

#define PS_MAX_CPUS 8192
#define PS_TOPOLOGY "/sys/devices/system/cpu"

/* A set of CPUs, as the kernel's affinity masks are. */
typedef struct ps_cpus {
    uint64_t bits[PS_MAX_CPUS / 64];
} ps_cpus;

static inline void ps_cpus_add(ps_cpus *set, int cpu)
{
    set->bits[cpu / 64] |= (uint64_t)1 << cpu % 64;
}

static inline bool ps_cpus_has(const ps_cpus *set, int cpu)
{
    return set->bits[cpu / 64] >> cpu % 64 & 1;
}

int ps_cpus_count(const ps_cpus *set);
bool ps_cpus_equal(const ps_cpus *a, const ps_cpus *b);
void ps_cpus_merge(ps_cpus *set, const ps_cpus *other); /* set = set or other */
bool ps_cpus_meet(const ps_cpus *a, const ps_cpus *b);  /* do they have a CPU in common? */

/* Where a CPU is: the core is named by its first CPU. */
typedef struct ps_place {
    int cpu, core, node, package;
} ps_place;

typedef struct ps_topology {
    ps_place *at; /* [n], sorted by package, memory node, core and CPU */
    size_t n;
} ps_topology;

/*
 * Read the places of `cpus` from the kernel's tree at `root` (PS_TOPOLOGY).  A CPU of which the tree does
 * not speak is a core of its own.  Fails for want of memory alone.  Release with ps_topology_release().
 */
int ps_topology_read(ps_topology *out, const char *root, const ps_cpus *cpus, ps_err *err);
void ps_topology_release(ps_topology *topology);

/* The number of cores that have a CPU in `cpus`. */
int ps_topology_cores(const ps_topology *topology, const ps_cpus *cpus);
/*
 * Cut the cores of `cpus` into n blocks of neighbours, as equal as can be, and set *share to the CPUs of block i.  With
 * more blocks than cores, every block is all of `cpus`.
 */
void ps_topology_share(const ps_topology *topology, const ps_cpus *cpus, int i, int n, ps_cpus *share);
/*
 * Deal the cores of a node to its n ranks, of which rank i may use masks[i]: ranks with equal masks get equal blocks of
 * them, any other rank keeps its own.  `shares` is [n] too.
 */
void ps_topology_deal(const ps_topology *topology, const ps_cpus *masks, int n, ps_cpus *shares);

#endif
