/* cellset.c - a bit for every key of the grid, then one for every pair. */
#include "patchsweep/cellset.h"

#include "patchsweep/mem.h"

struct ps_cellset {
    const ps_grid *grid;
    size_t n_cells; /* without checks; broadcast along with the bits */
    size_t bytes;
    uint8_t bits[];
};

int ps_cellset_open(ps_cellset **out, const ps_grid *grid, ps_err *err)
{
    size_t bytes = (size_t)(grid->n_keys + grid->n_pairs + 7) / 8;
    ps_cellset *set = ps_calloc(sizeof *set + bytes, 1, err);

    if (!set)
        return -1;
    set->grid = grid;
    set->bytes = bytes;
    *out = set;
    return 0;
}

void ps_cellset_close(ps_cellset *set)
{
    ps_free(set);
}

static bool has(const ps_cellset *set, int64_t key)
{
    return key >= 0 && set->bits[key / 8] >> (key % 8) & 1;
}

bool ps_cellset_has(const ps_cellset *set, const ps_cell *cell)
{
    return has(set, ps_grid_key(set->grid, cell));
}

void ps_cellset_add(ps_cellset *set, const ps_cell *cell)
{
    int64_t key = ps_grid_key(set->grid, cell);

    if (key < 0 || has(set, key))
        return;
    set->bits[key / 8] |= (uint8_t)(1u << (key % 8));
    set->n_cells += cell->check == PS_NO_CHECK;
}

size_t ps_cellset_count(const ps_cellset *set)
{
    return set->n_cells;
}

void ps_cellset_add_pair(ps_cellset *set, int32_t pair)
{
    int64_t key = set->grid->n_keys + pair;

    if (pair >= 0 && pair < set->grid->n_pairs)
        set->bits[key / 8] |= (uint8_t)(1u << (key % 8));
}

bool ps_cellset_has_pair(const ps_cellset *set, int32_t pair)
{
    return pair >= 0 && pair < set->grid->n_pairs && has(set, set->grid->n_keys + pair);
}

void ps_cellset_bcast(ps_cellset *set, ps_comm *comm)
{
    ps_comm_bcast(comm, &set->n_cells, sizeof set->n_cells, 0);
    ps_comm_bcast(comm, set->bits, set->bytes, 0);
}
