/* memory.c - the limits of control groups (versions 1 and 2), from the process's own group up to the root. */
#include "memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where each version of control groups keeps its memory figures. */
typedef struct version {
    const char *mount, *limit, *used; /* the mount point, and the names of two files in a group's folder */
    const char *cache;                /* the key of the inactive page cache in memory.stat */
} version;

static const version v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                           "total_inactive_file"};
static const version v2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

/* The number after `key` on a line that begins with it; with key "", the first line's.  UINT64_MAX if there is none. */
static uint64_t number_in(const char *path, const char *key)
{
    char line[256];
    FILE *f = fopen(path, "r");
    uint64_t number = UINT64_MAX;
    size_t n = strlen(key);

    while (f && number == UINT64_MAX && fgets(line, sizeof line, f)) {
        const char *value = line + n + (n ? strspn(line + n, ": \t") : 0);
        if (!strncmp(line, key, n) && (n == 0 || value > line + n) && *value >= '0' && *value <= '9')
            number = strtoull(value, NULL, 10);
        if (n == 0)
            break;
    }
    if (f)
        fclose(f);
    return number;
}

/* a - b, or 0 if that is negative. */
static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Bytes that the limit of one group leaves; UINT64_MAX if it has none. */
static uint64_t group_leaves(const char *root, const version *v, const char *group)
{
    char path[4608];

    snprintf(path, sizeof path, "%s%s%s/%s", root, v->mount, group, v->limit);
    uint64_t most = number_in(path, "");
    if (most == UINT64_MAX)
        return most;
    snprintf(path, sizeof path, "%s%s%s/%s", root, v->mount, group, v->used);
    uint64_t used = number_in(path, "");
    if (used == UINT64_MAX)
        return used;
    snprintf(path, sizeof path, "%s%s%s/memory.stat", root, v->mount, group);
    uint64_t cache = number_in(path, v->cache);
    return less(most, less(used, cache == UINT64_MAX ? 0 : cache));
}

/* Bytes that a group and its ancestors leave.  `group` is its path, which is truncated on the way up. */
static uint64_t ancestors_leave(const char *root, const version *v, char *group)
{
    uint64_t least = UINT64_MAX;

    for (;;) {
        uint64_t leaves = group_leaves(root, v, group);
        least = leaves < least ? leaves : least;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* Whether `name` is in a comma-separated list. */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);

    for (; *list; list += strcspn(list, ","), list += *list == ',')
        if (!strncmp(list, name, n) && (list[n] == '\0' || list[n] == ','))
            return true;
    return false;
}

/* Bytes that all groups of this process leave.  Lines of /proc/self/cgroup are "id:controllers:path"; version 2's line
 * has no controllers. */
static uint64_t groups_leave(const char *root)
{
    char line[4096];
    uint64_t least = UINT64_MAX;

    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = fopen(line, "r");
    while (f && fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        const version *v = !controllers[1] ? &v2 : listed(controllers + 1, "memory") ? &v1 : NULL;
        uint64_t leaves = v ? ancestors_leave(root, v, path) : UINT64_MAX;
        least = leaves < least ? leaves : least;
    }
    if (f)
        fclose(f);
    return least;
}

uint64_t ps_memory_line(const char *root, const char *file, const char *key)
{
    char path[4608];

    snprintf(path, sizeof path, "%s%s", root, file);
    uint64_t number = number_in(path, key);
    return number > UINT64_MAX / 1024 ? UINT64_MAX : number * 1024;
}

uint64_t ps_memory_available(const char *root)
{
    uint64_t groups = groups_leave(root), machine = ps_memory_line(root, "/proc/meminfo", "MemAvailable");

    return groups < machine ? groups : machine;
}
