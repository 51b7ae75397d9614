/* snapshot.c - open a snapshot, and find rows in its parts. */
#include "snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/crc.h"
#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "snapshot_file.h"

struct ps_snapshot {
    char *folder;
    int32_t layer;
    int generation;
    const ps_grid *grid;
    size_t d;
    ps_snapshot_entry *entries; /* [n] of all parts: cells by key, then base rows */
    size_t n, n_cells;
    int32_t *base; /* [n_nodes] entry that has the prefix's row of a base run, or -1 */
};

static const int32_t *nodes_of(const ps_grid *grid, int64_t key)
{
    return grid->pairs[ps_snapshot_pair(key)].nodes[key % PS_N_WHICH];
}

/* On rank 0: append the entries of a part to the table. */
static int add_index(ps_snapshot *s, int part, const char *path, size_t *cap, ps_err *err)
{
    struct stat st;
    ps_snapshot_header h;
    size_t n = 0;
    char *bytes = NULL;
    int rc = -1, fd = ps_snapshot_file_open(s->folder, s->generation, part, O_RDONLY, path, err);

    if (fd < 0)
        goto out;
    if (fstat(fd, &st) < 0) {
        ps_err_errno(err, "cannot examine '%s'", path);
        goto out;
    }
    if (ps_file_pread(fd, &h, sizeof h, 0, path, err) < 0)
        goto out;
    size_t most = sizeof h + (size_t)h.n_entries * sizeof(ps_snapshot_entry);
    if (most > (uint64_t)st.st_size) {
        ps_err_set(err, PS_EINPUT, "its index is damaged");
        goto out;
    }
    bytes = ps_malloc(most, 1, err);
    if (!bytes || ps_file_pread(fd, bytes, most, 0, path, err) < 0 ||
        ps_snapshot_file_check(bytes, most, (uint64_t)st.st_size, s->grid, s->d, &n, err) < 0)
        goto out;
    for (size_t i = 0; i < n; i++) {
        if (ps_grow(&s->entries, s->n, cap, sizeof *s->entries, err) < 0)
            goto out;
        ps_snapshot_entry *e = &s->entries[s->n++];
        memcpy(e, bytes + sizeof h + i * sizeof *e, sizeof *e);
        e->part = part;
    }
    rc = 0;
out:
    if (fd >= 0)
        close(fd);
    ps_free(bytes);
    return rc;
}

/* Read a part whole and compare its checksum. */
static int check_part(const ps_snapshot *s, int i, const char *path, const ps_snapshot_part *part, ps_err *err)
{
    char *block = ps_malloc_aligned(PS_SNAPSHOT_BLOCK, 1, err);
    int fd = block ? ps_snapshot_file_open(s->folder, s->generation, i, O_RDONLY, path, err) : -1;
    uint32_t crc = 0;
    int rc = fd < 0 ? -1 : 0;

    for (uint64_t at = 0; rc == 0 && at < part->bytes; at += PS_SNAPSHOT_BLOCK) {
        size_t n = part->bytes - at < PS_SNAPSHOT_BLOCK ? (size_t)(part->bytes - at) : PS_SNAPSHOT_BLOCK;
        rc = ps_file_pread(fd, block, n, at, path, err);
        crc = ps_crc32c(crc, block, n);
    }
    if (rc == 0 && crc != part->crc)
        rc = ps_err_set(err, PS_EINPUT, "'%s' is not what was saved: its checksum is %08x and was %08x", path,
                        (unsigned)crc, (unsigned)part->crc);
    if (fd >= 0)
        close(fd);
    ps_free(block);
    return rc;
}

/* Check that this rank sees every part; read this rank's share of the parts. */
static int check_parts(const ps_snapshot *s, const ps_snapshot_part *parts, int n, ps_comm *comm, ps_err *err)
{
    int rank = ps_comm_rank(comm), size = ps_comm_size(comm);
    char path[PS_SNAPSHOT_PATH];

    for (int i = 0; i < n; i++) {
        struct stat st;
        ps_snapshot_file_path(path, s->folder, s->generation, i);
        if (lstat(path, &st) < 0)
            return ps_err_errno(err, "cannot find '%s' on %s", path, ps_comm_host(comm));
        if ((uint64_t)st.st_size != parts[i].bytes)
            return ps_err_set(err, PS_EINPUT, "'%s' has %lld bytes where %llu were saved", path, (long long)st.st_size,
                              (unsigned long long)parts[i].bytes);
        if (i % size == rank && check_part(s, i, path, &parts[i], err) < 0)
            return -1;
    }
    return 0;
}

/* Order cells by key, before base rows. */
static int by_key(const void *a, const void *b)
{
    const ps_snapshot_entry *x = a, *y = b;

    if (x->kind != PS_ROWS_CELL || y->kind != PS_ROWS_CELL)
        return (x->kind != PS_ROWS_CELL) - (y->kind != PS_ROWS_CELL);
    return x->key < y->key ? -1 : x->key > y->key;
}

static void sort_entries(ps_snapshot *s)
{
    if (s->n)
        qsort(s->entries, s->n, sizeof *s->entries, by_key);
    while (s->n_cells < s->n && s->entries[s->n_cells].kind == PS_ROWS_CELL)
        s->n_cells++;
}

/* Find the entry that holds the base run's row of each prefix. */
static int find_base_rows(ps_snapshot *s, ps_err *err)
{
    size_t nodes = (size_t)s->grid->n_nodes;

    s->base = ps_malloc(nodes, sizeof *s->base, err);
    if (!s->base)
        return -1;
    memset(s->base, 0xff, nodes * sizeof *s->base);
    for (size_t i = s->n_cells; i < s->n; i++) {
        const ps_snapshot_entry *e = &s->entries[i];
        const int32_t *node = nodes_of(s->grid, e->key);
        for (int32_t t = e->first; t < e->first + e->n; t++)
            s->base[node[t]] = (int32_t)i;
    }
    return 0;
}

/* Collective.  Rank 0 reads the indices; every rank gets all entries. */
static int share_index(ps_snapshot *s, int n_parts, ps_comm *comm, ps_err *err)
{
    char path[PS_SNAPSHOT_PATH];
    size_t cap = 0;

    for (int i = 0; ps_comm_rank(comm) == 0 && i < n_parts; i++) {
        ps_snapshot_file_path(path, s->folder, s->generation, i);
        if (add_index(s, i, path, &cap, err) < 0)
            break;
    }
    if (ps_comm_agree(comm, err) < 0)
        return -1;
    void *block = s->entries;
    size_t bytes = s->n * sizeof *s->entries;
    ps_comm_bcast_block(comm, &block, &bytes, 0);
    s->entries = block;
    s->n = bytes / sizeof *s->entries;
    sort_entries(s);
    find_base_rows(s, err);
    return ps_comm_agree(comm, err);
}

int ps_snapshot_open(ps_snapshot **out, const char *folder, const ps_snapshot_id *id,
                     const ps_snapshot_part *parts, const ps_grid *grid, size_t d_model, ps_comm *comm, ps_err *err)
{
    ps_snapshot_id known = *id;
    void *block = (void *)(uintptr_t)parts;
    ps_snapshot *s = ps_calloc(1, sizeof *s, err);

    ps_comm_bcast(comm, &known, sizeof known, 0);
    size_t bytes = (size_t)known.n_parts * sizeof *parts;
    ps_comm_bcast_block(comm, &block, &bytes, 0);
    if (s) {
        *s = (ps_snapshot){.folder = ps_strdup(folder, err), .layer = known.layer, .generation = known.generation,
                           .grid = grid, .d = d_model};
        if (s->folder)
            check_parts(s, block, known.n_parts, comm, err);
    }
    int rc = ps_comm_agree(comm, err);
    if (ps_comm_rank(comm) != 0)
        ps_free(block);
    if (rc == 0)
        rc = share_index(s, known.n_parts, comm, err);
    if (rc < 0)
        ps_snapshot_close(s);
    else
        *out = s;
    return rc;
}

void ps_snapshot_close(ps_snapshot *s)
{
    if (!s)
        return;
    ps_free(s->base);
    ps_free(s->entries);
    ps_free(s->folder);
    ps_free(s);
}

int32_t ps_snapshot_layer(const ps_snapshot *s)
{
    return s->layer;
}

int ps_snapshot_generation(const ps_snapshot *s)
{
    return s->generation;
}

void ps_snapshot_cells(const ps_snapshot *s, ps_cellset *set)
{
    for (size_t i = 0; i < s->n_cells; i++) {
        ps_cell cell;
        if (ps_grid_cell(s->grid, s->entries[i].key, &cell) == 0)
            ps_cellset_add(set, &cell);
    }
}

/* ---- loading ---- */

/* The part read last, kept open for the next rows. */
typedef struct opened {
    int fd, part;
    char path[PS_SNAPSHOT_PATH];
} opened;

static int load_rows(const ps_snapshot *s, opened *o, const ps_snapshot_entry *e, int32_t skip, int32_t n, float *to, ps_err *err)
{
    size_t row = s->d * sizeof *to;

    if (o->part != e->part) {
        if (o->fd >= 0)
            close(o->fd);
        ps_snapshot_file_path(o->path, s->folder, s->generation, e->part);
        o->fd = ps_snapshot_file_open(s->folder, s->generation, e->part, O_RDONLY, o->path, err);
        o->part = o->fd < 0 ? -1 : e->part;
    }
    if (o->fd < 0)
        return -1;
    return ps_file_pread(o->fd, to, (size_t)n * row, e->offset + (uint64_t)skip * row, o->path, err);
}

static const ps_snapshot_entry *find_cell(const ps_snapshot *s, int64_t key)
{
    size_t low = 0, high = s->n_cells;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->entries[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n_cells && s->entries[low].key == key ? &s->entries[low] : NULL;
}

/* Load base rows by prefix, in pieces as long as they were saved. */
static int load_base(const ps_snapshot *s, opened *o, const ps_rows *r, ps_err *err)
{
    const int32_t *node = nodes_of(s->grid, r->key);

    for (int32_t i = 0; i < r->n;) {
        int32_t at = s->base[node[r->first + i]], n = 1;
        if (at < 0)
            return ps_err_set(err, PS_EFAIL, "the snapshot has no base run of pair %d at position %d",
                              (int)ps_snapshot_pair(r->key), (int)(r->first + i));
        const ps_snapshot_entry *e = &s->entries[at];
        const int32_t *theirs = nodes_of(s->grid, e->key);
        int32_t skip = r->first + i - e->first; /* a prefix ends at one position in all runs */
        while (i + n < r->n && skip + n < e->n && theirs[e->first + skip + n] == node[r->first + i + n])
            n++;
        if (load_rows(s, o, e, skip, n, r->rows + (size_t)i * s->d, err) < 0)
            return -1;
        i += n;
    }
    return 0;
}

static int load_cell(const ps_snapshot *s, opened *o, const ps_rows *r, ps_err *err)
{
    const ps_snapshot_entry *e = find_cell(s, r->key);
    ps_cell cell = {.pair = 0};

    if (e && e->n == r->n && (e->n == 0 || e->first == r->first))
        return load_rows(s, o, e, 0, e->n, r->rows, err);
    ps_grid_cell(s->grid, r->key, &cell);
    return ps_err_set(err, PS_EFAIL, "the snapshot has no such rows of the cell at pair %d, layer %d, position %d, head %d",
                      (int)cell.pair, (int)cell.layer, (int)cell.position, (int)cell.head);
}

int ps_snapshot_load(const ps_snapshot *s, ps_rows *rows, size_t n, ps_err *err)
{
    opened o = {.fd = -1, .part = -1};
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = rows[i].kind == PS_ROWS_CELL ? load_cell(s, &o, &rows[i], err) : load_base(s, &o, &rows[i], err);
    if (o.fd >= 0)
        close(o.fd);
    return rc;
}
