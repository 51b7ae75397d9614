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

/* The sizes of a site's grids in the order of enum ps_axis, for prompts of n_positions; 1 where it has no such axis. */
void ps_results_sizes(const ps_results_shape *shape, enum ps_site site, int32_t n_positions, int32_t size[PS_N_AXES]);

/* Create `path`, where nothing may stand, for models of that shape, with root attributes.  After a failure nothing of it
 * is left. */
int ps_results_create(ps_results **out, const char *path, const ps_results_shape *shape,
                      const ps_attr *attrs, size_t n_attrs, ps_err *err);
/* Open one that was closed between two pairs, to add to it. */
int ps_results_reopen(ps_results **out, const char *path, const ps_results_shape *shape, ps_err *err);

/*
 * Pairs are written one at a time: begin, grids and activations, end.  Beginning writes the group of the pair with
 * coordinates, tokens, roles, attributes (prompts, answer, foil, ids, first_difference), and those that the caller adds
 * (baselines, predictions).
 */
int ps_results_begin_pair(ps_results *results, const ps_pair *pair, const ps_attr *attrs, size_t n_attrs,
                          ps_err *err);
int ps_results_end_pair(ps_results *results, ps_err *err);

/* `columns[n_columns]` grids, each of ps_results_sizes() doubles, the last axis fastest; a NULL one is left out.  The names are
 * score, the metrics', and `degenerate` and `done` (0 or 1, stored as uint8); answer_rank is stored as int32, -1 where not done. */
typedef struct ps_column {
    const char *name;
    const char *long_name;
    const double *values; /* [the axes of the site]; NaN: not done */
} ps_column;

/* Where rows come from, layer by layer in ascending order: `layer` fills rows[the axes behind layer, d_model], which are NaN,
 * with those that there are, and returns 1; 0 where there are none, -1 with *err set. */
typedef struct ps_row_source {
    int (*layer)(void *context, int32_t layer, float *rows, ps_err *err);
    void *context;
} ps_row_source;

/* One site and direction of the pair; finals NULL: no patched_final[the axes of the site, d_model]. */
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

/* The most memory that writing takes: grids of the sites (bits 1 << enum ps_site), with their final rows or without, and
 * activations, of pairs of up to n_positions. */
size_t ps_results_bytes(const ps_results_shape *shape, unsigned sites, bool finals, int32_t n_positions);

/* ---- reading, for show, plot and inspect ---- */

typedef struct ps_result_file ps_result_file;

/* Does `path` begin as an HDF5 file does, where the library looks for that?  Damage behind it may crash the library: see
 * child.h. */
bool ps_result_is(const char *path);

/* The axes of a grid.  Its cells lie in their order, the last fastest. */
typedef struct ps_axes {
    bool has[PS_N_AXES];
    int32_t size[PS_N_AXES]; /* 1 of an axis that it has not */
} ps_axes;

size_t ps_axes_cells(const ps_axes *axes);
/* Where the cell at place[] lies among them, and back; 0 along an axis that is not there. */
size_t ps_axes_at(const ps_axes *axes, const int32_t place[PS_N_AXES]);
void ps_axes_place(const ps_axes *axes, size_t at, int32_t place[PS_N_AXES]);

/* A grid as read back. */
typedef struct ps_result_grid {
    char *pair, *site, *direction;
    ps_axes axes;
    bool kv_heads;                       /* its heads are those of keys and values */
    int32_t n_positions, first_difference; /* of the pair's prompts, whatever the axes */
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
/* Its axes alone. */
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
