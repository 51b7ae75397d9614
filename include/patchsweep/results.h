/*
 * results.h - the result file: HDF5 that is also netCDF-4.  The only interface to HDF5.
 *
 *     /<pair id>/<site>/<direction>/<metric>[the axes of the site]     float64, NaN where not done
 *
 * The writer is rank 0's alone.  It fills the file pair by pair; the
 * caller writes to a ".part" name and publishes it (file.h).  Every axis has a dimension scale, strings are
 * variable-length UTF-8, so that h5py, xarray, ncdump and h5dump open it as it is.
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

/* A scalar attribute: text where text is set, an integer where `integer`, else a number. */
typedef struct ps_attr {
    const char *name;
    const char *text;
    double number;
    bool integer;
} ps_attr;

/* ---- writing ---- */

typedef struct ps_results ps_results;

/* The model's numbers, from which the sizes of grids follow. */
typedef struct ps_results_shape {
    int32_t n_layers, n_heads, n_kv_heads, d_model;
} ps_results_shape;

/* Fill size[PS_N_AXES] with the sizes of a site's grids for prompts of n_positions tokens; 1 for an axis that the site lacks. */
void ps_results_sizes(const ps_results_shape *shape, enum ps_site site, int32_t n_positions, int32_t size[PS_N_AXES]);

/* Create `path`, which must not exist, for models of that shape, and write the root's attributes.  Removes the file again if
 * that fails. */
int ps_results_create(ps_results **out, const char *path, const ps_results_shape *shape,
                      const ps_attr *attrs, size_t n_attrs, ps_err *err);
/* Open a file that was closed between two pairs, to add more pairs. */
int ps_results_reopen(ps_results **out, const char *path, const ps_results_shape *shape, ps_err *err);

/*
 * Pairs are written one at a time: begin, grids and activations, end.  Beginning writes the group of the pair with
 * coordinates, tokens, roles, attributes (prompts, answer, foil, ids, first_difference), and those that the caller adds
 * (baselines, predictions).
 */
int ps_results_begin_pair(ps_results *results, const ps_pair *pair, const ps_attr *attrs, size_t n_attrs,
                          ps_err *err);
int ps_results_end_pair(ps_results *results, ps_err *err);

/*
 * One dataset of a grid: values[the sizes of ps_results_sizes()], the last axis fastest.  A column with NULL values is left out.
 * Names: score; the metrics', of which answer_rank is stored as int32, -1 where not done; `degenerate` and `done`, 0 or 1,
 * stored as uint8.
 */
typedef struct ps_column {
    const char *name;
    const char *long_name;
    const double *values; /* [the axes of the site]; NaN: not done */
} ps_column;

/*
 * A source of rows, asked for one layer after the other.  `layer` gets rows[sizes of the axes behind layer, d_model], filled with
 * NaN, and overwrites the rows that exist.  Returns 1; 0 if the layer has no row; -1 with *err set.
 */
typedef struct ps_row_source {
    int (*layer)(void *context, int32_t layer, float *rows, ps_err *err);
    void *context;
} ps_row_source;

/* Write the grid of one site and direction of the pair, and patched_final[the sizes of the grid, d_model] unless finals is NULL. */
int ps_results_add_grid(ps_results *results, enum ps_site site, enum ps_direction direction, const ps_column *columns,
                        size_t n_columns, const ps_row_source *finals, ps_err *err);
/* activations/<run>_resid_post[layer, position, d_model] of the pair, stored as dtype; runs[which] NULL: not kept. */
int ps_results_add_activations(ps_results *results, enum ps_dtype dtype, const ps_row_source *const runs[PS_N_WHICH],
                               ps_err *err);
/* The group /run, once: attributes, and a dataset along the dimension `rank` for each of columns: values[n_ranks]. */
int ps_results_add_run(ps_results *results, const ps_attr *attrs, size_t n_attrs, const ps_column *ranks,
                       size_t n_columns, int n_ranks, ps_err *err);
/* Attributes of the root; old ones of the same names are replaced. */
int ps_results_put_attrs(ps_results *results, const ps_attr *attrs, size_t n_attrs, ps_err *err);
/* Leave the checksum of the root's attributes: the last thing before closing. */
int ps_results_seal(ps_results *results, ps_err *err);
/* Close the file; results is gone either way; NULL is fine.  Returns rc, or -1 with *err set where rc is 0 and the last
 * writes fail. */
int ps_results_close(ps_results *results, int rc, ps_err *err);

/* The most bytes that the writer allocates for pairs of up to n_positions tokens: grids of `sites` (bits 1 << enum ps_site),
 * patched_final if `finals`, activations. */
size_t ps_results_bytes(const ps_results_shape *shape, unsigned sites, bool finals, int32_t n_positions);

/* ---- reading, for show, plot and inspect ---- */

typedef struct ps_result_file ps_result_file;

/* Does `path` begin as an HDF5 file does, where the library looks for that?  Damage behind it may crash the library: see
 * child.h. */
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

/* PS_EINPUT where it is no HDF5 file or none of ours, of a format_version we do not read, or no tree of few levels. */
int ps_result_open(ps_result_file **out, const char *path, ps_err *err);
void ps_result_close(ps_result_file *file);
size_t ps_result_n_grids(const ps_result_file *file); /* over all pairs, sites and directions */
/* The i-th grid, or all its data; released by the caller. */
int ps_result_grid_read(const ps_result_file *file, size_t i, ps_result_grid *grid, ps_err *err);
void ps_result_grid_release(ps_result_grid *grid);
/* Its names alone: borrowed from the file. */
void ps_result_grid_name(const ps_result_file *file, size_t i, const char **pair, const char **site,
                         const char **direction);
/* Read the axes of the i-th grid alone. */
int ps_result_grid_axes(const ps_result_file *file, size_t i, ps_axes *axes, ps_err *err);
/*
 * Compare every dataset, and the attributes of every object, with their checksums: *n datasets are good, and
 * *attributes tells whether attributes have checksums, which an older patchsweep did not leave.  PS_EINPUT names the first
 * object that differs.
 */
int ps_result_verify(const ps_result_file *file, size_t *n, bool *attributes, ps_err *err);
/* The same of one group right below the root, a pair's or "run", of a file that ps_result_reread() opened. */
int ps_result_verify_group(const ps_result_file *file, const char *group, ps_err *err);
/* Open a file that was just written by ps_results_create(): its shape is not checked, its grids are not listed. */
int ps_result_reread(ps_result_file **out, const char *path, ps_err *err);
/* An attribute of object `path` as text ("%.9g" for a number); owned by the caller, NULL when absent. */
char *ps_result_attr(const ps_result_file *file, const char *path, const char *name);

#endif
