/* host.c - ask Linux, and the processor. */
#include "patchsweep/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"

/* Copy the value of the first line "key : value" of a file like /proc/cpuinfo.  1 if there is one, 0 otherwise. */
static int find_line(const char *path, const char *key, char *out, size_t bytes)
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
        snprintf(out, bytes, "%s", value);
        found = 1;
    }
    fclose(f);
    return found;
}

uint64_t ps_host_memory(void)
{
    return ps_memory_available("");
}

uint64_t ps_host_resident(void)
{
    uint64_t bytes = ps_memory_line("", "/proc/self/status", "VmRSS");

    return bytes == UINT64_MAX ? 0 : bytes;
}

uint64_t ps_host_peak(void)
{
    uint64_t bytes = ps_memory_line("", "/proc/self/status", "VmHWM");

    return bytes == UINT64_MAX ? 0 : bytes;
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
