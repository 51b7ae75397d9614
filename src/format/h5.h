/*
 * h5.h - the part of HDF5 that a result file needs, with ids as integers.
 *
 * All that is made here is valid netCDF-4 too: creation order is tracked, strings are variable-length UTF-8, an axis
 * is a dimension scale.  Private to results.c, group.c, result_file.c and digest.c.  Only the h5*.c files include the
 * library's headers.
 */
#ifndef PATCHSWEEP_FORMAT_H5_H
#define PATCHSWEEP_FORMAT_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

typedef int64_t ps_h5; /* a file, group or dataset; PS_H5_NONE: none */
#define PS_H5_NONE ((ps_h5)-1)
#define PS_H5_MAX_AXES 4

/* The attributes that hold an object's checksums, as eight hexadecimal digits. */
#define PS_H5_VALUES_SUM "crc32c"
#define PS_H5_ATTRIBUTES_SUM "attributes_crc32c"

enum ps_h5_type { PS_H5_F32, PS_H5_F16, PS_H5_BF16, PS_H5_F64, PS_H5_U8, PS_H5_I32, PS_H5_I64, PS_H5_TEXT };
#define PS_H5_N_TYPES 8

/* ---- files: h5.c ---- */

/* Create a file.  Replaces nothing and follows no link.  PS_EFAIL if `path` exists. */
int ps_h5_file_create(ps_h5 *file, const char *path, ps_err *err);
/* Open a file for reading only, or to add to it.  PS_EINPUT if it is no HDF5 file. */
int ps_h5_file_open(ps_h5 *file, const char *path, bool add, ps_err *err);
/* Close a file.  The id is invalid afterwards, also on failure.  NONE is fine.  Returns rc, or -1 with *err set if
 * rc is 0 and closing fails. */
int ps_h5_file_close(ps_h5 file, int rc, ps_err *err);
/* Most bytes that the library takes while a file is written, whatever the file's size. */
size_t ps_h5_bytes(void);
/* Close a group or dataset that was read; NONE is fine. */
void ps_h5_close(ps_h5 id);

/* ---- writing: h5.c ---- */

/*
 * A group or dataset being written.  Every write adds to the checksums of its attributes and values, computed from
 * what the caller gave.  The checksums are written when the object is finished.
 */
typedef struct ps_h5_object {
    ps_h5 id;
    uint32_t attributes, values;
    bool dataset;
} ps_h5_object;
#define PS_H5_OBJECT_NONE {PS_H5_NONE, 0, 0, false}

/* A dimension scale being written.  It lists the axes that it was attached to. */
typedef struct ps_h5_scale {
    ps_h5_object object;
    const char *name; /* borrowed */
    uint64_t address;
    struct ps_h5_user {
        const char *dataset; /* borrowed */
        uint64_t address;
        int axis;
    } *users;
    size_t n_users, cap;
} ps_h5_scale;
#define PS_H5_SCALE_NONE {.object = PS_H5_OBJECT_NONE}

/* The layout of a new dataset. */
typedef struct ps_h5_layout {
    enum ps_h5_type type;
    int n_axes;
    int64_t size[PS_H5_MAX_AXES];
    int64_t chunk[PS_H5_MAX_AXES]; /* chunk[0] == 0: contiguous; else chunked, with checksums */
    bool gzip;                     /* with shuffle; only if chunked */
    uint64_t fill;                 /* bits of an element that is not written */
} ps_h5_layout;

int ps_h5_group_create(ps_h5_object *group, ps_h5 at, const char *name, ps_err *err);
/* Create a dataset.  axes[n_axes] has the scale of each axis, in the same group; NULL: none. */
int ps_h5_dataset_create(ps_h5_object *dataset, ps_h5 at, const char *name, const ps_h5_layout *layout,
                         ps_h5_scale *const *axes, ps_err *err);
/* Write all of a dataset: values of its type. */
int ps_h5_write(ps_h5_object *dataset, const ps_h5_layout *layout, const void *values, ps_err *err);
/* Write the next index of the first axis, in order.  If values is NULL, leave it at the fill value. */
int ps_h5_write_slab(ps_h5_object *dataset, const ps_h5_layout *layout, int64_t index, const void *values,
                     ps_err *err);
/* Write the checksums, and close.  The id is invalid afterwards, also on failure.  rc as in ps_h5_file_close(). */
int ps_h5_finish(ps_h5_object *object, int rc, ps_err *err);

/* ---- scales: h5_scale.c ---- */

/* Create a 1-D dataset of n numbers that is the scale `name`.  If values is NULL, netCDF sees a dimension that is no
 * variable. */
int ps_h5_scale_create(ps_h5_scale *scale, ps_h5 at, const char *name, int64_t n, const int32_t *values, ps_err *err);
/* Note that `axis` of the dataset at `address`, called `name` (borrowed), lies along `scale`. */
int ps_h5_scale_use(ps_h5_scale *scale, uint64_t address, const char *name, int axis, ps_err *err);
/* Write the links from `dataset` to the scales of its axes. */
int ps_h5_scale_attach(ps_h5_object *dataset, ps_h5_scale *const *axes, int n_axes, ps_err *err);
/* As ps_h5_finish().  Call it once all datasets are attached. */
int ps_h5_scale_finish(ps_h5_scale *scale, int rc, ps_err *err);

/* ---- attributes: h5_attr.c ---- */

/* Write new attributes.  Bytes that are not UTF-8 become U+FFFD.  A NULL string is left out. */
int ps_h5_attr_string(ps_h5_object *object, const char *name, const char *string, ps_err *err);
int ps_h5_attr_text(ps_h5_object *object, const char *name, const char *text, size_t n, ps_err *err);
int ps_h5_attr_texts(ps_h5_object *object, const char *name, const char *const *texts, size_t n, ps_err *err);
/* n == 0: a scalar; else a row of n values. */
int ps_h5_attr_values(ps_h5_object *object, const char *name, enum ps_h5_type type, const void *values, size_t n,
                      ps_err *err);
/* Remove attribute `name` if it is there. */
int ps_h5_attr_remove(ps_h5 id, const char *name, ps_err *err);
/* Read a scalar attribute as text: valid UTF-8, owned by the caller.  NULL if it is absent, or neither text nor
 * number. */
char *ps_h5_attr_read(ps_h5 file, const char *path, const char *name);

/*
 * ---- reading: h5_read.c ----
 *
 * Links that lead out of the file, and datasets stored outside it, are treated as absent: a stranger's file shows
 * nothing but its own contents.
 */

enum ps_h5_kind { PS_H5_GROUP, PS_H5_DATASET };

/* The contents of a group, in order of creation. */
typedef struct ps_h5_list {
    struct ps_h5_entry {
        char *name;
        enum ps_h5_kind kind;
        uint64_t address;
    } *at;
    size_t n, cap;
} ps_h5_list;
int ps_h5_list_read(ps_h5_list *list, ps_h5 at, const char *path, ps_err *err);
void ps_h5_list_release(ps_h5_list *list);

/* The type and size of a dataset in a file. */
typedef struct ps_h5_info {
    bool number, text;
    int n_axes;
    int64_t size[PS_H5_MAX_AXES];
} ps_h5_info;

bool ps_h5_has(ps_h5 at, const char *path); /* path: one name, or "/" and names */
int ps_h5_info_read(ps_h5 file, const char *path, ps_h5_info *info, ps_err *err);
/* Read a whole dataset as doubles.  An integer that equals _FillValue becomes NaN. */
int ps_h5_read_numbers(ps_h5 file, const char *path, double *values, ps_err *err);
/* Read a whole 1-D dataset of n strings to texts[n]: valid UTF-8, each owned by the caller.  All are read, or none. */
int ps_h5_read_texts(ps_h5 file, const char *path, char **texts, size_t n, ps_err *err);

/* ---- checking: h5_check.c ---- */

/* Check that the file's groups are a tree of at most `depth` levels.  PS_EINPUT for cycles, and for objects with two
 * names. */
int ps_h5_check_tree(ps_h5 file, int depth, ps_err *err);

/* The checksums of an object: as computed, and as stored in its attributes ("" if it has none). */
typedef struct ps_h5_sums {
    uint32_t values, attributes;
    char kept_values[12], kept_attributes[12];
} ps_h5_sums;
/* Compute the checksums of entry `name` of the open group `at`, or of the group itself (kind PS_H5_GROUP, name ".").
 * `siblings` lists the group. */
int ps_h5_sums_read(ps_h5_sums *sums, ps_h5 at, const char *name, enum ps_h5_kind kind, const ps_h5_list *siblings,
                    ps_err *err);
int ps_h5_group_open(ps_h5 *group, ps_h5 at, const char *path, ps_err *err);
/* Write the checksum of the present attributes of `file`'s root. */
int ps_h5_root_finish(ps_h5 file, ps_err *err);

#endif
