/*
 * topology.h - the processors of a machine: sets of CPUs, and which CPUs form a core.
 *
 * Package-private.  A CPU is what the kernel calls one: a hardware thread.  The CPUs of a core share its arithmetic
 * units, so a core runs one thread of matrix products.
 */
#ifndef PATCHSWEEP_BASE_TOPOLOGY_H
#define PATCHSWEEP_BASE_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

#define PS_MAX_CPUS 8192
#define PS_TOPOLOGY "/sys/devices/system/cpu"

/* A set of CPUs, laid out as the kernel's affinity masks. */
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
bool ps_cpus_meet(const ps_cpus *a, const ps_cpus *b);  /* whether they have a CPU in common */

/* A CPU, and the core, memory node and package that it belongs to.  A core's number is that of its first CPU. */
typedef struct ps_cpu {
    int cpu, core, node, package;
} ps_cpu;

typedef struct ps_topology {
    ps_cpu *at; /* [n], sorted by package, memory node, core and CPU */
    size_t n;
} ps_topology;

/*
 * Look up `cpus` in the kernel's tree at `root` (PS_TOPOLOGY).  A CPU that is not in the tree counts as a core of its
 * own.  Fails only for lack of memory.  Release with ps_topology_release().
 */
int ps_topology_read(ps_topology *out, const char *root, const ps_cpus *cpus, ps_err *err);
void ps_topology_release(ps_topology *topology);

/* The number of cores that have a CPU in `cpus`. */
int ps_topology_cores(const ps_topology *topology, const ps_cpus *cpus);
/*
 * Divide the cores of `cpus` into n blocks of neighbours, as equal as possible, and set *share to the CPUs of block i.
 * With more blocks than cores, every block is all of `cpus`.
 */
void ps_topology_share(const ps_topology *topology, const ps_cpus *cpus, int i, int n, ps_cpus *share);
/*
 * Divide the cores of a node among its n ranks.  Rank i may use masks[i], and gets shares[i].  Ranks with equal masks
 * get equal blocks of it; any other rank keeps its mask.
 */
void ps_topology_deal(const ps_topology *topology, const ps_cpus *masks, int n, ps_cpus *shares);

#endif
