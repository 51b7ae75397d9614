/* cores.c - give each rank its cores, and describe the result. */
#include "patchsweep/cores.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binding.h"
#include "patchsweep/mem.h"
#include "topology.h"

int ps_cores_wanted(const char *omp_num_threads)
{
    long n = omp_num_threads ? strtol(omp_num_threads, NULL, 10) : 0;

    return n < 0 ? 0 : n > INT_MAX ? INT_MAX : (int)n;
}

/* ---- describing ---- */

/* "3 cores", "1 core", "2-3 cores" */
static const char *count(char text[40], int least, int most, const char *noun)
{
    if (least == most)
        snprintf(text, 40, "%d %s%s", least, noun, least == 1 ? "" : "s");
    else
        snprintf(text, 40, "%d-%d %ss", least, most, noun);
    return text;
}

/*
 * One line of advice on a rank, whose host is described by `where`.  Returns whether the advice applies, and writes the
 * line to out[bytes], which may be NULL, 0.
 */
typedef bool advisor(const ps_cores_report *r, const char *where, char *out, size_t bytes);

/* How many cores of its own each rank of the node could have. */
static int fair_share(const ps_cores_report *r)
{
    return r->node_cores > r->node_ranks ? r->node_cores / r->node_ranks : 1;
}

static bool more_ranks_than_cores(const ps_cores_report *r, const char *where, char *out, size_t bytes)
{
    char cores[40];

    snprintf(out, bytes, "%d ranks share the %s of %s and wait for each other; start at most %d a node", r->node_ranks,
             count(cores, r->node_cores, r->node_cores, "core"), where, r->node_cores);
    return r->shared && r->node_ranks > r->node_cores;
}

static bool bound_to_the_same(const ps_cores_report *r, const char *where, char *out, size_t bytes)
{
    snprintf(out, bytes, "ranks on %s are bound to the same cores; start them without a binding, or bind each to %d of its own "
             "(mpirun --map-by slot:PE=%d, srun --cpus-per-task)", where, fair_share(r), fair_share(r));
    return r->shared && r->node_ranks <= r->node_cores;
}

static bool idle_cores(const ps_cores_report *r, const char *where, char *out, size_t bytes)
{
    int idle = r->node_cores - r->used_cores;
    char cores[40];

    snprintf(out, bytes, "%s of %d idle on %s, because the ranks are bound to the others; start without a binding (no "
             "--bind-to, no taskset), or with %d a rank (mpirun --map-by slot:PE=%d, srun --cpus-per-task)",
             count(cores, idle, idle, "core"), r->node_cores, where, fair_share(r), fair_share(r));
    return idle > 0;
}

static bool too_many_threads(const ps_cores_report *r, const char *where, char *out, size_t bytes)
{
    char cores[40];

    snprintf(out, bytes, "OMP_NUM_THREADS=%d is more than the %s of a rank on %s; unset it, or set it to %d", r->wanted,
             count(cores, r->cores, r->cores, "core"), where, r->cores);
    return r->wanted > r->cores;
}

static bool too_few_threads(const ps_cores_report *r, const char *where, char *out, size_t bytes)
{
    snprintf(out, bytes, "OMP_NUM_THREADS=%d leaves %d of the %d cores of a rank on %s idle; unset it to use them all",
             r->wanted, r->cores - r->wanted, r->cores, where);
    return r->wanted && r->wanted < r->cores && !r->shared;
}

/* Write one line of advice on the first rank that it applies to; "" if it applies to none. */
static void advise(char *out, size_t bytes, advisor *say, const ps_cores_report *reports, int n)
{
    const ps_cores_report *first = NULL;
    bool elsewhere = false;
    char where[128];

    for (const ps_cores_report *r = reports; r < reports + n; r++) {
        if (!say(r, "", NULL, 0))
            continue;
        first = first ? first : r;
        elsewhere = elsewhere || strcmp(r->host, first->host);
    }
    out[0] = '\0';
    if (!first)
        return;
    snprintf(where, sizeof where, "%s%s", first->host, elsewhere ? " (and other nodes)" : "");
    say(first, where, out, bytes);
}

static void widen(int range[2], int n)
{
    range[0] = n < range[0] ? n : range[0];
    range[1] = n > range[1] ? n : range[1];
}

void ps_cores_describe(ps_cores *out, const ps_cores_report *reports, int n)
{
    static advisor *const advisors[PS_CORES_ADVICE] = {more_ranks_than_cores, bound_to_the_same, idle_cores,
                                                       too_many_threads, too_few_threads};
    int nodes = 0, cores[2] = {INT_MAX, 0}, threads[2] = {INT_MAX, 0};
    char text[4][40];

    for (const ps_cores_report *r = reports; r < reports + n; r++) {
        nodes += r->node_rank == 0;
        widen(cores, r->cores);
        widen(threads, r->threads);
    }
    snprintf(out->text, sizeof out->text, "%s on %s, %s and %s%s", count(text[0], n, n, "rank"),
             count(text[1], nodes, nodes, "node"), count(text[2], cores[0], cores[1], "core"),
             count(text[3], threads[0], threads[1], "thread"), n > 1 ? " each" : "");
    for (int i = 0; i < PS_CORES_ADVICE; i++)
        advise(out->advice[i], sizeof *out->advice, advisors[i], reports, n);
}

/* ---- taking a share ---- */

/* What the ranks of a node know of each other. */
typedef struct node {
    int n, me;               /* the number of ranks, and this one's node rank */
    ps_cpus job;             /* what the job may use */
    ps_cpus *masks, *shares; /* [n]: what each rank may use, and what it gets */
} node;

/* The number of CPUs of this node that Slurm gave the job, whether it enforces this or not; INT_MAX without Slurm. */
static int slurm_cpus(void)
{
    const char *given = getenv("SLURM_CPUS_ON_NODE");

    if (!given)
        given = getenv("SLURM_JOB_CPUS_PER_NODE"); /* all that salloc sets: "16(x2),8", first node first */
    return given && atoi(given) > 0 ? atoi(given) : INT_MAX;
}

/* How many of the cores of `all` the job may use; at least `used`, which its ranks use already. */
static int cores_of_job(const ps_topology *topology, const ps_cpus *all, int used)
{
    int cores = ps_topology_cores(topology, all), cpus = ps_cpus_count(all);

    if (slurm_cpus() < cpus)
        cores = (int)(((long)cores * slurm_cpus() + cpus - 1) / cpus);
    return cores > used ? cores : used;
}

static int report_on(ps_cores_report *report, const node *nd, ps_err *err)
{
    const ps_cpus *mine = &nd->shares[nd->me];
    ps_cpus used = *mine, all = nd->job;
    ps_topology topology;
    bool crowded = false; /* another rank has the same share: there are more ranks than cores */

    for (int i = 0; i < nd->n; i++) {
        report->shared = report->shared || (i != nd->me && ps_cpus_meet(&nd->shares[i], mine));
        crowded = crowded || (i != nd->me && ps_cpus_equal(&nd->shares[i], mine));
        ps_cpus_merge(&used, &nd->shares[i]);
    }
    ps_cpus_merge(&all, &used);
    if (ps_topology_read(&topology, PS_TOPOLOGY, &all, err) < 0)
        return -1;
    report->node_rank = nd->me;
    report->node_ranks = nd->n;
    report->cores = ps_topology_cores(&topology, mine);
    report->used_cores = ps_topology_cores(&topology, &used);
    report->node_cores = cores_of_job(&topology, &all, report->used_cores);
    report->wanted = ps_cores_wanted(getenv("OMP_NUM_THREADS"));
    report->threads = report->wanted && report->wanted < report->cores ? report->wanted : report->cores;
    if (crowded)
        report->threads = 1;
    ps_topology_release(&topology);
    return 0;
}

/* Fill nd->shares from nd->masks. */
static int deal(const node *nd, ps_err *err)
{
    ps_topology topology;
    ps_cpus all = nd->job;

    for (int i = 0; i < nd->n; i++)
        ps_cpus_merge(&all, &nd->masks[i]);
    if (ps_topology_read(&topology, PS_TOPOLOGY, &all, err) < 0)
        return -1;
    ps_topology_deal(&topology, nd->masks, nd->n, nd->shares);
    ps_topology_release(&topology);
    return 0;
}

/* Collective.  Take this rank's share, and report what it has now. */
static int take_share(ps_cores_report *report, ps_comm *comm, ps_err *err)
{
    ps_binding binding;
    node nd = {.n = comm ? ps_comm_node_size(comm) : 1, .me = comm ? ps_comm_node_rank(comm) : 0};

    ps_binding_read(&binding);
    if (comm) /* only ranks on the first node can read mpirun's command line */
        binding.asked = ps_comm_min(comm, binding.asked ? -1 : 0) < 0;
    bool confined = slurm_cpus() >= ps_cpus_count(&binding.job); /* if not, some cores may be another job's */
    const ps_cpus *mine = binding.by_openmpi && !binding.asked && confined ? &binding.job : &binding.given;
    nd.job = binding.job;
    nd.masks = ps_calloc((size_t)nd.n, sizeof *nd.masks, err);
    nd.shares = ps_calloc((size_t)nd.n, sizeof *nd.shares, err);
    if (comm && ps_comm_agree(comm, err) == 0)
        ps_comm_node_gather(comm, mine, nd.masks, sizeof *mine);
    else if (!err->code)
        nd.masks[0] = *mine;
    int rc = !err->code && deal(&nd, err) == 0 ? report_on(report, &nd, err) : -1;
    if (rc == 0 && !ps_cpus_equal(&nd.shares[nd.me], &binding.given))
        ps_binding_set(&nd.shares[nd.me], report->threads);
    ps_free(nd.masks);
    ps_free(nd.shares);
    return rc;
}

static int collect(void *context, int rank, const void *block, size_t bytes, ps_err *err)
{
    ps_cores_report *reports = context;

    (void)err;
    memcpy(&reports[rank], block, bytes);
    return 0;
}

int ps_cores_take(ps_cores *out, ps_comm *comm, ps_err *err)
{
    ps_cores_report mine = {.host = "this node"}, *reports = NULL;
    int n = comm ? ps_comm_size(comm) : 1;

    memset(out, 0, sizeof *out);
    take_share(&mine, comm, err);
    if (!err->code)
        reports = ps_calloc((size_t)n, sizeof *reports, err);
    if (comm ? ps_comm_agree(comm, err) < 0 : err->code != 0) {
        ps_free(reports);
        return -1;
    }
    if (comm) {
        snprintf(mine.host, sizeof mine.host, "%s", ps_comm_host(comm));
        ps_comm_gather(comm, &mine, sizeof mine, collect, reports, err);
    } else
        reports[0] = mine;
    if (!comm || ps_comm_rank(comm) == 0)
        ps_cores_describe(out, reports, n);
    ps_free(reports);
    out->cores = mine.cores;
    out->threads = mine.threads;
    return 0;
}
