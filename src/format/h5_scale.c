/*
 * h5_scale.c - write dimension scales as H5DS does, each once.
 *
 * The library's own H5DSattach_scale() rewrites a scale's list of users for every dataset that is attached.  Here, a
 * scale gathers its users and writes the list when its group is finished.  The attributes and their types are the
 * same.
 */
#include "h5_library.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/crc.h"
#include "patchsweep/mem.h"

/* Write a text of fixed length, as HDF5's dimension scales have it. */
static int put_fixed(ps_h5_object *object, const char *name, const char *text, ps_err *err)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    uint32_t sum = ps_crc32c(ps_h5_attr_begin(name, "text", 0), text, strlen(text) + 1);
    int rc = H5Tset_size(type, strlen(text) + 1) < 0
                 ? ps_h5_fail(err, PS_EFAIL, "cannot make a type")
                 : ps_h5_attr_create(object, name, type, type, text, 0, sum, err);

    H5Tclose(type);
    return rc;
}

int ps_h5_address_of(ps_h5 id, uint64_t *address, ps_err *err)
{
    ps_h5_object_info info;

    if (H5Oget_info2(id, &info, H5O_INFO_BASIC) < 0)
        return ps_h5_fail(err, PS_EFAIL, "cannot tell a dataset's address");
    *address = (uint64_t)info.addr;
    return 0;
}

int ps_h5_scale_create(ps_h5_scale *scale, ps_h5 at, const char *name, int64_t n, const int32_t *values, ps_err *err)
{
    const ps_h5_layout layout = {.type = values ? PS_H5_I32 : PS_H5_F32, .n_axes = 1, .size = {n}};
    static const char bare[] = "This is a netCDF dimension but not a netCDF variable. %10lld";
    char title[80];

    *scale = (ps_h5_scale){.name = name};
    snprintf(title, sizeof title, bare, (long long)n); /* netCDF-4's own words */
    if (ps_h5_dataset_create(&scale->object, at, name, &layout, NULL, err) < 0 ||
        ps_h5_address_of(scale->object.id, &scale->address, err) < 0 ||
        put_fixed(&scale->object, "CLASS", "DIMENSION_SCALE", err) < 0 ||
        put_fixed(&scale->object, "NAME", values ? name : title, err) < 0)
        return -1;
    if (values)
        return ps_h5_write(&scale->object, &layout, values, err);
    ps_h5_sum_fill(&scale->object, &layout, n);
    return 0;
}

int ps_h5_scale_use(ps_h5_scale *scale, uint64_t address, const char *name, int axis, ps_err *err)
{
    if (ps_grow(&scale->users, scale->n_users, &scale->cap, sizeof *scale->users, err) < 0)
        return -1;
    scale->users[scale->n_users++] = (struct ps_h5_user){.dataset = name, .address = address, .axis = axis};
    return 0;
}

hid_t ps_h5_references_type(void)
{
    static hid_t type;

    if (type <= 0)
        type = H5Tvlen_create(H5T_STD_REF_OBJ);
    return type;
}

hid_t ps_h5_reference_type(bool in_memory)
{
    static hid_t made[2];

    if (made[in_memory] <= 0) {
        made[in_memory] = H5Tcreate(H5T_COMPOUND, sizeof(ps_h5_reference));
        H5Tinsert(made[in_memory], "dataset", offsetof(ps_h5_reference, address), H5T_STD_REF_OBJ);
        H5Tinsert(made[in_memory], "dimension", offsetof(ps_h5_reference, axis),
                  in_memory ? H5T_NATIVE_INT32 : H5T_STD_I32LE);
    }
    return made[in_memory];
}

int ps_h5_scale_attach(ps_h5_object *dataset, ps_h5_scale *const *axes, int n_axes, ps_err *err)
{
    hobj_ref_t to[PS_H5_MAX_AXES];
    hvl_t rows[PS_H5_MAX_AXES];
    uint32_t sum = ps_h5_attr_begin("DIMENSION_LIST", "links", (size_t)n_axes);

    for (int i = 0; i < n_axes; i++) {
        to[i] = axes[i]->address;
        rows[i] = (hvl_t){.len = 1, .p = &to[i]};
        sum = ps_crc32c(sum, axes[i]->name, strlen(axes[i]->name) + 1);
    }
    hid_t type = ps_h5_references_type();
    return ps_h5_attr_create(dataset, "DIMENSION_LIST", type, type, rows, (size_t)n_axes, sum, err);
}

static int put_users(ps_h5_scale *scale, ps_err *err)
{
    ps_h5_reference *list = ps_calloc(scale->n_users, sizeof *list, err);
    uint32_t sum = ps_h5_attr_begin("REFERENCE_LIST", "links", scale->n_users);

    if (!list)
        return -1;
    for (size_t i = 0; i < scale->n_users; i++) {
        const struct ps_h5_user *user = &scale->users[i];
        list[i] = (ps_h5_reference){user->address, user->axis};
        sum = ps_crc32c(sum, user->dataset, strlen(user->dataset) + 1);
        sum = ps_crc32c(sum, &list[i].axis, sizeof list[i].axis);
    }
    int rc = ps_h5_attr_create(&scale->object, "REFERENCE_LIST", ps_h5_reference_type(false), ps_h5_reference_type(true),
                               list, scale->n_users, sum, err);
    ps_free(list);
    return rc;
}

int ps_h5_scale_finish(ps_h5_scale *scale, int rc, ps_err *err)
{
    if (rc == 0 && scale->n_users)
        rc = put_users(scale, err);
    ps_free(scale->users);
    scale->users = NULL;
    scale->n_users = scale->cap = 0;
    return ps_h5_finish(&scale->object, rc, err);
}
