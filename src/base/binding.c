/* binding.c - read bindings from the kernel, the environment, and the launcher's command line. */
#include "binding.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

extern char **environ;

/* ---- is a binding asked for? ---- */

/* "--map-by slot:PE=4" binds each rank to 4 cores; "--map-by node" binds nothing. */
static bool counts_cores(const char *mapping)
{
    return strcasestr(mapping, "pe=") || strcasestr(mapping, "pe-list=");
}

bool ps_binding_asked_by_variable(const char *variable)
{
    static const struct {
        const char *name;
        bool mapping;
    } known[] = {
        {"OMPI_MCA_hwloc_base_binding_policy=", false}, {"OMPI_MCA_hwloc_base_cpu_set=", false},
        {"OMPI_MCA_hwloc_base_cpu_list=", false},       {"OMPI_MCA_orte_rankfile=", false},
        {"OMPI_MCA_rmaps_rank_file_path=", false},      {"OMPI_MCA_rmaps_base_cpus_per_rank=", false},
        {"OMPI_MCA_rmaps_base_mapping_policy=", true},  {"PRTE_MCA_hwloc_default_binding_policy=", false},
        {"PRTE_MCA_hwloc_default_cpu_list=", false},    {"PRTE_MCA_rmaps_default_mapping_policy=", true},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strncmp(variable, known[i].name, strlen(known[i].name)))
            return !known[i].mapping || counts_cores(variable);
    return false;
}

bool ps_binding_asked_by_argument(const char *argument)
{
    static const char *const known[] = {"bind-to", "cpu-set", "cpu-list", "rankfile", "rf", "cpus-per-proc", "cpus-per-rank"};
    static const char *const binders[] = {"taskset", "numactl", "hwloc-bind"};
    const char *option = argument + strspn(argument, "-"), *slash = strrchr(argument, '/');

    for (size_t i = 0; i < sizeof binders / sizeof *binders; i++)
        if (!strcmp(slash ? slash + 1 : argument, binders[i]))
            return true;

    for (size_t i = 0; i < sizeof known / sizeof *known && option > argument; i++) {
        size_t n = strlen(known[i]);
        if (!strncmp(option, known[i], n) && (!option[n] || option[n] == '=' || option[n] == '-'))
            return true;
    }
    return strchr(argument, ':') && counts_cores(argument);
}

/* ---- the launcher ---- */

/* Return the parent of `pid` and store the name of its program; 0 if unknown. */
static int parent_of(int pid, char name[32])
{
    char path[64];
    int parent = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    if (fscanf(f, "%*d (%31[^)]) %*c %d", name, &parent) != 2)
        parent = 0;
    fclose(f);
    return parent;
}

/* The process of Open MPI's launcher that started this one, directly or through scripts; 0 if there is none. */
static int find_launcher(void)
{
    static const char *const names[] = {"mpirun", "mpiexec", "orterun", "orted", "prterun", "prted", "prte"};
    char name[32];
    int pid = getppid();

    for (int depth = 0; depth < 16 && pid > 1; depth++) {
        int parent = parent_of(pid, name);
        for (size_t i = 0; i < sizeof names / sizeof *names && parent; i++)
            if (!strcmp(name, names[i]))
                return pid;
        pid = parent;
    }
    return 0;
}

/* In /proc/PID/cmdline a NUL ends each argument. */
static bool asked_on_command_line(int pid)
{
    char path[64], arguments[8192];

    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(arguments, 1, sizeof arguments - 1, f);
    fclose(f);
    arguments[n] = '\0';
    for (size_t at = 0; at < n; at += strlen(arguments + at) + 1)
        if (ps_binding_asked_by_argument(arguments + at))
            return true;
    return false;
}

/* ---- the kernel ---- */

static void get_mask(int pid, ps_cpus *cpus)
{
    memset(cpus, 0, sizeof *cpus);
    if (sched_getaffinity(pid, sizeof *cpus, (cpu_set_t *)cpus) < 0 || !ps_cpus_count(cpus))
        ps_cpus_add(cpus, 0);
}

void ps_binding_set(const ps_cpus *cpus, int n)
{
    sched_setaffinity(0, sizeof *cpus, (const cpu_set_t *)cpus);
#pragma omp parallel num_threads(n)
    sched_setaffinity(0, sizeof *cpus, (const cpu_set_t *)cpus);
    DIR *tasks = opendir("/proc/self/task"); /* all threads: MPI's and OpenBLAS's too */
    struct dirent *entry;
    while (tasks && (entry = readdir(tasks)) != NULL)
        if (entry->d_name[0] != '.')
            sched_setaffinity(atoi(entry->d_name), sizeof *cpus, (const cpu_set_t *)cpus);
    if (tasks)
        closedir(tasks);
    (void)n;
}

/* OMP_PROC_BIND binds the first thread to the first of OpenMP's places, before main().  What was given is all places. */
static void add_places(ps_cpus *cpus)
{
#if defined(_OPENMP)
    for (int place = 0; place < omp_get_num_places(); place++) {
        int ids[PS_MAX_CPUS], n = omp_get_place_num_procs(place);
        if (n > PS_MAX_CPUS)
            continue;
        omp_get_place_proc_ids(place, ids);
        for (int i = 0; i < n; i++)
            if (ids[i] >= 0 && ids[i] < PS_MAX_CPUS)
                ps_cpus_add(cpus, ids[i]);
    }
#else
    (void)cpus;
#endif
}

/* Store the CPUs of `wanted` that the control group allows: the kernel clips a mask that is set to those.  `now` is the
 * mask of this thread, which is restored. */
static void allowed(const ps_cpus *wanted, const ps_cpus *now, ps_cpus *out)
{
    *out = *now;
    if (sched_setaffinity(0, sizeof *wanted, (const cpu_set_t *)wanted) < 0)
        return;
    get_mask(0, out);
    sched_setaffinity(0, sizeof *now, (const cpu_set_t *)now);
}

void ps_binding_read(ps_binding *b)
{
    ps_cpus now, wanted;

    *b = (ps_binding){.by_openmpi = getenv("OMPI_COMM_WORLD_SIZE") != NULL};
    int launcher = b->by_openmpi ? find_launcher() : 0;
    get_mask(0, &now);
    b->given = now;
    add_places(&b->given);
    memset(&wanted, 0xff, sizeof wanted);
    if (launcher)
        get_mask(launcher, &wanted);
    allowed(&wanted, &now, &b->job);
    for (char **variable = environ; *variable; variable++)
        b->asked = b->asked || ps_binding_asked_by_variable(*variable);
    b->asked = b->asked || (launcher && asked_on_command_line(launcher));
}
