/*
 * journal.h - an append-only file of checksummed frames: what was synced once is there for good.
 *
 * A frame is a head and a payload, padded to 8 bytes, in the byte order of the machine (little-endian on all we
 * build for):
 *
 *     u32 magic · u32 type · u64 bytes of payload · u64 synced · u32 CRC32C of the padded payload · u32 CRC32C of the head
 *
 * `synced` is the size that the file was known to have on the disk when the frame was written.  A crash may leave
 * anything behind the last sync: a tail that is torn, and cut.  A bad frame that a later one knows to have been synced
 * is damage, and refused.  Behind every sync goes an empty frame that says so, so that only itself can be
 * mistaken for a torn tail.
 */
#ifndef PATCHSWEEP_JOURNAL_H
#define PATCHSWEEP_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

#define PS_JOURNAL_SYNC 0 /* the type of the frames that are the journal's own; never visited */

typedef int ps_journal_visit(void *context, uint32_t type, const void *payload, size_t bytes, ps_err *err);

enum ps_journal_state { PS_JOURNAL_WHOLE, PS_JOURNAL_TORN, PS_JOURNAL_DAMAGED };

typedef struct ps_journal_report {
    enum ps_journal_state state;
    uint64_t frames;           /* good ones, the journal's own not counted */
    uint64_t good, size;       /* bytes up to the first bad frame, and of the file */
} ps_journal_report;

/* Is there a file at `path` that begins as a journal does? */
bool ps_journal_is(const char *path);
/*
 * Visit the frames of `path` up to the first bad one, and tell what the file is.  PS_EINPUT where it is no journal;
 * a negative return of `visit` (NULL: none) ends the scan and is returned.
 */
int ps_journal_scan(const char *path, ps_journal_visit *visit, void *context, ps_journal_report *report,
                    ps_err *err);
/* Cut the file to its first `bytes`. */
int ps_journal_cut(const char *path, uint64_t bytes, ps_err *err);

/* ---- writing ---- */

typedef struct ps_journal ps_journal;

/* A new one, in the place of whatever is there. */
int ps_journal_create(ps_journal **out, const char *path, ps_err *err);
/* Go on behind byte `good` of one that was scanned; what is behind that is cut off. */
int ps_journal_open(ps_journal **out, const char *path, uint64_t good, ps_err *err);
void ps_journal_close(ps_journal *journal); /* NULL is fine */

typedef struct ps_span {
    const void *at;
    size_t bytes;
} ps_span;

/* Append a frame whose payload is spans[n], one behind the other.  It is safe after the next sync. */
int ps_journal_append(ps_journal *journal, uint32_t type, const ps_span *spans, size_t n, ps_err *err);
int ps_journal_sync(ps_journal *journal, ps_err *err);
/* Visit all frames written so far. */
int ps_journal_read(ps_journal *journal, ps_journal_visit *visit, void *context, ps_err *err);

#endif
