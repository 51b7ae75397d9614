/* journal.c - frames are written whole in one call, and read one at a time. */
#include "patchsweep/journal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/crc.h"
#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "patchsweep/place.h"

static const char file_magic[8] = "psjrnl1\n";

#define FRAME_MAGIC 0x6d726650u /* "Pfrm" */
#define ALIGN 8

typedef struct head {
    uint32_t magic, type;
    uint64_t bytes, synced;
    uint32_t payload_crc, head_crc;
} head;

struct ps_journal {
    int fd;
    char *path;
    uint64_t size, synced;
    char *frame; /* buffer for the frame being written */
    size_t room;
    bool failed; /* a sync has failed: the file's contents on the disk are unknown */
    ps_journal_report reading; /* the state of ps_journal_read() */
};

static size_t padded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static uint32_t head_crc(const head *h)
{
    return ps_crc32c(0, h, offsetof(head, head_crc));
}

/* ---- reading ---- */

/* A file being read, and its latest frame. */
typedef struct reader {
    int fd;
    const char *path;
    uint64_t size, at;
    head head;
    char *payload;
    size_t room;
} reader;

/* Whether this is the head of a frame that fits into the file at `at`. */
static bool sound(const head *h, uint64_t at, uint64_t size)
{
    return h->magic == FRAME_MAGIC && h->head_crc == head_crc(h) && size - at >= sizeof *h &&
           h->bytes <= size - at - sizeof *h && padded(h->bytes) <= size - at - sizeof *h;
}

/* Read the frame at r->at, and move r->at past it.  Returns 1, or 0 if there is no good frame there, or -1 on
 * failure. */
static int next_frame(reader *r, ps_err *err)
{
    head *h = &r->head;

    if (r->size - r->at < sizeof *h)
        return 0;
    if (ps_file_pread(r->fd, h, sizeof *h, r->at, r->path, err) < 0)
        return -1;
    if (!sound(h, r->at, r->size))
        return 0;
    size_t bytes = padded(h->bytes);
    if (bytes > r->room) {
        ps_free(r->payload);
        r->room = 0;
        r->payload = ps_malloc_aligned(bytes, 1, err);
        if (!r->payload)
            return -1;
        r->room = bytes;
    }
    if (ps_file_pread(r->fd, r->payload, bytes, r->at + sizeof *h, r->path, err) < 0)
        return -1;
    if (ps_crc32c(0, r->payload, bytes) != h->payload_crc)
        return 0;
    r->at += sizeof *h + bytes;
    return 1;
}

/* Find out whether a later frame proves that the bad frame at r->at was synced: 1 or 0; -1 on failure. */
static int known_synced(reader *r, ps_err *err)
{
    enum { BLOCK = 1 << 16 };
    char *block = ps_malloc_aligned(BLOCK, 1, err);
    int found = block ? 0 : -1;

    for (uint64_t at = r->at; found == 0 && r->size - at >= sizeof(head); at += BLOCK - sizeof(head)) {
        size_t n = r->size - at < BLOCK ? (size_t)(r->size - at) : BLOCK;
        if (ps_file_pread(r->fd, block, n, at, r->path, err) < 0)
            found = -1;
        for (size_t i = 0; found == 0 && i + sizeof(head) <= n; i += ALIGN) {
            head h;
            memcpy(&h, block + i, sizeof h);
            found = sound(&h, at + i, r->size) && h.synced > r->at;
        }
        if (n < BLOCK)
            break;
    }
    ps_free(block);
    return found;
}

/* Whether `fd` holds a journal, in one read. */
static bool begins_well(int fd)
{
    char magic[sizeof file_magic];

    return pread(fd, magic, sizeof magic, 0) == sizeof magic && !memcmp(magic, file_magic, sizeof magic);
}

static int scan(reader *r, ps_journal_visit *visit, void *context, ps_journal_report *report, ps_err *err)
{
    int got;

    *report = (ps_journal_report){.state = PS_JOURNAL_WHOLE, .size = r->size};
    r->at = sizeof file_magic;
    while ((got = next_frame(r, err)) > 0) {
        if (r->head.type == PS_JOURNAL_SYNC)
            continue;
        report->frames++;
        report->payload_at = r->at - padded(r->head.bytes);
        if (visit && visit(context, r->head.type, r->payload ? r->payload : "", r->head.bytes, err) < 0)
            return -1;
    }
    report->good = r->at;
    if (got == 0 && r->at < r->size) {
        got = known_synced(r, err);
        report->state = got > 0 ? PS_JOURNAL_DAMAGED : PS_JOURNAL_TORN;
    }
    return got < 0 ? -1 : 0;
}

int ps_journal_scan(const char *path, ps_journal_visit *visit, void *context, ps_journal_report *report,
                    ps_err *err)
{
    reader r = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW), .path = path};
    struct stat st;
    int rc = -1;

    if (r.fd < 0 || fstat(r.fd, &st) < 0)
        ps_err_errno(err, "cannot open '%s'", path);
    else if (S_ISREG(st.st_mode) && (size_t)st.st_size <= sizeof file_magic && !begins_well(r.fd)) {
        *report = (ps_journal_report){.state = PS_JOURNAL_TORN, .size = (uint64_t)st.st_size};
        rc = 0; /* the run ended while it was creating the file */
    } else if (!S_ISREG(st.st_mode) || !begins_well(r.fd))
        ps_err_set(err, PS_EINPUT, "'%s' is not a patchsweep journal", path);
    else {
        r.size = (uint64_t)st.st_size;
        rc = scan(&r, visit, context, report, err);
    }
    ps_free(r.payload);
    if (r.fd >= 0)
        close(r.fd);
    return rc;
}

bool ps_journal_is(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return false;
    bool is = begins_well(fd);
    close(fd);
    return is;
}

enum ps_journal_sight ps_journal_look(const char *path, ps_err *err)
{
    char magic[sizeof file_magic + 1];
    int there = ps_place_taken(path, 0, err);
    int fd = there > 0 ? ps_place_open(AT_FDCWD, path, O_RDONLY, path, err) : -1;

    if (fd < 0)
        return there == 0 ? PS_JOURNAL_NONE : PS_JOURNAL_FAILED;
    ssize_t n = pread(fd, magic, sizeof magic, 0);
    close(fd);
    if (n < 0) {
        ps_err_errno(err, "cannot read '%s'", path);
        return PS_JOURNAL_FAILED;
    }
    size_t known = (size_t)n < sizeof file_magic ? (size_t)n : sizeof file_magic;
    if (!memcmp(magic, file_magic, known))
        return PS_JOURNAL_BEGUN;
    return (size_t)n <= sizeof file_magic ? PS_JOURNAL_STUB : PS_JOURNAL_FOREIGN;
}

void ps_journal_remove(const char *path)
{
    ps_err ignored;

    if (ps_journal_look(path, &ignored) == PS_JOURNAL_BEGUN)
        unlink(path);
}

int ps_journal_cut(const char *path, uint64_t bytes, ps_err *err)
{
    ps_journal *journal;

    if (ps_journal_open(&journal, path, bytes, err) < 0)
        return -1;
    ps_journal_close(journal);
    return 0;
}

/* ---- writing ---- */

static int open_at(ps_journal **out, const char *path, int flags, ps_err *err)
{
    ps_journal *j = ps_calloc(1, sizeof *j, err);

    if (!j)
        return -1;
    j->fd = -1;
    j->path = ps_strdup(path, err);
    if (j->path)
        j->fd = ps_place_open(AT_FDCWD, path, O_RDWR | flags, path, err);
    if (j->fd < 0) {
        ps_journal_close(j);
        return -1;
    }
    *out = j;
    return 0;
}

int ps_journal_create(ps_journal **out, const char *path, ps_err *err)
{
    ps_journal *j;
    struct stat st;

    if (open_at(&j, path, O_CREAT, err) < 0)
        return -1;
    j->size = sizeof file_magic;
    /* Open without O_TRUNC: empty only what was seen to be a regular file. */
    if (fstat(j->fd, &st) < 0 || (st.st_size > 0 && ftruncate(j->fd, 0) < 0)) {
        ps_err_errno(err, "cannot empty '%s'", path);
        ps_journal_close(j);
        return -1;
    }
    if (ps_file_pwrite(j->fd, file_magic, sizeof file_magic, 0, path, err) < 0 ||
        ps_file_sync(j->fd, path, err) < 0 || ps_file_sync_entry(path, err) < 0) {
        ps_journal_close(j);
        return -1;
    }
    j->synced = j->size;
    *out = j;
    return 0;
}

int ps_journal_open(ps_journal **out, const char *path, uint64_t good, ps_err *err)
{
    ps_journal *j;

    if (open_at(&j, path, 0, err) < 0)
        return -1;
    if (ftruncate(j->fd, (off_t)good) < 0) {
        ps_err_errno(err, "cannot cut '%s' to %llu bytes", path, (unsigned long long)good);
        ps_journal_close(j);
        return -1;
    }
    j->size = good;
    /* Sync the frames that were read: they may be in the page cache only, and new frames build on them. */
    if (ps_journal_sync(j, err) < 0) {
        ps_journal_close(j);
        return -1;
    }
    *out = j;
    return 0;
}

void ps_journal_close(ps_journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    ps_free(j->frame);
    ps_free(j->path);
    ps_free(j);
}

/* Make room for a frame of `bytes` of payload. */
static int make_room(ps_journal *j, size_t bytes, ps_err *err)
{
    size_t all = sizeof(head) + padded(bytes);

    if (all <= j->room)
        return 0;
    ps_free(j->frame);
    j->room = 0;
    j->frame = ps_malloc_aligned(all, 1, err);
    if (!j->frame)
        return -1;
    j->room = all;
    return 0;
}

int ps_journal_append(ps_journal *j, uint32_t type, const ps_span *spans, size_t n, ps_err *err)
{
    size_t bytes = 0;

    if (j->failed)
        return ps_err_set(err, PS_EFAIL, "'%s' could not be flushed; nothing more is written to it", j->path);
    for (size_t i = 0; i < n; i++)
        bytes += spans[i].bytes;
    if (make_room(j, bytes, err) < 0)
        return -1;
    char *at = j->frame + sizeof(head);
    for (size_t i = 0; i < n; at += spans[i].bytes, i++)
        if (spans[i].bytes)
            memcpy(at, spans[i].at, spans[i].bytes);
    memset(at, 0, padded(bytes) - bytes);
    head h = {.magic = FRAME_MAGIC, .type = type, .bytes = bytes, .synced = j->synced,
              .payload_crc = ps_crc32c(0, j->frame + sizeof h, padded(bytes))};
    h.head_crc = head_crc(&h);
    memcpy(j->frame, &h, sizeof h);
    if (ps_file_pwrite(j->fd, j->frame, sizeof h + padded(bytes), j->size, j->path, err) < 0)
        return -1; /* the next frame overwrites the part that was written */
    j->size += sizeof h + padded(bytes);
    return 0;
}

/* Check that the journal's name still leads to the open file.  Otherwise syncing saves nothing. */
static int check_name(const ps_journal *j, ps_err *err)
{
    enum ps_leads leads = ps_place_leads(j->path, j->fd, err);

    if (leads == PS_LEADS_HERE || leads == PS_LEADS_UNKNOWN)
        return leads == PS_LEADS_HERE ? 0 : -1;
    return ps_err_set(err, PS_EFAIL, "'%s' was %s while the run was writing it, and what was done is lost with it; run the same "
                      "command line to start over", j->path, leads == PS_LEADS_ELSEWHERE ? "replaced" : "removed");
}

int ps_journal_sync(ps_journal *j, ps_err *err)
{
    if (!j->failed && ps_file_sync(j->fd, j->path, err) == 0 && check_name(j, err) == 0) {
        j->synced = j->size;
        return ps_journal_append(j, PS_JOURNAL_SYNC, NULL, 0, err);
    }
    if (j->failed)
        return ps_err_set(err, PS_EFAIL, "'%s' could not be flushed before", j->path);
    j->failed = true;
    return -1;
}

int ps_journal_read(ps_journal *j, ps_journal_visit *visit, void *context, ps_err *err)
{
    ps_journal_report *report = &j->reading;

    if (ps_journal_scan(j->path, visit, context, report, err) < 0)
        return -1;
    if (report->state == PS_JOURNAL_WHOLE && report->size == j->size)
        return 0;
    return ps_err_set(err, PS_EFAIL, "'%s' is not as it was written, from byte %llu on", j->path,
                      (unsigned long long)report->good);
}

uint64_t ps_journal_payload_at(const ps_journal *j)
{
    return j->reading.payload_at;
}

int ps_journal_read_from(ps_journal *j, uint64_t payload_at, ps_journal_visit *visit, void *context, ps_err *err)
{
    reader r = {.fd = j->fd, .path = j->path, .size = j->size, .at = payload_at - sizeof(head)};
    int rc = 0;

    while (rc == 0) {
        int got = next_frame(&r, err);
        if (got > 0 && r.head.type != PS_JOURNAL_SYNC)
            rc = visit(context, r.head.type, r.payload ? r.payload : "", r.head.bytes, err);
        else if (got == 0)
            rc = ps_err_set(err, PS_EFAIL, "'%s' is not as it was written, from byte %llu on", j->path,
                            (unsigned long long)r.at);
        else if (got < 0)
            rc = -1;
    }
    ps_free(r.payload);
    return rc < 0 ? -1 : 0;
}

int ps_journal_pread(ps_journal *j, void *bytes, size_t n, uint64_t at, ps_err *err)
{
    return ps_file_pread(j->fd, bytes, n, at, j->path, err);
}
