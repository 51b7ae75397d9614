/* topology.c - the kernel's tree of CPUs, sorted so that neighbours are adjacent. */
#include "topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/mem.h"

/* ---- sets ---- */

int ps_cpus_count(const ps_cpus *set)
{
    int n = 0;

    for (size_t i = 0; i < sizeof set->bits / sizeof *set->bits; i++)
        n += __builtin_popcountll(set->bits[i]);
    return n;
}

bool ps_cpus_equal(const ps_cpus *a, const ps_cpus *b)
{
    return !memcmp(a, b, sizeof *a);
}

void ps_cpus_merge(ps_cpus *set, const ps_cpus *other)
{
    for (size_t i = 0; i < sizeof set->bits / sizeof *set->bits; i++)
        set->bits[i] |= other->bits[i];
}

bool ps_cpus_meet(const ps_cpus *a, const ps_cpus *b)
{
    uint64_t both = 0;

    for (size_t i = 0; i < sizeof a->bits / sizeof *a->bits; i++)
        both |= a->bits[i] & b->bits[i];
    return both != 0;
}

/* ---- the tree ---- */

/* The number that a file of a CPU begins with ("3", or a list: "3,67", "3-4"); `otherwise` if there is none. */
static int first_number(const char *root, int cpu, const char *name, int otherwise)
{
    char path[512];
    int number;

    snprintf(path, sizeof path, "%s/cpu%d/topology/%s", root, cpu, name);
    FILE *f = fopen(path, "r");
    if (!f)
        return otherwise;
    if (fscanf(f, "%d", &number) != 1 || number < 0)
        number = otherwise;
    fclose(f);
    return number;
}

/* Mark the CPUs of one memory node.  Its list of CPUs ("0-15,32-47") is in root/../node/node0/cpulist. */
static void add_node(ps_topology *t, const char *root, int node)
{
    char path[512];
    int first, last, next = ',';

    snprintf(path, sizeof path, "%s/../node/node%d/cpulist", root, node);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    while (next == ',' && fscanf(f, "%d", &first) == 1) {
        last = first;
        next = fgetc(f);
        if (next == '-' && fscanf(f, "%d", &last) == 1)
            next = fgetc(f);
        for (size_t i = 0; i < t->n; i++)
            if (t->at[i].cpu >= first && t->at[i].cpu <= last)
                t->at[i].node = node;
    }
    fclose(f);
}

static int compare(const void *a, const void *b)
{
    const ps_cpu *p = a, *q = b; /* by package, node, core, CPU */

    if (p->package != q->package)
        return p->package < q->package ? -1 : 1;
    if (p->node != q->node)
        return p->node < q->node ? -1 : 1;
    if (p->core != q->core)
        return p->core < q->core ? -1 : 1;
    return p->cpu < q->cpu ? -1 : 1;
}

int ps_topology_read(ps_topology *out, const char *root, const ps_cpus *cpus, ps_err *err)
{
    enum { MAX_NODES = 256 };
    ps_topology t = {ps_malloc((size_t)ps_cpus_count(cpus), sizeof *t.at, err), 0};

    if (!t.at)
        return -1;
    for (int cpu = 0; cpu < PS_MAX_CPUS; cpu++)
        if (ps_cpus_has(cpus, cpu))
            t.at[t.n++] = (ps_cpu){cpu, first_number(root, cpu, "thread_siblings_list", cpu), 0,
                                     first_number(root, cpu, "physical_package_id", 0)};
    for (int node = 0; node < MAX_NODES; node++)
        add_node(&t, root, node);
    qsort(t.at, t.n, sizeof *t.at, compare);
    *out = t;
    return 0;
}

void ps_topology_release(ps_topology *topology)
{
    ps_free(topology->at);
    *topology = (ps_topology){NULL, 0};
}

/* ---- cores ---- */

int ps_topology_cores(const ps_topology *t, const ps_cpus *cpus)
{
    int n = 0, last = -1;

    for (size_t i = 0; i < t->n; i++)
        if (ps_cpus_has(cpus, t->at[i].cpu) && t->at[i].core != last) {
            last = t->at[i].core;
            n++;
        }
    return n;
}

void ps_topology_share(const ps_topology *t, const ps_cpus *cpus, int i, int n, ps_cpus *share)
{
    int cores = ps_topology_cores(t, cpus), at = -1, last = -1;
    int first = (int)((long)cores * i / n), end = (int)((long)cores * (i + 1) / n);

    if (n > cores) {
        *share = *cpus;
        return;
    }
    memset(share, 0, sizeof *share);
    for (size_t k = 0; k < t->n; k++) {
        if (!ps_cpus_has(cpus, t->at[k].cpu))
            continue;
        at += t->at[k].core != last;
        last = t->at[k].core;
        if (at >= first && at < end)
            ps_cpus_add(share, t->at[k].cpu);
    }
}

void ps_topology_deal(const ps_topology *t, const ps_cpus *masks, int n, ps_cpus *shares)
{
    for (int i = 0; i < n; i++) {
        int before = 0, equal = 0;
        for (int k = 0; k < n; k++)
            if (ps_cpus_equal(&masks[k], &masks[i])) {
                equal++;
                before += k < i;
            }
        ps_topology_share(t, &masks[i], before, equal, &shares[i]);
    }
}
