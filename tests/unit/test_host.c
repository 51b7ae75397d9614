/* test_host.c - free memory, as made-up trees of /proc and /sys/fs/cgroup tell it. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/base/memory.h"
#include "../check.h"
#include "patchsweep/host.h"

#define MiB ((uint64_t)1 << 20)
#define V1 "/sys/fs/cgroup/memory"
#define V2 "/sys/fs/cgroup"

static char root[64];

static void forget(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK(!root[0] || system(command) == 0);
    snprintf(root, sizeof root, "/tmp/patchsweep-host-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
}

/* A file below the root, with the folders that lead to it. */
static void put(const char *path, const char *text)
{
    char whole[512];

    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        mkdir(whole, 0777);
    }
    FILE *f = fopen(whole, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void put_in(const char *mount, const char *group, const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof path, "%s%s/%s", mount, group, name);
    put(path, text);
}

/* A group of version 2, sizes in MiB. */
static void group_v2(const char *group, const char *limit, int used, int cache)
{
    char text[128];

    put_in(V2, group, "memory.max", limit);
    snprintf(text, sizeof text, "%llu\n", (unsigned long long)((uint64_t)used * MiB));
    put_in(V2, group, "memory.current", text);
    snprintf(text, sizeof text, "anon 4096\nfile 99\nactive_file 7\ninactive_file %llu\nslab 5\n",
             (unsigned long long)((uint64_t)cache * MiB));
    put_in(V2, group, "memory.stat", text);
}

static void machine_has(int available)
{
    char text[128];

    snprintf(text, sizeof text, "MemTotal: 999999999 kB\nMemFree: 1 kB\nMemAvailable:   %d kB\n", available * 1024);
    put("/proc/meminfo", text);
}

static int left(void)
{
    return (int)(ps_memory_available(root) / MiB);
}

static void test_machine(void)
{
    forget();
    CHECK(ps_memory_available(root) == UINT64_MAX);
    machine_has(7);
    CHECK_INT(left(), 7);
    put("/proc/self/cgroup", "0::/nowhere\n");
    CHECK_INT(left(), 7);
    put("/proc/self/cgroup", "nonsense\n1:\n\n");
    CHECK_INT(left(), 7);
}

static void test_version_2(void)
{
    forget();
    machine_has(9000);
    put("/proc/self/cgroup", "0::/slurm/job\n");
    group_v2("/slurm/job", "2147483648\n", 1500, 0);
    CHECK_INT(left(), 548);
    /* the model was read within the group: page cache that the kernel drops when asked for memory */
    group_v2("/slurm/job", "2147483648\n", 1500, 1400);
    CHECK_INT(left(), 1948);
    group_v2("/slurm", "1073741824\n", 1020, 0);
    CHECK_INT(left(), 4);
    group_v2("/slurm", "max\n", 1020, 0);
    CHECK_INT(left(), 1948);
    machine_has(300);
    CHECK_INT(left(), 300);
}

static void test_odd_numbers(void)
{
    forget();
    machine_has(9000);
    put("/proc/self/cgroup", "0::/job\n");
    group_v2("/job", "1048576\n", 5, 0); /* more used than the limit */
    CHECK_INT(ps_memory_available(root), 0);
    group_v2("/job", "1048576\n", 5, 9); /* more cache than is used: the counters are not read at once */
    CHECK_INT(ps_memory_available(root), MiB);
    put_in(V2, "/job", "memory.stat", "");
    group_v2("/job", "1073741824\n", 24, 0);
    put_in(V2, "/job", "memory.stat", "inactive_file\nactive_file 8388608\n");
    CHECK_INT(left(), 1000);
    put_in(V2, "/job", "memory.current", "");
    CHECK_INT(left(), 9000);
}

static void test_files_that_are_missing(void)
{
    forget();
    machine_has(9000);
    put("/proc/self/cgroup", "0::/a/b\n");
    put_in(V2, "/a/b", "memory.max", "1048576\n");
    CHECK_INT(left(), 9000);
    put_in(V2, "/a/b", "memory.current", "0\n");
    CHECK_INT(left(), 1);
}

static void test_version_1(void)
{
    forget();
    machine_has(9000);
    put("/proc/self/cgroup", "12:cpu,cpuacct:/other\n5:hugetlb,memory:/job/step\n4:name=memoryless:/\n0::/\n");
    put_in(V1, "/job/step", "memory.limit_in_bytes", "9223372036854771712\n");
    put_in(V1, "/job/step", "memory.usage_in_bytes", "1073741824\n");
    CHECK_INT(left(), 9000);
    put_in(V1, "/job", "memory.limit_in_bytes", "2147483648\n");
    put_in(V1, "/job", "memory.usage_in_bytes", "1073741824\n");
    CHECK_INT(left(), 1024);
    /* inactive_file is the group's own; total_inactive_file has those below it too */
    put_in(V1, "/job", "memory.stat", "inactive_file 1\ntotal_inactive_file 536870912\n");
    CHECK_INT(left(), 1536);
}

static void test_own_size(void)
{
    CHECK(ps_host_resident() > MiB && ps_host_resident() <= ps_host_peak());
    forget();
    put("/proc/self/status", "Name: x\nVmHWM:\t     12 kB\nVmRSS:\t  8 kB\n");
    CHECK_INT(ps_memory_line(root, "/proc/self/status", "VmRSS"), 8192);
    CHECK(ps_memory_line(root, "/proc/self/status", "Vm") == UINT64_MAX);
}

int main(void)
{
    RUN(test_machine);
    RUN(test_version_2);
    RUN(test_odd_numbers);
    RUN(test_files_that_are_missing);
    RUN(test_version_1);
    RUN(test_own_size);
    forget();
    rmdir(root);
    return check_done();
}
