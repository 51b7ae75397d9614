/*
 * snapshot_file.h - a part of a snapshot as a file: its name, its header, its index.
 *
 * Package-private to the snapshot*.c files.
 */
#ifndef PATCHSWEEP_SWEEP_SNAPSHOT_FILE_H
#define PATCHSWEEP_SWEEP_SNAPSHOT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/terms.h"

#define PS_SNAPSHOT_LAYOUT 2 /* number of the layout of entries, and of which rows a cell carries */
#define PS_SNAPSHOT_BLOCK ((size_t)4 << 20) /* bytes read or written at once */
#define PS_SNAPSHOT_PATH 4200

extern const char ps_snapshot_magic[8];

typedef struct ps_snapshot_header {
    char magic[8];
    uint32_t layer, d_model, n_entries, index_crc;
    uint32_t layout, pad;
} ps_snapshot_header;

/* A strand: in the index of a part, and in the table over all parts. */
typedef struct ps_snapshot_entry {
    int64_t key;     /* as in ps_rows */
    uint64_t offset; /* of its rows, in the part */
    int32_t first, n;
    int32_t part;    /* number of the part; set in the table */
    uint32_t kind;   /* enum ps_rows_kind */
} ps_snapshot_entry;

/*
 * Open a part of a marked folder with O_... flags.  It must be a regular file: links are not followed, FIFOs not
 * waited for.  `path` is for messages.  Returns a descriptor, or -1 with *err set.
 */
int ps_snapshot_file_open(const char *folder, int generation, int rank, int flags, const char *path, ps_err *err);
/* Format the path of a part, for messages. */
void ps_snapshot_file_path(char path[PS_SNAPSHOT_PATH], const char *folder, int generation, int rank);

/* Check the header and the index of a file of `size` bytes, which begins with bytes[n].  PS_EINPUT where they do not fit
 * `grid` or d. */
int ps_snapshot_file_check(const char *bytes, size_t n, uint64_t size, const ps_grid *grid, size_t d, size_t *n_entries,
                           ps_err *err);

/* Return the pair of a base run's key. */
static inline int32_t ps_snapshot_pair(int64_t key)
{
    return (int32_t)(key / PS_N_WHICH);
}

#endif
