/*
 * cellset.h - a set of a grid's cells and of its pairs: what is done, or what is under way.
 */
#ifndef PATCHSWEEP_CELLSET_H
#define PATCHSWEEP_CELLSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/cell.h"
#include "patchsweep/comm.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"

typedef struct ps_cellset ps_cellset;

/* Open an empty set.  `grid` is borrowed; cells that do not fit the grid are never in the set. */
int ps_cellset_open(ps_cellset **out, const ps_grid *grid, ps_err *err);
void ps_cellset_close(ps_cellset *set);

void ps_cellset_add(ps_cellset *set, const ps_cell *cell);
bool ps_cellset_has(const ps_cellset *set, const ps_cell *cell);
/* Number of cells in the set, checks not counted. */
size_t ps_cellset_count(const ps_cellset *set);

/* In a set of finished work: the base runs of a pair are finished. */
void ps_cellset_add_pair(ps_cellset *set, int32_t pair);
bool ps_cellset_has_pair(const ps_cellset *set, int32_t pair);

/* Collective.  Overwrite every rank's set with rank 0's.  All sets are of the same grid. */
void ps_cellset_bcast(ps_cellset *set, ps_comm *comm);

#endif
