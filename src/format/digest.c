/* digest.c - a walk over the groups of a file, dataset by dataset. */
#include "digest.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define NAME "crc32c"

typedef int visitor(ps_h5 file, const char *path, size_t *n, ps_err *err);

static int walk(ps_h5 file, const char *group, visitor *visit, size_t *n, ps_err *err);

/* `visit` the datasets in a group, or walk the groups in it. */
static int each_child(ps_h5 file, const char *group, enum ps_h5_kind kind, visitor *visit, size_t *n, ps_err *err)
{
    char **names = NULL;
    size_t n_names = 0;
    int rc = ps_h5_children(file, group, kind, &names, &n_names, err);

    for (size_t i = 0; i < n_names; i++) {
        ps_text path = {0};
        ps_text_printf(&path, "%s/%s", strcmp(group, "/") ? group : "", names[i]);
        if (rc == 0)
            rc = ps_text_ok(&path, err);
        if (rc == 0)
            rc = kind == PS_H5_DATASET ? visit(file, ps_text_str(&path), n, err)
                                       : walk(file, ps_text_str(&path), visit, n, err);
        ps_text_release(&path);
        ps_free(names[i]);
    }
    ps_free(names);
    return rc;
}

static int walk(ps_h5 file, const char *group, visitor *visit, size_t *n, ps_err *err)
{
    return each_child(file, group, PS_H5_DATASET, visit, n, err) < 0
               ? -1
               : each_child(file, group, PS_H5_GROUP, visit, n, err);
}

static int leave(ps_h5 file, const char *path, size_t *n, ps_err *err)
{
    ps_h5 id;
    char text[16];
    uint32_t crc;

    if (ps_h5_crc(file, path, &crc, err) < 0 || ps_h5_dataset_open(&id, file, path, err) < 0)
        return -1;
    snprintf(text, sizeof text, "%08x", (unsigned)crc);
    int rc = ps_h5_attr_text(id, NAME, text, strlen(text), err);
    ps_h5_close(id);
    ++*n;
    return rc;
}

static int compare(ps_h5 file, const char *path, size_t *n, ps_err *err)
{
    char seen[16], *kept = ps_h5_attr_read(file, path, NAME);
    uint32_t crc;
    int rc = ps_h5_crc(file, path, &crc, err);

    if (rc < 0)
        ps_err_prefix(err, "dataset '%s' is damaged", path);
    else if (!kept)
        rc = ps_err_set(err, PS_EINPUT, "dataset '%s' has no checksum; the file is of an older patchsweep, or damaged", path);
    else {
        snprintf(seen, sizeof seen, "%08x", (unsigned)crc);
        if (strcmp(seen, kept))
            rc = ps_err_set(err, PS_EINPUT, "dataset '%s' is damaged: its checksum is %s, and was %s when it was written",
                            path, seen, kept);
    }
    ps_free(kept);
    *n += rc == 0;
    return rc;
}

int ps_digests_write(ps_h5 file, ps_err *err)
{
    size_t n = 0;

    return walk(file, "/", leave, &n, err);
}

int ps_digests_check(ps_h5 file, size_t *n, ps_err *err)
{
    *n = 0;
    return walk(file, "/", compare, n, err);
}
