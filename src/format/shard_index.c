/* shard_index.c - read model.safetensors.index.json, which says which shard has which tensor, and compare it with
 * the shards. */
#include "shard.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/file.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"

#define MAX_SHARDS 1000

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* List the distinct file names of the map, sorted.  They must be plain names of files in the model's folder. */
static int collect_files(const ps_node *map, const char **files, size_t *n, ps_err *err)
{
    *n = 0;
    for (const ps_node *m = ps_json_first(map); m; m = ps_json_next(m)) {
        const char *file = ps_json_string(m);
        size_t i = *n;
        if (!ps_file_is_name(file))
            return ps_err_set(err, PS_EINPUT, "weight_map: '%.200s' names '%.200s', which is not a plain file name",
                              ps_json_key(m), file);
        while (i > 0 && strcmp(files[i - 1], file)) /* neighbouring tensors are mostly in one file */
            i--;
        if (i > 0)
            continue;
        if (*n == MAX_SHARDS)
            return ps_err_set(err, PS_EINPUT, "weight_map: names more than %d files", MAX_SHARDS);
        files[(*n)++] = file;
    }
    qsort(files, *n, sizeof *files, by_name);
    return 0;
}

/* Check that map and shards agree: each name is where the map says, and no tensor is missing from the map. */
static int check_map(const ps_safetensors *st, const ps_node *map, ps_err *err)
{
    size_t n_mapped = 0;

    bool *mapped = ps_calloc(st->n, sizeof *mapped, err);
    if (!mapped)
        return -1;
    int rc = 0;
    for (const ps_node *m = ps_json_first(map); m && rc == 0; m = ps_json_next(m)) {
        const ps_tensor *tensor = ps_safetensors_find(st, ps_json_key(m));
        const char *path = tensor ? st->shards[tensor->shard].path : "";
        const char *slash = strrchr(path, '/');
        if (!tensor || strcmp(slash ? slash + 1 : path, ps_json_string(m)))
            rc = ps_err_set(err, PS_EINPUT, "weight_map: tensor '%.200s' is not in '%s'", ps_json_key(m),
                            ps_json_string(m));
        else
            mapped[tensor - st->tensors] = true, n_mapped++;
    }
    for (size_t i = 0; i < st->n && rc == 0 && n_mapped < st->n; i++)
        if (!mapped[i])
            rc = ps_err_set(err, PS_EINPUT, "weight_map: tensor '%.200s' of '%s' is missing",
                            st->tensors[i].name, st->shards[st->tensors[i].shard].path);
    ps_free(mapped);
    return rc;
}

/* Put the index's name in front of messages about the index, but not of those about a shard. */
int ps_shard_index_open(ps_safetensors *st, const char *dir, const char *path, ps_err *err)
{
    ps_json *json = NULL;
    const char **files = NULL;
    size_t n = 0;
    int rc = -1;

    if (ps_json_read(&json, path, PS_MAX_HEADER, err) < 0)
        return -1;
    const ps_node *map = ps_json_get(ps_json_root(json), "weight_map");
    if (!ps_json_is(map, PS_JSON_OBJECT) || !ps_json_first(map)) {
        ps_err_set(err, PS_EINPUT, "'%s': has no 'weight_map' with entries", path);
        goto out;
    }
    files = ps_malloc(MAX_SHARDS, sizeof *files, err);
    if (!files)
        goto out;
    if (collect_files(map, files, &n, err) < 0) {
        ps_err_prefix(err, "'%s'", path);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        if (ps_shard_add(st, dir, files[i], err) < 0)
            goto out;
    if (ps_shard_build_slots(st, err) < 0 || check_map(st, map, err) < 0) {
        ps_err_prefix(err, "'%s'", path);
        goto out;
    }
    rc = 0;
out:
    ps_free(files);
    ps_json_free(json);
    return rc;
}
