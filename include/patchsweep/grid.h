/*
 * grid.h - what is swept, in numbers: all that every rank needs of a job.
 *
 * Rank 0 alone reads the job and tokenizes; it sends this to the others.  Cells are counted over
 * pairs, sites, directions, layers and positions, in that order, the last fastest.
 */
#ifndef PATCHSWEEP_GRID_H
#define PATCHSWEEP_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/cell.h"
#include "patchsweep/comm.h"
#include "patchsweep/err.h"
#include "patchsweep/job.h"
#include "patchsweep/pair.h"

typedef struct ps_grid_pair {
    int32_t n_positions;      /* T */
    int32_t first_difference; /* D */
    int32_t answer_id, foil_id; /* foil_id -1: none */
    const int32_t *ids[PS_N_WHICH]; /* [T]; into the grid's numbers */
    const int32_t *positions; /* [n_swept], ascending */
    int32_t n_swept;
    /* [T] each: a number for every prefix of tokens; the same prefix has the same number in all runs
     * of the grid, so that what is computed for a node is computed for all who begin so */
    int32_t *nodes[PS_N_WHICH];
    int64_t first_key;        /* see ps_grid_key() */
} ps_grid_pair;

typedef struct ps_grid {
    int32_t n_layers; /* L, of the model */
    unsigned sites, directions, metrics, activations; /* bit masks, as in ps_job */
    bool patched_final;
    enum ps_precision precision;
    const int32_t *layers; /* [n_swept_layers], ascending */
    int32_t n_swept_layers;
    ps_grid_pair *pairs; /* [n_pairs] */
    int32_t n_pairs;
    int32_t *numbers;    /* the storage of all arrays above but nodes, and what travels */
    size_t n_numbers;
    int32_t *nodes;      /* storage of the pairs' */
    int32_t n_nodes;     /* different ones */
    int64_t n_keys;
} ps_grid;

/* PS_EINPUT where the job's layers or positions do not fit the model or a pair. */
int ps_grid_build(ps_grid **out, const ps_job *job, const ps_pair *pairs, int32_t n_layers, ps_err *err);
/* Collective.  Rank 0's *grid to all: on other ranks *grid becomes a new one. */
int ps_grid_bcast(ps_grid **grid, ps_comm *comm, ps_err *err);
void ps_grid_free(ps_grid *grid);

int32_t ps_grid_max_positions(const ps_grid *grid);
/* Is that site swept in that direction? */
bool ps_grid_asks(const ps_grid *grid, int site, int direction);
/*
 * ps_cell_known() of a cell of the grid.  Where it is not PS_LIVE and `which` not NULL, *which gets the
 * run that the cell scores as.
 */
enum ps_known ps_grid_known(const ps_grid *grid, const ps_cell *cell, enum ps_which *which);
/*
 * A number for every cell that could be, checks included, 0 .. n_keys - 1, whatever layers and positions are swept;
 * -1 where the cell does not fit the grid.
 */
int64_t ps_grid_key(const ps_grid *grid, const ps_cell *cell);
/* Call `visit` for each cell (of a pair), in order; stops where it returns non-zero, and returns that. */
int ps_grid_each_of_pair(const ps_grid *grid, int32_t pair,
                         int (*visit)(void *context, const ps_cell *cell), void *context);
int ps_grid_each(const ps_grid *grid, int (*visit)(void *context, const ps_cell *cell), void *context);

#endif
