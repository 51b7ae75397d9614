/*
 * h5.c - HDF5 for writing: files, groups, datasets, and what the other h5*.c files share.
 *
 * The library prints nothing.  The deepest line of its error stack becomes our message.  Files use only what HDF5 1.8
 * can read, so that older tools open them.  Files are not locked, because some parallel file systems cannot lock.
 * They are written under a name of their own, and never changed once they have their final name.
 *
 * HDF5 takes as long to make a property list or a type as to write a small dataset.  So these are made once and kept.
 */
#include "h5_library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "patchsweep/child.h"
#include "patchsweep/crc.h"
#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define ORDER (H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED)
#define MOST_COMPACT_BYTES 4096   /* smaller datasets lie in their object's header */
#define MOST_COMPACT_PARTS 64     /* objects with fewer links or attributes keep these in their header */
#define CHUNK_TREE 4              /* half the entries of a node in a tree of chunks: a grid has one chunk, rows have hundreds */
#define FREE_BYTES (2 << 20)      /* most bytes of freed blocks that the library keeps, for each kind of block */
#define TEXT_BUFFER ((size_t)16 << 10)
#define META_BLOCK ((hsize_t)64 << 10)
#define FREE_SPACE "; free some space, or write to another disk with -o"
#define CACHE_BYTES ((size_t)256 << 10) /* of metadata, in the file's form; in memory it takes some 20 times as much */

/* ---- errors ---- */

static herr_t keep_first(unsigned i, const H5E_error2_t *entry, void *deepest)
{
    if (i == 0 && entry->desc)
        snprintf(deepest, 300, "%s", entry->desc);
    return 0;
}

int ps_h5_fail(ps_err *err, int code, const char *fmt, ...)
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
        if (ps_file_open_code(no) == PS_EFAIL) /* the machine has failed, not the file */
            code = PS_EFAIL;
        if (ps_file_full(no))
            hint = FREE_SPACE;
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

    if (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

static hid_t make_type(enum ps_h5_type type, bool in_memory)
{
    switch (type) {
    case PS_H5_F32: return in_memory ? H5T_NATIVE_FLOAT : H5T_IEEE_F32LE;
    case PS_H5_F64: return in_memory ? H5T_NATIVE_DOUBLE : H5T_IEEE_F64LE;
    case PS_H5_F16: return small_float(5, 10, 15, in_memory);
    case PS_H5_BF16: return small_float(8, 7, 127, in_memory);
    case PS_H5_U8: return in_memory ? H5T_NATIVE_UINT8 : H5T_STD_U8LE;
    case PS_H5_I32: return in_memory ? H5T_NATIVE_INT32 : H5T_STD_I32LE;
    case PS_H5_I64: return in_memory ? H5T_NATIVE_INT64 : H5T_STD_I64LE;
    case PS_H5_TEXT: return text_type();
    }
    return -1;
}

hid_t ps_h5_type_of(enum ps_h5_type type, bool in_memory)
{
    static hid_t made[PS_H5_N_TYPES][2];

    if (made[type][in_memory] <= 0)
        made[type][in_memory] = make_type(type, in_memory);
    return made[type][in_memory];
}

hid_t ps_h5_text_transfer(void)
{
    static hid_t transfer;

    if (transfer <= 0) {
        transfer = H5Pcreate(H5P_DATASET_XFER);
        H5Pset_buffer(transfer, TEXT_BUFFER, NULL, NULL);
    }
    return transfer;
}

static size_t bytes_of(enum ps_h5_type type)
{
    static const size_t bytes[PS_H5_N_TYPES] = {
        [PS_H5_F32] = 4, [PS_H5_F16] = 2, [PS_H5_BF16] = 2, [PS_H5_F64] = 8,
        [PS_H5_U8] = 1,  [PS_H5_I32] = 4, [PS_H5_I64] = 8,  [PS_H5_TEXT] = 16, /* in a file: the address of a string */
    };

    return bytes[type];
}

char *ps_h5_clean(const char *s, size_t n, ps_err *err)
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
 * Set up the library: make it silent, and skip its clean-up at exit, which crashes (1.10.8) after a file could not be
 * written for lack of space.  Closing a file closes all that was opened in it.
 */
static void start(void)
{
    H5dont_atexit();
    H5set_free_list_limits(FREE_BYTES, FREE_BYTES / 8, FREE_BYTES, FREE_BYTES / 8, FREE_BYTES, FREE_BYTES / 8);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static hid_t file_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5AC_cache_config_t cache = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};

    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_cache(access, 0, 13, (size_t)1 << 20, 1); /* chunk cache: a dataset has few chunks, and each is written once */
    H5Pset_meta_block_size(access, META_BLOCK);
    if (H5Pget_mdc_config(access, &cache) >= 0) {
        cache.set_initial_size = true;
        cache.initial_size = cache.max_size = CACHE_BYTES;
        cache.min_size = CACHE_BYTES / 4;
        H5Pset_mdc_config(access, &cache);
    }
#ifdef H5F_LIBVER_V18
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18); /* object headers of this version have checksums */
#endif
#if H5_VERSION_GE(1, 12, 1) || (H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7)
    H5Pset_file_locking(access, 0, 1);
#endif
    return access;
}

size_t ps_h5_bytes(void)
{
    return 24 * CACHE_BYTES + 3 * FREE_BYTES;
}

static void track_order(hid_t create)
{
    H5Pset_attr_creation_order(create, ORDER);
    H5Pset_attr_phase_change(create, MOST_COMPACT_PARTS, MOST_COMPACT_PARTS - 2);
    H5Pset_obj_track_times(create, false); /* so that equal results are equal bytes */
}

/* Create the file, which must not exist. (HDF5 would first open an existing file, even a FIFO, and would not tell
 * whether it created the file.) */
static int reserve(const char *path, ps_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return ps_err_set(err, PS_EFAIL, "cannot create '%s': %s%s", path, strerror(errno), ps_file_full(errno) ? FREE_SPACE : "");
    close(fd);
    return 0;
}

int ps_h5_file_create(ps_h5 *file, const char *path, ps_err *err)
{
    *file = PS_H5_NONE;
    if (reserve(path, err) < 0)
        return -1;
    start();
    hid_t create = H5Pcreate(H5P_FILE_CREATE), access = file_access();
    H5Pset_link_creation_order(create, ORDER);
    track_order(create);
    H5Pset_istore_k(create, CHUNK_TREE);
    hid_t id = H5Fcreate(path, H5F_ACC_TRUNC, create, access);
    int rc = 0;

    if (id < 0) {
        rc = ps_h5_fail(err, PS_EFAIL, "cannot create '%s'", path);
        unlink(path);
    }
    H5Pclose(create);
    H5Pclose(access);
    *file = id < 0 ? PS_H5_NONE : id;
    return rc;
}

int ps_h5_file_open(ps_h5 *file, const char *path, bool add, ps_err *err)
{
    ps_child_progress();
    start();
    *file = PS_H5_NONE;
    if (ps_file_kind(path) != 1)
        return ps_err_set(err, PS_EINPUT, "cannot open '%s': %s", path,
                          ps_file_kind(path) ? "is a folder" : "no such file");
    hid_t access = file_access(), id = H5Fopen(path, add ? H5F_ACC_RDWR : H5F_ACC_RDONLY, access);
    int rc = id < 0 ? ps_h5_fail(err, PS_EINPUT, "cannot open '%s' as an HDF5 file", path) : 0;
    H5Pclose(access);
    if (rc == 0)
        *file = id;
    return rc;
}

int ps_h5_file_close(ps_h5 file, int rc, ps_err *err)
{
    if (file == PS_H5_NONE)
        return rc;
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 && rc == 0)
        rc = ps_h5_fail(err, PS_EFAIL, "cannot write all of the file");
    if (H5Fclose(file) < 0 && rc == 0)
        rc = ps_h5_fail(err, PS_EFAIL, "cannot close the file");
    return rc;
}

void ps_h5_close(ps_h5 id)
{
    if (id != PS_H5_NONE)
        H5Oclose(id);
}

/* ---- groups and datasets ---- */

int ps_h5_group_create(ps_h5_object *group, ps_h5 at, const char *name, ps_err *err)
{
    static hid_t create;

    *group = (ps_h5_object)PS_H5_OBJECT_NONE;
    if (create <= 0) {
        create = H5Pcreate(H5P_GROUP_CREATE);
        H5Pset_link_creation_order(create, ORDER);
        H5Pset_link_phase_change(create, MOST_COMPACT_PARTS, MOST_COMPACT_PARTS - 2);
        track_order(create);
    }
    hid_t id = H5Gcreate2(at, name, H5P_DEFAULT, create, H5P_DEFAULT);
    if (id < 0)
        return ps_h5_fail(err, PS_EFAIL, "cannot create group '%s'", name);
    group->id = id;
    return 0;
}

static int64_t slab_elements(const ps_h5_layout *layout)
{
    int64_t n = 1;

    for (int i = 1; i < layout->n_axes; i++)
        n *= layout->size[i];
    return n;
}

static hid_t make_creation(const ps_h5_layout *layout)
{
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[PS_H5_MAX_AXES];
    int64_t bytes = layout->size[0] * slab_elements(layout) * (int64_t)bytes_of(layout->type);

    track_order(create);
    if (layout->fill)
        H5Pset_fill_value(create, ps_h5_type_of(layout->type, true), &layout->fill);
    if (!layout->chunk[0]) {
        if (bytes <= MOST_COMPACT_BYTES)
            H5Pset_layout(create, H5D_COMPACT);
        return create;
    }
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

/* Return a property list, borrowed.  A group's datasets have few different layouts, so the lists are kept. */
static hid_t creation_of(const ps_h5_layout *layout)
{
    enum { KEPT = 8 };
    static struct {
        ps_h5_layout layout;
        hid_t id;
    } kept[KEPT];
    static int next;

    for (int i = 0; i < KEPT; i++)
        if (kept[i].id > 0 && !memcmp(&kept[i].layout, layout, sizeof *layout))
            return kept[i].id;
    if (kept[next].id > 0)
        H5Pclose(kept[next].id);
    kept[next].layout = *layout;
    hid_t id = kept[next].id = make_creation(layout);
    next = (next + 1) % KEPT;
    return id;
}

int ps_h5_dataset_create(ps_h5_object *dataset, ps_h5 at, const char *name, const ps_h5_layout *layout,
                         ps_h5_scale *const *axes, ps_err *err)
{
    hsize_t size[PS_H5_MAX_AXES];

    *dataset = (ps_h5_object){.id = PS_H5_NONE, .dataset = true};
    for (int i = 0; i < layout->n_axes; i++)
        size[i] = (hsize_t)layout->size[i];
    hid_t space = H5Screate_simple(layout->n_axes, size, NULL);
    hid_t id = H5Dcreate2(at, name, ps_h5_type_of(layout->type, false), space, H5P_DEFAULT, creation_of(layout),
                          H5P_DEFAULT);
    H5Sclose(space);
    if (id < 0)
        return ps_h5_fail(err, PS_EFAIL, "cannot create dataset '%s'", name);
    dataset->id = id;
    uint64_t address;
    if (!axes)
        return 0;
    if (ps_h5_address_of(id, &address, err) < 0)
        return -1;
    for (int i = 0; i < layout->n_axes; i++)
        if (ps_h5_scale_use(axes[i], address, name, i, err) < 0)
            return -1;
    return ps_h5_scale_attach(dataset, axes, layout->n_axes, err);
}

int ps_h5_write(ps_h5_object *dataset, const ps_h5_layout *layout, const void *values, ps_err *err)
{
    size_t n = (size_t)(layout->size[0] * slab_elements(layout));
    const char *const *texts = values;

    hid_t transfer = layout->type == PS_H5_TEXT ? ps_h5_text_transfer() : H5P_DEFAULT;
    if (H5Dwrite(dataset->id, ps_h5_type_of(layout->type, true), H5S_ALL, H5S_ALL, transfer, values) < 0)
        return ps_h5_fail(err, PS_EFAIL, "cannot write a dataset");
    if (layout->type != PS_H5_TEXT)
        dataset->values = ps_crc32c(0, values, n * bytes_of(layout->type));
    else
        for (size_t i = 0; i < n; i++)
            dataset->values = ps_crc32c(dataset->values, texts[i], strlen(texts[i]) + 1);
    return 0;
}

void ps_h5_sum_fill(ps_h5_object *dataset, const ps_h5_layout *layout, int64_t slabs)
{
    enum { BLOCK = 512 };
    size_t size = bytes_of(layout->type);
    char block[BLOCK * sizeof layout->fill];

    for (size_t i = 0; i < BLOCK; i++)
        memcpy(block + i * size, &layout->fill, size);
    for (int64_t left = slabs * slab_elements(layout); left > 0; left -= BLOCK)
        dataset->values = ps_crc32c(dataset->values, block, (size_t)(left < BLOCK ? left : BLOCK) * size);
}

int ps_h5_write_slab(ps_h5_object *dataset, const ps_h5_layout *layout, int64_t index, const void *values,
                     ps_err *err)
{
    hsize_t from[PS_H5_MAX_AXES] = {(hsize_t)index}, n[PS_H5_MAX_AXES] = {1};

    if (!values) {
        ps_h5_sum_fill(dataset, layout, 1);
        return 0;
    }
    for (int i = 1; i < layout->n_axes; i++)
        n[i] = (hsize_t)layout->size[i];
    hid_t memory = H5Screate_simple(layout->n_axes, n, NULL), file = H5Dget_space(dataset->id);
    int rc = H5Sselect_hyperslab(file, H5S_SELECT_SET, from, NULL, n, NULL) < 0 ||
                     H5Dwrite(dataset->id, ps_h5_type_of(layout->type, true), memory, file, H5P_DEFAULT, values) < 0
                 ? ps_h5_fail(err, PS_EFAIL, "cannot write a dataset")
                 : 0;
    H5Sclose(memory);
    H5Sclose(file);
    dataset->values = ps_crc32c(dataset->values, values, (size_t)slab_elements(layout) * bytes_of(layout->type));
    return rc;
}

static int write_sum(ps_h5_object *object, const char *name, uint32_t sum, ps_err *err)
{
    char text[12];
    const char *value = text;
    hid_t type = ps_h5_type_of(PS_H5_TEXT, true);

    snprintf(text, sizeof text, "%08x", (unsigned)sum);
    return ps_h5_attr_create(object, name, type, type, &value, 0, 0, err);
}

int ps_h5_finish(ps_h5_object *object, int rc, ps_err *err)
{
    if (object->id == PS_H5_NONE)
        return rc;
    if (rc == 0 && object->dataset)
        rc = write_sum(object, PS_H5_VALUES_SUM, object->values, err);
    if (rc == 0)
        rc = write_sum(object, PS_H5_ATTRIBUTES_SUM, object->attributes, err);
    /* closing writes the chunks: the library reports a failure of that here and nowhere else */
    if (H5Oclose(object->id) < 0 && rc == 0)
        rc = ps_h5_fail(err, PS_EFAIL, "cannot write all of a dataset");
    object->id = PS_H5_NONE;
    return rc;
}

int ps_h5_root_finish(ps_h5 file, ps_err *err)
{
    ps_h5_list nothing = {.n = 0};
    ps_h5_object root = {.id = file};
    ps_h5_sums sums;

    if (ps_h5_attr_remove(file, PS_H5_ATTRIBUTES_SUM, err) < 0 ||
        ps_h5_sums_read(&sums, file, ".", PS_H5_GROUP, &nothing, err) < 0)
        return -1;
    return write_sum(&root, PS_H5_ATTRIBUTES_SUM, sums.attributes, err);
}
