/*
 * weights_load.c - read every tensor of the files once, into the layout of the backend's products.
 *
 * A block of rows at a time is read, checksummed, converted to the type that the backend holds, and laid out.  So loading needs
 * no second copy of anything large.  If the file has rows in another order (transposed, or slices that alternate head by head),
 * they are first written to their places in the matrix, as plain rows.  Then each block of strips is laid out in place.
 */
#include <stdio.h>
#include <string.h>

#include "patchsweep/crc.h"
#include "patchsweep/mem.h"
#include "patchsweep/safetensors.h"
#include "weights_store.h"

#define BLOCK_BYTES ((size_t)8 << 20) /* read at once */

typedef struct loader {
    ps_weights *weights;
    const ps_safetensors *file;
    bool *used;        /* [tensors in file] */
    bool measuring;    /* add up bytes, allocate and read nothing */
    char *raw, *typed; /* rows of a matrix, as in the file and in the type held: one allocation, which raw owns */
    size_t room;       /* bytes of raw, whole cache lines; typed has twice as many */
    uint32_t crc;      /* of the current tensor's bytes in the file */
} loader;

/* A tensor of a file, and the rows of the family's table whose tensors it holds. */
typedef struct shared {
    const ps_tensor_source *source; /* [n] */
    size_t n;
    const ps_tensor *tensor;
    size_t outputs, inputs; /* of the whole tensor; a vector has one input */
} shared;

/* ---- finding ---- */

/* The name of the tensor in layer `layer`. */
static void tensor_name(char name[256], const ps_tensor_source *source, int32_t layer)
{
    const char *hole = strstr(source->name, "%d");

    if (hole)
        snprintf(name, 256, "%.*s%d%s", (int)(hole - source->name), source->name, (int)layer, hole + 2);
    else
        snprintf(name, 256, "%s", source->name);
}

/* Checkpoints of a model without its head leave out the prefix. */
static const ps_tensor *find(const loader *l, const char *name)
{
    const char *prefix = l->weights->config->family->prefix;
    const ps_tensor *t = ps_safetensors_find(l->file, name);

    if (!t && !strncmp(name, prefix, strlen(prefix)))
        t = ps_safetensors_find(l->file, name + strlen(prefix));
    return t;
}

/* "[2048, 512]", as the file's header has it. */
static const char *shape_text(char *text, size_t bytes, const int64_t *dims, int n)
{
    size_t at = (size_t)snprintf(text, bytes, "[");

    for (int i = 0; i < n && at < bytes; i++)
        at += (size_t)snprintf(text + at, bytes - at, "%s%lld", i ? ", " : "", (long long)dims[i]);
    if (at < bytes)
        snprintf(text + at, bytes - at, "]");
    return text;
}

static int check_shape(const shared *s, ps_err *err)
{
    const ps_tensor *t = s->tensor;
    const bool vector = s->source->cols == PS_DIM_NONE, turned = s->source->transposed && !vector;
    const int64_t out = (int64_t)s->outputs, in = (int64_t)s->inputs;
    const int64_t want[] = {turned ? in : out, turned ? out : in};
    char is[200], implied[64];

    if (t->dtype < 0)
        return ps_err_set(err, PS_EINPUT, "tensor '%s' has type %s; F32, F16 and BF16 are supported",
                          t->name, t->type_name);
    if (t->n_dims == (vector ? 1 : 2) && t->dims[0] == want[0] && (vector || t->dims[1] == want[1]))
        return 0;
    return ps_err_set(err, PS_EINPUT, "tensor '%s' has shape %s, config.json implies %s", t->name,
                      shape_text(is, sizeof is, t->dims, t->n_dims),
                      shape_text(implied, sizeof implied, want, vector ? 1 : 2));
}

static size_t rows_of(const loader *l, const ps_tensor_source *source)
{
    return (size_t)ps_config_dim(l->weights->config, (enum ps_dim)source->rows);
}

/* Find the tensor of the rows s->source[s->n] and check its shape: s->tensor, or NULL where it may be absent and is. */
static int find_tensor(loader *l, shared *s, int32_t layer, ps_err *err)
{
    char name[256];

    tensor_name(name, s->source, layer);
    s->tensor = find(l, name);
    if (!s->tensor)
        return s->source->optional ? 0 : ps_err_set(err, PS_EINPUT, "tensor '%s' is missing from the model's weights", name);
    s->outputs = 0;
    for (size_t i = 0; i < s->n; i++)
        s->outputs += rows_of(l, &s->source[i]);
    s->inputs = s->source->cols == PS_DIM_NONE ? 1 : (size_t)ps_config_dim(l->weights->config, (enum ps_dim)s->source->cols);
    l->used[s->tensor - ps_safetensors_at(l->file, 0)] = true;
    return check_shape(s, err);
}

/* ---- blocks ---- */

/* Make room for a block of rows of a matrix of n: whole strips, one at least.  Returns the rows, 0 on failure. */
static size_t block_rows(loader *l, size_t n, size_t row_bytes, ps_err *err)
{
    size_t strip = l->weights->backend->ops.strip, rows = BLOCK_BYTES / row_bytes / strip * strip;

    rows = rows < strip ? strip : rows;
    rows = rows > n ? n : rows;
    if (rows * row_bytes <= l->room)
        return rows;
    l->room = (rows * row_bytes + 63) / 64 * 64;
    if (l->measuring)
        return rows;
    ps_free(l->raw);
    l->raw = ps_malloc_aligned(3 * l->room, 1, err);
    l->typed = l->raw ? l->raw + l->room : NULL;
    return l->raw ? rows : 0;
}

/* Read bytes first .. first + n of the tensor to l->raw, and checksum them. */
static int read_block(loader *l, const ps_tensor *t, size_t first, size_t n, ps_err *err)
{
    if (ps_safetensors_read_part(l->file, t, first, n, l->raw, err) < 0)
        return -1;
    l->crc = ps_crc32c(l->crc, l->raw, n);
    return 0;
}

/* out[n] of type `to` = in[n] of type `from` */
static void convert(char *out, enum ps_dtype to, const char *in, enum ps_dtype from, size_t n)
{
    float wide[64];

    if (from == to) {
        memcpy(out, in, n * ps_dtype_bytes(to));
        return;
    }
    for (size_t i = 0; i < n; i += 64) {
        size_t some = n - i < 64 ? n - i : 64;
        ps_widen(wide, in + i * ps_dtype_bytes(from), from, some);
        ps_narrow(out + i * ps_dtype_bytes(to), wide, to, some);
    }
}

/* raw[n] in the type held. */
static const void *to_type(loader *l, enum ps_dtype from, enum ps_dtype to, size_t n)
{
    if (from == to)
        return l->raw;
#pragma omp parallel for
    for (size_t i = 0; i < n; i += 64)
        convert(l->typed + i * ps_dtype_bytes(to), to, l->raw + i * ps_dtype_bytes(from), from, n - i < 64 ? n - i : 64);
    return l->typed;
}

/* ---- rows as the file has them ---- */

/* Read rows first .. first + out->n of `t`, and lay them out. */
static int read_rows(loader *l, const ps_tensor *t, size_t first, const ps_backend_ops *ops, const ps_matrix *out, ps_err *err)
{
    enum ps_dtype from = (enum ps_dtype)t->dtype;
    size_t raw_row = out->k * ps_dtype_bytes(from), row = out->k * ps_dtype_bytes(out->dtype);
    size_t rows = block_rows(l, out->n, raw_row, err);

    if (!rows)
        return -1;
    for (size_t at = 0; !l->measuring && at < out->n; at += rows) {
        size_t some = out->n - at < rows ? out->n - at : rows;
        if (read_block(l, t, (first + at) * raw_row, some * raw_row, err) < 0)
            return -1;
        ps_matrix_lay_out(ops, (char *)(uintptr_t)out->data + at * row, to_type(l, from, out->dtype, some * out->k),
                          out->dtype, some, out->k);
    }
    return 0;
}

/* ---- rows in another order ---- */

/* Where row `output` of the tensor belongs: *row of the matrix of the source whose number is returned. */
static size_t place(const loader *l, const shared *s, size_t output, size_t *row)
{
    size_t heads = s->source->by_head ? (size_t)l->weights->config->n_heads : 1;
    size_t width = s->outputs / heads, head = output / width, at = output % width, i = 0, own;

    while (own = rows_of(l, &s->source[i]) / heads, at >= own) {
        at -= own;
        i++;
    }
    *row = head * own + at;
    return i;
}

/* Element `input` of row `output` in its matrix, while the matrix holds plain rows. */
static char *element(const loader *l, const shared *s, const ps_matrix *out, size_t output, size_t input)
{
    size_t row, i = place(l, s, output, &row);
    const ps_matrix *m = &out[s->source[i].role];

    return (char *)(uintptr_t)m->data + (row * s->inputs + input) * ps_dtype_bytes(m->dtype);
}

/* raw holds rows at .. at + n of an [outputs, inputs] tensor. */
static void spread_rows(const loader *l, const shared *s, const ps_matrix *out, size_t at, size_t n)
{
    enum ps_dtype from = (enum ps_dtype)s->tensor->dtype, to = out[s->source->role].dtype;
    size_t raw_row = s->inputs * ps_dtype_bytes(from);

#pragma omp parallel for
    for (size_t i = 0; i < n; i++)
        convert(element(l, s, out, at + i, 0), to, l->raw + i * raw_row, from, s->inputs);
}

enum { TILE = 64 }; /* inputs whose elements of a few outputs stay in the cache */

/* Elements at .. at + n of row `output`, which are a column of raw. */
static void spread_column(const loader *l, const shared *s, const ps_matrix *out, size_t output, size_t from_row, size_t at,
                          size_t n)
{
    enum ps_dtype from = (enum ps_dtype)s->tensor->dtype;
    size_t bytes = ps_dtype_bytes(from);
    char column[TILE * sizeof(float)];

    for (size_t i = 0; i < n; i++)
        memcpy(column + i * bytes, l->raw + ((from_row + i) * s->outputs + output) * bytes, bytes);
    convert(element(l, s, out, output, at), out[s->source->role].dtype, column, from, n);
}

/* raw holds rows at .. at + n of an [inputs, outputs] tensor. */
static void spread_columns(const loader *l, const shared *s, const ps_matrix *out, size_t at, size_t n)
{
    const size_t outputs = 16;

#pragma omp parallel for
    for (size_t first = 0; first < s->outputs; first += outputs)
        for (size_t i = 0; i < n; i += TILE)
            for (size_t o = first; o < first + outputs && o < s->outputs; o++)
                spread_column(l, s, out, o, i, at + i, n - i < TILE ? n - i : TILE);
}

/* Lay out, in place, a matrix that holds plain rows. */
static int lay_out_in_place(loader *l, const ps_backend_ops *ops, const ps_matrix *m, size_t raw_bytes, ps_err *err)
{
    size_t rows = block_rows(l, m->n, m->k * raw_bytes, err), row = m->k * ps_dtype_bytes(m->dtype);

    if (!rows)
        return -1;
    for (size_t at = 0; !l->measuring && at < m->n; at += rows) {
        size_t some = m->n - at < rows ? m->n - at : rows;
        char *here = (char *)(uintptr_t)m->data + at * row;
        memcpy(l->typed, here, some * row);
        ps_matrix_lay_out(ops, here, l->typed, m->dtype, some, m->k);
    }
    return 0;
}

static int read_spread(loader *l, const shared *s, const ps_matrix *out, ps_err *err)
{
    bool turned = s->source->transposed && s->source->cols != PS_DIM_NONE;
    size_t bytes = ps_dtype_bytes((enum ps_dtype)s->tensor->dtype);
    size_t n = turned ? s->inputs : s->outputs, raw_row = (turned ? s->outputs : s->inputs) * bytes;
    size_t rows = block_rows(l, n, raw_row, err);

    if (!rows)
        return -1;
    for (size_t at = 0; !l->measuring && at < n; at += rows) {
        size_t some = n - at < rows ? n - at : rows;
        if (read_block(l, s->tensor, at * raw_row, some * raw_row, err) < 0)
            return -1;
        (turned ? spread_columns : spread_rows)(l, s, out, at, some);
    }
    for (size_t i = 0; i < s->n; i++)
        if (lay_out_in_place(l, ps_weights_layout(l->weights, &s->source[i]), &out[s->source[i].role], bytes, err) < 0)
            return -1;
    return 0;
}

/* ---- tensors ---- */

/* Note the checksum of the tensor that was read last. */
static void note_sum(loader *l, const ps_tensor *t)
{
    const char *path = ps_safetensors_shard_path(l->file, t->shard), *slash = strrchr(path, '/');
    char file[256];

    ps_printable(file, sizeof file, slash ? slash + 1 : path);
    ps_text_printf(&l->weights->sums, "%08x %s %s\n", (unsigned)l->crc, t->name, file);
}

static void add_one(const ps_matrix *vector)
{
    float *x = (float *)(uintptr_t)vector->data;

    for (size_t i = 0; x && i < vector->n; i++)
        x[i] += 1.0f;
}

/* Read the tensor into the matrices out[role] of its rows. */
static int read_tensor(loader *l, const shared *s, ps_matrix *out, ps_err *err)
{
    size_t first = 0;

    l->crc = 0;
    for (size_t i = 0; i < s->n; i++)
        if (ps_weights_add(l->weights, &out[s->source[i].role], &s->source[i], (enum ps_dtype)s->tensor->dtype, l->measuring,
                           err) < 0)
            return -1;
    if ((s->source->transposed || s->source->by_head) && read_spread(l, s, out, err) < 0)
        return -1;
    for (size_t i = 0; i < s->n; i++) {
        const ps_tensor_source *source = &s->source[i];
        if (!source->transposed && !source->by_head &&
            read_rows(l, s->tensor, first, ps_weights_layout(l->weights, source), &out[source->role], err) < 0)
            return -1;
        first += out[source->role].n;
        if (source->plus_one)
            add_one(&out[source->role]);
    }
    return 0;
}

/*
 * A tied head is the embedding.  One copy serves both where the backend holds the file's type: a row comes out
 * of the head's as it went in.  Where it rounds, the embedding's rows stay as the file has them.
 */
static int read_tied(loader *l, const shared *s, ps_matrix *out, ps_err *err)
{
    ps_tensor_source head = *s->source;
    shared as_head = *s;

    head.role = PS_W_LM_HEAD;
    as_head.source = &head;
    if (read_tensor(l, &as_head, out, err) < 0)
        return -1;
    if (out[PS_W_LM_HEAD].dtype != PS_DTYPE_F32 && out[PS_W_LM_HEAD].dtype != (enum ps_dtype)s->tensor->dtype)
        return read_tensor(l, s, out, err);
    out[PS_W_EMBED] = out[PS_W_LM_HEAD];
    return 0;
}

/* Load the tensor of the rows source[n], which share it. */
static int load(loader *l, const ps_tensor_source *source, size_t n, int32_t layer, ps_matrix *out, ps_err *err)
{
    const bool tied = source->role == PS_W_EMBED && l->weights->config->tied;
    shared s = {.source = source, .n = n};

    if (!ps_tensor_wanted(l->weights->config, source))
        return 0;
    if (find_tensor(l, &s, layer, err) < 0)
        return -1;
    if (!s.tensor)
        return 0;
    if ((tied ? read_tied : read_tensor)(l, &s, out, err) < 0)
        return -1;
    note_sum(l, s.tensor);
    return 0;
}

/* ---- the whole ---- */

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);

    return n >= m && !strcmp(s + n - m, tail);
}

/* May the files have the tensor, though no pass reads it?  The family's leftovers, and the copy of the embedding that some
 * tied models have. */
static bool may_be_left(const ps_config *config, const char *name)
{
    for (const char *const *tail = config->family->leftovers; *tail; tail++)
        if (ends_with(name, *tail))
            return true;
    for (const ps_tensor_source *source = config->family->tensors; source->name; source++)
        if (source->role == PS_W_LM_HEAD && config->tied && !strcmp(name, source->name))
            return true;
    return false;
}

/* Refuse a tensor that no row names: ignoring it could change results. */
static int check_unused(const loader *l, ps_err *err)
{
    for (int i = 0; i < ps_safetensors_n(l->file); i++) {
        const char *name = ps_safetensors_at(l->file, i)->name;
        if (!l->used[i] && !may_be_left(l->weights->config, name))
            return ps_err_set(err, PS_EINPUT, "tensor '%s' is not part of a %s as config.json describes it", name,
                              l->weights->config->family->architecture);
    }
    return 0;
}

/* Load the tensors of layer `layer`; -1: those of the whole model. */
static int load_part(loader *l, int32_t layer, ps_matrix *out, ps_err *err)
{
    const ps_tensor_source *source = l->weights->config->family->tensors;

    while (source->name) {
        size_t n = 1;
        while (source[n].name && !strcmp(source[n].name, source->name))
            n++;
        if (ps_tensor_in_layer(source) == (layer >= 0) && load(l, source, n, layer, out, err) < 0)
            return -1;
        source += n;
    }
    return 0;
}

static int load_all(loader *l, ps_err *err)
{
    ps_weights *w = l->weights;

    if (load_part(l, -1, w->whole, err) < 0)
        return -1;
    for (int32_t layer = 0; layer < w->config->n_layers; layer++)
        if (load_part(l, layer, w->layers[layer], err) < 0)
            return -1;
    return check_unused(l, err) < 0 ? -1 : ps_text_ok(&w->sums, err);
}

/* Load the directory's tensors into `l->weights`, or add up what they need. */
static int load_dir(loader *l, const char *dir, ps_err *err)
{
    ps_safetensors *file = NULL;
    int rc = -1;

    if (ps_safetensors_open(&file, dir, err) < 0)
        return -1;
    l->file = file;
    l->used = ps_calloc((size_t)ps_safetensors_n(file), sizeof *l->used, err);
    if (l->used && (rc = load_all(l, err)) < 0)
        ps_err_prefix(err, "model '%s'", dir);
    ps_free(l->used);
    ps_free(l->raw);
    ps_safetensors_close(file);
    return rc;
}

int ps_weights_open(ps_weights **out, const ps_config *config, const char *dir, const ps_backend *backend,
                    ps_err *err)
{
    loader l = {.weights = ps_weights_new(config, backend, err)};

    if (!l.weights || load_dir(&l, dir, err) < 0) {
        ps_weights_close(l.weights);
        return -1;
    }
    *out = l.weights;
    return 0;
}

int ps_weights_measure(uint64_t *resident, uint64_t *loading, const ps_config *config, const char *dir,
                       const ps_backend *backend, ps_err *err)
{
    loader l = {.weights = ps_weights_new(config, backend, err), .measuring = true};
    int rc = l.weights ? load_dir(&l, dir, err) : -1;

    if (rc == 0) {
        *resident = l.weights->bytes;
        *loading = 3 * (uint64_t)l.room;
    }
    ps_weights_close(l.weights);
    return rc;
}
