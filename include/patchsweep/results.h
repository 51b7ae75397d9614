/*
 * results.h - the result file: HDF5 that is also netCDF-4.  The only interface to HDF5.
 *
 *     /<pair id>/<site>/<direction>/<metric>[layer, position]     float64, NaN where not done
 *
 * The writer is rank 0's alone.  It fills the file piece by piece in any order; the
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

/* Create `path`, where nothing may stand, for models of n_layers layers and width d_model, with root attributes.  After a
 * failure nothing of it is left. */
int ps_results_create(ps_results **out, const char *path, int32_t n_layers, int32_t d_model,
                      const ps_attr *attrs, size_t n_attrs, ps_err *err);

/* The group of a pair: coordinates, tokens, roles, attributes (prompts, answer, foil, ids,
 * first_difference), and what the caller adds (baselines, predictions). */
int ps_results_add_pair(ps_results *results, const ps_pair *pair, const ps_attr *attrs,
                        size_t n_attrs, ps_err *err);

/*
 * One site and direction of a pair: `columns[n_columns]` grids, each [n_layers, T] doubles; a
 * NULL one is left out.  The names are score, the metrics', and `degenerate` and `done` (0 or 1, stored as uint8);
 * answer_rank is stored as int32, -1 where not done.
 */
typedef struct ps_column {
    const char *name;
    const char *long_name;
    const double *values; /* [n_layers, T]; NaN: not done */
} ps_column;
int ps_results_add_grid(ps_results *results, const ps_pair *pair, enum ps_site site,
                        enum ps_direction direction, const ps_column *columns, size_t n_columns,
                        ps_err *err);

/*
 * Rows of /<pair>/activations/<which>_resid_post[layer, position, d_model], stored as dtype (the
 * dataset is created by the first call): rows[n, d_model] at `layer`, positions first...
 */
int ps_results_put_activations(ps_results *results, const ps_pair *pair, enum ps_which which,
                               enum ps_dtype dtype, int32_t layer, int32_t first, int32_t n,
                               const float *rows, ps_err *err);
/* One row of /<pair>/<site>/<direction>/patched_final[layer, position, d_model]; NaN elsewhere. */
int ps_results_put_final(ps_results *results, const ps_pair *pair, enum ps_site site,
                         enum ps_direction direction, int32_t layer, int32_t position,
                         const float *row, ps_err *err);
/* Attributes of /run, or of the root where `group` is "/". */
int ps_results_put_attrs(ps_results *results, const char *group, const ps_attr *attrs,
                         size_t n_attrs, ps_err *err);
/* A dataset of /run along the dimension `rank`: values[n]. */
int ps_results_put_ranks(ps_results *results, const char *name, const char *long_name,
                         const double *values, size_t n, ps_err *err);

/* Read back what was written, and leave a checksum of each dataset for `inspect --verify`: the last thing
 * before closing. */
int ps_results_seal(ps_results *results, ps_err *err);
/* Close the file; its last writes may fail here.  results is gone either way; NULL is fine. */
int ps_results_close(ps_results *results, ps_err *err);

/* ---- reading, for show, plot and inspect ---- */

typedef struct ps_result_file ps_result_file;

/* A grid as read back. */
typedef struct ps_result_grid {
    char *pair, *site, *direction;
    int32_t n_layers, n_positions, first_difference;
    char **token_clean, **token_corrupt; /* [n_positions] */
    char **role;                         /* [n_positions] */
    double *score;                       /* [n_layers, n_positions] */
    struct ps_result_column {
        char *name;
        double *values; /* [n_layers, n_positions] */
    } *columns;         /* every grid dataset, score among them, in the file's order */
    size_t n_columns;
} ps_result_grid;

/* PS_EINPUT where it is no HDF5 file or none of ours, or of a format_version we do not read. */
int ps_result_open(ps_result_file **out, const char *path, ps_err *err);
void ps_result_close(ps_result_file *file);
size_t ps_result_n_grids(const ps_result_file *file); /* over all pairs, sites and directions */
/* The i-th grid, or all its data; released by the caller. */
int ps_result_grid_read(const ps_result_file *file, size_t i, ps_result_grid *grid, ps_err *err);
void ps_result_grid_release(ps_result_grid *grid);
/* Its names alone: borrowed from the file. */
void ps_result_grid_name(const ps_result_file *file, size_t i, const char **pair, const char **site,
                         const char **direction);
/* Compare every dataset with its checksum: *n of them are good; PS_EINPUT names the first that is not. */
int ps_result_verify(const ps_result_file *file, size_t *n, ps_err *err);
/* An attribute of object `path` as text ("%.9g" for a number); owned by the caller, NULL when absent. */
char *ps_result_attr(const ps_result_file *file, const char *path, const char *name);

#endif
