/*
 * cell.h - one replacement and its one score.
 *
 * A cell replaces one state of its base run by the source run's: a row at one position, or the columns of one head at one
 * position or at all of them.  A site is a tap of a layer's program (program.h) and axes (ps_site_shapes in terms.h).  Which
 * cells are free, where a cell enters and which rows are its own follow from the path of its edit (path.h).
 */
#ifndef PATCHSWEEP_CELL_H
#define PATCHSWEEP_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "patchsweep/path.h"
#include "patchsweep/terms.h"

/* Self-checks: cells that are computed although their score is known (check.h). */
enum ps_check {
    PS_NO_CHECK,
    PS_CHECK_SHARED, /* a position before D, where both runs have the same state */
    PS_CHECK_LAST,   /* the last row after the last layer: scores as the source run */
    PS_CHECK_SELF,   /* the base run's own state: changes nothing */
    PS_CHECK_RANKS,  /* computed by every rank, to be compared */
    PS_N_CHECKS
};

typedef struct ps_cell {
    int32_t pair;
    int32_t layer;
    int32_t head;            /* -1: the whole row.  Ignored if the site has no such axis (terms.h) */
    int32_t position;        /* -1: all positions at once.  Ignored likewise */
    uint8_t site, direction; /* enum ps_site, enum ps_direction */
    uint8_t check;           /* enum ps_check; 0 for the cells of the grid */
} ps_cell;

/* Base and source run of a direction. */
enum ps_which ps_base_of(enum ps_direction direction);
enum ps_which ps_source_of(enum ps_direction direction);
/* Base and source run of a cell. */
enum ps_which ps_cell_base(const ps_cell *cell);
enum ps_which ps_cell_source(const ps_cell *cell);

/* What a cell of a pair with T positions replaces. */
ps_edit ps_cell_edit(const ps_cell *cell, int32_t T);

#endif
