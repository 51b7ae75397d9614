/*
 * cell.h - one replacement and its one score, and what a site means to the engine.
 *
 * A cell replaces one state of its base run by the source run's.  What the engine needs
 * to know about the kinds of cell stands in one table (ps_site_kinds); which cells are free,
 * where a cell enters, and which of its rows are its own are derived from it.
 *
 * Layer boundaries are counted 0 .. L: the residual stream before layer b is at boundary b,
 * and boundary L lies before the final norm.
 */
#ifndef PATCHSWEEP_CELL_H
#define PATCHSWEEP_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "patchsweep/terms.h"

typedef struct ps_site_kind {
    int32_t offset; /* a cell at layer l enters at boundary l + offset */
    bool copy;      /* true: the patched row is the source run's residual state there; false: the
                       base run's state after attention plus the source run's MLP output */
} ps_site_kind;

extern const ps_site_kind ps_site_kinds[PS_N_SITES];

/* Self-checks: cells of known score that are computed all the same (check.h). */
enum ps_check {
    PS_NO_CHECK,
    PS_CHECK_SHARED, /* before D: patches in the state that is there already */
    PS_CHECK_LAST,   /* the last row after the last layer: scores the source run */
    PS_CHECK_SELF,   /* the base run's own state: changes nothing */
    PS_CHECK_RANKS,  /* computed by every rank, to be compared */
    PS_N_CHECKS
};

typedef struct ps_cell {
    int32_t pair;
    int32_t layer, position;
    uint8_t site, direction; /* enum ps_site, enum ps_direction */
    uint8_t check;           /* enum ps_check; 0 for the cells of the grid */
} ps_cell;

/* Base and source run of a direction. */
enum ps_which ps_base_of(enum ps_direction direction);
enum ps_which ps_source_of(enum ps_direction direction);
/* Base and source run of a cell. */
enum ps_which ps_cell_base(const ps_cell *cell);
enum ps_which ps_cell_source(const ps_cell *cell);

/* The boundary at which a cell's rows begin to differ from the base run's. */
int32_t ps_cell_entry(const ps_cell *cell);

/* The run that a cell scores as, where that is known without computing the cell. */
enum ps_known { PS_LIVE, PS_SCORES_BASE, PS_SCORES_SOURCE };
/*
 * Whether a cell is free.  T positions, D first difference, L layers:
 *   - a cell before D patches in the state that is there already: it scores the base run;
 *   - a cell that enters at boundary L changes its own row alone, and only the last row is read: at another position
 *     it scores the base run; at the last one it scores the source run if its row is a copy;
 *   - a copied last row at D = T-1 sees nothing but the shared prefix and itself: it scores the source run;
 *   - every other cell is live.
 */
enum ps_known ps_cell_known(const ps_cell *cell, int32_t T, int32_t D, int32_t L);

/*
 * First position whose row the cell must carry itself.  A copied row at t = D sees nothing
 * but the shared prefix and itself, so it equals the source run's row at every layer, and the cell's own rows
 * begin after it.  The exception is the last position, whose row is the cell's answer.
 */
int32_t ps_cell_first_row(const ps_cell *cell, int32_t T, int32_t D);

#endif
