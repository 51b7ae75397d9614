/* paths.c - a hash table of paths, by what they depend on. */
#include "patchsweep/paths.h"

#include <string.h>

#include "patchsweep/hash.h"
#include "patchsweep/mem.h"

typedef struct key {
    int32_t T, D, site, position, forced;
} key;

typedef struct slot {
    key key;
    ps_path *path; /* NULL: free */
} slot;

struct ps_paths {
    const ps_step *program;
    slot *slots; /* [n_slots], a power of two, at most half of them taken */
    size_t n_slots, n;
    uint32_t looked_up;
};

int ps_paths_open(ps_paths **out, const ps_step *program, ps_err *err)
{
    ps_paths *paths = ps_calloc(1, sizeof *paths, err);

    if (!paths)
        return -1;
    paths->program = program;
    paths->n_slots = 64;
    paths->slots = ps_calloc(paths->n_slots, sizeof *paths->slots, err);
    if (!paths->slots) {
        ps_paths_close(paths);
        return -1;
    }
    *out = paths;
    return 0;
}

void ps_paths_close(ps_paths *paths)
{
    if (!paths)
        return;
    for (size_t i = 0; paths->slots && i < paths->n_slots; i++)
        ps_path_free(paths->slots[i].path);
    ps_free(paths->slots);
    ps_free(paths);
}

/* The slot that holds `k`, or the free one where it belongs. */
static slot *find(slot *slots, size_t n_slots, const key *k)
{
    size_t i = ps_hash((const char *)k, sizeof *k) & (n_slots - 1);

    while (slots[i].path && memcmp(&slots[i].key, k, sizeof *k))
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static int grow(ps_paths *paths, ps_err *err)
{
    size_t n_slots = 2 * paths->n_slots;
    slot *slots = ps_calloc(n_slots, sizeof *slots, err);

    if (!slots)
        return -1;
    for (size_t i = 0; i < paths->n_slots; i++)
        if (paths->slots[i].path)
            *find(slots, n_slots, &paths->slots[i].key) = paths->slots[i];
    ps_free(paths->slots);
    paths->slots = slots;
    paths->n_slots = n_slots;
    return 0;
}

const ps_path *ps_paths_get(ps_paths *paths, int32_t T, int32_t D, const ps_cell *cell, bool forced, ps_err *err)
{
    ps_edit edit = ps_cell_edit(cell, T);
    /* D matters only to an edit that includes row D.  Row D alone equals the source run while it sees only rows that both runs
     * share, and an edit of rows on both sides of D has rows of both kinds.  For any other edit, rows before D are looked up in
     * the base run, as they would be with D = 0. */
    bool matters = !forced && edit.first <= D && D < edit.first + edit.n;
    const key k = {T, matters ? D : 0, cell->site, edit.first, forced};
    slot *at = find(paths->slots, paths->n_slots, &k);

    if (at->path)
        return at->path;
    if (2 * paths->n >= paths->n_slots) {
        if (grow(paths, err) < 0)
            return NULL;
        at = find(paths->slots, paths->n_slots, &k);
    }
    edit.head = edit.head < 0 ? -1 : 0; /* a path does not depend on the head */
    if (ps_path_build(&at->path, paths->program, T, k.D, &edit, 1, forced, err) < 0)
        return NULL;
    at->key = k;
    paths->n++;
    paths->looked_up |= ps_path_looked_up(at->path);
    return at->path;
}

uint32_t ps_paths_looked_up(const ps_paths *paths)
{
    return paths->looked_up;
}
