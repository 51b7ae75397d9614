/*
 * h5.h - as much of HDF5 as a result file needs, with ids as integers.
 *
 * Everything made here is fit for netCDF-4 too: creation order is tracked, strings are
 * variable-length UTF-8, an axis is a dimension scale.  Private to results.c and result_file.c;
 * h5.c alone includes the library's headers.
 */
#ifndef PATCHSWEEP_FORMAT_H5_H
#define PATCHSWEEP_FORMAT_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

typedef int64_t ps_h5; /* a file, group or dataset; PS_H5_NONE: none */
#define PS_H5_NONE ((ps_h5)-1)
#define PS_H5_MAX_AXES 3

enum ps_h5_type { PS_H5_F32, PS_H5_F16, PS_H5_BF16, PS_H5_F64, PS_H5_U8, PS_H5_I32, PS_H5_I64, PS_H5_TEXT };

/* What a new dataset is like. */
typedef struct ps_h5_layout {
    enum ps_h5_type type;
    int n_axes;
    int64_t size[PS_H5_MAX_AXES];
    int64_t chunk[PS_H5_MAX_AXES]; /* chunk[0] == 0: contiguous; else checksummed too */
    bool gzip;                     /* and shuffle; chunks only */
    const void *fill;              /* one element of `type`, or NULL: zero */
} ps_h5_layout;

/* What a dataset found in a file is like. */
typedef struct ps_h5_info {
    bool number, text;
    int n_axes;
    int64_t size[PS_H5_MAX_AXES];
} ps_h5_info;

enum ps_h5_kind { PS_H5_GROUP, PS_H5_DATASET };

/* Files.  Creating one replaces nothing and follows no link: PS_EFAIL where `path` exists.  Opening is for reading only;
 * PS_EINPUT where it is no HDF5 file. */
int ps_h5_file_create(ps_h5 *file, const char *path, ps_err *err);
int ps_h5_file_open(ps_h5 *file, const char *path, ps_err *err);
int ps_h5_file_close(ps_h5 file, ps_err *err); /* the id is gone either way; NONE is fine */

/* Groups and datasets.  Paths are relative to `at`, or absolute. */
bool ps_h5_has(ps_h5 at, const char *path); /* path: one name, or "/" and names */
int ps_h5_group_create(ps_h5 *group, ps_h5 at, const char *name, ps_err *err);
int ps_h5_group_open(ps_h5 *group, ps_h5 at, const char *path, ps_err *err);
int ps_h5_dataset_create(ps_h5 *dataset, ps_h5 at, const char *name, const ps_h5_layout *layout,
                         ps_err *err);
int ps_h5_dataset_open(ps_h5 *dataset, ps_h5 at, const char *path, ps_err *err);
/* Of a group or dataset; NONE is fine.  A failure shows in the next write, or in the file's close. */
void ps_h5_close(ps_h5 id);

/* Write values[count[0], count[1], ...] of `type` at `start`; all of it where start is NULL. */
int ps_h5_write(ps_h5 dataset, enum ps_h5_type type, const void *values, const int64_t *start,
                const int64_t *count, ps_err *err);

/* Make a 1-D dataset the scale of dimension `name`; with `bare`, one that is no variable to netCDF. */
int ps_h5_scale_set(ps_h5 dataset, const char *name, bool bare, int64_t n, ps_err *err);
/* Name axis `axis` of `dataset` by the scale `name` in group `at`. */
int ps_h5_scale_attach(ps_h5 dataset, int axis, ps_h5 at, const char *name, ps_err *err);

/* Attributes; an old one of that name is replaced.  Bytes that are not UTF-8 become U+FFFD. */
int ps_h5_attr_text(ps_h5 id, const char *name, const char *text, size_t n, ps_err *err);
int ps_h5_attr_texts(ps_h5 id, const char *name, const char *const *texts, size_t n, ps_err *err);
/* n == 0: a scalar; else a row of n values. */
int ps_h5_attr_values(ps_h5 id, const char *name, enum ps_h5_type type, const void *values, size_t n,
                      ps_err *err);

/*
 * Reading.  Links that lead out of the file, and datasets stored outside of it, do not exist
 * here: a file from a stranger shows nothing but itself.
 */

/* Names of the groups or datasets in `path`, in order of creation: names[*n], each owned. */
int ps_h5_children(ps_h5 file, const char *path, enum ps_h5_kind kind, char ***names, size_t *n,
                   ps_err *err);
int ps_h5_info_read(ps_h5 file, const char *path, ps_h5_info *info, ps_err *err);
/* All of a dataset as doubles; an integer that equals _FillValue is NaN. */
int ps_h5_read_numbers(ps_h5 file, const char *path, double *values, ps_err *err);
/* All of a 1-D dataset of n strings: texts[n], valid UTF-8, each owned; all or none. */
int ps_h5_read_texts(ps_h5 file, const char *path, char **texts, size_t n, ps_err *err);
/* CRC32C of a dataset's values as the file has them; of strings, with a zero byte behind each. */
int ps_h5_crc(ps_h5 file, const char *path, uint32_t *crc, ps_err *err);
/* A scalar attribute as text, valid UTF-8, owned; NULL where it is absent or neither text nor number. */
char *ps_h5_attr_read(ps_h5 file, const char *path, const char *name);

#endif
