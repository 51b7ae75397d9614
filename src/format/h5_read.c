/* h5_read.c - HDF5 for reading: list a group, read the values of datasets. */
#include "h5_library.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/child.h"
#include "patchsweep/mem.h"

bool ps_h5_has(ps_h5 at, const char *path)
{
    char part[512];

    ps_child_progress();
    /* Check the links of a path one by one: H5Lexists needs all links before the last to exist. */
    for (const char *end = strchr(path + 1, '/'); end; end = strchr(end + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(end - path), path);
        if (H5Lexists(at, part, H5P_DEFAULT) <= 0)
            return false;
    }
    return !strcmp(path, "/") || H5Lexists(at, path, H5P_DEFAULT) > 0;
}

int ps_h5_group_open(ps_h5 *group, ps_h5 at, const char *path, ps_err *err)
{
    ps_child_progress();
    hid_t id = H5Gopen2(at, path, H5P_DEFAULT);

    *group = id < 0 ? PS_H5_NONE : id;
    return id < 0 ? ps_h5_fail(err, PS_EINPUT, "cannot open group '%s'", path) : 0;
}

/* ---- lists ---- */

typedef struct listing {
    ps_h5_list *list;
    ps_err *err;
} listing;

static herr_t list_one(hid_t group, const char *name, const H5L_info_t *link, void *context)
{
    listing *l = context;
    ps_h5_list *list = l->list;
    ps_h5_object_info info;

    if (link->type != H5L_TYPE_HARD)
        return 0;
    if (H5Oget_info_by_name2(group, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0)
        return ps_h5_fail(l->err, PS_EINPUT, "cannot open '%s'", name);
    if (info.type != H5O_TYPE_GROUP && info.type != H5O_TYPE_DATASET)
        return 0;
    if (ps_grow(&list->at, list->n, &list->cap, sizeof *list->at, l->err) < 0)
        return -1;
    struct ps_h5_entry *e = &list->at[list->n];
    *e = (struct ps_h5_entry){ps_strdup(name, l->err), info.type == H5O_TYPE_GROUP ? PS_H5_GROUP : PS_H5_DATASET,
                              (uint64_t)info.addr};
    if (!e->name)
        return -1;
    list->n++;
    return 0;
}

int ps_h5_list_read(ps_h5_list *list, ps_h5 at, const char *path, ps_err *err)
{
    listing l = {list, err};
    unsigned order = 0;
    ps_h5 group;

    *list = (ps_h5_list){.n = 0};
    if (ps_h5_group_open(&group, at, path, err) < 0)
        return -1;
    hid_t create = H5Gget_create_plist(group);
    H5Pget_link_creation_order(create, &order);
    err->code = PS_OK;
    int rc = H5Literate(group, order & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME,
                        H5_ITER_INC, NULL, list_one, &l) < 0
                 ? -1
                 : 0;
    if (rc < 0 && err->code == PS_OK)
        ps_h5_fail(err, PS_EINPUT, "cannot list group '%s'", path);
    H5Pclose(create);
    H5Gclose(group);
    if (rc < 0)
        ps_h5_list_release(list);
    return rc;
}

void ps_h5_list_release(ps_h5_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        ps_free(list->at[i].name);
    ps_free(list->at);
    *list = (ps_h5_list){.n = 0};
}

/* ---- datasets ---- */

ps_h5 ps_h5_open_inside(ps_h5 at, const char *path, ps_err *err)
{
    H5L_info_t link;

    ps_child_progress();
    if (H5Lget_info(at, path, &link, H5P_DEFAULT) < 0)
        return ps_h5_fail(err, PS_EINPUT, "cannot find dataset '%s'", path);
    hid_t id = link.type == H5L_TYPE_HARD ? H5Dopen2(at, path, H5P_DEFAULT) : -1;
    if (id < 0)
        return ps_h5_fail(err, PS_EINPUT, "cannot open dataset '%s'", path);
    hid_t create = H5Dget_create_plist(id);
    bool outside = H5Pget_layout(create) > H5D_CHUNKED || H5Pget_external_count(create) != 0;
    H5Pclose(create);
    if (!outside)
        return id;
    H5Dclose(id);
    return ps_err_set(err, PS_EINPUT, "dataset '%s' is stored outside of the file", path);
}

void ps_h5_info_of(ps_h5 dataset, ps_h5_info *info)
{
    hsize_t size[H5S_MAX_RANK];
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    H5T_class_t class = H5Tget_class(type);

    *info = (ps_h5_info){.number = class == H5T_INTEGER || class == H5T_FLOAT,
                         .text = class == H5T_STRING && H5Tis_variable_str(type) > 0,
                         .n_axes = H5Sget_simple_extent_dims(space, size, NULL)};
    for (int i = 0; i < info->n_axes && i < PS_H5_MAX_AXES; i++)
        info->size[i] = size[i] > INT32_MAX ? INT32_MAX : (int64_t)size[i];
    H5Sclose(space);
    H5Tclose(type);
}

int ps_h5_info_read(ps_h5 file, const char *path, ps_h5_info *info, ps_err *err)
{
    ps_h5 id = ps_h5_open_inside(file, path, err);

    *info = (ps_h5_info){0};
    if (id < 0)
        return -1;
    ps_h5_info_of(id, info);
    H5Dclose(id);
    return 0;
}

/* Replace integers that mean "none" by NaN. */
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
    ps_h5 id = ps_h5_open_inside(file, path, err);

    if (id < 0)
        return -1;
    int rc = H5Dread(id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0
                 ? ps_h5_fail(err, PS_EINPUT, "cannot read dataset '%s'", path)
                 : 0;
    if (rc == 0)
        mask_integers(id, values);
    H5Dclose(id);
    return rc;
}

int ps_h5_read_texts(ps_h5 file, const char *path, char **texts, size_t n, ps_err *err)
{
    hid_t type = ps_h5_type_of(PS_H5_TEXT, true), space = -1;
    ps_h5 id = ps_h5_open_inside(file, path, err);
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
    if (H5Dread(id, type, H5S_ALL, H5S_ALL, ps_h5_text_transfer(), raw) < 0) {
        ps_h5_fail(err, PS_EINPUT, "cannot read dataset '%s'", path);
        goto out;
    }
    for (; i < n; i++) /* HDF5 keeps an empty string as NULL, or as "" */
        if (!(texts[i] = ps_h5_clean(raw[i] ? raw[i] : "", raw[i] ? strlen(raw[i]) : 0, err)))
            break;
    for (size_t k = 0; i < n && k < i; k++)
        ps_free(texts[k]);
    rc = i < n ? -1 : 0;
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw);
out:
    ps_free(raw);
    if (space >= 0)
        H5Sclose(space);
    if (id >= 0)
        H5Dclose(id);
    return rc;
}
