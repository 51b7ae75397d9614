/* snapshot_save.c - write the parts of a snapshot. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/crc.h"
#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "snapshot.h"
#include "snapshot_file.h"

/* A part being written.  Bytes are gathered in `block`. */
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
        size_t some = PS_SNAPSHOT_BLOCK - w->used < bytes ? PS_SNAPSHOT_BLOCK - w->used : bytes;
        memcpy(w->block + w->used, from, some);
        w->used += some;
        from += some;
        bytes -= some;
        if (w->used == PS_SNAPSHOT_BLOCK && flush(w, err) < 0)
            return -1;
    }
    return 0;
}

/* Write the index.  If w is NULL, only compute its checksum. */
static int put_index(writer *w, uint32_t *crc, const ps_rows *rows, size_t n, size_t d, ps_err *err)
{
    uint64_t offset = sizeof(ps_snapshot_header) + n * sizeof(ps_snapshot_entry);

    for (size_t i = 0; i < n; i++) {
        ps_snapshot_entry e = {.key = rows[i].key, .kind = (uint32_t)rows[i].kind, .first = rows[i].first, .n = rows[i].n, .offset = offset};
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
    ps_snapshot_header h = {.layer = (uint32_t)layer, .d_model = (uint32_t)d, .n_entries = (uint32_t)n,
              .layout = PS_SNAPSHOT_LAYOUT};

    memcpy(h.magic, ps_snapshot_magic, sizeof h.magic);
    put_index(NULL, &h.index_crc, rows, n, d, err);
    if (put(w, &h, sizeof h, err) < 0 || put_index(w, NULL, rows, n, d, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (put(w, rows[i].rows, (size_t)rows[i].n * d * sizeof(float), err) < 0)
            return -1;
    return flush(w, err) < 0 ? -1 : ps_file_sync(w->fd, w->path, err);
}

/* Empty the file of an older part. */
static int empty_part(int fd, const char *path, ps_err *err)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && (st.st_size == 0 || ftruncate(fd, 0) == 0))
        return 0;
    return ps_err_errno(err, "cannot write '%s'", path);
}

static int write_part(ps_snapshot_part *part, const char *folder, const ps_snapshot_id *id, int rank,
                      const ps_rows *rows, size_t n, size_t d_model, ps_err *err)
{
    char path[PS_SNAPSHOT_PATH];
    int rc = -1;

    ps_snapshot_file_path(path, folder, id->generation, rank);
    writer w = {.fd = ps_snapshot_file_open(folder, id->generation, rank, O_RDWR | O_CREAT, path, err), .path = path};
    if (w.fd < 0)
        return -1;
    w.block = ps_malloc_aligned(PS_SNAPSHOT_BLOCK, 1, err);
    if (w.block && empty_part(w.fd, path, err) == 0)
        rc = put_part(&w, id->layer, rows, n, d_model, err);
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

    if (write_part(&mine.part, folder, id, rank, rows, n, d_model, &why) < 0)
        snprintf(mine.why, sizeof mine.why, "%.255s", why.text);
    if (rank == 0)
        all.parts = ps_calloc((size_t)ps_comm_size(comm), sizeof *all.parts, err);
    ps_comm_gather(comm, &mine, sizeof mine, take_part, &all, err); /* the other ranks send, so gather without memory too */
    *parts = all.parts;
    id->bytes = all.bytes;
    if (!err->code && all.failed >= 0)
        ps_err_set(err, PS_EFAIL, "rank %d: %s", all.failed, all.why);
    return ps_comm_agree(comm, err); /* every rank must know which files are the last good ones */
}

uint64_t ps_snapshot_save_bytes(void)
{
    const ps_block block = {.n = PS_SNAPSHOT_BLOCK, .size = 1};

    return ps_blocks_bytes(&block, 1);
}
