/* h5_attr.c - attributes: each is written once, added to the checksum as it is written, and read as text. */
#include "h5_library.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/child.h"
#include "patchsweep/crc.h"
#include "patchsweep/mem.h"

uint32_t ps_h5_attr_begin(const char *name, const char *type, size_t n)
{
    char count[24];

    snprintf(count, sizeof count, "%zu", n);
    uint32_t sum = ps_crc32c(0, name, strlen(name) + 1);
    sum = ps_crc32c(sum, type, strlen(type) + 1);
    return ps_crc32c(sum, count, strlen(count) + 1);
}

/* ---- writing ---- */

int ps_h5_attr_create(ps_h5_object *object, const char *name, hid_t in_file, hid_t in_memory, const void *values,
                      size_t n, uint32_t sum, ps_err *err)
{
    hsize_t size = n;
    hid_t space = n ? H5Screate_simple(1, &size, NULL) : H5Screate(H5S_SCALAR);
    hid_t attr = H5Acreate2(object->id, name, in_file, space, H5P_DEFAULT, H5P_DEFAULT);
    int rc = attr < 0 || H5Awrite(attr, in_memory, values) < 0
                 ? ps_h5_fail(err, PS_EFAIL, "cannot write attribute '%s'", name)
                 : 0;

    if (attr >= 0)
        H5Aclose(attr);
    H5Sclose(space);
    object->attributes += sum;
    return rc;
}

static int put_texts(ps_h5_object *object, const char *name, const char *const *texts, size_t n, ps_err *err)
{
    uint32_t sum = ps_h5_attr_begin(name, "text", n);
    hid_t type = ps_h5_type_of(PS_H5_TEXT, true);

    for (size_t i = 0; i < (n ? n : 1); i++)
        sum = ps_crc32c(sum, texts[i], strlen(texts[i]) + 1);
    return ps_h5_attr_create(object, name, type, type, texts, n, sum, err);
}

int ps_h5_attr_text(ps_h5_object *object, const char *name, const char *text, size_t n, ps_err *err)
{
    char *clean = ps_h5_clean(text, n, err);
    const char *one = clean;
    int rc = clean ? put_texts(object, name, &one, 0, err) : -1;

    ps_free(clean);
    return rc;
}

int ps_h5_attr_string(ps_h5_object *object, const char *name, const char *string, ps_err *err)
{
    return string ? ps_h5_attr_text(object, name, string, strlen(string), err) : 0;
}

int ps_h5_attr_texts(ps_h5_object *object, const char *name, const char *const *texts, size_t n, ps_err *err)
{
    return put_texts(object, name, texts, n, err);
}

int ps_h5_attr_values(ps_h5_object *object, const char *name, enum ps_h5_type type, const void *values, size_t n,
                      ps_err *err)
{
    static const struct {
        const char *word;
        size_t bytes;
    } types[PS_H5_N_TYPES] = {
        [PS_H5_F32] = {"f4", 4}, [PS_H5_F64] = {"f8", 8}, [PS_H5_U8] = {"u1", 1},
        [PS_H5_I32] = {"i4", 4}, [PS_H5_I64] = {"i8", 8},
    };
    uint32_t sum = ps_h5_attr_begin(name, types[type].word, n);

    sum = ps_crc32c(sum, values, (n ? n : 1) * types[type].bytes);
    return ps_h5_attr_create(object, name, ps_h5_type_of(type, false), ps_h5_type_of(type, true), values, n, sum, err);
}

int ps_h5_attr_remove(ps_h5 id, const char *name, ps_err *err)
{
    if (H5Aexists(id, name) > 0 && H5Adelete(id, name) < 0)
        return ps_h5_fail(err, PS_EFAIL, "cannot replace attribute '%s'", name);
    return 0;
}

/* ---- reading ---- */

/* Read an open attribute as text.  `type` is the file's. */
static char *attr_as_text(hid_t attr, hid_t type)
{
    char *raw = NULL, *text = NULL, number[32];
    ps_err ignored = PS_ERR_INIT;
    double value;

    if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0) {
        if (H5Aread(attr, ps_h5_type_of(PS_H5_TEXT, true), &raw) >= 0)
            text = ps_h5_clean(raw ? raw : "", raw ? strlen(raw) : 0, &ignored);
        if (raw)
            H5free_memory(raw);
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

    ps_child_progress();
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
