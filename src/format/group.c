/*
 * group.c - the datasets of a group, along the group's axes.
 */
#include "group.h"

#include <math.h>
#include <string.h>

#include "patchsweep/mem.h"

/* Most bytes of a chunk.  A chunk holds one layer, or as much of a layer as fits. */
#define MOST_CHUNK_BYTES ((int64_t)16 << 20)

int ps_group_attrs(ps_h5_object *object, const ps_attr *attrs, size_t n, ps_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int64_t whole = attrs[i].integer ? (int64_t)attrs[i].number : 0;
        int rc = attrs[i].text ? ps_h5_attr_string(object, attrs[i].name, attrs[i].text, err)
                 : attrs[i].integer
                     ? ps_h5_attr_values(object, attrs[i].name, PS_H5_I64, &whole, 0, err)
                     : ps_h5_attr_values(object, attrs[i].name, PS_H5_F64, &attrs[i].number, 0, err);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* ---- axes, and what lies along `position` ---- */

int ps_group_axis(ps_group *group, enum ps_axis axis, const char *long_name, int32_t n, ps_err *err)
{
    ps_h5_scale *scale = &group->axis[axis];
    int32_t *index = ps_malloc((size_t)n, sizeof *index, err);

    if (!index)
        return -1;
    for (int32_t i = 0; i < n; i++)
        index[i] = i;
    int rc = ps_h5_scale_create(scale, group->object.id, ps_axis_names[axis], n, index, err);
    ps_free(index);
    group->size[axis] = n;
    return rc < 0 ? -1 : ps_h5_attr_string(&scale->object, "long_name", long_name, err);
}

int ps_group_row(ps_group *group, const char *name, const char *long_name, enum ps_h5_type type, const void *values,
                 ps_err *err)
{
    const ps_h5_layout layout = {.type = type, .n_axes = 1, .size = {group->size[PS_AXIS_POSITION]}};
    ps_h5_scale *axes[] = {&group->axis[PS_AXIS_POSITION]};
    ps_h5_object row = PS_H5_OBJECT_NONE;
    int rc = ps_h5_dataset_create(&row, group->object.id, name, &layout, axes, err);

    if (rc == 0)
        rc = ps_h5_attr_string(&row, "long_name", long_name, err);
    if (rc == 0)
        rc = ps_h5_write(&row, &layout, values, err);
    return ps_h5_finish(&row, rc, err);
}

/* Lay out a dataset along all axes of the group: set layout's sizes, and axes[] to their scales.  Returns the number
 * of axes. */
static int lay_axes(ps_group *group, ps_h5_layout *layout, ps_h5_scale **axes)
{
    int n = 0;

    for (int axis = 0; axis < PS_N_AXES; axis++)
        if (group->size[axis]) {
            axes[n] = &group->axis[axis];
            layout->size[n++] = group->size[axis];
        }
    layout->n_axes = n;
    return n;
}

/* Count the elements at one index of the first axis. */
static size_t slab_elements(const ps_h5_layout *layout)
{
    size_t n = 1;

    for (int i = 1; i < layout->n_axes; i++)
        n *= (size_t)layout->size[i];
    return n;
}

/* Make a chunk hold one index of the first axis.  If that is more than `most` elements, cut the other axes, the
 * leading ones first. */
static void chunk_by_slab(ps_h5_layout *layout, int64_t most)
{
    int64_t n = 1;

    layout->chunk[0] = 1;
    for (int i = layout->n_axes - 1; i > 0; i--) {
        int64_t fits = most / n;
        layout->chunk[i] = layout->size[i] < fits ? layout->size[i] : fits > 1 ? fits : 1;
        n *= layout->chunk[i];
    }
}

/* ---- along all axes ---- */

enum column_kind { COLUMN_REAL, COLUMN_RANK, COLUMN_FLAG };

static enum column_kind kind_of(const char *name)
{
    if (!strcmp(name, "done") || !strcmp(name, "degenerate"))
        return COLUMN_FLAG;
    return strcmp(name, ps_metrics[PS_ANSWER_RANK].name) ? COLUMN_REAL : COLUMN_RANK;
}

/* `tokens`: whether the group has a dataset `token`. */
static int put_column_attrs(ps_h5_object *id, const ps_column *column, enum column_kind kind, bool tokens, ps_err *err)
{
    static const uint8_t flags[] = {0, 1};
    static const double nothing = NAN;
    static const int32_t none = -1;
    int metric = ps_term_find(ps_metrics, PS_N_METRICS, column->name);
    const char *of_metric = metric >= 0 ? ps_metrics[metric].long_name : NULL;
    const char *long_name = column->long_name ? column->long_name : of_metric;

    if (ps_h5_attr_string(id, "long_name", long_name, err) < 0 ||
        ps_h5_attr_string(id, "coordinates", tokens ? "token" : NULL, err) < 0)
        return -1;
    if (kind == COLUMN_FLAG) {
        bool done = !strcmp(column->name, "done");
        if (ps_h5_attr_values(id, "flag_values", PS_H5_U8, flags, 2, err) < 0)
            return -1;
        return ps_h5_attr_string(id, "flag_meanings", done ? "not_done done" : "regular zero_denominator", err);
    }
    if (ps_h5_attr_string(id, "units", "1", err) < 0)
        return -1;
    return kind == COLUMN_RANK ? ps_h5_attr_values(id, "_FillValue", PS_H5_I32, &none, 1, err)
                               : ps_h5_attr_values(id, "_FillValue", PS_H5_F64, &nothing, 1, err);
}

/* Convert doubles to a dataset's integers.  NaN becomes -1, or 0 in a flag.  The caller owns the result. */
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

static ps_h5_layout layout_of_column(ps_group *group, enum column_kind kind, ps_h5_scale **axes)
{
    ps_h5_layout layout = {
        .type = kind == COLUMN_REAL ? PS_H5_F64 : kind == COLUMN_RANK ? PS_H5_I32 : PS_H5_U8,
        .gzip = true,
        .fill = fill_of(kind),
    };

    if (lay_axes(group, &layout, axes) < PS_N_AXES) /* small: one chunk */
        memcpy(layout.chunk, layout.size, sizeof layout.chunk);
    else
        chunk_by_slab(&layout, MOST_CHUNK_BYTES / (int64_t)sizeof(double));
    return layout;
}

int ps_group_column(ps_group *group, const ps_column *column, ps_err *err)
{
    enum column_kind kind = kind_of(column->name);
    ps_h5_scale *axes[PS_N_AXES];
    const ps_h5_layout layout = layout_of_column(group, kind, axes);
    size_t n = (size_t)layout.size[0] * slab_elements(&layout);
    ps_h5_object id = PS_H5_OBJECT_NONE;
    void *whole = NULL;
    int rc = -1;

    if (ps_h5_dataset_create(&id, group->object.id, column->name, &layout, axes, err) == 0 &&
        put_column_attrs(&id, column, kind, group->size[PS_AXIS_POSITION] > 0, err) == 0 &&
        (kind == COLUMN_REAL || (whole = as_integers(column->values, n, kind, err))))
        rc = ps_h5_write(&id, &layout, whole ? whole : column->values, err);
    ps_free(whole);
    return ps_h5_finish(&id, rc, err);
}

size_t ps_group_column_bytes(const int32_t size[PS_N_AXES])
{
    size_t cells = 1;

    for (int axis = 0; axis < PS_N_AXES; axis++)
        cells *= (size_t)size[axis];
    return cells * (sizeof(int32_t) + sizeof(double));
}

/* ---- states: along all axes and `d_model` ---- */

static enum ps_h5_type type_of(enum ps_dtype dtype)
{
    return dtype == PS_DTYPE_F16 ? PS_H5_F16 : dtype == PS_DTYPE_BF16 ? PS_H5_BF16 : PS_H5_F32;
}

static ps_h5_layout layout_of_states(ps_group *group, int32_t d_model, enum ps_dtype dtype, ps_h5_scale **axes)
{
    static const float nothing = NAN;
    ps_h5_layout layout = {.type = type_of(dtype)};
    int n = lay_axes(group, &layout, axes);
    int64_t row_bytes = (int64_t)ps_dtype_bytes(dtype) * d_model;

    axes[n] = &group->width;
    layout.size[n] = d_model;
    layout.n_axes = n + 1;
    chunk_by_slab(&layout, (MOST_CHUNK_BYTES / row_bytes + 1) * d_model);
    ps_narrow(&layout.fill, &nothing, dtype, 1);
    return layout;
}

/* Ask for the rows of each layer, and write them.  `narrow` has room for a layer of a 16-bit type, or is NULL. */
static int write_layers(ps_h5_object *id, const ps_h5_layout *layout, enum ps_dtype dtype, const ps_row_source *source,
                        float *rows, void *narrow, ps_err *err)
{
    size_t n = slab_elements(layout);

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

int ps_group_put_states(ps_group *group, const ps_group_states *states, int32_t d_model, const ps_row_source *source,
                        ps_err *err)
{
    static const float nothing = NAN;
    ps_h5_scale *axes[PS_N_AXES + 1];
    const ps_h5_layout layout = layout_of_states(group, d_model, states->dtype, axes);
    size_t n = slab_elements(&layout);
    float *rows = ps_malloc(n, sizeof *rows, err);
    void *narrow = states->dtype == PS_DTYPE_F32 ? NULL : ps_malloc(n, ps_dtype_bytes(states->dtype), err);
    ps_h5_object id = PS_H5_OBJECT_NONE;
    int rc = -1;

    if (rows && (narrow || states->dtype == PS_DTYPE_F32) &&
        (group->width.object.id != PS_H5_NONE ||
         ps_h5_scale_create(&group->width, group->object.id, "d_model", d_model, NULL, err) == 0) &&
        ps_h5_dataset_create(&id, group->object.id, states->name, &layout, axes, err) == 0 &&
        ps_h5_attr_string(&id, "long_name", states->long_name, err) == 0 && ps_h5_attr_string(&id, "units", "1", err) == 0 &&
        ps_h5_attr_string(&id, "coordinates", states->coordinates, err) == 0 &&
        /* netCDF has no 16-bit floats, and so no fill value of that type */
        (narrow || ps_h5_attr_values(&id, "_FillValue", PS_H5_F32, &nothing, 1, err) == 0))
        rc = write_layers(&id, &layout, states->dtype, source, rows, narrow, err);
    ps_free(narrow);
    ps_free(rows);
    return ps_h5_finish(&id, rc, err);
}

size_t ps_group_states_bytes(int64_t n_rows, int32_t d_model)
{
    size_t layer = (size_t)n_rows * (size_t)d_model * sizeof(float);
    size_t chunk = layer < MOST_CHUNK_BYTES ? layer : MOST_CHUNK_BYTES + (size_t)d_model * sizeof(float);

    return 2 * layer + 2 * chunk;
}

/* ---- the end ---- */

int ps_group_finish(ps_group *group, int rc, ps_err *err)
{
    for (int axis = 0; axis < PS_N_AXES; axis++) {
        rc = ps_h5_scale_finish(&group->axis[axis], rc, err);
        group->size[axis] = 0;
    }
    rc = ps_h5_scale_finish(&group->width, rc, err);
    return ps_h5_finish(&group->object, rc, err);
}
