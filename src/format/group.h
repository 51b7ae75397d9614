/*
 * group.h - a group of the result file that is being written: its datasets, and the dimension scales of their axes.
 *
 * Each group holds all the coordinates of its datasets, so a reader can open it alone.  Private to results.c.
 */
#ifndef PATCHSWEEP_FORMAT_GROUP_H
#define PATCHSWEEP_FORMAT_GROUP_H

#include "h5.h"
#include "patchsweep/dtype.h"
#include "patchsweep/err.h"
#include "patchsweep/results.h"
#include "patchsweep/terms.h"

/* Must start as PS_GROUP_NONE.  ps_h5_group_create() opens `object`. */
typedef struct ps_group {
    ps_h5_object object;
    ps_h5_scale axis[PS_N_AXES];
    int32_t size[PS_N_AXES]; /* of each axis; 0: the group does not have it */
    ps_h5_scale width;       /* the dimension d_model, or rank in /run; created by its first user */
} ps_group;
#define PS_GROUP_NONE \
    {.object = PS_H5_OBJECT_NONE, .axis = {PS_H5_SCALE_NONE, PS_H5_SCALE_NONE, PS_H5_SCALE_NONE}, .width = PS_H5_SCALE_NONE}

/* Write attributes to an object. */
int ps_group_attrs(ps_h5_object *object, const ps_attr *attrs, size_t n, ps_err *err);

/* Create the coordinate `axis` with the values 0, 1 ... n-1.  Columns and states are written along all axes that
 * exist by then. */
int ps_group_axis(ps_group *group, enum ps_axis axis, const char *long_name, int32_t n, ps_err *err);
/* Write a dataset along `position`: values[size of position], strings or ids. */
int ps_group_row(ps_group *group, const char *name, const char *long_name, enum ps_h5_type type, const void *values,
                 ps_err *err);
/* Write a dataset along all axes, with the attributes of its kind. */
int ps_group_column(ps_group *group, const ps_column *column, ps_err *err);

/* Write a dataset along all axes and `d_model`, layer by layer. */
typedef struct ps_group_states {
    const char *name, *long_name;
    const char *coordinates; /* the attribute of that name; NULL: none */
    enum ps_dtype dtype;
} ps_group_states;
int ps_group_put_states(ps_group *group, const ps_group_states *states, int32_t d_model, const ps_row_source *source,
                        ps_err *err);

/* Write the scales' lists and the checksums, and close the group.  rc as in ps_h5_finish(). */
int ps_group_finish(ps_group *group, int rc, ps_err *err);

/* Most bytes that ps_group_put_states() allocates for layers of n_rows rows, and ps_group_column() for such a grid. */
size_t ps_group_states_bytes(int64_t n_rows, int32_t d_model);
size_t ps_group_column_bytes(const int32_t size[PS_N_AXES]);

#endif
