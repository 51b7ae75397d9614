/*
 * snapshot.h - the rows of a wave between two layers, on the disk.
 *
 * Package-private.  Every rank writes one file of its own, `<folder>/<generation>.<rank>`; they are a snapshot once all
 * are synced and rank 0 has said so in the journal, with the size and the checksum of each.  Rows are found again by their
 * cell, or by the prefix of tokens that a base row stands for: whoever goes on may have other ranks and other
 * waves.  A file is a head, an index of strands, and their rows.
 */
#ifndef PATCHSWEEP_SWEEP_SNAPSHOT_H
#define PATCHSWEEP_SWEEP_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/cellset.h"
#include "patchsweep/comm.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/wave.h"

#define PS_GENERATIONS 2 /* the older one lives until the newer is whole */

/* One rank's file. */
typedef struct ps_snapshot_part {
    uint64_t bytes;
    uint32_t crc, pad;
} ps_snapshot_part;

/* What the journal says of a snapshot. */
typedef struct ps_snapshot_id {
    int32_t generation, layer, n_parts; /* n_parts 0: none */
    int32_t n_cells;                    /* of the wave, checks too */
    uint64_t bytes;                     /* of all parts */
} ps_snapshot_id;

/*
 * Collective.  Every rank writes and syncs its part of snapshot `id`, whose bytes are added up on rank 0; the folder is there.  On
 * rank 0 *parts gets what the journal must know ([id->n_parts], owned by the caller), and -1 says that some rank could
 * not, which and why; elsewhere 0.
 */
int ps_snapshot_save(ps_snapshot_id *id, ps_snapshot_part **parts, const char *folder, const ps_rows *rows, size_t n,
                     size_t d_model, ps_comm *comm, ps_err *err);
/* Remove the folder and the parts in it; fine where there are none. */
void ps_snapshot_remove(const char *folder);

typedef struct ps_snapshot ps_snapshot;

/*
 * Collective.  Open the snapshot that `id` and parts[id->n_parts] tell of (given on rank 0), to be read by every rank.  Each part
 * is read whole by some rank and compared with its checksum; all must see all of them.  The failure of one is everyone's:
 * PS_EINPUT tells what is wrong.
 */
int ps_snapshot_open(ps_snapshot **out, const char *folder, const ps_snapshot_id *id,
                     const ps_snapshot_part *parts, const ps_grid *grid, size_t d_model, ps_comm *comm, ps_err *err);
void ps_snapshot_close(ps_snapshot *snapshot);
int32_t ps_snapshot_layer(const ps_snapshot *snapshot);
int ps_snapshot_generation(const ps_snapshot *snapshot);
/* Add its cells to `set`. */
void ps_snapshot_cells(const ps_snapshot *snapshot, ps_cellset *set);
/* Fill in rows[n]; the sink's `restore`. */
int ps_snapshot_load(const ps_snapshot *snapshot, ps_rows *rows, size_t n, ps_err *err);

/* Check a part's head and index, bytes[n] of them at least (all of the file, to be sure), for `grid`.  For tests. */
int ps_snapshot_check(const void *bytes, size_t n, const ps_grid *grid, size_t d_model, ps_err *err);

#endif
