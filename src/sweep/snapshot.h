/*
 * snapshot.h - the rows of a wave between two layers, on the disk.
 *
 * Package-private.  Every rank writes one file, a part, into the folder of rows (rows_dir.h).  A part is a header, an
 * index of strands, and their rows.  The parts are a snapshot once all of them are synced and the journal has the size
 * and the checksum of each.  A cell's rows are found by the cell, a base row by its prefix of tokens.  So a run may
 * resume with another number of ranks and other waves.
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
#include "rows_dir.h"

/* One rank's file. */
typedef struct ps_snapshot_part {
    uint64_t bytes;
    uint32_t crc, pad;
} ps_snapshot_part;

/* A snapshot as the journal records it. */
typedef struct ps_snapshot_id {
    int32_t generation, layer, n_parts; /* n_parts 0: none */
    int32_t n_cells;                    /* of the wave, checks too */
    uint64_t bytes;                     /* of all parts */
} ps_snapshot_id;

/*
 * Collective.  Every rank writes and syncs its part of snapshot `id` into `folder`, which must be marked.  On rank 0,
 * *parts gets the size and checksum of each part ([ranks], owned by the caller), and id->bytes the sum of the sizes.
 * If one rank fails, all return -1, with that rank and its reason.
 */
int ps_snapshot_save(ps_snapshot_id *id, ps_snapshot_part **parts, const char *folder, const ps_rows *rows, size_t n,
                     size_t d_model, ps_comm *comm, ps_err *err);
uint64_t ps_snapshot_save_bytes(void); /* that ps_snapshot_save() allocates on a rank */

typedef struct ps_snapshot ps_snapshot;

/*
 * Collective.  Open, for reading on every rank, the snapshot that rank 0's `id` and parts[id->n_parts] describe.
 * Every rank must see every part.  Each part is read whole by one rank, and compared with its checksum.  If one rank
 * fails, all fail.  PS_EINPUT where a part is damaged, or holds other rows than this build carries.
 */
int ps_snapshot_open(ps_snapshot **out, const char *folder, const ps_snapshot_id *id,
                     const ps_snapshot_part *parts, const ps_grid *grid, size_t d_model, ps_comm *comm, ps_err *err);
void ps_snapshot_close(ps_snapshot *snapshot);
int32_t ps_snapshot_layer(const ps_snapshot *snapshot);
int ps_snapshot_generation(const ps_snapshot *snapshot);
/* Add the snapshot's cells to `set`. */
void ps_snapshot_cells(const ps_snapshot *snapshot, ps_cellset *set);
/* Fill in rows[n], as ps_wave_sink.restore must. */
int ps_snapshot_load(const ps_snapshot *snapshot, ps_rows *rows, size_t n, ps_err *err);

/* Check the header and the index of a part, which is bytes[n], for `grid`.  For tests. */
int ps_snapshot_check(const void *bytes, size_t n, const ps_grid *grid, size_t d_model, ps_err *err);

#endif
