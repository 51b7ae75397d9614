/* host.c - asking Linux. */
#include "patchsweep/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Copy what follows the ':' of the first line that begins with `key`, as in /proc/cpuinfo.  1 if there is one. */
static int find_line(const char *path, const char *key, char *rest, size_t bytes)
{
    char line[512];
    FILE *f = fopen(path, "r");
    int found = 0;

    if (!f)
        return 0;
    while (!found && fgets(line, sizeof line, f)) {
        char *value = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) || !value)
            continue;
        value += 1 + strspn(value + 1, " \t");
        value[strcspn(value, "\n")] = '\0';
        snprintf(rest, bytes, "%s", value);
        found = 1;
    }
    fclose(f);
    return found;
}

/* The number in a file of one; UINT64_MAX where there is none ("max"). */
static uint64_t number_in(const char *path)
{
    char text[64] = "";
    FILE *f = fopen(path, "r");

    if (!f)
        return UINT64_MAX;
    if (!fgets(text, sizeof text, f))
        text[0] = '\0';
    fclose(f);
    return text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : UINT64_MAX;
}

/* What a control group and those above it leave.  `root` is where its tree is mounted, `group` its
 * path in it, which is cut from the end. */
static uint64_t group_leaves(const char *root, char *group, const char *limit, const char *used)
{
    uint64_t least = UINT64_MAX;

    for (;;) {
        char path[4352];
        snprintf(path, sizeof path, "%s%s/%s", root, group, limit);
        uint64_t most = number_in(path);
        snprintf(path, sizeof path, "%s%s/%s", root, group, used);
        uint64_t now = number_in(path);
        if (most != UINT64_MAX && now != UINT64_MAX && (most > now ? most - now : 0) < least)
            least = most > now ? most - now : 0;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* Lines of /proc/self/cgroup are "id:controllers:path"; version 2's has no controllers. */
static uint64_t groups_leave(void)
{
    char line[4096];
    uint64_t least = UINT64_MAX;
    FILE *f = fopen("/proc/self/cgroup", "r");

    while (f && fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        uint64_t leaves = UINT64_MAX;
        if (!path)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (!controllers[1])
            leaves = group_leaves("/sys/fs/cgroup", path, "memory.max", "memory.current");
        else if (strstr(controllers, "memory"))
            leaves = group_leaves("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes",
                                  "memory.usage_in_bytes");
        least = leaves < least ? leaves : least;
    }
    if (f)
        fclose(f);
    return least;
}

uint64_t ps_host_memory(void)
{
    uint64_t groups = groups_leave();
    char text[64];

    if (!find_line("/proc/meminfo", "MemAvailable", text, sizeof text))
        return groups == UINT64_MAX ? 0 : groups;
    uint64_t available = strtoull(text, NULL, 10) * 1024;
    return available < groups ? available : groups;
}

int ps_host_vector_bytes(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") ? 64 : __builtin_cpu_supports("avx2") ? 32 : 16;
#else
    return 16;
#endif
}

const char *ps_host_cpu(void)
{
    static char name[128];

    if (!name[0] && !find_line("/proc/cpuinfo", "model name", name, sizeof name))
        snprintf(name, sizeof name, "unknown");
    return name;
}

double ps_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ps_utc(char out[21])
{
    time_t t = time(NULL);
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
