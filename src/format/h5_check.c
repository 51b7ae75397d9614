/*
 * h5_check.c - check that a file has the shape of a result, and compute the checksums of its objects.
 *
 * Links of HDF5 may form any graph.  A result is a tree of few levels.  Anything else is refused before the program
 * walks it.
 */
#include "h5_library.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/child.h"
#include "patchsweep/crc.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

/* ---- the tree ---- */

/* A set of objects' addresses: a hash table with open addressing, at most half full. 0 is a free slot, because the
 * superblock lies at 0. */
typedef struct seen {
    uint64_t *at;
    size_t n, room;
} seen;

static size_t place_of(const seen *s, uint64_t address)
{
    size_t i = (size_t)(address * 0x9e3779b97f4a7c15u >> 20) % s->room;

    while (s->at[i] && s->at[i] != address)
        i = (i + 1) % s->room;
    return i;
}

static int widen(seen *s, ps_err *err)
{
    seen wider = {.n = s->n, .room = s->room ? 2 * s->room : 1024};

    wider.at = ps_calloc(wider.room, sizeof *wider.at, err);
    if (!wider.at)
        return -1;
    for (size_t i = 0; i < s->room; i++)
        if (s->at[i])
            wider.at[place_of(&wider, s->at[i])] = s->at[i];
    ps_free(s->at);
    *s = wider;
    return 0;
}

/* Add an address.  Returns 1 if it was there already, 0 if not, -1 if memory ran out. */
static int note(seen *s, uint64_t address, ps_err *err)
{
    if (2 * s->n >= s->room && widen(s, err) < 0)
        return -1;
    size_t i = place_of(s, address);
    if (s->at[i])
        return 1;
    s->at[i] = address;
    s->n++;
    return 0;
}

static int check_group(seen *s, ps_h5 at, const char *path, int depth, ps_err *err)
{
    ps_h5_list list;
    ps_h5 group;
    int rc = 0;

    if (ps_h5_group_open(&group, at, path, err) < 0)
        return -1;
    if (ps_h5_list_read(&list, group, ".", err) < 0)
        rc = ps_err_prefix(err, "group '%s'", path);
    for (size_t i = 0; rc == 0 && i < list.n; i++) {
        const struct ps_h5_entry *e = &list.at[i];
        int old = note(s, e->address, err);
        if (old > 0)
            rc = ps_err_set(err, PS_EINPUT, "it is no tree: '%s' in '%s' is a second link to the same object", e->name, path);
        else if (old < 0)
            rc = -1;
        else if (e->kind == PS_H5_GROUP)
            rc = depth > 1 ? check_group(s, group, e->name, depth - 1, err)
                           : ps_err_set(err, PS_EINPUT, "group '%s' lies deeper than any group of a result", e->name);
    }
    ps_h5_list_release(&list);
    ps_h5_close(group);
    return rc;
}

int ps_h5_check_tree(ps_h5 file, int depth, ps_err *err)
{
    ps_h5_object_info root;
    seen s = {.n = 0};
    int rc = -1;

    if (H5Oget_info2(file, &root, H5O_INFO_BASIC) < 0)
        ps_h5_fail(err, PS_EINPUT, "cannot open its root");
    else if (note(&s, (uint64_t)root.addr, err) == 0)
        rc = check_group(&s, file, "/", depth, err);
    ps_free(s.at);
    return rc;
}

/* ---- checksums of values ---- */

/* Sum the values slab by slab along the first axis. */
static int sum_numbers(hid_t id, const ps_h5_info *info, uint32_t *sum, ps_err *err)
{
    hsize_t from[PS_H5_MAX_AXES] = {0}, count[PS_H5_MAX_AXES];
    hid_t type = H5Dget_type(id);
    size_t slab = H5Tget_size(type);
    int64_t step = info->n_axes < 3 ? info->size[0] : 1; /* read a grid or a list of rows in one piece */
    int rc = 0;

    for (int i = 1; i < info->n_axes; i++)
        slab *= (size_t)info->size[i];
    for (int i = 0; i < info->n_axes; i++)
        count[i] = i ? (hsize_t)info->size[i] : (hsize_t)step;
    char *values = ps_malloc((size_t)step, slab, err);
    hid_t file = H5Dget_space(id), memory = H5Screate_simple(info->n_axes, count, NULL);
    for (; values && rc == 0 && (int64_t)from[0] < info->size[0]; from[0] += (hsize_t)step) {
        ps_child_progress();
        H5Sselect_hyperslab(file, H5S_SELECT_SET, from, NULL, count, NULL);
        rc = H5Dread(id, type, memory, file, H5P_DEFAULT, values) < 0 ? -1 : 0;
        if (rc == 0)
            *sum = ps_crc32c(*sum, values, (size_t)step * slab);
    }
    H5Sclose(memory);
    H5Sclose(file);
    H5Tclose(type);
    ps_free(values);
    return !values ? -1 : rc < 0 ? ps_h5_fail(err, PS_EINPUT, "cannot read it") : 0;
}

static int sum_texts(hid_t id, size_t n, uint32_t *sum, ps_err *err)
{
    hid_t type = ps_h5_type_of(PS_H5_TEXT, true);
    char **texts = ps_calloc(n, sizeof *texts, err);

    if (!texts)
        return -1;
    int rc = H5Dread(id, type, H5S_ALL, H5S_ALL, ps_h5_text_transfer(), texts) < 0
                 ? ps_h5_fail(err, PS_EINPUT, "cannot read it")
                 : 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        *sum = ps_crc32c(*sum, texts[i] ? texts[i] : "", (texts[i] ? strlen(texts[i]) : 0) + 1);
    for (size_t i = 0; i < n; i++)
        if (texts[i])
            H5free_memory(texts[i]);
    ps_free(texts);
    return rc;
}

static int sum_values(hid_t id, uint32_t *sum, ps_err *err)
{
    ps_h5_info info;

    ps_h5_info_of(id, &info);
    if (info.n_axes < 1 || info.n_axes > PS_H5_MAX_AXES || !(info.number || (info.text && info.n_axes == 1)))
        return ps_err_set(err, PS_EINPUT, "not a dataset of ours");
    return info.text ? sum_texts(id, (size_t)info.size[0], sum, err) : sum_numbers(id, &info, sum, err);
}

/* ---- checksums of attributes ---- */

/* The attribute being summed, and where its links may lead. */
typedef struct attribute {
    hid_t id, type;
    const char *name;
    size_t n; /* number of values; 0: a scalar */
    const ps_h5_list *siblings;
} attribute;

static size_t n_values(const attribute *a)
{
    return a->n ? a->n : 1;
}

static int sum_attr_texts(const attribute *a, uint32_t *sum, char kept[12], ps_err *err)
{
    char **texts = ps_calloc(n_values(a), sizeof *texts, err);

    if (!texts)
        return -1;
    int rc = H5Aread(a->id, ps_h5_type_of(PS_H5_TEXT, true), texts) < 0 ? -1 : 0;
    *sum = ps_h5_attr_begin(a->name, "text", a->n);
    for (size_t i = 0; rc == 0 && i < n_values(a); i++)
        *sum = ps_crc32c(*sum, texts[i] ? texts[i] : "", (texts[i] ? strlen(texts[i]) : 0) + 1);
    if (rc == 0 && kept)
        snprintf(kept, 12, "%s", texts[0] ? texts[0] : "");
    for (size_t i = 0; i < n_values(a); i++)
        if (texts[i])
            H5free_memory(texts[i]);
    ps_free(texts);
    return rc;
}

/* Sum a text of fixed length, as HDF5's dimension scales have it.  There is only one. */
static int sum_fixed_text(const attribute *a, uint32_t *sum)
{
    char text[256] = "";

    if (H5Tget_size(a->type) >= sizeof text || a->n || H5Aread(a->id, a->type, text) < 0)
        return -1;
    *sum = ps_crc32c(ps_h5_attr_begin(a->name, "text", 0), text, strlen(text) + 1);
    return 0;
}

static int sum_attr_numbers(const attribute *a, uint32_t *sum, ps_err *err)
{
    size_t bytes = H5Tget_size(a->type);
    bool real = H5Tget_class(a->type) == H5T_FLOAT;
    char word[16], *values = ps_calloc(n_values(a), bytes, err);

    if (!values)
        return -1;
    snprintf(word, sizeof word, "%c%zu", real ? 'f' : H5Tget_sign(a->type) == H5T_SGN_NONE ? 'u' : 'i', bytes);
    int rc = H5Aread(a->id, a->type, values) < 0 ? -1 : 0;
    if (rc == 0)
        *sum = ps_crc32c(ps_h5_attr_begin(a->name, word, a->n), values, n_values(a) * bytes);
    ps_free(values);
    return rc;
}

/* Sum links by the name that each leads to, because addresses differ from copy to copy of a file. */
static uint32_t sum_link(uint32_t sum, const attribute *a, uint64_t address)
{
    for (size_t i = 0; i < a->siblings->n; i++)
        if (a->siblings->at[i].address == address)
            return ps_crc32c(sum, a->siblings->at[i].name, strlen(a->siblings->at[i].name) + 1);
    return ps_crc32c(sum, "?", 2);
}

static int sum_scale_links(const attribute *a, uint32_t *sum, ps_err *err)
{
    hvl_t *rows = ps_calloc(n_values(a), sizeof *rows, err);

    if (!rows)
        return -1;
    int rc = H5Aread(a->id, ps_h5_references_type(), rows) < 0 ? -1 : 0;
    *sum = ps_h5_attr_begin(a->name, "links", a->n);
    for (size_t i = 0; rc == 0 && i < n_values(a); i++)
        for (size_t k = 0; k < rows[i].len; k++)
            *sum = sum_link(*sum, a, ((const hobj_ref_t *)rows[i].p)[k]);
    for (size_t i = 0; i < n_values(a); i++)
        if (rows[i].p)
            H5free_memory(rows[i].p);
    ps_free(rows);
    return rc;
}

static int sum_user_links(const attribute *a, uint32_t *sum, ps_err *err)
{
    ps_h5_reference *list = ps_calloc(n_values(a), sizeof *list, err);

    if (!list)
        return -1;
    int rc = H5Aread(a->id, ps_h5_reference_type(true), list) < 0 ? -1 : 0;
    *sum = ps_h5_attr_begin(a->name, "links", a->n);
    for (size_t i = 0; rc == 0 && i < n_values(a); i++)
        *sum = ps_crc32c(sum_link(*sum, a, list[i].address), &list[i].axis, sizeof list[i].axis);
    ps_free(list);
    return rc;
}

/* Sum an attribute of a type that we never write by its name alone.  That changes the sum, so the object counts as
 * changed. */
static int sum_attribute(const attribute *a, uint32_t *sum, char kept[12], ps_err *err)
{
    switch (H5Tget_class(a->type)) {
    case H5T_STRING:
        return H5Tis_variable_str(a->type) > 0 ? sum_attr_texts(a, sum, kept, err) : sum_fixed_text(a, sum);
    case H5T_INTEGER:
    case H5T_FLOAT: return sum_attr_numbers(a, sum, err);
    default: break;
    }
    if (!strcmp(a->name, "DIMENSION_LIST"))
        return sum_scale_links(a, sum, err);
    if (!strcmp(a->name, "REFERENCE_LIST"))
        return sum_user_links(a, sum, err);
    *sum = ps_h5_attr_begin(a->name, "other", a->n);
    return 0;
}

/* The object whose attributes are being summed. */
typedef struct summing {
    ps_h5_sums *sums;
    const ps_h5_list *siblings;
    ps_err *err;
} summing;

static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    const summing *s = context;
    char *kept = !strcmp(name, PS_H5_VALUES_SUM)       ? s->sums->kept_values
                 : !strcmp(name, PS_H5_ATTRIBUTES_SUM) ? s->sums->kept_attributes
                                                       : NULL;
    attribute a = {.id = H5Aopen(object, name, H5P_DEFAULT), .name = name, .siblings = s->siblings};
    uint32_t sum = 0;

    (void)info;
    if (a.id < 0)
        return ps_h5_fail(s->err, PS_EINPUT, "cannot open attribute '%s'", name);
    a.type = H5Aget_type(a.id);
    hid_t space = H5Aget_space(a.id);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    a.n = H5Sget_simple_extent_ndims(space) > 0 ? (size_t)n : 0;
    int rc = n < 0 || n > INT32_MAX ? -1 : sum_attribute(&a, &sum, kept, s->err);
    H5Sclose(space);
    H5Tclose(a.type);
    H5Aclose(a.id);
    if (rc < 0)
        return s->err->code ? -1 : ps_h5_fail(s->err, PS_EINPUT, "cannot read attribute '%s'", name);
    if (!kept)
        s->sums->attributes += sum;
    return 0;
}

int ps_h5_sums_read(ps_h5_sums *sums, ps_h5 at, const char *name, enum ps_h5_kind kind, const ps_h5_list *siblings,
                    ps_err *err)
{
    summing s = {sums, siblings, err};
    ps_h5 id = PS_H5_NONE;

    *sums = (ps_h5_sums){.values = 0};
    if (kind == PS_H5_GROUP)
        ps_h5_group_open(&id, at, name, err);
    else
        id = ps_h5_open_inside(at, name, err);
    if (id < 0)
        return -1;
    ps_child_progress();
    err->code = PS_OK;
    int rc = H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, add_attribute, &s) < 0 ? -1 : 0;
    if (rc < 0 && err->code == PS_OK)
        ps_h5_fail(err, PS_EINPUT, "cannot list its attributes");
    if (rc == 0 && kind == PS_H5_DATASET)
        rc = sum_values(id, &sums->values, err);
    ps_h5_close(id);
    return rc;
}
