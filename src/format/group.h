/*
 * group.h - a group of the result file as it is written: datasets, and the scales of their axes.
 *
 * Each group has the coordinates it needs within itself, so that a reader may open it alone.  Private to results.c.
 */
#ifndef PATCHSWEEP_FORMAT_GROUP_H
#define PATCHSWEEP_FORMAT_GROUP_H

#include "h5.h"
#include "patchsweep/dtype.h"
#include "patchsweep/err.h"
#include "patchsweep/results.h"
#include "patchsweep/terms.h"

/* Zeroed but for its ids: PS_GROUP_NONE. */
typedef struct ps_group {
    ps_h5_object object;
    ps_h5_scale axis[PS_N_AXES]; /* those that were put */
    int32_t size[PS_N_AXES];     /* of each; 0: not put */
    ps_h5_scale width;           /* of rows, or of the ranks: made by whoever needs it */
} ps_group;
#define PS_GROUP_NONE \
    {.object = PS_H5_OBJECT_NONE, .axis = {PS_H5_SCALE_NONE, PS_H5_SCALE_NONE, PS_H5_SCALE_NONE}, .width = PS_H5_SCALE_NONE}

/* Attributes; those without a text, number or integer are left out. */
int ps_group_attrs(ps_h5_object *object, const ps_attr *attrs, size_t n, ps_err *err);

/* Coordinate `axis`: 0, 1 ... n-1.  The axes of what is put later, in the order of enum ps_axis. */
int ps_group_axis(ps_group *group, enum ps_axis axis, const char *long_name, int32_t n, ps_err *err);
/* A dataset along `position`: strings, or ids. */
int ps_group_row(ps_group *group, const char *name, const char *long_name, enum ps_h5_type type, const void *values,
                 ps_err *err);
/* A dataset along all axes: values[the axes' sizes]. */
int ps_group_column(ps_group *group, const ps_column *column, ps_err *err);

/* A dataset along all axes and `d_model`: how it is stored, and what is said of it. */
typedef struct ps_group_states {
    const char *name, *long_name;
    const char *coordinates; /* NULL: none */
    enum ps_dtype dtype;
} ps_group_states;
int ps_group_put_states(ps_group *group, const ps_group_states *states, int32_t d_model, const ps_row_source *source,
                        ps_err *err);

/* All that is in the group is written: its scales' lists, and the checksums.  rc as in ps_h5_finish(). */
int ps_group_finish(ps_group *group, int rc, ps_err *err);

/* The most memory that ps_group_put_states() takes for layers of n_rows rows, and ps_group_column() for grids. */
size_t ps_group_states_bytes(int64_t n_rows, int32_t d_model);
size_t ps_group_column_bytes(const int32_t size[PS_N_AXES]);

#endif
