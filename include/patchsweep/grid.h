/*
 * grid.h - the sweep in numbers: all that every rank must know of a job.
 *
 * Only rank 0 reads the job and tokenizes.  It broadcasts the grid to the other ranks.  Cells are ordered by pair, site,
 * direction, layer, head and position, the last fastest.  A site has only some of these axes (ps_site_shapes in terms.h).
 */
#ifndef PATCHSWEEP_GRID_H
#define PATCHSWEEP_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/cell.h"
#include "patchsweep/comm.h"
#include "patchsweep/config.h"
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

/* One axis of a site's grids. */
typedef struct ps_grid_axis {
    int32_t size;
    const int32_t *swept; /* [n_swept], ascending */
    int32_t n_swept;
} ps_grid_axis;

typedef struct ps_grid {
    int32_t n_layers; /* L, of the model */
    ps_grid_axis heads[2]; /* [0]: query heads; [1]: key/value heads.  Index by ps_site_shape.kv_heads */
    unsigned sites, directions, metrics, activations; /* bit masks, as in ps_job */
    bool patched_final;
    enum ps_precision precision;
    const int32_t *layers; /* [n_swept_layers], ascending */
    int32_t n_swept_layers;
    ps_grid_pair *pairs; /* [n_pairs] */
    int32_t n_pairs;
    int32_t *numbers;    /* storage of all arrays above but nodes; the block that is broadcast */
    size_t n_numbers;
    size_t n_identity;   /* the first n_identity numbers are the tokens of all pairs and what is swept, except heads */
    int32_t *nodes;      /* storage of all pairs' nodes */
    int32_t n_nodes;     /* number of different prefixes */
    int64_t n_keys;
    int64_t keys_of_row[PS_N_SITES + 1], keys_of_position[PS_N_SITES + 1]; /* keys of a layer before each site: see keys.c */
    ps_paths *paths;     /* of the cells; each is made when it is first asked for */
} ps_grid;

/* What a grid must know of a model. */
typedef struct ps_grid_model {
    const ps_step *program; /* of a layer; borrowed */
    int32_t n_layers, n_heads, n_kv_heads;
} ps_grid_model;
ps_grid_model ps_grid_model_of(const ps_config *config);

/* Build the grid of a job over a model.  PS_EINPUT names a layer, head or position that the model or a pair does not have, or
 * a site that the model's layers do not have. */
int ps_grid_build(ps_grid **out, const ps_job *job, const ps_pair *pairs, const ps_grid_model *model, ps_err *err);
/* Collective.  Broadcast rank 0's *grid; on other ranks *grid becomes a new grid. */
int ps_grid_bcast(ps_grid **grid, const ps_step *program, ps_comm *comm, ps_err *err);
void ps_grid_free(ps_grid *grid);

int32_t ps_grid_max_positions(const ps_grid *grid);
/* Whether that site is swept in that direction. */
bool ps_grid_asks(const ps_grid *grid, int site, int direction);
/* Whether a site is swept whose tap is of that kind. */
bool ps_grid_sweeps_tap(const ps_grid *grid, enum ps_tap_kind kind);
/* Whether that layer is swept. */
bool ps_grid_sweeps_layer(const ps_grid *grid, int32_t layer);
/* An axis of the grids of a pair and a site.  An axis that the site does not have has size 1 and the value -1. */
ps_grid_axis ps_grid_axis_of(const ps_grid *grid, int32_t pair, int site, enum ps_axis axis);
/* The layer, head or position of a cell.  -1: its site has no such axis. */
int32_t ps_cell_at(const ps_cell *cell, enum ps_axis axis);
/* Count the cells of one pair, site and direction: all, and those that are swept. */
size_t ps_grid_cells(const ps_grid *grid, int32_t pair, int site);
size_t ps_grid_swept(const ps_grid *grid, int32_t pair, int site);
/* The index of a cell among all cells of its pair, site and direction: its place in a dataset.  -1: it does not fit. */
int64_t ps_grid_place(const ps_grid *grid, const ps_cell *cell);
/* The inverse: set the layer, head and position of `cell`, whose pair and site are set, from its place. */
void ps_grid_set_place(const ps_grid *grid, ps_cell *cell, int64_t place);
/* Whether a cell of the grid is free: it scores as one of the two runs, so it need not be computed.  *which is set to that
 * run; `which` may be NULL. */
bool ps_grid_free_cell(const ps_grid *grid, const ps_cell *cell, enum ps_which *which);
/*
 * Whether another cell of the grid stands for this one.  Several cells may replace the same state: X before a layer is X
 * after the previous layer.  Only one of them is computed.  For the others, return true and set *twin to that one.
 */
bool ps_grid_twin(const ps_grid *grid, const ps_cell *cell, ps_cell *twin);
/* The path of a cell that is computed.  It is forced (ps_path_build) if the cell is a check or free.  Borrowed; NULL with *err
 * set if memory runs out. */
const ps_path *ps_grid_path(const ps_grid *grid, const ps_cell *cell, ps_err *err);
/* The layer at which such a cell enters; n_layers if no layer changes it.  `path` is the cell's path. */
int32_t ps_grid_entry(const ps_grid *grid, const ps_cell *cell, const ps_path *path);
/* The rows of X that such a cell carries, and the layer at which it enters.  Its path must have been made. */
int32_t ps_grid_cell_rows(const ps_grid *grid, const ps_cell *cell);
int32_t ps_grid_cell_entry(const ps_grid *grid, const ps_cell *cell);
/*
 * The key of a cell: the number that names it in journals and snapshots, 0 .. n_keys - 1.  Every cell of the sites and
 * directions that are swept has a key, whether its layer, head and position are swept or not.  So has every check (check.h).
 * -1: the grid has no such cell.
 */
int64_t ps_grid_key(const ps_grid *grid, const ps_cell *cell);
/* Find the cell of a key.  Returns -1 if no cell has it. */
int ps_grid_cell(const ps_grid *grid, int64_t key, ps_cell *cell);
/* Call `visit` for each swept cell (of a pair) in order.  A non-zero return of `visit` ends the walk and is returned. */
int ps_grid_each_of_pair(const ps_grid *grid, int32_t pair,
                         int (*visit)(void *context, const ps_cell *cell), void *context);
int ps_grid_each(const ps_grid *grid, int (*visit)(void *context, const ps_cell *cell), void *context);

#endif
