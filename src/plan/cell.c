/* cell.c - the tap of each site, and the runs and the edit of a cell. */
#include "patchsweep/cell.h"

static const uint8_t taps[PS_N_SITES] = {
    [PS_RESID_PRE] = PS_TAP_RESID_PRE, [PS_MLP_OUT] = PS_TAP_MLP_OUT, [PS_RESID_POST] = PS_TAP_RESID_POST,
    [PS_ATTN_OUT] = PS_TAP_ATTN_OUT, [PS_RESID_MID] = PS_TAP_RESID_MID,
    [PS_SITE_Q] = PS_TAP_Q, [PS_SITE_Q_BY_POS] = PS_TAP_Q, [PS_SITE_K] = PS_TAP_K, [PS_SITE_K_BY_POS] = PS_TAP_K,
    [PS_SITE_V] = PS_TAP_V, [PS_SITE_V_BY_POS] = PS_TAP_V, [PS_SITE_Z] = PS_TAP_Z, [PS_SITE_Z_BY_POS] = PS_TAP_Z,
    [PS_SITE_PATTERN] = PS_TAP_PATTERN, [PS_SITE_PATTERN_BY_POS] = PS_TAP_PATTERN};

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

ps_edit ps_cell_edit(const ps_cell *cell, int32_t T)
{
    const bool *axis = ps_site_shapes[cell->site].axis;
    ps_edit edit = {.tap = taps[cell->site], .first = 0, .n = T, .head = axis[PS_AXIS_HEAD] ? cell->head : -1};

    if (axis[PS_AXIS_POSITION]) {
        edit.first = cell->position;
        edit.n = 1;
    }
    return edit;
}
