/*
 * journal.h - an append-only file of checksummed frames: a frame that was synced is never lost unnoticed.
 *
 * A frame is a head and a payload, padded to 8 bytes, in the byte order of the machine (little-endian on all we
 * build for):
 *
 *     u32 magic · u32 type · u64 bytes of payload · u64 synced · u32 CRC32C of the padded payload · u32 CRC32C of the head
 *
 * `synced` is the size of the file at the last sync before the frame was written.
 *
 * A crash may leave anything after the last sync: a torn tail, which is cut.  A bad frame before the `synced` of a
 * later frame is damage, and is refused.  Every sync is followed by an empty frame that records it.  Only that frame
 * can be lost without a later frame proving the loss.
 */
#ifndef PATCHSWEEP_JOURNAL_H
#define PATCHSWEEP_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

#define PS_JOURNAL_SYNC 0 /* type of the empty frame after a sync; never visited */

typedef int ps_journal_visit(void *context, uint32_t type, const void *payload, size_t bytes, ps_err *err);

enum ps_journal_state { PS_JOURNAL_WHOLE, PS_JOURNAL_TORN, PS_JOURNAL_DAMAGED };

typedef struct ps_journal_report {
    enum ps_journal_state state;
    uint64_t frames;           /* good frames, PS_JOURNAL_SYNC not counted */
    uint64_t good, size;       /* bytes before the first bad frame, and of the file */
    uint64_t payload_at;       /* byte at which the payload of the visited frame begins */
} ps_journal_report;

/* Whether the file at `path` begins as a journal. */
bool ps_journal_is(const char *path);
/*
 * Visit the frames of `path` up to the first bad one, and report the state of the file.  PS_EINPUT if it is no
 * journal.  If `visit` returns a negative number, the scan ends with -1.  `visit` may be NULL.
 */
int ps_journal_scan(const char *path, ps_journal_visit *visit, void *context, ps_journal_report *report,
                    ps_err *err);
/* What is at a journal's name, by its first bytes. */
enum ps_journal_sight {
    PS_JOURNAL_FAILED = -1, /* *err is set: it is no regular file (PS_EINPUT), or cannot be read */
    PS_JOURNAL_NONE,        /* nothing */
    PS_JOURNAL_BEGUN,       /* a journal, or the beginning of one: an empty file too */
    PS_JOURNAL_STUB,        /* no journal, but no longer than a journal's first write: a power cut may leave that */
    PS_JOURNAL_FOREIGN,     /* some other file */
};
enum ps_journal_sight ps_journal_look(const char *path, ps_err *err);
/* Remove the journal at `path`; anything else stays. */
void ps_journal_remove(const char *path);
/* Cut the file to its first `bytes`. */
int ps_journal_cut(const char *path, uint64_t bytes, ps_err *err);

/* ---- writing ---- */

typedef struct ps_journal ps_journal;

/* Create an empty journal, replacing a regular file.  PS_EINPUT if something else has that name. */
int ps_journal_create(ps_journal **out, const char *path, ps_err *err);
/* Open a scanned journal to append to it.  It is cut to its first `good` bytes. */
int ps_journal_open(ps_journal **out, const char *path, uint64_t good, ps_err *err);
void ps_journal_close(ps_journal *journal); /* NULL is fine */

typedef struct ps_span {
    const void *at;
    size_t bytes;
} ps_span;

/* Append a frame whose payload is spans[n], one after the other.  It is safe after the next sync. */
int ps_journal_append(ps_journal *journal, uint32_t type, const ps_span *spans, size_t n, ps_err *err);
/* Flush all frames to the disk.  PS_EFAIL also if the journal's name was removed, or leads to another file by now.
 * After a failure every later append and sync fails. */
int ps_journal_sync(ps_journal *journal, ps_err *err);
/* Visit all frames written so far. */
int ps_journal_read(ps_journal *journal, ps_journal_visit *visit, void *context, ps_err *err);
/* While ps_journal_read() visits a frame: the byte of the file where the frame's payload begins. */
uint64_t ps_journal_payload_at(const ps_journal *journal);
/* Visit the frame whose payload begins at that byte, and those behind it, until `visit` returns 1. */
int ps_journal_read_from(ps_journal *journal, uint64_t payload_at, ps_journal_visit *visit, void *context, ps_err *err);
/* Read n bytes of a frame that ps_journal_read() has visited. */
int ps_journal_pread(ps_journal *journal, void *bytes, size_t n, uint64_t at, ps_err *err);

#endif
