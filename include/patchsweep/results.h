/*
 * results.h - the result file: HDF5 that is also netCDF-4.  The only interface to HDF5.
 *
 *     /<pair id>/<site>/<direction>/<metric>[the axes of the site]     float64, NaN where not done
 *
 * Only rank 0 writes.  It fills the file pair by pair, under a ".part" name, and renames it once complete (part.h).
 * Every axis has a dimension scale, and strings are variable-length UTF-8, so that h5py, xarray, ncdump and h5dump
 * open the file as it is.
 */
#ifndef PATCHSWEEP_RESULTS_H
#define PATCHSWEEP_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/dtype.h"
#include "patchsweep/err.h"
#include "patchsweep/pair.h"
#include "patchsweep/terms.h"

/* A scalar attribute: text if `text` is set, an integer if `integer`, else a number. */
typedef struct ps_attr {
    const char *name;
    const char *text;
    double number;
    bool integer;
} ps_attr;

/* ---- writing ---- */

typedef struct ps_results ps_results;

/* The numbers of a model that give the sizes of grids. */
typedef struct ps_results_shape {
    int32_t n_layers, n_heads, n_kv_heads, d_model;
} ps_results_shape;

/* Fill in size[PS_N_AXES], the sizes of a site's grids for prompts of n_positions tokens.  The size of an axis that
 * the site lacks is 1. */
void ps_results_sizes(const ps_results_shape *shape, enum ps_site site, int32_t n_positions, int32_t size[PS_N_AXES]);

/* Create `path`, which must not exist, for models of that shape, and write the root's attributes.  The file is
 * removed again if that fails. */
int ps_results_create(ps_results **out, const char *path, const ps_results_shape *shape,
                      const ps_attr *attrs, size_t n_attrs, ps_err *err);
/* Open a file that was closed between two pairs, to add more pairs. */
int ps_results_reopen(ps_results **out, const char *path, const ps_results_shape *shape, ps_err *err);

/*
 * Write pairs one at a time: begin the pair, add its grids and activations, end it.  Beginning a pair creates its
 * group with coordinates, tokens, roles, and attributes: prompts, answer, foil, ids, first_difference, and those that
 * the caller adds (baselines, predictions).
 */
int ps_results_begin_pair(ps_results *results, const ps_pair *pair, const ps_attr *attrs, size_t n_attrs,
                          ps_err *err);
int ps_results_end_pair(ps_results *results, ps_err *err);

/*
 * One dataset of a grid: values[the sizes of ps_results_sizes()], the last axis fastest.  A column with NULL values is
 * left out.
 * Names are `score`; those of the metrics, of which answer_rank is stored as int32, -1 where not done; and
 * `degenerate` and `done`, 0 or 1, stored as uint8.
 */
typedef struct ps_column {
    const char *name;
    const char *long_name;
    const double *values; /* [the axes of the site]; NaN: not done */
} ps_column;

/*
 * A source of rows, which is asked for one layer after the other.  `layer` gets rows[sizes of the axes behind layer,
 * d_model], filled with NaN, and overwrites the rows that exist.  It returns 1, or 0 if the layer has no row, or -1
 * with *err set.
 */
typedef struct ps_row_source {
    int (*layer)(void *context, int32_t layer, float *rows, ps_err *err);
    void *context;
} ps_row_source;

/* Write the grid of one site and direction of the current pair.  Unless finals is NULL, write patched_final[the
 * sizes of the grid, d_model] too. */
int ps_results_add_grid(ps_results *results, enum ps_site site, enum ps_direction direction, const ps_column *columns,
                        size_t n_columns, const ps_row_source *finals, ps_err *err);
/* Write activations/<run>_<PS_SITE_AFTER>[layer, position, d_model] of the current pair, stored as dtype.  runs[which] is
 * NULL if that run's are not kept. */
int ps_results_add_activations(ps_results *results, enum ps_dtype dtype, const ps_row_source *const runs[PS_N_WHICH],
                               ps_err *err);
/* Write the group /run, once: its attributes, and for each column a dataset values[n_ranks] along the dimension
 * `rank`. */
int ps_results_add_run(ps_results *results, const ps_attr *attrs, size_t n_attrs, const ps_column *ranks,
                       size_t n_columns, int n_ranks, ps_err *err);
/* Write attributes of the root, replacing those of the same names. */
int ps_results_put_attrs(ps_results *results, const ps_attr *attrs, size_t n_attrs, ps_err *err);
/* Write the checksum of the root's attributes.  Call it last before closing. */
int ps_results_seal(ps_results *results, ps_err *err);
/* Close the file, and free results, also on failure.  NULL is fine.  Returns rc, or -1 with *err set if rc is 0 and
 * the last writes fail. */
int ps_results_close(ps_results *results, int rc, ps_err *err);

/* Most bytes that the writer allocates for pairs of up to n_positions tokens: grids of `sites` (bits 1 << enum
 * ps_site), patched_final if `finals`, and activations. */
size_t ps_results_bytes(const ps_results_shape *shape, unsigned sites, bool finals, int32_t n_positions);

/* ---- reading, for show, plot and inspect ---- */

typedef struct ps_result_file ps_result_file;

/* Whether `path` begins as an HDF5 file does, at one of the places where the library looks.  Damage further on may
 * crash the library: see child.h. */
bool ps_result_is(const char *path);

/* The axes of a grid.  Cells are stored in the order of enum ps_axis, the last axis fastest. */
typedef struct ps_axes {
    bool has[PS_N_AXES];
    int32_t size[PS_N_AXES]; /* 1 for an axis that the grid lacks */
} ps_axes;

/* The number of cells. */
size_t ps_axes_cells(const ps_axes *axes);
/* Convert a cell's indices place[] to its offset among the cells, and back.  The index of a missing axis is 0. */
size_t ps_axes_at(const ps_axes *axes, const int32_t place[PS_N_AXES]);
void ps_axes_place(const ps_axes *axes, size_t at, int32_t place[PS_N_AXES]);

/* A grid as read back. */
typedef struct ps_result_grid {
    char *pair, *site, *direction;
    ps_axes axes;
    bool kv_heads;        /* `head` counts key/value heads */
    int32_t n_positions;  /* tokens of each of the pair's prompts, also if the grid has no positions */
    int32_t first_difference;
    char **token_clean, **token_corrupt; /* [n_positions] */
    char **role;                         /* [n_positions] */
    double *score;                       /* [cells] */
    struct ps_result_column {
        char *name;
        double *values; /* [cells] */
    } *columns;         /* every grid dataset, score among them, in the file's order */
    size_t n_columns;
} ps_result_grid;

/* Open a result.  PS_EINPUT if the file is no HDF5 file or not one of ours, has a format_version that we do not
 * read, or is no tree of few levels. */
int ps_result_open(ps_result_file **out, const char *path, ps_err *err);
void ps_result_close(ps_result_file *file);
size_t ps_result_n_grids(const ps_result_file *file); /* of all pairs, sites and directions */
/* Read all data of the i-th grid.  The caller releases the grid. */
int ps_result_grid_read(const ps_result_file *file, size_t i, ps_result_grid *grid, ps_err *err);
void ps_result_grid_release(ps_result_grid *grid);
/* Get only the names of the i-th grid, borrowed from the file. */
void ps_result_grid_name(const ps_result_file *file, size_t i, const char **pair, const char **site,
                         const char **direction);
/* Read the axes of the i-th grid alone. */
int ps_result_grid_axes(const ps_result_file *file, size_t i, ps_axes *axes, ps_err *err);
/*
 * Compare every dataset, and the attributes of every object, with their checksums.  *n gets the number of datasets
 * that match.  *attributes tells whether attributes have checksums; older versions did not write them.  PS_EINPUT
 * names the first object that differs.
 */
int ps_result_verify(const ps_result_file *file, size_t *n, bool *attributes, ps_err *err);
/* Compare only one group right below the root, a pair's or "run", of a file that ps_result_reread() opened. */
int ps_result_verify_group(const ps_result_file *file, const char *group, ps_err *err);
/* Open a file that ps_results_create() has just written.  Its shape is not checked, and its grids are not listed. */
int ps_result_reread(ps_result_file **out, const char *path, ps_err *err);
/* Read an attribute of object `path` as text ("%.9g" for a number).  The caller owns the text.  NULL if the
 * attribute is absent. */
char *ps_result_attr(const ps_result_file *file, const char *path, const char *name);

#endif
