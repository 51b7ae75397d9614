/* snapshot.c - writing parts, and finding rows in them. */
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
#include "patchsweep/place.h"
#include "rows_dir.h"

static const char part_magic[8] = "psrows1\n";
#define LAYOUT 2 /* of an entry, and of the rows that a cell carries; a build that has others has another number */

#define BLOCK ((size_t)4 << 20) /* bytes read or written at once */

typedef struct head {
    char magic[8];
    uint32_t layer, d_model, n_entries, index_crc;
    uint32_t layout, pad;
} head;

/* A strand: in the index of a part, and in the table over all parts. */
typedef struct entry {
    int64_t key;     /* as in ps_rows */
    uint64_t offset; /* of its rows, in the part */
    int32_t first, n;
    int32_t part;    /* in the table */
    uint32_t kind;   /* enum ps_rows_kind */
} entry;

struct ps_snapshot {
    char *folder;
    int32_t layer;
    int generation;
    const ps_grid *grid;
    size_t d;
    entry *entries; /* [n] of all parts: cells by their keys, then base rows */
    size_t n, n_cells;
    int32_t *base; /* [n_nodes] entry that has the prefix's row of a base run, or -1 */
};

/*
 * Open a part with O_... flags, in a marked folder and as a regular file: no link is followed, and no FIFO waited for.
 * `path` is for messages.
 */
static int open_part(const char *folder, int generation, int rank, int flags, const char *path, ps_err *err)
{
    char name[PS_ROWS_NAME];
    int dir = ps_rows_dir_open(folder, err);

    if (dir < 0)
        return -1;
    ps_rows_part_name(name, generation, rank);
    int fd = ps_place_open(dir, name, flags, path, err);
    close(dir);
    return fd;
}

static void part_path(char path[4200], const char *folder, int generation, int rank)
{
    char name[PS_ROWS_NAME];

    ps_rows_part_name(name, generation, rank);
    snprintf(path, 4200, "%s/%s", folder, name);
}

/* ---- writing ---- */

/* A part being written, through `block`. */
typedef struct writer {
    int fd;
    const char *path;
    char *block;
    size_t used;
    uint64_t at;
    uint32_t crc;
} writer;

static int flush(writer *w, ps_err *err)
{
    if (ps_file_pwrite(w->fd, w->block, w->used, w->at, w->path, err) < 0)
        return -1;
    w->crc = ps_crc32c(w->crc, w->block, w->used);
    w->at += w->used;
    w->used = 0;
    return 0;
}

static int put(writer *w, const void *data, size_t bytes, ps_err *err)
{
    const char *from = data;

    while (bytes > 0) {
        size_t some = BLOCK - w->used < bytes ? BLOCK - w->used : bytes;
        memcpy(w->block + w->used, from, some);
        w->used += some;
        from += some;
        bytes -= some;
        if (w->used == BLOCK && flush(w, err) < 0)
            return -1;
    }
    return 0;
}

/* Write the index; where w is NULL compute its checksum only. */
static int put_index(writer *w, uint32_t *crc, const ps_rows *rows, size_t n, size_t d, ps_err *err)
{
    uint64_t offset = sizeof(head) + n * sizeof(entry);

    for (size_t i = 0; i < n; i++) {
        entry e = {.key = rows[i].key, .kind = (uint32_t)rows[i].kind, .first = rows[i].first, .n = rows[i].n, .offset = offset};
        offset += (uint64_t)rows[i].n * d * sizeof(float);
        if (crc)
            *crc = ps_crc32c(*crc, &e, sizeof e);
        if (w && put(w, &e, sizeof e, err) < 0)
            return -1;
    }
    return 0;
}

static int put_part(writer *w, int32_t layer, const ps_rows *rows, size_t n, size_t d, ps_err *err)
{
    head h = {.layer = (uint32_t)layer, .d_model = (uint32_t)d, .n_entries = (uint32_t)n,
              .layout = LAYOUT};

    memcpy(h.magic, part_magic, sizeof h.magic);
    put_index(NULL, &h.index_crc, rows, n, d, err);
    if (put(w, &h, sizeof h, err) < 0 || put_index(w, NULL, rows, n, d, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (put(w, rows[i].rows, (size_t)rows[i].n * d * sizeof(float), err) < 0)
            return -1;
    return flush(w, err) < 0 ? -1 : ps_file_sync(w->fd, w->path, err);
}

/* Make room in the place of an older part. */
static int empty_part(int fd, const char *path, ps_err *err)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && (st.st_size == 0 || ftruncate(fd, 0) == 0))
        return 0;
    return ps_err_errno(err, "cannot write '%s'", path);
}

static int write_part(ps_snapshot_part *part, const char *folder, int generation, int rank, int32_t layer,
                      const ps_rows *rows, size_t n, size_t d_model, ps_err *err)
{
    char path[4200];
    int rc = -1;

    part_path(path, folder, generation, rank);
    writer w = {.fd = open_part(folder, generation, rank, O_RDWR | O_CREAT, path, err), .path = path};
    if (w.fd < 0)
        return -1;
    w.block = ps_malloc_aligned(BLOCK, 1, err);
    if (w.block && empty_part(w.fd, path, err) == 0)
        rc = put_part(&w, layer, rows, n, d_model, err);
    if (close(w.fd) < 0 && rc == 0)
        rc = ps_err_errno(err, "cannot write '%s'", path);
    if (rc == 0)
        rc = ps_file_sync_entry(path, err);
    ps_free(w.block);
    *part = (ps_snapshot_part){.bytes = w.at, .crc = w.crc};
    return rc;
}

/* The outcome of a part, sent to rank 0. */
typedef struct part_report {
    ps_snapshot_part part;
    char why[256]; /* the reason of a failure, or "" */
} part_report;

typedef struct collection {
    ps_snapshot_part *parts; /* [size] */
    uint64_t bytes;
    int failed;              /* the first rank that failed to write its part, or -1 */
    char why[256];
} collection;

static int take_part(void *context, int rank, const void *block, size_t bytes, ps_err *err)
{
    const part_report *report = block;
    collection *c = context;

    (void)err;
    if (bytes == sizeof *report && !*report->why) {
        if (c->parts)
            c->parts[rank] = report->part;
        c->bytes += report->part.bytes;
    } else if (c->failed < 0) {
        c->failed = rank;
        memcpy(c->why, report->why, sizeof c->why);
    }
    return 0;
}

int ps_snapshot_save(ps_snapshot_id *id, ps_snapshot_part **parts, const char *folder, const ps_rows *rows, size_t n,
                     size_t d_model, ps_comm *comm, ps_err *err)
{
    part_report mine = {.why = ""};
    collection all = {.failed = -1};
    ps_err why = PS_ERR_INIT;
    int rank = ps_comm_rank(comm);

    if (write_part(&mine.part, folder, id->generation, rank, id->layer, rows, n, d_model, &why) < 0)
        snprintf(mine.why, sizeof mine.why, "%.255s", why.text);
    if (rank == 0)
        all.parts = ps_calloc((size_t)ps_comm_size(comm), sizeof *all.parts, err);
    ps_comm_gather(comm, &mine, sizeof mine, take_part, &all, err); /* even where there was no memory: the other ranks are sending */
    *parts = all.parts;
    id->bytes = all.bytes;
    if (!err->code && all.failed >= 0)
        ps_err_set(err, PS_EFAIL, "rank %d: %s", all.failed, all.why);
    return ps_comm_agree(comm, err); /* every rank must know which files are the last good ones */
}

uint64_t ps_snapshot_save_bytes(void)
{
    const ps_block block = {.n = BLOCK, .size = 1};

    return ps_blocks_bytes(&block, 1);
}

/* ---- reading ---- */

/* The run of an entry of base rows. */
static int32_t pair_of(int64_t key)
{
    return (int32_t)(key / PS_N_WHICH);
}

static const int32_t *nodes_of(const ps_grid *grid, int64_t key)
{
    return grid->pairs[pair_of(key)].nodes[key % PS_N_WHICH];
}

/* Whether the rows are those that the engine carries of the cell before `layer`: none where it has not entered yet. */
static bool fits_cell(const entry *e, const ps_grid *grid, int32_t layer)
{
    ps_cell cell;
    ps_err none = PS_ERR_INIT;

    if (ps_grid_cell(grid, e->key, &cell) < 0 || !ps_grid_path(grid, &cell, &none))
        return false;
    int32_t n = ps_grid_cell_entry(grid, &cell) < layer ? ps_grid_cell_rows(grid, &cell) : 0;
    return e->n == n && (n == 0 || e->first == grid->pairs[cell.pair].n_positions - n);
}

static bool fits_run(const entry *e, const ps_grid *grid)
{
    return e->key >= 0 && e->key < (int64_t)grid->n_pairs * PS_N_WHICH && e->n >= 0 && e->first >= 0 &&
           e->first <= grid->pairs[pair_of(e->key)].n_positions - e->n;
}

/* Whether the entry fits the grid before `layer`, and its rows lie in a file of `size` bytes. */
static bool fits(const entry *e, const ps_grid *grid, int32_t layer, size_t d, uint64_t size)
{
    if (e->kind == PS_ROWS_CELL ? !fits_cell(e, grid, layer) : e->kind != PS_ROWS_BASE || !fits_run(e, grid))
        return false;
    return e->offset <= size && (uint64_t)e->n * d * sizeof(float) <= size - e->offset;
}

/* Check head and index of a file of `size` bytes; bytes[n] is its beginning. */
static int check_index(const char *bytes, size_t n, uint64_t size, const ps_grid *grid, size_t d, size_t *n_entries,
                       ps_err *err)
{
    head h;

    if (n < sizeof h)
        return ps_err_set(err, PS_EINPUT, "it ends within its head");
    memcpy(&h, bytes, sizeof h);
    if (memcmp(h.magic, part_magic, sizeof h.magic) || h.d_model != d || h.layer > (uint32_t)grid->n_layers)
        return ps_err_set(err, PS_EINPUT, "it is not a snapshot of this sweep");
    if (h.layout != LAYOUT)
        return ps_err_set(err, PS_EINPUT, "another version of patchsweep saved them");
    if (h.n_entries > (n - sizeof h) / sizeof(entry) ||
        ps_crc32c(0, bytes + sizeof h, h.n_entries * sizeof(entry)) != h.index_crc)
        return ps_err_set(err, PS_EINPUT, "its index is damaged");
    for (size_t i = 0; i < h.n_entries; i++) {
        entry e;
        memcpy(&e, bytes + sizeof h + i * sizeof e, sizeof e);
        if (!fits(&e, grid, (int32_t)h.layer, d, size))
            return ps_err_set(err, PS_EINPUT, "its entry %zu is not a strand of this sweep", i);
    }
    *n_entries = h.n_entries;
    return 0;
}

int ps_snapshot_check(const void *bytes, size_t n, const ps_grid *grid, size_t d_model, ps_err *err)
{
    size_t n_entries;

    return check_index(bytes, n, n, grid, d_model, &n_entries, err);
}

/* On rank 0: append the entries of a part to the table. */
static int add_index(ps_snapshot *s, int part, const char *path, size_t *cap, ps_err *err)
{
    struct stat st;
    head h;
    size_t n = 0;
    char *bytes = NULL;
    int rc = -1, fd = open_part(s->folder, s->generation, part, O_RDONLY, path, err);

    if (fd < 0)
        goto out;
    if (fstat(fd, &st) < 0) {
        ps_err_errno(err, "cannot examine '%s'", path);
        goto out;
    }
    if (ps_file_pread(fd, &h, sizeof h, 0, path, err) < 0)
        goto out;
    size_t most = sizeof h + (size_t)h.n_entries * sizeof(entry);
    if (most > (uint64_t)st.st_size) {
        ps_err_set(err, PS_EINPUT, "its index is damaged");
        goto out;
    }
    bytes = ps_malloc(most, 1, err);
    if (!bytes || ps_file_pread(fd, bytes, most, 0, path, err) < 0 ||
        check_index(bytes, most, (uint64_t)st.st_size, s->grid, s->d, &n, err) < 0)
        goto out;
    for (size_t i = 0; i < n; i++) {
        if (ps_grow(&s->entries, s->n, cap, sizeof *s->entries, err) < 0)
            goto out;
        entry *e = &s->entries[s->n++];
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
    char *block = ps_malloc_aligned(BLOCK, 1, err);
    int fd = block ? open_part(s->folder, s->generation, i, O_RDONLY, path, err) : -1;
    uint32_t crc = 0;
    int rc = fd < 0 ? -1 : 0;

    for (uint64_t at = 0; rc == 0 && at < part->bytes; at += BLOCK) {
        size_t n = part->bytes - at < BLOCK ? (size_t)(part->bytes - at) : BLOCK;
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
    char path[4200];

    for (int i = 0; i < n; i++) {
        struct stat st;
        part_path(path, s->folder, s->generation, i);
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

/* Cells by their keys, then base rows as they came. */
static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;

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
        const entry *e = &s->entries[i];
        const int32_t *node = nodes_of(s->grid, e->key);
        for (int32_t t = e->first; t < e->first + e->n; t++)
            s->base[node[t]] = (int32_t)i;
    }
    return 0;
}

/* Collective.  Rank 0 reads the indices; every rank gets all entries. */
static int share_index(ps_snapshot *s, int n_parts, ps_comm *comm, ps_err *err)
{
    char path[4200];
    size_t cap = 0;

    for (int i = 0; ps_comm_rank(comm) == 0 && i < n_parts; i++) {
        part_path(path, s->folder, s->generation, i);
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
    char path[4200];
} opened;

static int load_rows(const ps_snapshot *s, opened *o, const entry *e, int32_t skip, int32_t n, float *to, ps_err *err)
{
    size_t row = s->d * sizeof *to;

    if (o->part != e->part) {
        if (o->fd >= 0)
            close(o->fd);
        part_path(o->path, s->folder, s->generation, e->part);
        o->fd = open_part(s->folder, s->generation, e->part, O_RDONLY, o->path, err);
        o->part = o->fd < 0 ? -1 : e->part;
    }
    if (o->fd < 0)
        return -1;
    return ps_file_pread(o->fd, to, (size_t)n * row, e->offset + (uint64_t)skip * row, o->path, err);
}

static const entry *find_cell(const ps_snapshot *s, int64_t key)
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
                              (int)pair_of(r->key), (int)(r->first + i));
        const entry *e = &s->entries[at];
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
    const entry *e = find_cell(s, r->key);
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
