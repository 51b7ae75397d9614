/*
 * fuzz_snapshot.c - one rank's part of a snapshot.  Its checksums are made right, magic, width and layout too unless the first byte
 * is odd: what is left is the index.  A part that passes is opened, and everything that a wave may want of it is loaded.
 */
#include "../../src/sweep/snapshot.h"
#include "patchsweep/crc.h"
#include "sweep.h"

enum { HEAD = 32, ENTRY = 32 };

static void mend(uint8_t *file, size_t n)
{
    const uint32_t width = FUZZ_D, layout = 2;
    uint32_t entries;

    if (n < HEAD)
        return;
    memcpy(file, "psrows1\n", 8);
    memcpy(file + 12, &width, 4);
    memcpy(&entries, file + 16, 4);
    entries %= (uint32_t)((n - HEAD) / ENTRY + 1);
    memcpy(file + 16, &entries, 4);
    uint32_t crc = ps_crc32c(0, file + HEAD, (size_t)entries * ENTRY);
    memcpy(file + 20, &crc, 4);
    memcpy(file + 24, &layout, 4);
}

static void load(const ps_snapshot *s, enum ps_rows_kind kind, int64_t key, int32_t first)
{
    float room[FUZZ_T * FUZZ_D];
    ps_rows rows = {.kind = kind, .key = key, .first = first, .n = FUZZ_T - first, .rows = room};
    ps_err err = PS_ERR_INIT;
    int rc = ps_snapshot_load(s, &rows, 1, &err);

    CLAIM(rc == 0 || (rc == -1 && err.code && err.text[0]));
}

static void load_all(const ps_snapshot *s, const ps_grid *grid)
{
    for (int32_t first = 0; first < FUZZ_T; first++) {
        for (int32_t pair = 0; pair < grid->n_pairs; pair++)
            for (int which = 0; which < PS_N_WHICH; which++)
                load(s, PS_ROWS_BASE, ps_rows_run(pair, (enum ps_which)which), first);
        for (int64_t key = 0; key < grid->n_keys; key++)
            load(s, PS_ROWS_CELL, key, first);
    }
}

static void open_part(const uint8_t *file, size_t n, const ps_grid *grid)
{
    static ps_comm *comm;
    const ps_snapshot_part part = {.bytes = n, .crc = ps_crc32c(0, file, n)};
    const ps_snapshot_id id = {.layer = 1, .n_parts = 1};
    ps_err err = PS_ERR_INIT;
    ps_snapshot *s = NULL;
    ps_cellset *set = NULL;

    if (!comm)
        CLAIM(ps_comm_open(&comm, &err) == 0 && ps_rows_dir_make(fuzz_folder(), &err) == 0);
    fuzz_write("0.0", file, n);
    CLAIM(ps_snapshot_open(&s, fuzz_folder(), &id, &part, grid, FUZZ_D, comm, &err) == 0);
    CLAIM(ps_cellset_open(&set, grid, &err) == 0);
    ps_snapshot_cells(s, set);
    CLAIM((int64_t)ps_cellset_count(set) <= grid->n_keys);
    load_all(s, grid);
    ps_cellset_close(set);
    ps_snapshot_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const ps_grid *grid = fuzz_grid();
    ps_err err = PS_ERR_INIT;

    if (n == 0)
        return 0;
    uint8_t *file = malloc(n);
    CLAIM(file);
    memcpy(file, data + 1, --n);
    if (data[0] % 2 == 0)
        mend(file, n);
    int rc = ps_snapshot_check(file, n, grid, FUZZ_D, &err);
    if (rc < 0)
        fuzz_refused(rc, &err);
    else
        open_part(file, n, grid);
    free(file);
    return 0;
}
