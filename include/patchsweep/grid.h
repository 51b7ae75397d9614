/*
 * grid.h - the sweep in numbers: all that every rank must know of a job.
 *
 * Rank 0 alone reads the job and tokenizes; it sends the grid to the other ranks.  Cells are counted over
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
#include "patchsweep/paths.h"

typedef struct ps_grid_pair {
    int32_t n_positions;      /* T */
    int32_t first_difference; /* D */
    int32_t answer_id, foil_id; /* foil_id -1: none */
    const int32_t *ids[PS_N_WHICH]; /* [T]; into the grid's numbers */
    const int32_t *positions; /* [n_swept], ascending */
    int32_t n_swept;
    /* [T] each: the number of the prefix that ends at each position.  Equal prefixes have the same number in all runs
     * of the grid: a base row is computed once for all runs that begin alike. */
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
    int32_t *numbers;    /* storage of all arrays above but nodes; the block that is broadcast */
    size_t n_numbers;
    int32_t *nodes;      /* storage of the pairs' */
    int32_t n_nodes;     /* different prefixes */
    int64_t n_keys;
    ps_paths *paths;     /* of the cells; grows as they are asked for */
} ps_grid;

/* A grid over a model of n_layers layers of `program`, which is borrowed.  PS_EINPUT where the job's layers or positions do not
 * fit the model or a pair, or where a layer has no such site. */
int ps_grid_build(ps_grid **out, const ps_job *job, const ps_pair *pairs, const ps_step *program, int32_t n_layers,
                  ps_err *err);
/* Collective.  Broadcast rank 0's *grid; on other ranks *grid becomes a new grid. */
int ps_grid_bcast(ps_grid **grid, const ps_step *program, ps_comm *comm, ps_err *err);
void ps_grid_free(ps_grid *grid);

int32_t ps_grid_max_positions(const ps_grid *grid);
/* Whether that site is swept in that direction. */
bool ps_grid_asks(const ps_grid *grid, int site, int direction);
/* Whether that layer is swept. */
bool ps_grid_sweeps_layer(const ps_grid *grid, int32_t layer);
/* Whether a cell of the grid is free: its score is known without computing it.  *which gets the run that it scores as;
 * `which` may be NULL. */
bool ps_grid_free_cell(const ps_grid *grid, const ps_cell *cell, enum ps_which *which);
/*
 * Whether another cell of the grid replaces the same state: resid_pre of a layer is resid_post of the one before.  Of
 * such cells one is computed; *twin gets it, and false is returned for it itself.
 */
bool ps_grid_twin(const ps_grid *grid, const ps_cell *cell, ps_cell *twin);
/* The path of a cell that is computed: forced where the cell is a check, or free.  Borrowed; NULL with *err set where there is
 * no memory for it. */
const ps_path *ps_grid_path(const ps_grid *grid, const ps_cell *cell, ps_err *err);
/* Rows of X that such a cell carries, and the layer at which it enters: n_layers where no layer changes it.  Its path was
 * made before. */
int32_t ps_grid_cell_rows(const ps_grid *grid, const ps_cell *cell);
int32_t ps_grid_cell_entry(const ps_grid *grid, const ps_cell *cell);
/*
 * The key of a cell: 0 .. n_keys - 1 over every site, direction, layer and position of the grid's pairs and over the
 * checks, whether swept or not.  -1 where the cell does not fit the grid.
 */
int64_t ps_grid_key(const ps_grid *grid, const ps_cell *cell);
/* Call `visit` for each swept cell (of a pair) in order.  A non-zero return of `visit` ends the walk and is returned. */
int ps_grid_each_of_pair(const ps_grid *grid, int32_t pair,
                         int (*visit)(void *context, const ps_cell *cell), void *context);
int ps_grid_each(const ps_grid *grid, int (*visit)(void *context, const ps_cell *cell), void *context);

#endif
