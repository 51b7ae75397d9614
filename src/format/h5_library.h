/*
 * h5_library.h - what the h5*.c files share: HDF5 itself, its types, and its messages.
 *
 * Private to those files, which alone include the library's headers.
 */
#ifndef PATCHSWEEP_FORMAT_H5_LIBRARY_H
#define PATCHSWEEP_FORMAT_H5_LIBRARY_H

#include <hdf5.h>

#include "h5.h"

_Static_assert(sizeof(hid_t) <= sizeof(ps_h5), "a ps_h5 holds HDF5's ids: HDF5 1.10 or newer");

#if H5_VERSION_GE(1, 12, 0)
typedef H5O_info1_t ps_h5_object_info;
#else
typedef H5O_info_t ps_h5_object_info;
#endif

/* Set *err to the message and HDF5's own deepest one, or to strerror's words for a failed system call.  Returns -1. */
int ps_h5_fail(ps_err *err, int code, const char *fmt, ...) PS_PRINTF(3, 4);

/* Types, borrowed, and kept while the process lives.  In files all is little-endian, in memory as the machine has
 * it. */
hid_t ps_h5_type_of(enum ps_h5_type type, bool in_memory);
hid_t ps_h5_text_transfer(void); /* for rows of texts: without HDF5's buffers of 1 MiB, which it zeroes each time */
hid_t ps_h5_references_type(void); /* of DIMENSION_LIST: rows of object references */

/* One user of a scale, as REFERENCE_LIST keeps it. */
typedef struct ps_h5_reference {
    uint64_t address;
    int32_t axis;
} ps_h5_reference;
hid_t ps_h5_reference_type(bool in_memory);

/* Copy s[n] as UTF-8 without NULs, as HDF5's strings and JSON need it.  The caller owns the copy. */
char *ps_h5_clean(const char *s, size_t n, ps_err *err);

/* Open a dataset whose bytes are in this very file.  Returns an id below 0, with *err set, if there is none. */
ps_h5 ps_h5_open_inside(ps_h5 at, const char *path, ps_err *err);
void ps_h5_info_of(ps_h5 dataset, ps_h5_info *info);

/* Return an object's address in its file. */
int ps_h5_address_of(ps_h5 id, uint64_t *address, ps_err *err);

/* Write a new attribute.  `sum` is added to the checksum of the object's attributes. */
int ps_h5_attr_create(ps_h5_object *object, const char *name, hid_t in_file, hid_t in_memory, const void *values,
                      size_t n, uint32_t sum, ps_err *err);
/* Add `slabs` indices of the first axis, left at the fill value, to the checksum of the values. */
void ps_h5_sum_fill(ps_h5_object *dataset, const ps_h5_layout *layout, int64_t slabs);
/* Begin the checksum of an attribute with its name, type and count, as digest.h describes.  The bytes of the value
 * follow. */
uint32_t ps_h5_attr_begin(const char *name, const char *type, size_t n);

#endif
