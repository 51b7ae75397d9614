/*
 * safetensors.c - the tensors of a model directory: found through a hash table, read by pread.
 *
 * shard.c reads and checks the header of each file, shard_index.c the index of several.  After that a tensor is read from
 * its shard's open file.  No alignment is assumed: the format promises none.
 */
#include "patchsweep/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/crc.h"
#include "patchsweep/file.h"
#include "patchsweep/hash.h"
#include "patchsweep/mem.h"
#include "shard.h"

#define SINGLE "model.safetensors"
#define INDEX SINGLE ".index.json"

/* ---- names ---- */

/* Find the slot of `name`, or the first empty slot from its hash on. */
static size_t find_slot(const ps_safetensors *st, const char *name)
{
    size_t i = (size_t)ps_hash(name, strlen(name)) & (st->n_slots - 1);

    while (st->slots[i] && strcmp(st->tensors[st->slots[i] - 1].name, name))
        i = (i + 1) & (st->n_slots - 1);
    return i;
}

int ps_shard_build_slots(ps_safetensors *st, ps_err *err)
{
    for (st->n_slots = 16; st->n_slots < 2 * st->n;)
        st->n_slots *= 2;
    st->slots = ps_calloc(st->n_slots, sizeof *st->slots, err);
    if (!st->slots)
        return -1;
    for (size_t i = 0; i < st->n; i++) {
        size_t at = find_slot(st, st->tensors[i].name);
        if (st->slots[at]) /* duplicate keys within one file were refused when its header was read */
            return ps_err_set(err, PS_EINPUT, "tensor '%.200s' is both in '%s' and in '%s'",
                              st->tensors[i].name, st->shards[st->tensors[st->slots[at] - 1].shard].path,
                              st->shards[st->tensors[i].shard].path);
        st->slots[at] = (int32_t)i + 1;
    }
    return 0;
}

/* ---- a directory ---- */

/* Return 1 if <dir>/<name> exists, even as a broken link, 0 if not, -1 if memory ran out. */
static int there(const char *dir, const char *name, ps_err *err)
{
    struct stat info;

    char *path = ps_path_join(dir, name, err);
    int found = !path ? -1 : lstat(path, &info) == 0;
    ps_free(path);
    return found;
}

static int no_weights(const char *dir, ps_err *err)
{
    static const char *const pickled[] = {"pytorch_model.bin", "pytorch_model.bin.index.json",
                                          "pytorch_model-00001-of-00002.bin", "consolidated.00.pth"};

    for (size_t i = 0; i < sizeof pickled / sizeof *pickled; i++) {
        int found = there(dir, pickled[i], err);
        if (found < 0)
            return -1;
        if (found)
            return ps_err_set(err, PS_EINPUT, "'%s' has its weights as '%s', which only Python can read; convert "
                              "them to " SINGLE ": load the model with transformers and save_pretrained() it "
                              "to a new folder", dir, pickled[i]);
    }
    return ps_err_set(err, PS_EINPUT, "'%s' has neither " SINGLE " nor " INDEX "; is the download complete?", dir);
}

static int open_dir(ps_safetensors *st, const char *dir, ps_err *err)
{
    int single = there(dir, SINGLE, err), index = single == 0 ? there(dir, INDEX, err) : 0;

    if (single < 0 || index < 0)
        return -1;
    if (single)
        return ps_shard_add(st, dir, SINGLE, err) < 0 ? -1 : ps_shard_build_slots(st, err);
    if (!index)
        return no_weights(dir, err);
    char *path = ps_path_join(dir, INDEX, err);
    int rc = path ? ps_shard_index_open(st, dir, path, err) : -1;
    ps_free(path);
    return rc;
}

int ps_safetensors_open(ps_safetensors **out, const char *dir, ps_err *err)
{
    ps_safetensors *st = ps_calloc(1, sizeof *st, err);

    if (!st)
        return -1;
    if (open_dir(st, dir, err) < 0) {
        ps_safetensors_close(st);
        return -1;
    }
    *out = st;
    return 0;
}

void ps_safetensors_close(ps_safetensors *st)
{
    if (!st)
        return;
    for (int i = 0; i < st->n_shards; i++) {
        if (st->shards[i].fd >= 0)
            close(st->shards[i].fd);
        ps_free(st->shards[i].path);
    }
    for (size_t i = 0; i < st->n; i++)
        ps_free((void *)(uintptr_t)st->tensors[i].name); /* const only for those who borrow it */
    ps_free(st->shards);
    ps_free(st->tensors);
    ps_free(st->slots);
    ps_free(st);
}

int ps_safetensors_n_shards(const ps_safetensors *st)
{
    return st->n_shards;
}

const char *ps_safetensors_shard_path(const ps_safetensors *st, int shard)
{
    return st->shards[shard].path;
}

uint64_t ps_safetensors_bytes(const ps_safetensors *st)
{
    return st->bytes;
}

int ps_safetensors_n(const ps_safetensors *st)
{
    return (int)st->n;
}

const ps_tensor *ps_safetensors_at(const ps_safetensors *st, int i)
{
    return &st->tensors[i];
}

const ps_tensor *ps_safetensors_find(const ps_safetensors *st, const char *name)
{
    int32_t slot = st->slots[find_slot(st, name)];

    return slot ? &st->tensors[slot - 1] : NULL;
}

int ps_safetensors_read_part(const ps_safetensors *st, const ps_tensor *tensor, uint64_t first,
                             size_t bytes, void *buf, ps_err *err)
{
    const ps_shard *shard = &st->shards[tensor->shard];

    if (ps_file_pread(shard->fd, buf, bytes, tensor->offset + first, shard->path, err) < 0)
        return ps_err_prefix(err, "tensor '%.200s'", tensor->name);
    return 0;
}

int ps_safetensors_read(const ps_safetensors *st, const ps_tensor *tensor, void *buf, ps_err *err)
{
    return ps_safetensors_read_part(st, tensor, 0, (size_t)tensor->bytes, buf, err);
}

/* Add the `bytes` bytes at `at` to the checksum *crc. */
static int crc_range(const ps_shard *shard, uint64_t at, uint64_t bytes, uint32_t *crc, ps_err *err)
{
    char block[1 << 16];

    while (bytes > 0) {
        size_t n = bytes < sizeof block ? (size_t)bytes : sizeof block;
        if (ps_file_pread(shard->fd, block, n, at, shard->path, err) < 0)
            return -1;
        *crc = ps_crc32c(*crc, block, n);
        at += n;
        bytes -= n;
    }
    return 0;
}

/* Add a tensor to the checksum *crc: all bytes of a small one, else blocks: the first, the last and some in between. */
static int crc_sample(const ps_shard *shard, const ps_tensor *t, uint32_t *crc, ps_err *err)
{
    const uint64_t samples = 4, sample = (uint64_t)1 << 12;

    if (t->bytes <= samples * sample)
        return crc_range(shard, t->offset, t->bytes, crc, err);
    for (uint64_t k = 0; k < samples; k++)
        if (crc_range(shard, t->offset + (t->bytes - sample) * k / (samples - 1), sample, crc, err) < 0)
            return -1;
    return 0;
}

int ps_safetensors_fingerprint(const ps_safetensors *st, int i, char print[64], ps_err *err)
{
    const uint64_t read_whole = (uint64_t)64 << 20;
    const ps_shard *shard = &st->shards[i];
    uint64_t data = shard->bytes - shard->data_at;
    uint32_t header = 0, content = 0;
    int rc = crc_range(shard, 0, shard->data_at, &header, err);

    if (rc == 0 && data <= read_whole)
        rc = crc_range(shard, shard->data_at, data, &content, err);
    else
        for (const ps_tensor *t = st->tensors; rc == 0 && t < st->tensors + st->n; t++)
            if (t->shard == i)
                rc = crc_sample(shard, t, &content, err);
    if (rc < 0)
        return -1;
    snprintf(print, 64, "%" PRIu64 " bytes, %08x, %08x", shard->bytes, (unsigned)header, (unsigned)content);
    return 0;
}
