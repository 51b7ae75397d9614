/*
 * safetensors.c - headers read whole and fully checked; data by pread.
 *
 * A file is eight bytes of header length, the header (a JSON object, tensor name to dtype,
 * shape and byte range), and the data.  At open every rule is checked that could
 * make a later read wrong: the ranges must tile the data from its first byte to the file's
 * last, each as long as its shape says.  So no tensor can lie outside the file or overlap
 * another, and no bytes belong to no tensor.  With an index, the map and the shards must agree.
 * After that a tensor is found through a hash table and read from its shard's open file.
 *
 * No alignment is assumed: the format promises none.
 */
#include "patchsweep/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/crc.h"
#include "patchsweep/file.h"
#include "patchsweep/json.h"
#include "patchsweep/hash.h"
#include "patchsweep/mem.h"

#define MAX_HEADER 100000000u /* the format's own bound: decimal, not MiB */
#define MAX_SHARDS 1000

#define SINGLE "model.safetensors"
#define INDEX SINGLE ".index.json"

struct shard {
    char *path;
    int fd;
    uint64_t bytes;   /* of the file */
    uint64_t data_at; /* where its data begins */
};

struct ps_safetensors {
    struct shard *shards; /* [n_shards] */
    int n_shards;
    size_t shards_cap;
    ps_tensor *tensors; /* [n], by shard, then offset */
    size_t n, tensors_cap;
    int32_t *slots; /* [n_slots], a power of two: index + 1 of a tensor, or 0 */
    size_t n_slots;
    uint64_t bytes;
};

/* Every type of the format: sizes are checked for types too that we cannot compute with. */
static const struct element {
    const char *name;
    int bits, dtype;
} elements[] = {
    {"F32", 32, PS_DTYPE_F32}, {"F16", 16, PS_DTYPE_F16}, {"BF16", 16, PS_DTYPE_BF16},
    {"F64", 64, -1},           {"C64", 64, -1},           {"BOOL", 8, -1},
    {"U8", 8, -1},             {"I8", 8, -1},             {"U16", 16, -1},
    {"I16", 16, -1},           {"U32", 32, -1},           {"I32", 32, -1},
    {"U64", 64, -1},           {"I64", 64, -1},           {"F8_E5M2", 8, -1},
    {"F8_E4M3", 8, -1},        {"F8_E8M0", 8, -1},        {"F8_E4M3FNUZ", 8, -1},
    {"F8_E5M2FNUZ", 8, -1},    {"F6_E2M3", 6, -1},        {"F6_E3M2", 6, -1},
    {"F4", 4, -1},
};

/* ---- one entry of a header ---- */

static const struct element *find_element(const char *name)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (!strcmp(elements[i].name, name))
            return &elements[i];
    return NULL;
}

/* A size: an integer, not negative (-0 neither), and exact as a double. */
static bool size_value(const ps_node *node, int64_t *value)
{
    return ps_json_int(node, value) && !signbit(ps_json_double(node));
}

static int parse_shape(ps_tensor *tensor, const ps_node *shape, ps_err *err)
{
    if (!ps_json_is(shape, PS_JSON_ARRAY))
        return ps_err_set(err, PS_EINPUT, "has no 'shape' that is an array");
    for (const ps_node *d = ps_json_first(shape); d; d = ps_json_next(d)) {
        if (tensor->n_dims == PS_MAX_DIMS)
            return ps_err_set(err, PS_EINPUT, "'shape' has more than %d dimensions", PS_MAX_DIMS);
        if (!size_value(d, &tensor->dims[tensor->n_dims++]))
            return ps_err_set(err, PS_EINPUT, "shape[%d] is not an integer from 0 to 2^53",
                              tensor->n_dims - 1);
    }
    return 0;
}

/* *begin and *end, counted from the first byte of the data. */
static int parse_offsets(const ps_node *offsets, uint64_t *begin, uint64_t *end, ps_err *err)
{
    int64_t value[2];
    size_t n = 0;

    if (!ps_json_is(offsets, PS_JSON_ARRAY) || ps_json_count(offsets) != 2)
        return ps_err_set(err, PS_EINPUT, "has no 'data_offsets' that is an array of two");
    for (const ps_node *o = ps_json_first(offsets); o; o = ps_json_next(o), n++)
        if (!size_value(o, &value[n]))
            return ps_err_set(err, PS_EINPUT, "data_offsets[%zu] is not an integer from 0 to 2^53", n);
    if (value[1] < value[0])
        return ps_err_set(err, PS_EINPUT, "data_offsets end at %" PRId64 ", before they begin at %" PRId64,
                          value[1], value[0]);
    *begin = (uint64_t)value[0];
    *end = (uint64_t)value[1];
    return 0;
}

/* Bytes that the shape needs, multiplied from left to right as the reference does: [2^52, 2^52, 0] is
 * refused, [0, 2^52, 2^52] is empty. */
static int shape_bytes(const ps_tensor *tensor, const struct element *element, uint64_t *bytes, ps_err *err)
{
    uint64_t n = 1;

    for (int i = 0; i < tensor->n_dims; i++)
        if (__builtin_mul_overflow(n, (uint64_t)tensor->dims[i], &n))
            return ps_err_set(err, PS_EINPUT, "'shape' has more than 2^64 elements");
    if (__builtin_mul_overflow(n, (uint64_t)element->bits, &n))
        return ps_err_set(err, PS_EINPUT, "'shape' has more than 2^64 bits");
    if (n % 8)
        return ps_err_set(err, PS_EINPUT, "%" PRIu64 " bits of %s are no whole number of bytes", n,
                          element->name);
    *bytes = n / 8;
    return 0;
}

static int parse_tensor(ps_tensor *tensor, const ps_node *entry, ps_err *err)
{
    uint64_t begin = 0, end = 0;
    const ps_node *dtype = ps_json_get(entry, "dtype");

    if (!ps_json_is(entry, PS_JSON_OBJECT))
        return ps_err_set(err, PS_EINPUT, "is %s, not an object", ps_json_type_name(ps_json_type(entry)));
    if (!ps_json_is(dtype, PS_JSON_STRING))
        return ps_err_set(err, PS_EINPUT, "has no 'dtype' that is a string");
    const struct element *element = find_element(ps_json_string(dtype));
    if (!element)
        return ps_err_set(err, PS_EINPUT, "has the unknown dtype '%.40s'", ps_json_string(dtype));
    tensor->type_name = element->name;
    tensor->dtype = element->dtype;
    if (parse_shape(tensor, ps_json_get(entry, "shape"), err) < 0 ||
        shape_bytes(tensor, element, &tensor->bytes, err) < 0 ||
        parse_offsets(ps_json_get(entry, "data_offsets"), &begin, &end, err) < 0)
        return -1;
    if (end - begin != tensor->bytes)
        return ps_err_set(err, PS_EINPUT, "its shape takes %" PRIu64 " bytes, its data_offsets %" PRIu64,
                          tensor->bytes, end - begin);
    tensor->offset = begin;
    return 0;
}

/* ---- one file ---- */

static int check_metadata(const ps_node *metadata, ps_err *err)
{
    if (ps_json_is(metadata, PS_JSON_NULL))
        return 0;
    if (!ps_json_is(metadata, PS_JSON_OBJECT))
        return ps_err_set(err, PS_EINPUT, "'__metadata__' is %s, not an object",
                          ps_json_type_name(ps_json_type(metadata)));
    for (const ps_node *m = ps_json_first(metadata); m; m = ps_json_next(m))
        if (!ps_json_is(m, PS_JSON_STRING))
            return ps_err_set(err, PS_EINPUT, "'__metadata__': '%.200s' is %s, not a string",
                              ps_json_key(m), ps_json_type_name(ps_json_type(m)));
    return 0;
}

static int add_tensor(ps_safetensors *st, int at, const ps_node *entry, ps_err *err)
{
    ps_tensor tensor = {.shard = at};

    if (st->n == INT32_MAX - 1)
        return ps_err_set(err, PS_EINPUT, "more tensors than can be counted");
    if (parse_tensor(&tensor, entry, err) < 0)
        return ps_err_prefix(err, "tensor '%.200s'", ps_json_key(entry));
    if (ps_grow(&st->tensors, st->n, &st->tensors_cap, sizeof *st->tensors, err) < 0)
        return -1;
    tensor.name = ps_strdup(ps_json_key(entry), err);
    if (!tensor.name)
        return -1;
    st->tensors[st->n++] = tensor;
    return 0;
}

/* An empty tensor may begin where another tensor begins, and is sorted before it. */
static int by_offset(const void *a, const void *b)
{
    const ps_tensor *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The sorted ranges of a shard must tile its data: each begins where the one before it ended. */
static int check_tiling(const ps_safetensors *st, size_t first, uint64_t data_bytes, ps_err *err)
{
    uint64_t end = 0;

    for (size_t i = first; i < st->n; i++) {
        const ps_tensor *tensor = &st->tensors[i];
        if (tensor->offset != end)
            return ps_err_set(err, PS_EINPUT, "tensor '%.200s': begins at byte %" PRIu64 " of the data, %s %" PRIu64,
                              tensor->name, tensor->offset,
                              tensor->offset < end ? "inside another that ends at" : "after a gap from", end);
        end += tensor->bytes; /* consecutive ranges below 2^53 each: no overflow */
    }
    if (end > data_bytes)
        return ps_err_set(err, PS_EINPUT, "%" PRIu64 " bytes are missing at its end: the download was cut short; "
                          "fetch it again", end - data_bytes);
    if (end < data_bytes)
        return ps_err_set(err, PS_EINPUT, "%" PRIu64 " bytes after the last tensor; fetch it again",
                          data_bytes - end);
    return 0;
}

static int open_file(struct shard *shard, ps_err *err)
{
    struct stat info;

    shard->fd = open(shard->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (shard->fd < 0 && errno == ENOENT && !lstat(shard->path, &info))
        return ps_err_set(err, PS_EINPUT, "a link to a file that is not there: the download is incomplete; "
                          "fetch it again");
    if (shard->fd < 0)
        return ps_err_set(err, PS_EINPUT, "cannot open: %s", strerror(errno));
    if (fstat(shard->fd, &info) < 0 || !S_ISREG(info.st_mode))
        return ps_err_set(err, PS_EINPUT, "not a regular file");
    shard->bytes = (uint64_t)info.st_size;
    return 0;
}

/* Read the header's length, and check it before memory of that size is allocated. */
static int read_length(struct shard *shard, uint64_t *n, ps_err *err)
{
    unsigned char head[8];

    if (shard->bytes < sizeof head)
        return ps_err_set(err, PS_EINPUT, "%" PRIu64 " bytes are too few for a safetensors file; fetch it again",
                          shard->bytes);
    if (ps_file_pread(shard->fd, head, sizeof head, 0, shard->path, err) < 0)
        return -1;
    if (!memcmp(head, "version ", 8))
        return ps_err_set(err, PS_EINPUT, "a Git LFS pointer, not the file it points to; run 'git lfs pull'");
    *n = 0;
    for (int i = 7; i >= 0; i--)
        *n = *n << 8 | head[i];
    if (*n > MAX_HEADER)
        return ps_err_set(err, PS_EINPUT, "its header is said to have %" PRIu64 " bytes, more than the %u allowed; "
                          "is it a safetensors file?", *n, MAX_HEADER);
    if (*n > shard->bytes - sizeof head)
        return ps_err_set(err, PS_EINPUT, "its header of %" PRIu64 " bytes does not fit a file of %" PRIu64
                          ": the download was cut short; fetch it again", *n, shard->bytes);
    shard->data_at = sizeof head + *n;
    return 0;
}

static int parse_header(ps_safetensors *st, int at, const char *text, size_t n, ps_err *err)
{
    ps_json *json = NULL;
    int rc = -1;

    if (ps_json_parse(&json, text, n, err) < 0) {
        ps_err_prefix(err, "header");
        goto out;
    }
    const ps_node *root = ps_json_root(json);
    if (!ps_json_is(root, PS_JSON_OBJECT)) {
        ps_err_set(err, PS_EINPUT, "header: is %s, not an object", ps_json_type_name(ps_json_type(root)));
        goto out;
    }
    for (const ps_node *entry = ps_json_first(root); entry; entry = ps_json_next(entry)) {
        bool metadata = !strcmp(ps_json_key(entry), "__metadata__");
        if ((metadata ? check_metadata(entry, err) : add_tensor(st, at, entry, err)) < 0)
            goto out;
    }
    rc = 0;
out:
    ps_json_free(json);
    return rc;
}

static int load_shard(ps_safetensors *st, int at, ps_err *err)
{
    struct shard *shard = &st->shards[at];
    uint64_t header_bytes = 0;
    size_t first = st->n;

    if (open_file(shard, err) < 0 || read_length(shard, &header_bytes, err) < 0)
        return -1;
    char *text = ps_malloc((size_t)header_bytes, 1, err);
    if (!text)
        return -1;
    int rc = ps_file_pread(shard->fd, text, (size_t)header_bytes, 8, shard->path, err);
    if (rc == 0)
        rc = parse_header(st, at, text, (size_t)header_bytes, err);
    ps_free(text);
    if (rc < 0)
        return -1;
    if (st->n > first)
        qsort(st->tensors + first, st->n - first, sizeof *st->tensors, by_offset);
    if (check_tiling(st, first, shard->bytes - shard->data_at, err) < 0)
        return -1;
    for (size_t i = first; i < st->n; i++)
        st->tensors[i].offset += shard->data_at;
    st->bytes += shard->bytes - shard->data_at;
    return 0;
}

/* Append the file <dir>/<name> and all its tensors. */
static int add_shard(ps_safetensors *st, const char *dir, const char *name, ps_err *err)
{
    if (ps_grow(&st->shards, (size_t)st->n_shards, &st->shards_cap, sizeof *st->shards, err) < 0)
        return -1;
    st->shards[st->n_shards] = (struct shard){.path = ps_path_join(dir, name, err), .fd = -1};
    if (!st->shards[st->n_shards++].path)
        return -1;
    if (load_shard(st, st->n_shards - 1, err) < 0)
        return ps_err_prefix(err, "'%s'", st->shards[st->n_shards - 1].path);
    return 0;
}

/* ---- names ---- */

/* The slot of `name`, or the empty slot where it would go: the first free one from its hash on. */
static size_t find_slot(const ps_safetensors *st, const char *name)
{
    size_t i = (size_t)ps_hash(name, strlen(name)) & (st->n_slots - 1);

    while (st->slots[i] && strcmp(st->tensors[st->slots[i] - 1].name, name))
        i = (i + 1) & (st->n_slots - 1);
    return i;
}

static int build_slots(ps_safetensors *st, ps_err *err)
{
    for (st->n_slots = 16; st->n_slots < 2 * st->n;)
        st->n_slots *= 2;
    st->slots = ps_calloc(st->n_slots, sizeof *st->slots, err);
    if (!st->slots)
        return -1;
    for (size_t i = 0; i < st->n; i++) {
        size_t at = find_slot(st, st->tensors[i].name);
        if (st->slots[at]) /* within one file the header's check for duplicate keys came first */
            return ps_err_set(err, PS_EINPUT, "tensor '%.200s' is both in '%s' and in '%s'",
                              st->tensors[i].name, st->shards[st->tensors[st->slots[at] - 1].shard].path,
                              st->shards[st->tensors[i].shard].path);
        st->slots[at] = (int32_t)i + 1;
    }
    return 0;
}

/* ---- the index ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct file names of the map, sorted; they are names in the model's folder and nowhere else. */
static int collect_files(const ps_node *map, const char **files, size_t *n, ps_err *err)
{
    *n = 0;
    for (const ps_node *m = ps_json_first(map); m; m = ps_json_next(m)) {
        const char *file = ps_json_string(m);
        size_t i = *n;
        if (!ps_file_is_name(file))
            return ps_err_set(err, PS_EINPUT, "weight_map: '%.200s' names '%.200s', which is not a plain file name",
                              ps_json_key(m), file);
        while (i > 0 && strcmp(files[i - 1], file)) /* neighbours mostly share a file */
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

/* Map and shards must agree: each name where the map has it, and no tensor beside the map. */
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
static int open_index(ps_safetensors *st, const char *dir, const char *path, ps_err *err)
{
    ps_json *json = NULL;
    const char **files = NULL;
    size_t n = 0;
    int rc = -1;

    if (ps_json_read(&json, path, MAX_HEADER, err) < 0)
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
        if (add_shard(st, dir, files[i], err) < 0)
            goto out;
    if (build_slots(st, err) < 0 || check_map(st, map, err) < 0) {
        ps_err_prefix(err, "'%s'", path);
        goto out;
    }
    rc = 0;
out:
    ps_free(files);
    ps_json_free(json);
    return rc;
}

/* ---- a directory ---- */

/* 1 if <dir>/<name> exists, even as a broken link, 0 if not, -1 if memory ran out. */
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
        return add_shard(st, dir, SINGLE, err) < 0 ? -1 : build_slots(st, err);
    if (!index)
        return no_weights(dir, err);
    char *path = ps_path_join(dir, INDEX, err);
    int rc = path ? open_index(st, dir, path, err) : -1;
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
        ps_free((void *)(uintptr_t)st->tensors[i].name); /* const for borrowers only */
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
    const struct shard *shard = &st->shards[tensor->shard];

    if (ps_file_pread(shard->fd, buf, bytes, tensor->offset + first, shard->path, err) < 0)
        return ps_err_prefix(err, "tensor '%.200s'", tensor->name);
    return 0;
}

int ps_safetensors_read(const ps_safetensors *st, const ps_tensor *tensor, void *buf, ps_err *err)
{
    return ps_safetensors_read_part(st, tensor, 0, (size_t)tensor->bytes, buf, err);
}

/* The checksum of `bytes` bytes at `at`, going on from crc. */
static int crc_range(const struct shard *shard, uint64_t at, uint64_t bytes, uint32_t *crc, ps_err *err)
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

/* Of a tensor, all bytes where it is small, else blocks of them: the first, the last and some in between. */
static int crc_sample(const struct shard *shard, const ps_tensor *t, uint32_t *crc, ps_err *err)
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
    const struct shard *shard = &st->shards[i];
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
