/* host.c - asking Linux. */
#include "patchsweep/host.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int ps_host_threads(int node_size)
{
    const char *asked = getenv("OMP_NUM_THREADS");
    cpu_set_t set;
    int bound = 1, online = (int)sysconf(_SC_NPROCESSORS_ONLN);

    if (asked && atoi(asked) > 0)
        return atoi(asked);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        bound = CPU_COUNT(&set);
    if (bound >= online)
        bound /= node_size;
    return bound > 0 ? bound : 1;
}

/* The number behind `key` in a file of "key value" lines; text before ':' in cpuinfo's. */
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

uint64_t ps_host_memory(void)
{
    char text[64];

    if (!find_line("/proc/meminfo", "MemAvailable", text, sizeof text))
        return 0;
    return strtoull(text, NULL, 10) * 1024;
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
