/* memory.c - control groups of both versions, from the process's own up to the root. */
#include "memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The files of a control group that concern memory. */
typedef struct version {
    const char *mount, *limit, *used, *cache; /* cache: the key in memory.stat */
} version;

static const version v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                           "total_inactive_file"};
static const version v2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

/* The number behind `key` at the beginning of a line; key "": of the first line.  UINT64_MAX where there is none. */
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

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* What one group leaves; UINT64_MAX where it has no limit. */
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

/* What a group and those above it leave.  `group` is its path, which is cut from the end. */
static uint64_t groups_above_leave(const char *root, const version *v, char *group)
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

/* Is `name` one of the names in a list with commas? */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);

    for (; *list; list += strcspn(list, ","), list += *list == ',')
        if (!strncmp(list, name, n) && (list[n] == '\0' || list[n] == ','))
            return true;
    return false;
}

/* Lines of /proc/self/cgroup are "id:controllers:path"; version 2's has no controllers. */
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
        uint64_t leaves = v ? groups_above_leave(root, v, path) : UINT64_MAX;
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
