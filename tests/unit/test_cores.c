/*
 * test_cores.c - cores dealt to the ranks of made-up machines: trees of /sys as the kernel writes them, in a folder.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/base/binding.h"
#include "../../src/base/topology.h"
#include "../check.h"
#include "patchsweep/cores.h"

static char folder[] = "/tmp/patchsweep-cores-XXXXXX";
static char root[64];

/* ---- machines ---- */

static void write_line(const char *path, const char *line)
{
    FILE *f = fopen(path, "w");

    if (!f || fprintf(f, "%s\n", line) < 0)
        abort();
    fclose(f);
}

/* A machine of so many packages, nodes in each, cores in each, and CPUs of a core: CPU c + n_cores is a sibling of c. */
static void make_machine(int packages, int nodes, int cores, int siblings)
{
    int per_package = nodes * cores, n_cores = packages * per_package;
    char path[256], line[64];

    snprintf(path, sizeof path, "rm -rf %s/cpu %s/node && mkdir -p %s/cpu %s/node", folder, folder, folder, folder);
    if (system(path))
        abort();
    for (int cpu = 0; cpu < n_cores * siblings; cpu++) {
        int core = cpu % n_cores;
        snprintf(path, sizeof path, "%s/cpu%d", root, cpu);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/cpu%d/topology", root, cpu);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/cpu%d/topology/physical_package_id", root, cpu);
        snprintf(line, sizeof line, "%d", core / per_package);
        write_line(path, line);
        snprintf(path, sizeof path, "%s/cpu%d/topology/thread_siblings_list", root, cpu);
        if (siblings == 2)
            snprintf(line, sizeof line, "%d,%d", core, core + n_cores);
        else
            snprintf(line, sizeof line, "%d", core);
        write_line(path, line);
    }
    for (int node = 0; node < packages * nodes; node++) {
        snprintf(path, sizeof path, "%s/node/node%d", folder, node);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/node/node%d/cpulist", folder, node);
        int first = node * cores;
        if (siblings == 2)
            snprintf(line, sizeof line, "%d-%d,%d-%d", first, first + cores - 1, first + n_cores, first + n_cores + cores - 1);
        else
            snprintf(line, sizeof line, "%d-%d", first, first + cores - 1);
        write_line(path, line);
    }
}

static ps_cpus range(int first, int last)
{
    ps_cpus cpus = {{0}};

    for (int cpu = first; cpu <= last; cpu++)
        ps_cpus_add(&cpus, cpu);
    return cpus;
}

static ps_topology topology_of(ps_cpus cpus)
{
    ps_err err = PS_ERR_INIT;
    ps_topology t = {NULL, 0};

    CHECK(ps_topology_read(&t, root, &cpus, &err) == 0);
    return t;
}

static bool is_range(const ps_cpus *cpus, int first, int last)
{
    ps_cpus wanted = range(first, last);

    return ps_cpus_equal(cpus, &wanted);
}

/* ---- dealing ---- */

/* Two packages of 32 cores, two CPUs each: whole cores, siblings together, a package a rank. */
static void siblings_stay_together(void)
{
    ps_cpus all = range(0, 127), shares[4], masks[4] = {all, all, all, all};
    make_machine(2, 1, 32, 2);
    ps_topology t = topology_of(all);

    CHECK_INT(ps_topology_cores(&t, &all), 64);
    ps_topology_deal(&t, masks, 2, shares);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(ps_topology_cores(&t, &shares[i]), 32);
        CHECK_INT(ps_cpus_count(&shares[i]), 64);
        for (int cpu = 0; cpu < 64; cpu++) {
            CHECK(ps_cpus_has(&shares[i], cpu) == (cpu / 32 == i));
            CHECK(ps_cpus_has(&shares[i], cpu + 64) == (cpu / 32 == i));
        }
    }
    ps_topology_deal(&t, masks, 1, shares);
    CHECK(ps_cpus_equal(&shares[0], &all));
    ps_topology_release(&t);
}

/* CPUs that alternate between packages, as some firmware numbers them: neighbours are of one package. */
static void neighbours_are_of_a_package(void)
{
    char path[256];
    ps_cpus all = range(0, 7), shares[2], masks[2] = {all, all};

    make_machine(1, 1, 8, 1);
    for (int cpu = 0; cpu < 8; cpu++) {
        snprintf(path, sizeof path, "%s/cpu%d/topology/physical_package_id", root, cpu);
        write_line(path, cpu % 2 ? "1" : "0");
    }
    ps_topology t = topology_of(all);
    ps_topology_deal(&t, masks, 2, shares);
    for (int cpu = 0; cpu < 8; cpu++)
        CHECK(ps_cpus_has(&shares[cpu % 2], cpu) && !ps_cpus_has(&shares[!(cpu % 2)], cpu));
    ps_topology_release(&t);
    make_machine(1, 2, 4, 1); /* and of one memory node */
    snprintf(path, sizeof path, "%s/node/node0/cpulist", folder);
    write_line(path, "0,2,4,6");
    snprintf(path, sizeof path, "%s/node/node1/cpulist", folder);
    write_line(path, "1,3,5,7");
    t = topology_of(all);
    ps_topology_deal(&t, masks, 2, shares);
    for (int cpu = 0; cpu < 8; cpu++)
        CHECK(ps_cpus_has(&shares[cpu % 2], cpu));
    ps_topology_release(&t);
}

static void three_ranks_on_eight_cores(void)
{
    ps_cpus all = range(0, 7), shares[3], masks[3] = {all, all, all}, sum = {{0}};
    int n = 0;

    make_machine(1, 1, 8, 1);
    ps_topology t = topology_of(all);
    ps_topology_deal(&t, masks, 3, shares);
    for (int i = 0; i < 3; i++) {
        int cores = ps_topology_cores(&t, &shares[i]);
        CHECK(cores == 2 || cores == 3);
        n += cores;
        ps_cpus_merge(&sum, &shares[i]);
    }
    CHECK_INT(n, 8);
    CHECK(ps_cpus_equal(&sum, &all));
    ps_topology_release(&t);
}

/* A control group's cpuset with holes, and half of a core in it. */
static void cpusets_with_holes(void)
{
    ps_cpus some = range(2, 5), shares[2], masks[2];

    make_machine(1, 1, 16, 2);
    ps_cpus_add(&some, 18); /* core 2's other CPU */
    ps_cpus_add(&some, 30); /* core 14's other, alone */
    ps_cpus_add(&some, 15);
    masks[0] = masks[1] = some;
    ps_topology t = topology_of(some);
    CHECK_INT(ps_topology_cores(&t, &some), 6);
    ps_topology_deal(&t, masks, 2, shares);
    CHECK(ps_cpus_has(&shares[0], 2) && ps_cpus_has(&shares[0], 18) && ps_cpus_has(&shares[0], 3) && ps_cpus_has(&shares[0], 4));
    CHECK(ps_cpus_has(&shares[1], 5) && ps_cpus_has(&shares[1], 30) && ps_cpus_has(&shares[1], 15));
    CHECK_INT(ps_cpus_count(&shares[0]) + ps_cpus_count(&shares[1]), ps_cpus_count(&some));
    ps_topology_release(&t);
}

static void more_ranks_than_cores_share(void)
{
    ps_cpus all = range(0, 1), shares[5], masks[5] = {all, all, all, all, all};

    make_machine(1, 1, 2, 1);
    ps_topology t = topology_of(all);
    ps_topology_deal(&t, masks, 5, shares);
    for (int i = 0; i < 5; i++)
        CHECK(ps_cpus_equal(&shares[i], &all));
    ps_topology_deal(&t, masks, 2, shares);
    CHECK(is_range(&shares[0], 0, 0) && is_range(&shares[1], 1, 1));
    ps_topology_release(&t);
}

/* Ranks bound on purpose keep their cores; two that were bound to the same package share that. */
static void bindings_are_kept(void)
{
    ps_cpus masks[4] = {range(0, 3), range(4, 7), range(0, 3), range(4, 5)}, shares[4];

    make_machine(1, 1, 8, 1);
    ps_topology t = topology_of(range(0, 7));
    ps_topology_deal(&t, masks, 4, shares);
    CHECK(is_range(&shares[0], 0, 1) && is_range(&shares[2], 2, 3));
    CHECK(is_range(&shares[1], 4, 7) && is_range(&shares[3], 4, 5));
    ps_topology_release(&t);
}

/* Without a tree every CPU is a core; the highest number there may be. */
static void no_tree(void)
{
    ps_cpus cpus = range(0, 3);
    ps_err err = PS_ERR_INIT;
    ps_topology t;

    ps_cpus_add(&cpus, PS_MAX_CPUS - 1);
    CHECK(ps_topology_read(&t, "/nonexistent", &cpus, &err) == 0);
    CHECK_INT(ps_topology_cores(&t, &cpus), 5);
    ps_topology_release(&t);
}

/* ---- on purpose? ---- */

static void asked_for(void)
{
    static const char *const asked[] = {"OMPI_MCA_hwloc_base_binding_policy=core", "OMPI_MCA_rmaps_base_mapping_policy=slot:PE=4",
                                        "OMPI_MCA_hwloc_base_cpu_list=0,1", "OMPI_MCA_orte_rankfile=/tmp/r",
                                        "PRTE_MCA_hwloc_default_binding_policy=none"};
    static const char *const not_asked[] = {"OMPI_MCA_rmaps_base_mapping_policy=node", "OMPI_MCA_orte_bound_at_launch=1",
                                            "OMPI_MCA_rmaps_base_oversubscribe=1", "PATH=/bin:PE=2"};
    static const char *const words[] = {"--bind-to", "-bind-to", "--bind-to=core", "slot:PE=4", "ppr:1:package:pe=8", "-rf",
                                        "--cpu-set", "--bind-to-core"};
    static const char *const other_words[] = {"--map-by", "node", "mpirun", "--report-bindings", "bind-to", "-n", "ppr:1:socket",
                                              "pe=2"};

    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        CHECK(ps_binding_asked_by_variable(asked[i]));
    for (size_t i = 0; i < sizeof not_asked / sizeof *not_asked; i++)
        CHECK(!ps_binding_asked_by_variable(not_asked[i]));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        CHECK(ps_binding_asked_by_argument(words[i]));
    for (size_t i = 0; i < sizeof other_words / sizeof *other_words; i++)
        CHECK(!ps_binding_asked_by_argument(other_words[i]));
}

static void omp_num_threads(void)
{
    CHECK_INT(ps_cores_wanted(NULL), 0);
    CHECK_INT(ps_cores_wanted(""), 0);
    CHECK_INT(ps_cores_wanted("4"), 4);
    CHECK_INT(ps_cores_wanted("4,2"), 4);
    CHECK_INT(ps_cores_wanted("-3"), 0);
    CHECK_INT(ps_cores_wanted("many"), 0);
    CHECK(ps_cores_wanted("99999999999999999999") > 1000000);
}

/* ---- words ---- */

enum { CROWDED, SAME, IDLE, TOO_MANY, TOO_FEW };

static void words(void)
{
    ps_cores_report one = {"n1", 0, 2, 2, 0, 1, 2, 2, false};
    ps_cores_report two[] = {{"n1", 0, 32, 32, 0, 2, 64, 64, false}, {"n1", 1, 32, 32, 0, 2, 64, 64, false}};
    ps_cores_report nodes[] = {{"n1", 0, 31, 30, 30, 2, 64, 63, false}, {"n1", 1, 32, 30, 30, 2, 64, 63, false},
                               {"n2", 0, 16, 16, 30, 1, 64, 16, false}};
    ps_cores_report shared[] = {{"n1", 0, 2, 1, 0, 3, 2, 2, true}, {"n1", 1, 2, 1, 0, 3, 2, 2, true},
                                {"n1", 2, 2, 1, 0, 3, 2, 2, true}};
    ps_cores c;

    ps_cores_describe(&c, &one, 1);
    CHECK_STR(c.text, "1 rank on 1 node, 2 cores and 2 threads");
    ps_cores_describe(&c, two, 2);
    CHECK_STR(c.text, "2 ranks on 1 node, 32 cores and 32 threads each");
    for (int i = 0; i < PS_CORES_ADVICE; i++)
        CHECK_STR(c.advice[i], "");
    ps_cores_describe(&c, nodes, 3);
    CHECK_STR(c.text, "3 ranks on 2 nodes, 16-32 cores and 16-30 threads each");
    CHECK(strstr(c.advice[IDLE], "1 core of 64 idle on n1 (and other nodes)") && strstr(c.advice[IDLE], "slot:PE=32"));
    CHECK(strstr(c.advice[TOO_MANY], "OMP_NUM_THREADS=30") && strstr(c.advice[TOO_MANY], "the 16 cores of a rank on n2"));
    CHECK(strstr(c.advice[TOO_FEW], "OMP_NUM_THREADS=30") && strstr(c.advice[TOO_FEW], "n1"));
    ps_cores_describe(&c, shared, 3);
    CHECK_STR(c.text, "3 ranks on 1 node, 2 cores and 1 thread each");
    CHECK(strstr(c.advice[CROWDED], "3 ranks share the 2 cores of n1") && strstr(c.advice[CROWDED], "at most 2 a node"));
    CHECK_STR(c.advice[SAME], "");
    for (int i = 0; i < 3; i++)
        shared[i].node_cores = 8;
    ps_cores_describe(&c, shared, 3);
    CHECK(strstr(c.advice[SAME], "on n1 are bound to the same cores"));
    CHECK(strstr(c.advice[IDLE], "6 cores of 8 idle on n1"));
}

/* ---- here ---- */

static void this_process(void)
{
    ps_err err = PS_ERR_INIT;
    ps_cores c;

    CHECK(ps_cores_take(&c, NULL, &err) == 0);
    CHECK(c.cores >= 1 && c.threads >= 1 && c.threads <= c.cores);
    CHECK(strstr(c.text, "1 rank on 1 node"));
    setenv("OMP_NUM_THREADS", "100000", 1);
    CHECK(ps_cores_take(&c, NULL, &err) == 0);
    CHECK_INT(c.threads, c.cores);
    CHECK(strstr(c.advice[TOO_MANY], "OMP_NUM_THREADS=100000"));
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(root, sizeof root, "%s/cpu", folder);
    RUN(siblings_stay_together);
    RUN(neighbours_are_of_a_package);
    RUN(three_ranks_on_eight_cores);
    RUN(cpusets_with_holes);
    RUN(more_ranks_than_cores_share);
    RUN(bindings_are_kept);
    RUN(no_tree);
    RUN(asked_for);
    RUN(omp_num_threads);
    RUN(words);
    RUN(this_process);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || check_done();
}
