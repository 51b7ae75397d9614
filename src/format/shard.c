/*
 * shard.c - one file of weights: its header is read whole and fully checked.
 *
 * A file is eight bytes of header length, the header (a JSON object that gives each tensor's name, dtype, shape and
 * byte range), and the data.  Opening it checks every rule that could make a later read wrong.  The ranges must tile
 * the data from its first byte to the file's last, and each must be as long as its shape says.  So no tensor lies
 * outside the file or overlaps another, and no bytes belong to no tensor.
 */
#include "shard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "patchsweep/file.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"

/* Every type of the format.  Sizes are checked for types that we cannot compute with, too. */
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

/* Read a size: an integer, not negative (nor -0), and exact as a double. */
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

/* Read *begin and *end, counted from the first byte of the data. */
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

/* Compute the bytes that the shape needs.  Multiply from left to right as the reference implementation does: [2^52,
 * 2^52, 0] is refused, [0, 2^52, 2^52] is empty. */
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

/* Order by offset.  An empty tensor comes before another tensor that begins at the same byte. */
static int by_offset(const void *a, const void *b)
{
    const ps_tensor *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Check that the sorted ranges of a shard tile its data: each begins where the one before it ended. */
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

static int open_file(ps_shard *shard, ps_err *err)
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
static int read_length(ps_shard *shard, uint64_t *n, ps_err *err)
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
    if (*n > PS_MAX_HEADER)
        return ps_err_set(err, PS_EINPUT, "its header claims to have %" PRIu64 " bytes, more than the %u allowed; "
                          "is it a safetensors file?", *n, PS_MAX_HEADER);
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
    ps_shard *shard = &st->shards[at];
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

int ps_shard_add(ps_safetensors *st, const char *dir, const char *name, ps_err *err)
{
    if (ps_grow(&st->shards, (size_t)st->n_shards, &st->shards_cap, sizeof *st->shards, err) < 0)
        return -1;
    st->shards[st->n_shards] = (ps_shard){.path = ps_path_join(dir, name, err), .fd = -1};
    if (!st->shards[st->n_shards++].path)
        return -1;
    if (load_shard(st, st->n_shards - 1, err) < 0)
        return ps_err_prefix(err, "'%s'", st->shards[st->n_shards - 1].path);
    return 0;
}
