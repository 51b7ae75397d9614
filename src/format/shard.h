/*
 * shard.h - the files behind ps_safetensors: shards, and the index that lists them.
 *
 * Package-private.  Tensors of all shards stand in one array, by shard, then offset.
 */
#ifndef PATCHSWEEP_FORMAT_SHARD_H
#define PATCHSWEEP_FORMAT_SHARD_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/safetensors.h"

#define PS_MAX_HEADER 100000000u /* of a file or an index, in bytes; the format's own bound: decimal, not MiB */

typedef struct ps_shard {
    char *path;
    int fd;
    uint64_t bytes;   /* of the file */
    uint64_t data_at; /* where its data begins */
} ps_shard;

struct ps_safetensors {
    ps_shard *shards; /* [n_shards] */
    int n_shards;
    size_t shards_cap;
    ps_tensor *tensors; /* [n], by shard, then offset */
    size_t n, tensors_cap;
    int32_t *slots; /* [n_slots], a power of two: index + 1 of a tensor, or 0 */
    size_t n_slots;
    uint64_t bytes; /* of all data */
};

/* Open the file <dir>/<name>, check its header, and append the file and all its tensors.  PS_EINPUT, with the file's
 * path in front, where the file breaks a rule of the format.  The caller closes `st` after a failure too. */
int ps_shard_add(ps_safetensors *st, const char *dir, const char *name, ps_err *err);

/* Build the hash table of names, once all shards are there.  PS_EINPUT where two shards have a tensor of one name. */
int ps_shard_build_slots(ps_safetensors *st, ps_err *err);

/* Read the index at `path`, add all shards that it names, build the hash table, and check that the index and the shards
 * agree.  PS_EINPUT where they do not. */
int ps_shard_index_open(ps_safetensors *st, const char *dir, const char *path, ps_err *err);

#endif
