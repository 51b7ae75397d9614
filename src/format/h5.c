/*
 * h5.c - the only caller of HDF5, for writing and for reading.
 *
 * The library prints nothing: the deepest line of its error stack becomes ours.  Files are kept
 * to what HDF5 1.8 can read, so that older tools open them.  They are not locked: they are
 * written under a name of their own and never changed once they have their final one, and
 * some parallel file systems cannot lock.
 */
#include "h5.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hdf5.h>
#include <hdf5_hl.h>

#include "patchsweep/file.h"
#include "patchsweep/crc.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

_Static_assert(sizeof(hid_t) <= sizeof(ps_h5), "a ps_h5 holds HDF5's ids: HDF5 1.10 or newer");

#define ORDER (H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED)

/* ---- errors ---- */

static herr_t keep_first(unsigned i, const H5E_error2_t *entry, void *deepest)
{
    if (i == 0 && entry->desc)
        snprintf(deepest, 300, "%s", entry->desc);
    return 0;
}

/* The message, then HDF5's own deepest one; of a failed system call, only strerror's words. */
static int fail(ps_err *err, int code, const char *fmt, ...) PS_PRINTF(3, 4);
static int fail(ps_err *err, int code, const char *fmt, ...)
{
    char what[700], deepest[300] = "HDF5 does not say why";
    const char *number, *words, *hint = "";
    va_list ap;

    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, deepest);
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if ((number = strstr(deepest, "errno = ")) && (words = strstr(deepest, "error message = '"))) {
        int no = 0;
        sscanf(number, "errno = %d", &no);
        words += strlen("error message = '");
        if (ps_file_full(no))
            hint = "; free some space, or write to another disk with -o";
        return ps_err_set(err, code, "%s: %.*s%s", what, (int)strcspn(words, "'"), words, hint);
    }
    return ps_err_set(err, code, "%s: %s", what, deepest);
}

/* ---- types ---- */

static hid_t small_float(size_t exponent_bits, size_t fraction_bits, size_t bias, bool in_memory)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);

    if (H5Tset_fields(type, 15, fraction_bits, exponent_bits, 0, fraction_bits) < 0 ||
        H5Tset_size(type, 2) < 0 || H5Tset_ebias(type, bias) < 0 ||
        (in_memory && H5Tset_order(type, H5Tget_order(H5T_NATIVE_FLOAT)) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

/* Owned by the caller.  In files all is little-endian, in memory as the machine has it. */
static hid_t type_of(enum ps_h5_type type, bool in_memory)
{
    switch (type) {
    case PS_H5_F32: return H5Tcopy(in_memory ? H5T_NATIVE_FLOAT : H5T_IEEE_F32LE);
    case PS_H5_F64: return H5Tcopy(in_memory ? H5T_NATIVE_DOUBLE : H5T_IEEE_F64LE);
    case PS_H5_F16: return small_float(5, 10, 15, in_memory);
    case PS_H5_BF16: return small_float(8, 7, 127, in_memory);
    case PS_H5_U8: return H5Tcopy(in_memory ? H5T_NATIVE_UINT8 : H5T_STD_U8LE);
    case PS_H5_I32: return H5Tcopy(in_memory ? H5T_NATIVE_INT32 : H5T_STD_I32LE);
    case PS_H5_I64: return H5Tcopy(in_memory ? H5T_NATIVE_INT64 : H5T_STD_I64LE);
    case PS_H5_TEXT: return text_type();
    }
    return -1;
}

/* A copy of s[n] that is UTF-8 and holds no NUL, as HDF5's strings and JSON want it. */
static char *clean_text(const char *s, size_t n, ps_err *err)
{
    ps_text text = {0};

    for (size_t i = 0; i < n;) {
        size_t run = ps_utf8_check(s + i, n - i), whole = strnlen(s + i, run);
        ps_text_add(&text, s + i, whole);
        i += whole;
        if (i < n)
            ps_text_puts(&text, s[i++] ? "\xef\xbf\xbd" : "\xe2\x90\x80");
    }
    char *copy = ps_text_ok(&text, err) < 0 ? NULL : ps_strdup(ps_text_str(&text), err);
    ps_text_release(&text);
    return copy;
}

/* ---- files ---- */

/*
 * The library as we want it: silent, and without its clean-up at exit, which crashes (1.10.8)
 * where a file could not be written for want of space.  All that is opened here is closed here.
 */
static void start(void)
{
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static hid_t file_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);

    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
#ifdef H5F_LIBVER_V18
    H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
#endif
#if H5_VERSION_GE(1, 12, 1) || (H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7)
    H5Pset_file_locking(access, 0, 1);
#endif
    return access;
}

/*
 * Chunks are written when their dataset is closed.  Who closes one has no way to tell of a failure,
 * and the library forgets it: the first is kept here, for the next write and for the file's own close.
 */
static ps_err lost;

static int check_lost(ps_err *err)
{
    if (lost.code != PS_OK)
        *err = lost;
    return lost.code == PS_OK ? 0 : -1;
}

int ps_h5_file_create(ps_h5 *file, const char *path, ps_err *err)
{
    struct stat st;

    start();
    lost = (ps_err)PS_ERR_INIT;
    hid_t create = H5Pcreate(H5P_FILE_CREATE), access = file_access();
    H5Pset_link_creation_order(create, ORDER);
    H5Pset_attr_creation_order(create, ORDER);
    H5Pset_obj_track_times(create, false);
    bool there = lstat(path, &st) == 0; /* HDF5 would say so, but first open it, as a FIFO may be */
    hid_t id = there ? -1 : H5Fcreate(path, H5F_ACC_EXCL, create, access);
    int rc = 0;

    if (there)
        rc = ps_err_set(err, PS_EFAIL, "cannot create '%s': %s", path, strerror(EEXIST));
    else if (id < 0) {
        rc = fail(err, PS_EFAIL, "cannot create '%s'", path);
        unlink(path);
    }
    H5Pclose(create);
    H5Pclose(access);
    *file = id < 0 ? PS_H5_NONE : id;
    return rc;
}

int ps_h5_file_open(ps_h5 *file, const char *path, ps_err *err)
{
    start();
    *file = PS_H5_NONE;
    if (ps_file_kind(path) != 1)
        return ps_err_set(err, PS_EINPUT, "cannot open '%s': %s", path,
                          ps_file_kind(path) ? "is a folder" : "no such file");
    hid_t access = file_access(), id = H5Fopen(path, H5F_ACC_RDONLY, access);
    int rc = id < 0 ? fail(err, PS_EINPUT, "cannot open '%s' as an HDF5 file", path) : 0;
    H5Pclose(access);
    if (rc == 0)
        *file = id;
    return rc;
}

int ps_h5_file_close(ps_h5 file, ps_err *err)
{
    if (file == PS_H5_NONE)
        return 0;
    int rc = check_lost(err);
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 && rc == 0)
        rc = fail(err, PS_EFAIL, "cannot write all of the file");
    if (H5Fclose(file) < 0 && rc == 0)
        rc = fail(err, PS_EFAIL, "cannot close the file");
    return rc;
}

/* ---- groups and datasets ---- */

bool ps_h5_has(ps_h5 at, const char *path)
{
    char part[512];

    /* H5Lexists wants every link before the last one to exist. */
    for (const char *end = strchr(path + 1, '/'); end; end = strchr(end + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(end - path), path);
        if (H5Lexists(at, part, H5P_DEFAULT) <= 0)
            return false;
    }
    return !strcmp(path, "/") || H5Lexists(at, path, H5P_DEFAULT) > 0;
}

int ps_h5_group_create(ps_h5 *group, ps_h5 at, const char *name, ps_err *err)
{
    hid_t create = H5Pcreate(H5P_GROUP_CREATE);

    H5Pset_link_creation_order(create, ORDER);
    H5Pset_attr_creation_order(create, ORDER);
    H5Pset_obj_track_times(create, false);
    hid_t id = H5Gcreate2(at, name, H5P_DEFAULT, create, H5P_DEFAULT);
    int rc = id < 0 ? fail(err, PS_EFAIL, "cannot create group '%s'", name) : 0;
    H5Pclose(create);
    *group = id < 0 ? PS_H5_NONE : id;
    return rc;
}

int ps_h5_group_open(ps_h5 *group, ps_h5 at, const char *path, ps_err *err)
{
    hid_t id = H5Gopen2(at, path, H5P_DEFAULT);

    *group = id < 0 ? PS_H5_NONE : id;
    return id < 0 ? fail(err, PS_EFAIL, "cannot open group '%s'", path) : 0;
}

static hid_t creation_of(const ps_h5_layout *layout, hid_t file_type, hid_t memory_type)
{
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[PS_H5_MAX_AXES];

    H5Pset_attr_creation_order(create, ORDER);
    H5Pset_obj_track_times(create, false); /* equal results are equal bytes */
    if (layout->fill && file_type >= 0)
        H5Pset_fill_value(create, memory_type, layout->fill);
    if (!layout->chunk[0])
        return create;
    for (int i = 0; i < layout->n_axes; i++)
        chunk[i] = (hsize_t)layout->chunk[i];
    H5Pset_chunk(create, layout->n_axes, chunk);
    if (layout->gzip) {
        H5Pset_shuffle(create);
        H5Pset_deflate(create, 4);
    }
    H5Pset_fletcher32(create);
    return create;
}

int ps_h5_dataset_create(ps_h5 *dataset, ps_h5 at, const char *name, const ps_h5_layout *layout,
                         ps_err *err)
{
    hsize_t size[PS_H5_MAX_AXES];

    for (int i = 0; i < layout->n_axes; i++)
        size[i] = (hsize_t)layout->size[i];
    hid_t type = type_of(layout->type, false), in_memory = type_of(layout->type, true);
    hid_t space = H5Screate_simple(layout->n_axes, size, NULL);
    hid_t create = creation_of(layout, type, in_memory);
    hid_t id = H5Dcreate2(at, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    int rc = id < 0 ? fail(err, PS_EFAIL, "cannot create dataset '%s'", name) : 0;

    H5Pclose(create);
    H5Sclose(space);
    H5Tclose(in_memory);
    H5Tclose(type);
    *dataset = id < 0 ? PS_H5_NONE : id;
    return rc;
}

int ps_h5_dataset_open(ps_h5 *dataset, ps_h5 at, const char *path, ps_err *err)
{
    hid_t id = H5Dopen2(at, path, H5P_DEFAULT);

    *dataset = id < 0 ? PS_H5_NONE : id;
    return id < 0 ? fail(err, PS_EFAIL, "cannot open dataset '%s'", path) : 0;
}

void ps_h5_close(ps_h5 id)
{
    if (id != PS_H5_NONE && H5Oclose(id) < 0 && lost.code == PS_OK)
        fail(&lost, PS_EFAIL, "cannot write all of a dataset");
}

int ps_h5_write(ps_h5 dataset, enum ps_h5_type type, const void *values, const int64_t *start,
                const int64_t *count, ps_err *err)
{
    hsize_t from[PS_H5_MAX_AXES], n[PS_H5_MAX_AXES];
    hid_t memory = H5S_ALL, file = H5S_ALL, in_memory;

    if (check_lost(err) < 0)
        return -1;
    in_memory = type_of(type, true);
    if (start) {
        file = H5Dget_space(dataset);
        int n_axes = H5Sget_simple_extent_ndims(file);
        for (int i = 0; i < n_axes; i++) {
            from[i] = (hsize_t)start[i];
            n[i] = (hsize_t)count[i];
        }
        H5Sselect_hyperslab(file, H5S_SELECT_SET, from, NULL, n, NULL);
        memory = H5Screate_simple(n_axes, n, NULL);
    }
    int rc = H5Dwrite(dataset, in_memory, memory, file, H5P_DEFAULT, values) < 0
                 ? fail(err, PS_EFAIL, "cannot write a dataset")
                 : 0;
    if (start) {
        H5Sclose(memory);
        H5Sclose(file);
    }
    H5Tclose(in_memory);
    return rc;
}

int ps_h5_scale_set(ps_h5 dataset, const char *name, bool bare, int64_t n, ps_err *err)
{
    char title[80];

    /* netCDF-4's own words for a dimension that has no coordinate variable. */
    snprintf(title, sizeof title, "This is a netCDF dimension but not a netCDF variable. %10lld",
             (long long)n);
    if (H5DSset_scale(dataset, bare ? title : name) < 0)
        return fail(err, PS_EFAIL, "cannot make '%s' a dimension scale", name);
    return 0;
}

int ps_h5_scale_attach(ps_h5 dataset, int axis, ps_h5 at, const char *name, ps_err *err)
{
    hid_t scale = H5Dopen2(at, name, H5P_DEFAULT);
    int rc = scale < 0 || H5DSattach_scale(dataset, scale, (unsigned)axis) < 0
                 ? fail(err, PS_EFAIL, "cannot attach dimension scale '%s'", name)
                 : 0;

    if (scale >= 0)
        H5Dclose(scale);
    return rc;
}

/* ---- attributes ---- */

static int attr_put(ps_h5 id, const char *name, enum ps_h5_type type, const void *values, size_t n,
                    ps_err *err)
{
    hsize_t size = n;
    hid_t in_file = type_of(type, false), in_memory = type_of(type, true);
    hid_t space = n ? H5Screate_simple(1, &size, NULL) : H5Screate(H5S_SCALAR), attr = -1;
    int rc = -1;

    if ((H5Aexists(id, name) > 0 && H5Adelete(id, name) < 0) ||
        (attr = H5Acreate2(id, name, in_file, space, H5P_DEFAULT, H5P_DEFAULT)) < 0 ||
        H5Awrite(attr, in_memory, values) < 0) {
        fail(err, PS_EFAIL, "cannot write attribute '%s'", name);
        goto out;
    }
    rc = 0;
out:
    if (attr >= 0)
        H5Aclose(attr);
    H5Sclose(space);
    H5Tclose(in_memory);
    H5Tclose(in_file);
    return rc;
}

int ps_h5_attr_text(ps_h5 id, const char *name, const char *text, size_t n, ps_err *err)
{
    char *clean = clean_text(text, n, err);
    int rc = clean ? attr_put(id, name, PS_H5_TEXT, &clean, 0, err) : -1;

    ps_free(clean);
    return rc;
}

int ps_h5_attr_texts(ps_h5 id, const char *name, const char *const *texts, size_t n, ps_err *err)
{
    return attr_put(id, name, PS_H5_TEXT, texts, n, err);
}

int ps_h5_attr_values(ps_h5 id, const char *name, enum ps_h5_type type, const void *values, size_t n,
                      ps_err *err)
{
    return attr_put(id, name, type, values, n, err);
}

/* ---- reading ---- */

typedef struct ps_h5_listing {
    enum ps_h5_kind kind;
    char **names;
    size_t n, cap;
    ps_err *err;
} ps_h5_listing;

static herr_t list_one(hid_t group, const char *name, const H5L_info_t *link, void *context)
{
    ps_h5_listing *list = context;

    if (link->type != H5L_TYPE_HARD)
        return 0;
    hid_t id = H5Oopen(group, name, H5P_DEFAULT);
    if (id < 0)
        return fail(list->err, PS_EINPUT, "cannot open '%s'", name);
    H5I_type_t type = H5Iget_type(id);
    H5Oclose(id);
    if (type != (list->kind == PS_H5_GROUP ? H5I_GROUP : H5I_DATASET))
        return 0;
    if (ps_grow(&list->names, list->n, &list->cap, sizeof *list->names, list->err) < 0 ||
        !(list->names[list->n] = ps_strdup(name, list->err)))
        return -1;
    list->n++;
    return 0;
}

int ps_h5_children(ps_h5 file, const char *path, enum ps_h5_kind kind, char ***names, size_t *n,
                   ps_err *err)
{
    ps_h5_listing list = {.kind = kind, .err = err};
    unsigned order = 0;
    hid_t group = H5Gopen2(file, path, H5P_DEFAULT);

    if (group < 0)
        return fail(err, PS_EINPUT, "cannot open group '%s'", path);
    hid_t create = H5Gget_create_plist(group);
    H5Pget_link_creation_order(create, &order);
    err->code = PS_OK;
    int rc = H5Literate(group, order & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME,
                        H5_ITER_INC, NULL, list_one, &list) < 0
                 ? -1
                 : 0;
    if (rc < 0 && err->code == PS_OK)
        fail(err, PS_EINPUT, "cannot list group '%s'", path);
    H5Pclose(create);
    H5Gclose(group);
    if (rc < 0) {
        while (list.n > 0)
            ps_free(list.names[--list.n]);
        ps_free(list.names);
        return -1;
    }
    *names = list.names;
    *n = list.n;
    return 0;
}

/* Open a dataset whose bytes are in this very file. */
static hid_t open_inside(ps_h5 file, const char *path, ps_err *err)
{
    H5L_info_t link;

    if (H5Lget_info(file, path, &link, H5P_DEFAULT) < 0)
        return fail(err, PS_EINPUT, "cannot find dataset '%s'", path);
    hid_t id = link.type == H5L_TYPE_HARD ? H5Dopen2(file, path, H5P_DEFAULT) : -1;
    if (id < 0)
        return fail(err, PS_EINPUT, "cannot open dataset '%s'", path);
    hid_t create = H5Dget_create_plist(id);
    bool outside = H5Pget_layout(create) > H5D_CHUNKED || H5Pget_external_count(create) != 0;
    H5Pclose(create);
    if (!outside)
        return id;
    H5Dclose(id);
    return ps_err_set(err, PS_EINPUT, "dataset '%s' is stored outside of the file", path);
}

int ps_h5_info_read(ps_h5 file, const char *path, ps_h5_info *info, ps_err *err)
{
    hsize_t size[H5S_MAX_RANK];
    hid_t id = open_inside(file, path, err);

    *info = (ps_h5_info){0};
    if (id < 0)
        return -1;
    hid_t type = H5Dget_type(id), space = H5Dget_space(id);
    H5T_class_t class = H5Tget_class(type);
    info->number = class == H5T_INTEGER || class == H5T_FLOAT;
    info->text = class == H5T_STRING && H5Tis_variable_str(type) > 0;
    info->n_axes = H5Sget_simple_extent_dims(space, size, NULL);
    for (int i = 0; i < info->n_axes && i < PS_H5_MAX_AXES; i++)
        info->size[i] = size[i] > INT32_MAX ? INT32_MAX : (int64_t)size[i];
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(id);
    return 0;
}

/* NaN where an integer says "none". */
static void mask_integers(hid_t dataset, double *values)
{
    double none;
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    hssize_t n = H5Sget_simple_extent_npoints(space);

    if (H5Tget_class(type) == H5T_INTEGER && H5Aexists(dataset, "_FillValue") > 0) {
        hid_t attr = H5Aopen(dataset, "_FillValue", H5P_DEFAULT), row = H5Aget_space(attr);
        if (H5Sget_simple_extent_npoints(row) == 1 && H5Aread(attr, H5T_NATIVE_DOUBLE, &none) >= 0)
            for (hssize_t i = 0; i < n; i++)
                if (values[i] == none)
                    values[i] = __builtin_nan("");
        H5Sclose(row);
        H5Aclose(attr);
    }
    H5Sclose(space);
    H5Tclose(type);
}

int ps_h5_read_numbers(ps_h5 file, const char *path, double *values, ps_err *err)
{
    hid_t id = open_inside(file, path, err);

    if (id < 0)
        return -1;
    int rc = H5Dread(id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0
                 ? fail(err, PS_EINPUT, "cannot read dataset '%s'", path)
                 : 0;
    if (rc == 0)
        mask_integers(id, values);
    H5Dclose(id);
    return rc;
}

int ps_h5_read_texts(ps_h5 file, const char *path, char **texts, size_t n, ps_err *err)
{
    hid_t id = open_inside(file, path, err), type = text_type(), space = -1;
    char **raw = ps_calloc(n, sizeof *raw, err);
    size_t i = 0;
    int rc = -1;

    if (id < 0 || !raw)
        goto out;
    space = H5Dget_space(id);
    if (H5Sget_simple_extent_npoints(space) != (hssize_t)n) {
        ps_err_set(err, PS_EINPUT, "dataset '%s' does not hold %zu strings", path, n);
        goto out;
    }
    if (H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) < 0) {
        fail(err, PS_EINPUT, "cannot read dataset '%s'", path);
        goto out;
    }
    for (; i < n; i++) /* HDF5 keeps an empty string as NULL, or as "" */
        if (!(texts[i] = clean_text(raw[i] ? raw[i] : "", raw[i] ? strlen(raw[i]) : 0, err)))
            break;
    for (size_t k = 0; i < n && k < i; k++)
        ps_free(texts[k]);
    rc = i < n ? -1 : 0;
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw);
out:
    ps_free(raw);
    if (space >= 0)
        H5Sclose(space);
    H5Tclose(type);
    if (id >= 0)
        H5Dclose(id);
    return rc;
}

/* Along the first axis, a slab at a time. */
static int crc_numbers(hid_t id, hid_t type, const ps_h5_info *info, uint32_t *crc, ps_err *err)
{
    hsize_t from[PS_H5_MAX_AXES] = {0}, count[PS_H5_MAX_AXES];
    size_t slab = H5Tget_size(type);
    int rc = 0;

    for (int i = 1; i < info->n_axes; i++)
        slab *= (size_t)info->size[i];
    for (int i = 0; i < info->n_axes; i++)
        count[i] = i ? (hsize_t)info->size[i] : 1;
    void *values = ps_malloc(slab, 1, err);
    hid_t file = H5Dget_space(id), memory = H5Screate_simple(info->n_axes, count, NULL);
    for (; values && rc == 0 && (int64_t)from[0] < info->size[0]; from[0]++) {
        H5Sselect_hyperslab(file, H5S_SELECT_SET, from, NULL, count, NULL);
        rc = H5Dread(id, type, memory, file, H5P_DEFAULT, values) < 0 ? -1 : 0;
        if (rc == 0)
            *crc = ps_crc32c(*crc, values, slab);
    }
    H5Sclose(memory);
    H5Sclose(file);
    ps_free(values);
    return !values ? -1 : rc < 0 ? fail(err, PS_EINPUT, "cannot read it") : 0;
}

static int crc_texts(ps_h5 file, const char *path, size_t n, uint32_t *crc, ps_err *err)
{
    char **texts = ps_calloc(n, sizeof *texts, err);
    int rc = texts ? ps_h5_read_texts(file, path, texts, n, err) : -1;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        *crc = ps_crc32c(*crc, texts[i], strlen(texts[i]) + 1);
        ps_free(texts[i]);
    }
    ps_free(texts);
    return rc;
}

int ps_h5_crc(ps_h5 file, const char *path, uint32_t *crc, ps_err *err)
{
    ps_h5_info info;

    *crc = 0;
    if (ps_h5_info_read(file, path, &info, err) < 0)
        return -1;
    if (info.n_axes < 1 || info.n_axes > PS_H5_MAX_AXES || !(info.number || (info.text && info.n_axes == 1)))
        return ps_err_set(err, PS_EINPUT, "not a dataset of ours");
    if (info.text)
        return crc_texts(file, path, (size_t)info.size[0], crc, err);
    hid_t id = open_inside(file, path, err);
    if (id < 0)
        return -1;
    hid_t type = H5Dget_type(id);
    int rc = crc_numbers(id, type, &info, crc, err);
    H5Tclose(type);
    H5Dclose(id);
    return rc;
}

/* Text of an open attribute; `type` is the file's. */
static char *attr_as_text(hid_t attr, hid_t type)
{
    char *raw = NULL, *text = NULL, number[32];
    ps_err ignored = PS_ERR_INIT;
    double value;

    if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0) {
        hid_t in_memory = text_type();
        if (H5Aread(attr, in_memory, &raw) >= 0)
            text = clean_text(raw ? raw : "", raw ? strlen(raw) : 0, &ignored);
        if (raw)
            H5free_memory(raw);
        H5Tclose(in_memory);
        return text;
    }
    if ((H5Tget_class(type) != H5T_INTEGER && H5Tget_class(type) != H5T_FLOAT) ||
        H5Aread(attr, H5T_NATIVE_DOUBLE, &value) < 0)
        return NULL;
    snprintf(number, sizeof number, "%.9g", value);
    return ps_strdup(number, &ignored);
}

char *ps_h5_attr_read(ps_h5 file, const char *path, const char *name)
{
    char *text = NULL;

    if (H5Aexists_by_name(file, path, name, H5P_DEFAULT) <= 0)
        return NULL;
    hid_t attr = H5Aopen_by_name(file, path, name, H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0)
        return NULL;
    hid_t type = H5Aget_type(attr), space = H5Aget_space(attr);
    if (H5Sget_simple_extent_npoints(space) == 1)
        text = attr_as_text(attr, type);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attr);
    return text;
}
