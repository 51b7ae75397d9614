/*
 * results.c - write the result file: which groups it has, and which attributes.
 *
 * The groups of the current pair stay open until the pair is finished, so nothing is looked up, opened or written
 * twice.
 */
#include "patchsweep/results.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "group.h"
#include "patchsweep/mem.h"

struct ps_results {
    ps_h5 file;
    ps_results_shape shape;
    /* the current pair */
    const ps_pair *pair;
    ps_group top, grid; /* the pair's group, and the group within it that is being written */
    ps_h5_object sites[PS_N_SITES];
};

static const ps_group no_group = PS_GROUP_NONE;

/* ---- axes ---- */

void ps_results_sizes(const ps_results_shape *shape, enum ps_site site, int32_t n_positions, int32_t size[PS_N_AXES])
{
    const ps_site_shape *of = &ps_site_shapes[site];

    size[PS_AXIS_LAYER] = of->axis[PS_AXIS_LAYER] ? shape->n_layers : 1;
    size[PS_AXIS_HEAD] = !of->axis[PS_AXIS_HEAD] ? 1 : of->kv_heads ? shape->n_kv_heads : shape->n_heads;
    size[PS_AXIS_POSITION] = of->axis[PS_AXIS_POSITION] ? n_positions : 1;
}

static int put_layer(ps_group *group, const ps_results *results, ps_err *err)
{
    return ps_group_axis(group, PS_AXIS_LAYER, "layer, from 0", results->shape.n_layers, err);
}

static int put_position(ps_group *group, const ps_results *results, ps_err *err)
{
    return ps_group_axis(group, PS_AXIS_POSITION, "position of the token in the prompt, from 0",
                         results->pair->n_positions, err);
}

static int put_layer_and_position(ps_group *group, const ps_results *results, ps_err *err)
{
    return put_layer(group, results, err) < 0 ? -1 : put_position(group, results, err);
}

/* Create the axes of a site's grids, and the tokens along the positions. */
static int put_axes(ps_group *group, const ps_results *results, enum ps_site site, ps_err *err)
{
    const ps_site_shape *shape = &ps_site_shapes[site];
    int32_t size[PS_N_AXES];

    ps_results_sizes(&results->shape, site, results->pair->n_positions, size);
    if (put_layer(group, results, err) < 0)
        return -1;
    if (shape->axis[PS_AXIS_HEAD] &&
        ps_group_axis(group, PS_AXIS_HEAD, shape->kv_heads ? "key/value head, from 0" : "query head, from 0",
                      size[PS_AXIS_HEAD], err) < 0)
        return -1;
    if (!shape->axis[PS_AXIS_POSITION])
        return 0;
    if (put_position(group, results, err) < 0)
        return -1;
    return ps_group_row(group, "token", "token of the clean prompt, decoded", PS_H5_TEXT, results->pair->token[PS_CLEAN], err);
}

/* ---- groups ---- */

static int put_tokens(ps_group *group, const ps_pair *pair, ps_err *err)
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
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (ps_group_row(group, rows[i].name, rows[i].long_name, PS_H5_TEXT,
                    rows[i].piece ? pair->piece[rows[i].which] : pair->token[rows[i].which], err) < 0)
            return -1;
    if (ps_group_row(group, "token_id_clean", "id of the clean prompt's token", PS_H5_I32,
                pair->ids[PS_CLEAN], err) < 0 ||
        ps_group_row(group, "token_id_corrupt", "id of the corrupt prompt's token", PS_H5_I32,
                pair->ids[PS_CORRUPT], err) < 0 ||
        ps_group_row(group, "role", "placeholder the position belongs to; or bos, text, last", PS_H5_TEXT,
                pair->role, err) < 0)
        return -1;
    return ps_group_row(group, "span", "place within the placeholder: first, middle, last, only; or empty",
                   PS_H5_TEXT, pair->span, err);
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
    if (ps_h5_attr_string(group, "answer", pair->job->answer, err) < 0 ||
        ps_h5_attr_string(group, "foil", pair->job->foil, err) < 0)
        return -1;
    return ps_group_attrs(group, attrs, sizeof attrs / sizeof *attrs, err);
}

int ps_results_begin_pair(ps_results *results, const ps_pair *pair, const ps_attr *attrs, size_t n_attrs,
                          ps_err *err)
{
    ps_group *top = &results->top;
    const char *id = pair->job->id;

    if (!strcmp(id, "run"))
        return ps_err_set(err, PS_EINPUT, "pair 'run': the result file uses that name itself; "
                          "rename the pair");
    results->pair = pair;
    if (ps_h5_group_create(&top->object, results->file, id, err) < 0 || put_pair_attrs(&top->object, pair, err) < 0 ||
        ps_group_attrs(&top->object, attrs, n_attrs, err) < 0 || put_layer_and_position(top, results, err) < 0 ||
        put_tokens(top, pair, err) < 0)
        return ps_err_prefix(err, "results of '%s'", id);
    return 0;
}

int ps_results_end_pair(ps_results *results, ps_err *err)
{
    int rc = 0;

    for (int site = 0; site < PS_N_SITES; site++)
        rc = ps_h5_finish(&results->sites[site], rc, err);
    rc = ps_group_finish(&results->top, rc, err);
    return rc < 0 ? ps_err_prefix(err, "results of '%s'", results->pair->job->id) : 0;
}

/* Write the attributes of a grid's group: other tools' names of the site, and a picture for NeXus viewers. */
static int put_grid_attrs(ps_h5_object *group, enum ps_site site, enum ps_direction direction, ps_err *err)
{
    const char *axes[PS_N_AXES];
    size_t n_axes = 0;
    const ps_attr attrs[] = {
        {"site", ps_sites[site].name, 0, false},
        {"site_long_name", ps_sites[site].long_name, 0, false},
        {"site_aliases", ps_sites[site].aliases ? ps_sites[site].aliases : "", 0, false},
        {"direction", ps_directions[direction].name, 0, false},
        {"direction_long_name", ps_directions[direction].long_name, 0, false},
        {"NX_class", "NXdata", 0, false},
        {"signal", "score", 0, false},
    };

    for (int axis = 0; axis < PS_N_AXES; axis++)
        if (ps_site_shapes[site].axis[axis])
            axes[n_axes++] = ps_axis_names[axis];
    if (ps_group_attrs(group, attrs, sizeof attrs / sizeof *attrs, err) < 0)
        return -1;
    return ps_h5_attr_texts(group, "axes", axes, n_axes, err);
}

/* Create /<pair>/<site>/<direction> with its coordinates. */
static int begin_grid(ps_results *results, enum ps_site site, enum ps_direction direction, ps_err *err)
{
    ps_h5_object *above = &results->sites[site];
    ps_group *grid = &results->grid;

    if (above->id == PS_H5_NONE &&
        ps_h5_group_create(above, results->top.object.id, ps_sites[site].name, err) < 0)
        return -1;
    if (ps_h5_group_create(&grid->object, above->id, ps_directions[direction].name, err) < 0 ||
        put_grid_attrs(&grid->object, site, direction, err) < 0)
        return -1;
    return put_axes(grid, results, site, err);
}

int ps_results_add_grid(ps_results *results, enum ps_site site, enum ps_direction direction, const ps_column *columns,
                        size_t n_columns, const ps_row_source *finals, ps_err *err)
{
    const ps_group_states final = {"patched_final", "last position's state before the final norm, by cell",
                                   ps_site_shapes[site].axis[PS_AXIS_POSITION] ? "token" : NULL, PS_DTYPE_F32};
    const ps_pair *pair = results->pair;
    int rc = begin_grid(results, site, direction, err);

    for (size_t i = 0; rc == 0 && i < n_columns; i++)
        if (columns[i].values)
            rc = ps_group_column(&results->grid, &columns[i], err);
    if (rc == 0 && finals)
        rc = ps_group_put_states(&results->grid, &final, results->shape.d_model, finals, err);
    rc = ps_group_finish(&results->grid, rc, err);
    return rc < 0 ? ps_err_prefix(err, "results of '%s', %s, %s", pair->job->id, ps_sites[site].name,
                                  ps_directions[direction].name)
                  : 0;
}

/* What a base run's activations are called. */
typedef struct stream_names {
    char name[64], long_name[64], tokens[64];
} stream_names;

static ps_group_states describe_stream(stream_names *names, enum ps_which which, enum ps_dtype dtype)
{
    const char *run = ps_whiches[which].name;

    snprintf(names->name, sizeof names->name, "%s_%s", run, ps_sites[PS_SITE_AFTER].name);
    snprintf(names->long_name, sizeof names->long_name, "residual stream behind each layer, %s run", run);
    snprintf(names->tokens, sizeof names->tokens, "token_%s", run);
    return (ps_group_states){names->name, names->long_name, names->tokens, dtype};
}

int ps_results_add_activations(ps_results *results, enum ps_dtype dtype, const ps_row_source *const runs[PS_N_WHICH],
                               ps_err *err)
{
    stream_names names[PS_N_WHICH]; /* borrowed by the group until it is finished */
    const ps_pair *pair = results->pair;
    ps_group *in = &results->grid;
    int rc = -1;

    if (ps_h5_group_create(&in->object, results->top.object.id, "activations", err) == 0 &&
        put_layer_and_position(in, results, err) == 0 &&
        ps_group_row(in, "token_clean", "token of the clean prompt, decoded", PS_H5_TEXT, pair->token[PS_CLEAN], err) == 0)
        rc = ps_group_row(in, "token_corrupt", "token of the corrupt prompt, decoded", PS_H5_TEXT, pair->token[PS_CORRUPT], err);
    for (int which = 0; rc == 0 && which < PS_N_WHICH; which++) {
        const ps_group_states states = describe_stream(&names[which], (enum ps_which)which, dtype);
        if (runs[which])
            rc = ps_group_put_states(in, &states, results->shape.d_model, runs[which], err);
    }
    rc = ps_group_finish(in, rc, err);
    return rc < 0 ? ps_err_prefix(err, "activations of '%s'", pair->job->id) : 0;
}

size_t ps_results_bytes(const ps_results_shape *shape, unsigned sites, bool finals, int32_t n_positions)
{
    size_t columns = 0;
    int64_t rows = n_positions; /* in a layer of activations */

    for (int site = 0; site < PS_N_SITES; site++) {
        int32_t size[PS_N_AXES];
        if (!(sites >> site & 1))
            continue;
        ps_results_sizes(shape, (enum ps_site)site, n_positions, size);
        size_t bytes = ps_group_column_bytes(size);
        columns = bytes > columns ? bytes : columns;
        int64_t n = (int64_t)size[PS_AXIS_HEAD] * size[PS_AXIS_POSITION];
        rows = finals && n > rows ? n : rows;
    }
    size_t states = ps_group_states_bytes(rows, shape->d_model);
    return (states > columns ? states : columns) + ps_h5_bytes();
}

/* ---- the file ---- */

static ps_results *make_results(const ps_results_shape *shape, ps_err *err)
{
    ps_results *results = ps_calloc(1, sizeof *results, err);

    if (!results)
        return NULL;
    *results = (ps_results){.file = PS_H5_NONE, .shape = *shape, .top = no_group, .grid = no_group};
    for (int site = 0; site < PS_N_SITES; site++)
        results->sites[site] = no_group.object;
    return results;
}

int ps_results_create(ps_results **out, const char *path, const ps_results_shape *shape,
                      const ps_attr *attrs, size_t n_attrs, ps_err *err)
{
    static const ps_attr ours[] = {
        {"format", "patchsweep-results", 0, false},
        {"format_version", "1.0", 0, false},
        {"Conventions", "CF-1.10", 0, false},
    };
    ps_results *results = make_results(shape, err);

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

int ps_results_reopen(ps_results **out, const char *path, const ps_results_shape *shape, ps_err *err)
{
    ps_results *results = make_results(shape, err);

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
    return ps_group_attrs(&root, attrs, n_attrs, err);
}

static int put_ranks(ps_group *in, const ps_column *column, int64_t n, ps_err *err)
{
    const ps_h5_layout layout = {.type = PS_H5_F64, .n_axes = 1, .size = {n}};
    ps_h5_scale *axes[] = {&in->width};
    ps_h5_object id = PS_H5_OBJECT_NONE;
    int rc = ps_h5_dataset_create(&id, in->object.id, column->name, &layout, axes, err);

    if (rc == 0)
        rc = ps_h5_attr_string(&id, "long_name", column->long_name, err);
    if (rc == 0)
        rc = ps_h5_write(&id, &layout, column->values, err);
    return ps_h5_finish(&id, rc, err);
}

int ps_results_add_run(ps_results *results, const ps_attr *attrs, size_t n_attrs, const ps_column *ranks,
                       size_t n_columns, int n_ranks, ps_err *err)
{
    ps_group *in = &results->grid;
    int rc = -1;

    if (ps_h5_group_create(&in->object, results->file, "run", err) == 0 &&
        ps_group_attrs(&in->object, attrs, n_attrs, err) == 0)
        rc = ps_h5_scale_create(&in->width, in->object.id, "rank", n_ranks, NULL, err);
    for (size_t i = 0; rc == 0 && i < n_columns; i++)
        rc = put_ranks(in, &ranks[i], n_ranks, err);
    return ps_group_finish(in, rc, err);
}

int ps_results_seal(ps_results *results, ps_err *err)
{
    return ps_h5_root_finish(results->file, err);
}

int ps_results_close(ps_results *results, int rc, ps_err *err)
{
    if (!results)
        return rc;
    ps_group_finish(&results->grid, -1, err); /* if a pair was not ended */
    ps_group_finish(&results->top, -1, err);
    rc = ps_h5_file_close(results->file, rc, err);
    ps_free(results);
    return rc;
}
