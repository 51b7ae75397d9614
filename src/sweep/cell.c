/* cell.c - the kinds of cell, and what follows from them. */
#include "patchsweep/cell.h"

const ps_site_kind ps_site_kinds[PS_N_SITES] = {
    [PS_RESID_PRE] = {.offset = 0, .copy = true},
    [PS_MLP_OUT] = {.offset = 1, .copy = false},
    [PS_RESID_POST] = {.offset = 1, .copy = true},
};

enum ps_which ps_base_of(enum ps_direction direction)
{
    return direction == PS_DENOISE ? PS_CORRUPT : PS_CLEAN;
}

enum ps_which ps_source_of(enum ps_direction direction)
{
    return direction == PS_DENOISE ? PS_CLEAN : PS_CORRUPT;
}

enum ps_which ps_cell_base(const ps_cell *cell)
{
    return ps_base_of((enum ps_direction)cell->direction);
}

enum ps_which ps_cell_source(const ps_cell *cell)
{
    enum ps_direction direction = (enum ps_direction)cell->direction;

    return cell->check == PS_CHECK_SELF ? ps_base_of(direction) : ps_source_of(direction);
}

int32_t ps_cell_entry(const ps_cell *cell)
{
    return cell->layer + ps_site_kinds[cell->site].offset;
}

enum ps_known ps_cell_known(const ps_cell *cell, int32_t T, int32_t D, int32_t L)
{
    int32_t t = cell->position;
    bool copy = ps_site_kinds[cell->site].copy, behind_all = ps_cell_entry(cell) == L;

    if (t < D || (behind_all && t < T - 1))
        return PS_SCORES_BASE;
    /* The last row is the source run's, and only the last row is read. */
    if (copy && t == T - 1 && (behind_all || t == D))
        return PS_SCORES_SOURCE;
    return PS_LIVE;
}

int32_t ps_cell_first_row(const ps_cell *cell, int32_t T, int32_t D)
{
    int32_t t = cell->position;

    return ps_site_kinds[cell->site].copy && t == D && t < T - 1 ? t + 1 : t;
}
