/*
 * results.c - writing the result file: what is in which group, and what is said about it.
 *
 * Each group that holds grids or activations has the coordinates it needs within itself, so that
 * a reader may open it alone.  The groups of the pair in hand stay open until it is done: nothing is looked up, opened or
 * written twice.
 */
#include "patchsweep/results.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "h5.h"
#include "patchsweep/mem.h"

/* A chunk of rows is one layer, or as many of its positions as fit in this. */
#define MOST_CHUNK_BYTES ((int64_t)16 << 20)

/* A group, and the scales of the datasets in it. */
typedef struct room {
    ps_h5_object group;
    ps_h5_scale layer, position, width;
} room;
#define NO_ROOM {PS_H5_OBJECT_NONE, PS_H5_SCALE_NONE, PS_H5_SCALE_NONE, PS_H5_SCALE_NONE}

struct ps_results {
    ps_h5 file;
    int32_t n_layers, d_model;
    /* the pair in hand */
    const ps_pair *pair;
    room top, grid; /* its own group, and the one below that is being written */
    ps_h5_object sites[PS_N_SITES];
};

static const room no_room = NO_ROOM;

/* ---- attributes ---- */

static int put_text(ps_h5_object *object, const char *name, const char *text, ps_err *err)
{
    return text ? ps_h5_attr_text(object, name, text, strlen(text), err) : 0;
}

static int put_attrs(ps_h5_object *object, const ps_attr *attrs, size_t n, ps_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int64_t whole = attrs[i].integer ? (int64_t)attrs[i].number : 0;
        int rc = attrs[i].text ? put_text(object, attrs[i].name, attrs[i].text, err)
                 : attrs[i].integer
                     ? ps_h5_attr_values(object, attrs[i].name, PS_H5_I64, &whole, 0, err)
                     : ps_h5_attr_values(object, attrs[i].name, PS_H5_F64, &attrs[i].number, 0, err);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* ---- axes and columns along `position` ---- */

/* Coordinate `name` of a group: 0, 1, ... n-1. */
static int put_axis(ps_h5_scale *scale, const room *in, const char *name, const char *long_name, int32_t n,
                    ps_err *err)
{
    int32_t *index = ps_malloc((size_t)n, sizeof *index, err);

    if (!index)
        return -1;
    for (int32_t i = 0; i < n; i++)
        index[i] = i;
    int rc = ps_h5_scale_create(scale, in->group.id, name, n, index, err);
    ps_free(index);
    return rc < 0 ? -1 : put_text(&scale->object, "long_name", long_name, err);
}

static int put_layer_and_position(room *in, const ps_results *results, ps_err *err)
{
    if (put_axis(&in->layer, in, "layer", "layer, from 0", results->n_layers, err) < 0)
        return -1;
    return put_axis(&in->position, in, "position", "position of the token in the prompt, from 0",
                    results->pair->n_positions, err);
}

/* A dataset along `position`: strings, or ids. */
static int put_row(room *in, const char *name, const char *long_name, enum ps_h5_type type, const void *values,
                   int32_t n, ps_err *err)
{
    const ps_h5_layout layout = {.type = type, .n_axes = 1, .size = {n}};
    ps_h5_scale *axes[] = {&in->position};
    ps_h5_object row = PS_H5_OBJECT_NONE;
    int rc = ps_h5_dataset_create(&row, in->group.id, name, &layout, axes, err);

    if (rc == 0)
        rc = put_text(&row, "long_name", long_name, err);
    if (rc == 0)
        rc = ps_h5_write(&row, &layout, values, err);
    return ps_h5_finish(&row, rc, err);
}

/* All that is in a group is written: its scales' lists, and the checksums. */
static int finish_room(room *in, int rc, ps_err *err)
{
    rc = ps_h5_scale_finish(&in->layer, rc, err);
    rc = ps_h5_scale_finish(&in->position, rc, err);
    rc = ps_h5_scale_finish(&in->width, rc, err);
    return ps_h5_finish(&in->group, rc, err);
}

/* ---- groups ---- */

static int put_tokens(room *group, const ps_pair *pair, ps_err *err)
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

static int put_pair_attrs(ps_h5_object *group, const ps_pair *pair, ps_err *err)
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

int ps_results_begin_pair(ps_results *results, const ps_pair *pair, const ps_attr *attrs, size_t n_attrs,
                          ps_err *err)
{
    room *top = &results->top;
    const char *id = pair->job->id;

    if (!strcmp(id, "run"))
        return ps_err_set(err, PS_EINPUT, "pair 'run': the result file uses that name itself; "
                          "rename the pair");
    results->pair = pair;
    if (ps_h5_group_create(&top->group, results->file, id, err) < 0 || put_pair_attrs(&top->group, pair, err) < 0 ||
        put_attrs(&top->group, attrs, n_attrs, err) < 0 || put_layer_and_position(top, results, err) < 0 ||
        put_tokens(top, pair, err) < 0)
        return ps_err_prefix(err, "results of '%s'", id);
    return 0;
}

int ps_results_end_pair(ps_results *results, ps_err *err)
{
    int rc = 0;

    for (int site = 0; site < PS_N_SITES; site++)
        rc = ps_h5_finish(&results->sites[site], rc, err);
    rc = finish_room(&results->top, rc, err);
    return rc < 0 ? ps_err_prefix(err, "results of '%s'", results->pair->job->id) : 0;
}

/* What the group of a grid says: the site by other tools' names, and a picture for NeXus viewers. */
static int put_grid_attrs(ps_h5_object *group, enum ps_site site, enum ps_direction direction, ps_err *err)
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

/* /<pair>/<site>/<direction>, with its coordinates. */
static int begin_grid(ps_results *results, enum ps_site site, enum ps_direction direction, ps_err *err)
{
    ps_h5_object *above = &results->sites[site];
    room *grid = &results->grid;

    if (above->id == PS_H5_NONE &&
        ps_h5_group_create(above, results->top.group.id, ps_sites[site].name, err) < 0)
        return -1;
    if (ps_h5_group_create(&grid->group, above->id, ps_directions[direction].name, err) < 0 ||
        put_grid_attrs(&grid->group, site, direction, err) < 0 || put_layer_and_position(grid, results, err) < 0)
        return -1;
    return put_row(grid, "token", "token of the clean prompt, decoded", PS_H5_TEXT, results->pair->token[PS_CLEAN],
                   results->pair->n_positions, err);
}

/* ---- grids ---- */

enum column_kind { COLUMN_REAL, COLUMN_RANK, COLUMN_FLAG };

static enum column_kind kind_of(const char *name)
{
    if (!strcmp(name, "done") || !strcmp(name, "degenerate"))
        return COLUMN_FLAG;
    return strcmp(name, ps_metrics[PS_ANSWER_RANK].name) ? COLUMN_REAL : COLUMN_RANK;
}

static int put_column_attrs(ps_h5_object *id, const ps_column *column, enum column_kind kind, ps_err *err)
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

/* Doubles as a dataset's integers: NaN is -1, or 0 of a flag.  Owned by the caller. */
static void *as_integers(const double *values, size_t n, enum column_kind kind, ps_err *err)
{
    int32_t *whole = ps_malloc(n, sizeof *whole, err);
    uint8_t *flags = (uint8_t *)whole;

    for (size_t i = 0; whole && i < n; i++)
        if (kind == COLUMN_FLAG)
            flags[i] = isnan(values[i]) ? 0 : (uint8_t)values[i];
        else
            whole[i] = isnan(values[i]) ? -1 : (int32_t)values[i];
    return whole;
}

static uint64_t fill_of(enum column_kind kind)
{
    static const double nothing = NAN;
    uint64_t bits;

    memcpy(&bits, &nothing, sizeof bits);
    return kind == COLUMN_REAL ? bits : kind == COLUMN_RANK ? UINT32_MAX : 0;
}

static int put_column(room *in, const ps_column *column, int32_t n_layers, int32_t n_positions, ps_err *err)
{
    enum column_kind kind = kind_of(column->name);
    const ps_h5_layout layout = {
        .type = kind == COLUMN_REAL ? PS_H5_F64 : kind == COLUMN_RANK ? PS_H5_I32 : PS_H5_U8,
        .n_axes = 2,
        .size = {n_layers, n_positions},
        .chunk = {n_layers, n_positions},
        .gzip = true,
        .fill = fill_of(kind),
    };
    ps_h5_scale *axes[] = {&in->layer, &in->position};
    ps_h5_object id = PS_H5_OBJECT_NONE;
    void *whole = NULL;
    int rc = -1;

    if (ps_h5_dataset_create(&id, in->group.id, column->name, &layout, axes, err) == 0 &&
        put_column_attrs(&id, column, kind, err) == 0 &&
        (kind == COLUMN_REAL ||
         (whole = as_integers(column->values, (size_t)n_layers * (size_t)n_positions, kind, err))))
        rc = ps_h5_write(&id, &layout, whole ? whole : column->values, err);
    ps_free(whole);
    return ps_h5_finish(&id, rc, err);
}

/* ---- rows ---- */

static enum ps_h5_type type_of(enum ps_dtype dtype)
{
    return dtype == PS_DTYPE_F16 ? PS_H5_F16 : dtype == PS_DTYPE_BF16 ? PS_H5_BF16 : PS_H5_F32;
}

/* A [layer, position, d_model] dataset: how it is stored, and what is said of it. */
typedef struct rows_kind {
    const char *name, *long_name, *coordinates;
    enum ps_dtype dtype;
} rows_kind;

static ps_h5_layout layout_of_rows(const ps_results *results, enum ps_dtype dtype)
{
    static const float nothing = NAN;
    int32_t n = results->pair->n_positions;
    int64_t most = MOST_CHUNK_BYTES / ((int64_t)ps_dtype_bytes(dtype) * results->d_model) + 1;
    ps_h5_layout layout = {
        .type = type_of(dtype),
        .n_axes = 3,
        .size = {results->n_layers, n, results->d_model},
        .chunk = {1, most < n ? most : n, results->d_model},
    };

    ps_narrow(&layout.fill, &nothing, dtype, 1);
    return layout;
}

/* Ask for the rows of each layer and write them; `narrow` is room for a layer of a 16-bit type, or NULL. */
static int write_layers(ps_h5_object *id, const ps_h5_layout *layout, enum ps_dtype dtype, const ps_row_source *source,
                        float *rows, void *narrow, ps_err *err)
{
    size_t n = (size_t)layout->size[1] * (size_t)layout->size[2];

    for (int64_t layer = 0; layer < layout->size[0]; layer++) {
        for (size_t i = 0; i < n; i++)
            rows[i] = NAN;
        int some = source->layer(source->context, (int32_t)layer, rows, err);
        if (some > 0 && narrow)
            ps_narrow(narrow, rows, dtype, n);
        if (some < 0 || ps_h5_write_slab(id, layout, layer, !some ? NULL : narrow ? narrow : rows, err) < 0)
            return -1;
    }
    return 0;
}

static int put_rows(ps_results *results, room *in, const rows_kind *kind, const ps_row_source *source, ps_err *err)
{
    static const float nothing = NAN;
    const ps_h5_layout layout = layout_of_rows(results, kind->dtype);
    ps_h5_scale *axes[] = {&in->layer, &in->position, &in->width};
    size_t n = (size_t)layout.size[1] * (size_t)layout.size[2];
    float *rows = ps_malloc(n, sizeof *rows, err);
    void *narrow = kind->dtype == PS_DTYPE_F32 ? NULL : ps_malloc(n, ps_dtype_bytes(kind->dtype), err);
    ps_h5_object id = PS_H5_OBJECT_NONE;
    int rc = -1;

    if (rows && (narrow || kind->dtype == PS_DTYPE_F32) &&
        (in->width.object.id != PS_H5_NONE ||
         ps_h5_scale_create(&in->width, in->group.id, "d_model", results->d_model, NULL, err) == 0) &&
        ps_h5_dataset_create(&id, in->group.id, kind->name, &layout, axes, err) == 0 &&
        put_text(&id, "long_name", kind->long_name, err) == 0 && put_text(&id, "units", "1", err) == 0 &&
        put_text(&id, "coordinates", kind->coordinates, err) == 0 &&
        /* netCDF has no 16-bit floats to give a fill value of. */
        (narrow || ps_h5_attr_values(&id, "_FillValue", PS_H5_F32, &nothing, 1, err) == 0))
        rc = write_layers(&id, &layout, kind->dtype, source, rows, narrow, err);
    ps_free(narrow);
    ps_free(rows);
    return ps_h5_finish(&id, rc, err);
}

int ps_results_add_grid(ps_results *results, enum ps_site site, enum ps_direction direction, const ps_column *columns,
                        size_t n_columns, const ps_row_source *finals, ps_err *err)
{
    static const rows_kind final = {"patched_final", "last position's state before the final norm, by cell", "token",
                                    PS_DTYPE_F32};
    const ps_pair *pair = results->pair;
    int rc = begin_grid(results, site, direction, err);

    for (size_t i = 0; rc == 0 && i < n_columns; i++)
        if (columns[i].values)
            rc = put_column(&results->grid, &columns[i], results->n_layers, pair->n_positions, err);
    if (rc == 0 && finals)
        rc = put_rows(results, &results->grid, &final, finals, err);
    rc = finish_room(&results->grid, rc, err);
    return rc < 0 ? ps_err_prefix(err, "results of '%s', %s, %s", pair->job->id, ps_sites[site].name,
                                  ps_directions[direction].name)
                  : 0;
}

int ps_results_add_activations(ps_results *results, enum ps_dtype dtype, const ps_row_source *const runs[PS_N_WHICH],
                               ps_err *err)
{
    const rows_kind of[PS_N_WHICH] = {
        {"clean_resid_post", "residual stream behind each layer, clean run", "token_clean", dtype},
        {"corrupt_resid_post", "residual stream behind each layer, corrupt run", "token_corrupt", dtype},
    };
    const ps_pair *pair = results->pair;
    room *in = &results->grid;
    int rc = -1;

    if (ps_h5_group_create(&in->group, results->top.group.id, "activations", err) == 0 &&
        put_layer_and_position(in, results, err) == 0 &&
        put_row(in, "token_clean", "token of the clean prompt, decoded", PS_H5_TEXT, pair->token[PS_CLEAN],
                pair->n_positions, err) == 0)
        rc = put_row(in, "token_corrupt", "token of the corrupt prompt, decoded", PS_H5_TEXT, pair->token[PS_CORRUPT],
                     pair->n_positions, err);
    for (int which = 0; rc == 0 && which < PS_N_WHICH; which++)
        if (runs[which])
            rc = put_rows(results, in, &of[which], runs[which], err);
    rc = finish_room(in, rc, err);
    return rc < 0 ? ps_err_prefix(err, "activations of '%s'", pair->job->id) : 0;
}

size_t ps_results_bytes(int32_t d_model, int32_t n_positions)
{
    size_t row = (size_t)n_positions * (size_t)d_model * sizeof(float);
    size_t chunk = row < MOST_CHUNK_BYTES ? row : MOST_CHUNK_BYTES + (size_t)d_model * sizeof(float);

    return 2 * row + 2 * chunk + ps_h5_bytes();
}

/* ---- the file ---- */

static ps_results *make_results(int32_t n_layers, int32_t d_model, ps_err *err)
{
    ps_results *results = ps_calloc(1, sizeof *results, err);

    if (!results)
        return NULL;
    *results = (ps_results){.file = PS_H5_NONE, .n_layers = n_layers, .d_model = d_model, .top = no_room, .grid = no_room};
    for (int site = 0; site < PS_N_SITES; site++)
        results->sites[site] = no_room.group;
    return results;
}

int ps_results_create(ps_results **out, const char *path, int32_t n_layers, int32_t d_model,
                      const ps_attr *attrs, size_t n_attrs, ps_err *err)
{
    static const ps_attr ours[] = {
        {"format", "patchsweep-results", 0, false},
        {"format_version", "1.0", 0, false},
        {"Conventions", "CF-1.10", 0, false},
    };
    ps_results *results = make_results(n_layers, d_model, err);

    if (!results)
        return -1;
    int rc = ps_h5_file_create(&results->file, path, err);
    if (rc == 0 && (ps_results_put_attrs(results, ours, sizeof ours / sizeof *ours, err) < 0 ||
                    ps_results_put_attrs(results, attrs, n_attrs, err) < 0)) {
        rc = -1;
        unlink(path);
    }
    if (rc < 0)
        return ps_results_close(results, rc, err);
    *out = results;
    return 0;
}

int ps_results_reopen(ps_results **out, const char *path, int32_t n_layers, int32_t d_model, ps_err *err)
{
    ps_results *results = make_results(n_layers, d_model, err);

    if (!results)
        return -1;
    if (ps_h5_file_open(&results->file, path, true, err) < 0)
        return ps_results_close(results, -1, err);
    *out = results;
    return 0;
}

int ps_results_put_attrs(ps_results *results, const ps_attr *attrs, size_t n_attrs, ps_err *err)
{
    ps_h5_object root = {.id = results->file};

    for (size_t i = 0; i < n_attrs; i++)
        if (ps_h5_attr_remove(results->file, attrs[i].name, err) < 0)
            return -1;
    return put_attrs(&root, attrs, n_attrs, err);
}

static int put_ranks(room *in, const ps_column *column, int64_t n, ps_err *err)
{
    const ps_h5_layout layout = {.type = PS_H5_F64, .n_axes = 1, .size = {n}};
    ps_h5_scale *axes[] = {&in->width};
    ps_h5_object id = PS_H5_OBJECT_NONE;
    int rc = ps_h5_dataset_create(&id, in->group.id, column->name, &layout, axes, err);

    if (rc == 0)
        rc = put_text(&id, "long_name", column->long_name, err);
    if (rc == 0)
        rc = ps_h5_write(&id, &layout, column->values, err);
    return ps_h5_finish(&id, rc, err);
}

int ps_results_add_run(ps_results *results, const ps_attr *attrs, size_t n_attrs, const ps_column *ranks,
                       size_t n_columns, int n_ranks, ps_err *err)
{
    room *in = &results->grid;
    int rc = -1;

    if (ps_h5_group_create(&in->group, results->file, "run", err) == 0 &&
        put_attrs(&in->group, attrs, n_attrs, err) == 0)
        rc = ps_h5_scale_create(&in->width, in->group.id, "rank", n_ranks, NULL, err);
    for (size_t i = 0; rc == 0 && i < n_columns; i++)
        rc = put_ranks(in, &ranks[i], n_ranks, err);
    return finish_room(in, rc, err);
}

int ps_results_seal(ps_results *results, ps_err *err)
{
    return ps_h5_root_finish(results->file, err);
}

int ps_results_close(ps_results *results, int rc, ps_err *err)
{
    if (!results)
        return rc;
    finish_room(&results->grid, -1, err); /* of a pair that was not ended */
    finish_room(&results->top, -1, err);
    rc = ps_h5_file_close(results->file, rc, err);
    ps_free(results);
    return rc;
}
