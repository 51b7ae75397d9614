/* snapshot_file.c - open a part, and check its header and its index. */
#include "snapshot_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "patchsweep/crc.h"
#include "patchsweep/path.h"
#include "patchsweep/place.h"
#include "patchsweep/wave.h"
#include "rows_dir.h"
#include "snapshot.h"

const char ps_snapshot_magic[8] = "psrows1\n";

int ps_snapshot_file_open(const char *folder, int generation, int rank, int flags, const char *path, ps_err *err)
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

void ps_snapshot_file_path(char path[PS_SNAPSHOT_PATH], const char *folder, int generation, int rank)
{
    char name[PS_ROWS_NAME];

    ps_rows_part_name(name, generation, rank);
    snprintf(path, PS_SNAPSHOT_PATH, "%s/%s", folder, name);
}

/* Whether the entry has the rows that the engine carries of the cell before `layer`.  A cell that has not entered
 * yet has none. */
static bool fits_cell(const ps_snapshot_entry *e, const ps_grid *grid, int32_t layer)
{
    ps_cell cell;
    ps_err none = PS_ERR_INIT;

    if (ps_grid_cell(grid, e->key, &cell) < 0 || !ps_grid_path(grid, &cell, &none))
        return false;
    int32_t n = ps_grid_cell_entry(grid, &cell) < layer ? ps_grid_cell_rows(grid, &cell) : 0;
    return e->n == n && (n == 0 || e->first == grid->pairs[cell.pair].n_positions - n);
}

static bool fits_run(const ps_snapshot_entry *e, const ps_grid *grid)
{
    return e->key >= 0 && e->key < (int64_t)grid->n_pairs * PS_N_WHICH && e->n >= 0 && e->first >= 0 &&
           e->first <= grid->pairs[ps_snapshot_pair(e->key)].n_positions - e->n;
}

/* Whether the entry fits the grid before `layer`, and its rows lie in a file of `size` bytes. */
static bool fits(const ps_snapshot_entry *e, const ps_grid *grid, int32_t layer, size_t d, uint64_t size)
{
    if (e->kind == PS_ROWS_CELL ? !fits_cell(e, grid, layer) : e->kind != PS_ROWS_BASE || !fits_run(e, grid))
        return false;
    return e->offset <= size && (uint64_t)e->n * d * sizeof(float) <= size - e->offset;
}

int ps_snapshot_file_check(const char *bytes, size_t n, uint64_t size, const ps_grid *grid, size_t d, size_t *n_entries,
                           ps_err *err)
{
    ps_snapshot_header h;

    if (n < sizeof h)
        return ps_err_set(err, PS_EINPUT, "it ends within its header");
    memcpy(&h, bytes, sizeof h);
    if (memcmp(h.magic, ps_snapshot_magic, sizeof h.magic) || h.d_model != d || h.layer > (uint32_t)grid->n_layers)
        return ps_err_set(err, PS_EINPUT, "it is not a snapshot of this sweep");
    if (h.layout != PS_SNAPSHOT_LAYOUT)
        return ps_err_set(err, PS_EINPUT, "another version of patchsweep saved them");
    if (h.n_entries > (n - sizeof h) / sizeof(ps_snapshot_entry) ||
        ps_crc32c(0, bytes + sizeof h, h.n_entries * sizeof(ps_snapshot_entry)) != h.index_crc)
        return ps_err_set(err, PS_EINPUT, "its index is damaged");
    for (size_t i = 0; i < h.n_entries; i++) {
        ps_snapshot_entry e;
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

    return ps_snapshot_file_check(bytes, n, n, grid, d_model, &n_entries, err);
}
