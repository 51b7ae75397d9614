/*
 * results.c - writing the result file: what is in which group, and what is said about it.
 *
 * Each group that holds grids or activations has the coordinates it needs within itself, so that
 * a reader may open it alone.  Nothing is kept open between calls but the file: whole grids and
 * whole layers are written at once, and memory holds one of them at a time.
 */
#include "patchsweep/results.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "h5.h"
#include "patchsweep/mem.h"

/* A chunk of activations is one layer, or as many of its positions as fit in this. */
#define MOST_CHUNK_BYTES ((int64_t)16 << 20)

struct ps_results {
    ps_h5 file;
    int32_t n_layers, d_model;
};

/* ---- attributes ---- */

static int put_text(ps_h5 id, const char *name, const char *text, ps_err *err)
{
    return text ? ps_h5_attr_text(id, name, text, strlen(text), err) : 0;
}

static int put_attrs(ps_h5 id, const ps_attr *attrs, size_t n, ps_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int64_t whole = attrs[i].integer ? (int64_t)attrs[i].number : 0;
        int rc = attrs[i].text ? put_text(id, attrs[i].name, attrs[i].text, err)
                 : attrs[i].integer
                     ? ps_h5_attr_values(id, attrs[i].name, PS_H5_I64, &whole, 0, err)
                     : ps_h5_attr_values(id, attrs[i].name, PS_H5_F64, &attrs[i].number, 0, err);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* ---- axes and columns along `position` ---- */

/* Coordinate `name` of a group: 0, 1, ... n-1. */
static int put_axis(ps_h5 group, const char *name, const char *long_name, int32_t n, ps_err *err)
{
    ps_h5_layout layout = {.type = PS_H5_I32, .n_axes = 1, .size = {n}};
    int32_t *index = ps_malloc((size_t)n, sizeof *index, err);
    ps_h5 id = PS_H5_NONE;
    int rc = -1;

    if (!index || ps_h5_dataset_create(&id, group, name, &layout, err) < 0)
        goto out;
    for (int32_t i = 0; i < n; i++)
        index[i] = i;
    if (ps_h5_write(id, PS_H5_I32, index, NULL, NULL, err) < 0 ||
        ps_h5_scale_set(id, name, false, n, err) < 0 ||
        put_text(id, "long_name", long_name, err) < 0)
        goto out;
    rc = 0;
out:
    ps_h5_close(id);
    ps_free(index);
    return rc;
}

/* Dimension `name` of a group, without values; once. */
static int put_dimension(ps_h5 group, const char *name, int64_t n, ps_err *err)
{
    ps_h5_layout layout = {.type = PS_H5_F32, .n_axes = 1, .size = {n}};
    ps_h5 id = PS_H5_NONE;

    if (ps_h5_has(group, name))
        return 0;
    int rc = ps_h5_dataset_create(&id, group, name, &layout, err);
    if (rc == 0)
        rc = ps_h5_scale_set(id, name, true, n, err);
    ps_h5_close(id);
    return rc;
}

static int put_layer_and_position(ps_h5 group, const ps_results *results, const ps_pair *pair,
                                  ps_err *err)
{
    if (put_axis(group, "layer", "layer, from 0", results->n_layers, err) < 0)
        return -1;
    return put_axis(group, "position", "position of the token in the prompt, from 0",
                    pair->n_positions, err);
}

/* A dataset along `position`: strings, or ids. */
static int put_row(ps_h5 group, const char *name, const char *long_name, enum ps_h5_type type,
                   const void *values, int32_t n, ps_err *err)
{
    ps_h5_layout layout = {.type = type, .n_axes = 1, .size = {n}};
    ps_h5 id = PS_H5_NONE;
    int rc = -1;

    if (ps_h5_dataset_create(&id, group, name, &layout, err) < 0 ||
        ps_h5_scale_attach(id, 0, group, "position", err) < 0 ||
        put_text(id, "long_name", long_name, err) < 0 ||
        ps_h5_write(id, type, values, NULL, NULL, err) < 0)
        goto out;
    rc = 0;
out:
    ps_h5_close(id);
    return rc;
}

/* ---- groups ---- */

static int put_tokens(ps_h5 group, const ps_pair *pair, ps_err *err)
{
    static const struct {
        const char *name, *long_name;
        enum ps_which which;
        bool piece;
    } rows[] = {
        {"token_clean", "token of the clean prompt, decoded", PS_CLEAN, false},
        {"token_corrupt", "token of the corrupt prompt, decoded", PS_CORRUPT, false},
        {"token_piece_clean", "token of the clean prompt as the vocabulary spells it", PS_CLEAN, true},
        {"token_piece_corrupt", "token of the corrupt prompt as the vocabulary spells it", PS_CORRUPT, true},
    };
    int32_t n = pair->n_positions;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (put_row(group, rows[i].name, rows[i].long_name, PS_H5_TEXT,
                    rows[i].piece ? pair->piece[rows[i].which] : pair->token[rows[i].which], n, err) < 0)
            return -1;
    if (put_row(group, "token_id_clean", "id of the clean prompt's token", PS_H5_I32,
                pair->ids[PS_CLEAN], n, err) < 0 ||
        put_row(group, "token_id_corrupt", "id of the corrupt prompt's token", PS_H5_I32,
                pair->ids[PS_CORRUPT], n, err) < 0 ||
        put_row(group, "role", "placeholder the position belongs to; or bos, text, last", PS_H5_TEXT,
                pair->role, n, err) < 0)
        return -1;
    return put_row(group, "span", "place within the placeholder: first, middle, last, only; or empty",
                   PS_H5_TEXT, pair->span, n, err);
}

static int put_pair_attrs(ps_h5 group, const ps_pair *pair, ps_err *err)
{
    const ps_prompt *prompt = pair->job->prompt;
    const ps_attr attrs[] = {
        {"first_difference", NULL, pair->first_difference, true},
        {"answer_id", NULL, pair->answer_id, true},
        {"answer_token", pair->answer_token ? pair->answer_token : "", 0, false},
        {"foil_id", NULL, pair->foil_id, true},
        {"foil_token", pair->foil_token ? pair->foil_token : "", 0, false},
    };

    if (prompt[PS_CLEAN].text && ps_h5_attr_text(group, "clean_prompt", prompt[PS_CLEAN].text,
                                                 prompt[PS_CLEAN].n_bytes, err) < 0)
        return -1;
    if (prompt[PS_CORRUPT].text && ps_h5_attr_text(group, "corrupt_prompt", prompt[PS_CORRUPT].text,
                                                   prompt[PS_CORRUPT].n_bytes, err) < 0)
        return -1;
    if (put_text(group, "answer", pair->job->answer, err) < 0 ||
        put_text(group, "foil", pair->job->foil, err) < 0)
        return -1;
    return put_attrs(group, attrs, sizeof attrs / sizeof *attrs, err);
}

/* The group of a pair, made with all that the pair itself says when first asked for. */
static int pair_group(ps_h5 *group, const ps_results *results, const ps_pair *pair, ps_err *err)
{
    const char *id = pair->job->id;

    *group = PS_H5_NONE;
    if (!strcmp(id, "run"))
        return ps_err_set(err, PS_EINPUT, "pair 'run': the result file uses that name itself; "
                          "rename the pair");
    if (ps_h5_has(results->file, id))
        return ps_h5_group_open(group, results->file, id, err);
    if (ps_h5_group_create(group, results->file, id, err) < 0 ||
        put_pair_attrs(*group, pair, err) < 0 ||
        put_layer_and_position(*group, results, pair, err) < 0)
        return -1;
    return put_tokens(*group, pair, err);
}

/* A group below, with the coordinates of its own. */
static int child_group(ps_h5 *child, ps_h5 parent, const char *name, ps_err *err)
{
    *child = PS_H5_NONE;
    if (ps_h5_has(parent, name))
        return ps_h5_group_open(child, parent, name, err);
    return ps_h5_group_create(child, parent, name, err);
}

/* What the group of a grid says: the site by other tools' names, and a picture for NeXus viewers. */
static int put_grid_attrs(ps_h5 group, enum ps_site site, enum ps_direction direction, ps_err *err)
{
    static const char *const axes[] = {"layer", "position"};
    const ps_attr attrs[] = {
        {"site", ps_sites[site].name, 0, false},
        {"site_long_name", ps_sites[site].long_name, 0, false},
        {"site_aliases", ps_sites[site].aliases ? ps_sites[site].aliases : "", 0, false},
        {"direction", ps_directions[direction].name, 0, false},
        {"direction_long_name", ps_directions[direction].long_name, 0, false},
        {"NX_class", "NXdata", 0, false},
        {"signal", "score", 0, false},
    };

    if (put_attrs(group, attrs, sizeof attrs / sizeof *attrs, err) < 0)
        return -1;
    return ps_h5_attr_texts(group, "axes", axes, 2, err);
}

/* /<pair>/<site>/<direction>, made with its coordinates when first asked for. */
static int grid_group(ps_h5 *group, const ps_results *results, const ps_pair *pair, enum ps_site site,
                      enum ps_direction direction, ps_err *err)
{
    ps_h5 top = PS_H5_NONE, middle = PS_H5_NONE;
    const char *name = ps_directions[direction].name;
    int rc = -1;

    *group = PS_H5_NONE;
    if (pair_group(&top, results, pair, err) < 0 ||
        child_group(&middle, top, ps_sites[site].name, err) < 0)
        goto out;
    bool old = ps_h5_has(middle, name);
    if (child_group(group, middle, name, err) < 0)
        goto out;
    if (!old && (put_grid_attrs(*group, site, direction, err) < 0 ||
                 put_layer_and_position(*group, results, pair, err) < 0 ||
                 put_row(*group, "token", "token of the clean prompt, decoded", PS_H5_TEXT,
                         pair->token[PS_CLEAN], pair->n_positions, err) < 0))
        goto out;
    rc = 0;
out:
    ps_h5_close(middle);
    ps_h5_close(top);
    return rc;
}

/* ---- grids ---- */

enum column_kind { COLUMN_REAL, COLUMN_RANK, COLUMN_FLAG };

static enum column_kind kind_of(const char *name)
{
    if (!strcmp(name, "done") || !strcmp(name, "degenerate"))
        return COLUMN_FLAG;
    return strcmp(name, ps_metrics[PS_ANSWER_RANK].name) ? COLUMN_REAL : COLUMN_RANK;
}

static int put_column_attrs(ps_h5 id, const ps_column *column, enum column_kind kind, ps_err *err)
{
    static const uint8_t flags[] = {0, 1};
    static const double nothing = NAN;
    static const int32_t none = -1;
    int metric = ps_term_find(ps_metrics, PS_N_METRICS, column->name);
    const char *of_metric = metric >= 0 ? ps_metrics[metric].long_name : NULL;
    const char *long_name = column->long_name ? column->long_name : of_metric;

    if (put_text(id, "long_name", long_name, err) < 0 || put_text(id, "coordinates", "token", err) < 0)
        return -1;
    if (kind == COLUMN_FLAG) {
        bool done = !strcmp(column->name, "done");
        if (ps_h5_attr_values(id, "flag_values", PS_H5_U8, flags, 2, err) < 0)
            return -1;
        return put_text(id, "flag_meanings", done ? "not_done done" : "regular zero_denominator", err);
    }
    if (put_text(id, "units", "1", err) < 0)
        return -1;
    return kind == COLUMN_RANK ? ps_h5_attr_values(id, "_FillValue", PS_H5_I32, &none, 1, err)
                               : ps_h5_attr_values(id, "_FillValue", PS_H5_F64, &nothing, 1, err);
}

/* Doubles as int32: NaN is -1, or 0 of a flag. */
static int write_integers(ps_h5 id, const double *values, size_t n, int32_t none, ps_err *err)
{
    int32_t *whole = ps_malloc(n, sizeof *whole, err);

    if (!whole)
        return -1;
    for (size_t i = 0; i < n; i++)
        whole[i] = isnan(values[i]) ? none : (int32_t)values[i];
    int rc = ps_h5_write(id, PS_H5_I32, whole, NULL, NULL, err);
    ps_free(whole);
    return rc;
}

static int put_column(ps_h5 group, const ps_column *column, int32_t n_layers, int32_t n_positions,
                      ps_err *err)
{
    static const double nothing = NAN;
    static const int32_t none = -1;
    enum column_kind kind = kind_of(column->name);
    ps_h5_layout layout = {
        .type = kind == COLUMN_REAL ? PS_H5_F64 : kind == COLUMN_RANK ? PS_H5_I32 : PS_H5_U8,
        .n_axes = 2,
        .size = {n_layers, n_positions},
        .chunk = {n_layers, n_positions},
        .gzip = true,
        .fill = kind == COLUMN_REAL ? (const void *)&nothing : kind == COLUMN_RANK ? &none : NULL,
    };
    ps_h5 id = PS_H5_NONE;
    int rc = -1;

    if (ps_h5_dataset_create(&id, group, column->name, &layout, err) < 0 ||
        ps_h5_scale_attach(id, 0, group, "layer", err) < 0 ||
        ps_h5_scale_attach(id, 1, group, "position", err) < 0 ||
        put_column_attrs(id, column, kind, err) < 0)
        goto out;
    rc = kind == COLUMN_REAL
             ? ps_h5_write(id, PS_H5_F64, column->values, NULL, NULL, err)
             : write_integers(id, column->values, (size_t)n_layers * (size_t)n_positions,
                              kind == COLUMN_RANK ? -1 : 0, err);
out:
    ps_h5_close(id);
    return rc;
}

int ps_results_add_grid(ps_results *results, const ps_pair *pair, enum ps_site site,
                        enum ps_direction direction, const ps_column *columns, size_t n_columns,
                        ps_err *err)
{
    ps_h5 group;
    int rc = grid_group(&group, results, pair, site, direction, err);

    for (size_t i = 0; rc == 0 && i < n_columns; i++)
        if (columns[i].values)
            rc = put_column(group, &columns[i], results->n_layers, pair->n_positions, err);
    ps_h5_close(group);
    if (rc < 0)
        ps_err_prefix(err, "results of '%s', %s, %s", pair->job->id, ps_sites[site].name,
                      ps_directions[direction].name);
    return rc;
}

/* ---- activations ---- */

static enum ps_h5_type type_of(enum ps_dtype dtype)
{
    return dtype == PS_DTYPE_F16 ? PS_H5_F16 : dtype == PS_DTYPE_BF16 ? PS_H5_BF16 : PS_H5_F32;
}

/* A new [layer, position, d_model] dataset, NaN throughout, in chunks of n_rows positions. */
static int create_rows(ps_h5 *id, ps_h5 group, const char *name, const char *long_name,
                       const char *coordinates, enum ps_dtype dtype, const ps_results *results,
                       int32_t n_positions, int32_t n_rows, ps_err *err)
{
    static const float nothing = NAN;
    uint32_t fill = 0;
    ps_h5_layout layout = {
        .type = type_of(dtype),
        .n_axes = 3,
        .size = {results->n_layers, n_positions, results->d_model},
        .chunk = {1, n_rows, results->d_model},
        .fill = &fill,
    };

    ps_narrow(&fill, &nothing, dtype, 1);
    if (put_dimension(group, "d_model", results->d_model, err) < 0 ||
        ps_h5_dataset_create(id, group, name, &layout, err) < 0 ||
        ps_h5_scale_attach(*id, 0, group, "layer", err) < 0 ||
        ps_h5_scale_attach(*id, 1, group, "position", err) < 0 ||
        ps_h5_scale_attach(*id, 2, group, "d_model", err) < 0 ||
        put_text(*id, "long_name", long_name, err) < 0 || put_text(*id, "units", "1", err) < 0 ||
        put_text(*id, "coordinates", coordinates, err) < 0)
        return -1;
    /* netCDF has no 16-bit floats to give a fill value of. */
    return dtype == PS_DTYPE_F32 ? ps_h5_attr_values(*id, "_FillValue", PS_H5_F32, &nothing, 1, err) : 0;
}

/* rows[n, d_model] into a [layer, position, d_model] dataset. */
static int write_rows(ps_h5 id, enum ps_dtype dtype, int32_t d_model, int32_t layer, int32_t first,
                      int32_t n, const float *rows, ps_err *err)
{
    int64_t start[] = {layer, first, 0}, count[] = {1, n, d_model};
    size_t elements = (size_t)n * (size_t)d_model;

    if (dtype == PS_DTYPE_F32)
        return ps_h5_write(id, PS_H5_F32, rows, start, count, err);
    void *narrow = ps_malloc(elements, ps_dtype_bytes(dtype), err);
    if (!narrow)
        return -1;
    ps_narrow(narrow, rows, dtype, elements);
    int rc = ps_h5_write(id, type_of(dtype), narrow, start, count, err);
    ps_free(narrow);
    return rc;
}

/* /<pair>/activations, made with its coordinates when first asked for. */
static int activations_group(ps_h5 *group, const ps_results *results, const ps_pair *pair, ps_err *err)
{
    ps_h5 top = PS_H5_NONE;
    int rc = -1;

    *group = PS_H5_NONE;
    if (pair_group(&top, results, pair, err) < 0)
        goto out;
    bool old = ps_h5_has(top, "activations");
    if (child_group(group, top, "activations", err) < 0)
        goto out;
    if (!old && (put_layer_and_position(*group, results, pair, err) < 0 ||
                 put_row(*group, "token_clean", "token of the clean prompt, decoded", PS_H5_TEXT,
                         pair->token[PS_CLEAN], pair->n_positions, err) < 0 ||
                 put_row(*group, "token_corrupt", "token of the corrupt prompt, decoded", PS_H5_TEXT,
                         pair->token[PS_CORRUPT], pair->n_positions, err) < 0))
        goto out;
    rc = 0;
out:
    ps_h5_close(top);
    return rc;
}

int ps_results_put_activations(ps_results *results, const ps_pair *pair, enum ps_which which,
                               enum ps_dtype dtype, int32_t layer, int32_t first, int32_t n,
                               const float *rows, ps_err *err)
{
    static const struct {
        const char *name, *long_name, *coordinates;
    } of[PS_N_WHICH] = {
        {"clean_resid_post", "residual stream behind each layer, clean run", "token_clean"},
        {"corrupt_resid_post", "residual stream behind each layer, corrupt run", "token_corrupt"},
    };
    int64_t most = MOST_CHUNK_BYTES / ((int64_t)ps_dtype_bytes(dtype) * results->d_model) + 1;
    int32_t n_rows = most < pair->n_positions ? (int32_t)most : pair->n_positions;
    ps_h5 group, id = PS_H5_NONE;
    int rc = activations_group(&group, results, pair, err);

    if (rc == 0)
        rc = ps_h5_has(group, of[which].name)
                 ? ps_h5_dataset_open(&id, group, of[which].name, err)
                 : create_rows(&id, group, of[which].name, of[which].long_name, of[which].coordinates,
                               dtype, results, pair->n_positions, n_rows, err);
    if (rc == 0)
        rc = write_rows(id, dtype, results->d_model, layer, first, n, rows, err);
    ps_h5_close(id);
    ps_h5_close(group);
    if (rc < 0)
        ps_err_prefix(err, "activations of '%s', layer %d", pair->job->id, (int)layer);
    return rc;
}

int ps_results_put_final(ps_results *results, const ps_pair *pair, enum ps_site site,
                         enum ps_direction direction, int32_t layer, int32_t position,
                         const float *row, ps_err *err)
{
    static const char name[] = "patched_final";
    ps_h5 group, id = PS_H5_NONE;
    int rc = grid_group(&group, results, pair, site, direction, err);

    if (rc == 0)
        rc = ps_h5_has(group, name)
                 ? ps_h5_dataset_open(&id, group, name, err)
                 : create_rows(&id, group, name, "last position's state before the final norm, by cell",
                               "token", PS_DTYPE_F32, results, pair->n_positions, 1, err);
    if (rc == 0)
        rc = write_rows(id, PS_DTYPE_F32, results->d_model, layer, position, 1, row, err);
    ps_h5_close(id);
    ps_h5_close(group);
    if (rc < 0)
        ps_err_prefix(err, "final states of '%s'", pair->job->id);
    return rc;
}

/* ---- the file ---- */

int ps_results_create(ps_results **out, const char *path, int32_t n_layers, int32_t d_model,
                      const ps_attr *attrs, size_t n_attrs, ps_err *err)
{
    static const ps_attr ours[] = {
        {"format", "patchsweep-results", 0, false},
        {"format_version", "1.0", 0, false},
        {"Conventions", "CF-1.10", 0, false},
    };
    ps_results *results = ps_calloc(1, sizeof *results, err);
    ps_err ignored;

    if (!results)
        return -1;
    results->n_layers = n_layers;
    results->d_model = d_model;
    int rc = ps_h5_file_create(&results->file, path, err);
    if (rc == 0 && (put_attrs(results->file, ours, sizeof ours / sizeof *ours, err) < 0 ||
                    put_attrs(results->file, attrs, n_attrs, err) < 0)) {
        rc = -1;
        unlink(path);
    }
    if (rc < 0) {
        ps_results_close(results, &ignored);
        return -1;
    }
    *out = results;
    return 0;
}

int ps_results_add_pair(ps_results *results, const ps_pair *pair, const ps_attr *attrs,
                        size_t n_attrs, ps_err *err)
{
    ps_h5 group;
    int rc = pair_group(&group, results, pair, err);

    if (rc == 0)
        rc = put_attrs(group, attrs, n_attrs, err);
    ps_h5_close(group);
    if (rc < 0)
        ps_err_prefix(err, "results of '%s'", pair->job->id);
    return rc;
}

int ps_results_put_attrs(ps_results *results, const char *group, const ps_attr *attrs,
                         size_t n_attrs, ps_err *err)
{
    ps_h5 id = PS_H5_NONE;
    const char *name = group + (group[0] == '/');

    if (!name[0])
        return put_attrs(results->file, attrs, n_attrs, err);
    int rc = child_group(&id, results->file, name, err);
    if (rc == 0)
        rc = put_attrs(id, attrs, n_attrs, err);
    ps_h5_close(id);
    return rc;
}

int ps_results_put_ranks(ps_results *results, const char *name, const char *long_name,
                         const double *values, size_t n, ps_err *err)
{
    ps_h5_layout layout = {.type = PS_H5_F64, .n_axes = 1, .size = {(int64_t)n}};
    ps_h5 group = PS_H5_NONE, id = PS_H5_NONE;
    int rc = -1;

    if (child_group(&group, results->file, "run", err) < 0 ||
        put_dimension(group, "rank", (int64_t)n, err) < 0 ||
        ps_h5_dataset_create(&id, group, name, &layout, err) < 0 ||
        ps_h5_scale_attach(id, 0, group, "rank", err) < 0 ||
        put_text(id, "long_name", long_name, err) < 0 ||
        ps_h5_write(id, PS_H5_F64, values, NULL, NULL, err) < 0)
        goto out;
    rc = 0;
out:
    ps_h5_close(id);
    ps_h5_close(group);
    return rc;
}

int ps_results_seal(ps_results *results, ps_err *err)
{
    return ps_digests_write(results->file, err);
}

int ps_results_close(ps_results *results, ps_err *err)
{
    if (!results)
        return 0;
    int rc = ps_h5_file_close(results->file, err);
    ps_free(results);
    return rc;
}
