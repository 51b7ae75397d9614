/* digest.c - walk over a group and compare object by object. */
#include "digest.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/text.h"

/* Compare an object of the open group `at`.  `path` is for messages. */
static int check_object(ps_h5 at, const char *name, enum ps_h5_kind kind, const ps_h5_list *siblings, const char *path,
                        ps_digests *digests, ps_err *err)
{
    const char *what = kind == PS_H5_DATASET ? "dataset" : "group";
    char values[12], attributes[12];
    ps_h5_sums sums;

    if (ps_h5_sums_read(&sums, at, name, kind, siblings, err) < 0)
        return ps_err_prefix(err, err->code == PS_EINPUT ? "%s '%s' is damaged" : "%s '%s'", what, path);
    snprintf(values, sizeof values, "%08x", (unsigned)sums.values);
    snprintf(attributes, sizeof attributes, "%08x", (unsigned)sums.attributes);
    if (kind == PS_H5_DATASET && !*sums.kept_values)
        return ps_err_set(err, PS_EINPUT, "dataset '%s' has no checksum; the file is of an older patchsweep, or damaged", path);
    if (kind == PS_H5_DATASET && strcmp(values, sums.kept_values))
        return ps_err_set(err, PS_EINPUT, "dataset '%s' is damaged: its checksum is %s, and was %s when it was written",
                          path, values, sums.kept_values);
    if (digests->attributes && !*sums.kept_attributes)
        return ps_err_set(err, PS_EINPUT, "%s '%s' is damaged: the checksum of its attributes is missing", what, path);
    if (digests->attributes && strcmp(attributes, sums.kept_attributes))
        return ps_err_set(err, PS_EINPUT, "attributes of %s '%s' are damaged, or were changed: their checksum is %s, and was "
                          "%s when they were written", what, path, attributes, sums.kept_attributes);
    digests->datasets += kind == PS_H5_DATASET;
    return 0;
}

static int check_group(ps_h5 at, const char *name, const char *path, ps_digests *digests, ps_err *err)
{
    ps_h5 group = PS_H5_NONE;
    ps_h5_list list;

    if (ps_h5_group_open(&group, at, name, err) < 0 || ps_h5_list_read(&list, group, ".", err) < 0) {
        ps_h5_close(group);
        return ps_err_prefix(err, err->code == PS_EINPUT ? "group '%s' is damaged" : "group '%s'", path);
    }
    int rc = check_object(group, ".", PS_H5_GROUP, &list, path, digests, err);
    for (size_t i = 0; rc == 0 && i < list.n; i++) {
        const struct ps_h5_entry *e = &list.at[i];
        ps_text below = {0};
        ps_text_printf(&below, "%s/%s", strcmp(path, "/") ? path : "", e->name);
        rc = ps_text_ok(&below, err);
        if (rc == 0 && e->kind == PS_H5_DATASET)
            rc = check_object(group, e->name, e->kind, &list, ps_text_str(&below), digests, err);
        else if (rc == 0)
            rc = check_group(group, e->name, ps_text_str(&below), digests, err);
        ps_text_release(&below);
    }
    ps_h5_list_release(&list);
    ps_h5_close(group);
    return rc;
}

int ps_digests_check(ps_h5 file, const char *path, ps_digests *digests, ps_err *err)
{
    return check_group(file, path, path, digests, err);
}
