/*
 * weights.c - the resident source: every tensor read once, into the form in which products take it.
 *
 * Matrices are read, brought to the type that the backend holds and laid out a block of strips at a
 * time, so that loading needs no second copy of anything large.
 */
#include "patchsweep/weights.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/crc.h"
#include "patchsweep/mem.h"
#include "patchsweep/safetensors.h"
#include "patchsweep/text.h"

struct ps_weights {
    const ps_config *config;
    const ps_backend *backend;
    ps_matrix embed, final_norm, head; /* head.data is embed.data in a tied model, if it is of the type */
    ps_matrix (*layers)[PS_N_ROLES];   /* [n_layers] */
    uint64_t bytes, acquired;
    ps_text sums; /* of what was read: see ps_weights_sums() */
};

/* ---- shapes ---- */

typedef struct shape {
    int64_t rows, cols; /* cols 0: a vector */
} shape;

static shape shape_of(const ps_config *c, enum ps_tensor_role role)
{
    int64_t d = c->d_model, q = (int64_t)c->n_heads * c->head_dim;
    int64_t kv = (int64_t)c->n_kv_heads * c->head_dim, mlp = c->d_mlp;
    const shape shapes[PS_N_ROLES] = {
        [PS_W_EMBED] = {c->vocab, d}, [PS_W_HEAD] = {c->vocab, d},
        [PS_W_ATTN_NORM] = {d, 0}, [PS_W_MLP_NORM] = {d, 0}, [PS_W_FINAL_NORM] = {d, 0},
        [PS_W_Q] = {q, d}, [PS_W_K] = {kv, d}, [PS_W_V] = {kv, d}, [PS_W_O] = {d, q},
        [PS_B_Q] = {q, 0}, [PS_B_K] = {kv, 0}, [PS_B_V] = {kv, 0}, [PS_B_O] = {d, 0},
        [PS_W_GATE] = {mlp, d}, [PS_W_UP] = {mlp, d}, [PS_W_DOWN] = {d, mlp},
        [PS_B_GATE] = {mlp, 0}, [PS_B_UP] = {mlp, 0}, [PS_B_DOWN] = {d, 0},
    };

    return shapes[role];
}

/* Does this model have a tensor in that role? */
static bool wanted(const ps_config *c, int role)
{
    switch (role) {
    case PS_B_Q: case PS_B_K: case PS_B_V: case PS_B_O:
        return c->attention_bias;
    case PS_B_GATE: case PS_B_UP: case PS_B_DOWN:
        return c->mlp_bias;
    case PS_W_HEAD:
        return !c->tied;
    default:
        return c->family->tensor[role] != NULL;
    }
}

static bool per_layer(int role)
{
    return role != PS_W_EMBED && role != PS_W_POSITIONS && role != PS_W_FINAL_NORM && role != PS_B_FINAL_NORM &&
           role != PS_W_HEAD;
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

static int check_shape(const ps_tensor *t, shape want, ps_err *err)
{
    const int64_t wanted_dims[] = {want.rows, want.cols};
    char is[200], implied[64];

    if (t->dtype < 0)
        return ps_err_set(err, PS_EINPUT, "tensor '%s' has type %s; F32, F16 and BF16 are supported",
                          t->name, t->type_name);
    if (want.cols ? t->n_dims == 2 && t->dims[0] == want.rows && t->dims[1] == want.cols
                  : t->n_dims == 1 && t->dims[0] == want.rows)
        return 0;
    return ps_err_set(err, PS_EINPUT, "tensor '%s' has shape %s, config.json implies %s", t->name,
                      shape_text(is, sizeof is, t->dims, t->n_dims),
                      shape_text(implied, sizeof implied, wanted_dims, want.cols ? 2 : 1));
}

/* ---- loading ---- */

#define BLOCK_BYTES ((size_t)8 << 20) /* read at once */

typedef struct loader {
    ps_weights *weights;
    const ps_safetensors *file;
    bool *used;        /* [tensors in file] */
    bool measuring;    /* add up bytes, allocate and read nothing */
    char *raw, *typed; /* some rows of a matrix, as the file has them and in the type held: one allocation, raw's */
    size_t room;       /* bytes of raw, whole cache lines; typed has twice as many */
    uint32_t crc;      /* of the tensor that was read last, as the file has it */
} loader;

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

/* raw[n, k] of `from` in the type held. */
static const void *to_type(loader *l, enum ps_dtype from, enum ps_dtype to, size_t n, size_t k)
{
    if (from == to)
        return l->raw;
#pragma omp parallel for
    for (size_t i = 0; i < n * k; i += 64) {
        size_t some = n * k - i < 64 ? n * k - i : 64;
        float wide[64];
        ps_widen(wide, l->raw + i * ps_dtype_bytes(from), from, some);
        ps_narrow(l->typed + i * ps_dtype_bytes(to), wide, to, some);
    }
    return l->typed;
}

/* Note the checksum of the tensor that was read last. */
static void note_sum(loader *l, const ps_tensor *t)
{
    const char *path = ps_safetensors_shard_path(l->file, t->shard), *slash = strrchr(path, '/');
    char file[256];

    ps_printable(file, sizeof file, slash ? slash + 1 : path);
    ps_text_printf(&l->weights->sums, "%08x %s %s\n", (unsigned)l->crc, t->name, file);
}

/* Read `t` as a matrix [n, k] of type `to`, laid out by `ops`, and checksum what is read. */
static int read_matrix(loader *l, const ps_tensor *t, const ps_backend_ops *ops, enum ps_dtype to,
                       ps_matrix *out, ps_err *err)
{
    enum ps_dtype from = (enum ps_dtype)t->dtype;
    size_t n = (size_t)t->dims[0], k = t->n_dims > 1 ? (size_t)t->dims[1] : 1;
    size_t raw_row = k * ps_dtype_bytes(from), row = k * ps_dtype_bytes(to);
    size_t rows = block_rows(l, n, raw_row, err), bytes = ps_matrix_bytes(ops, to, n, k);
    const ps_block block = {.n = bytes, .size = 1};
    char *data = rows && !l->measuring ? ps_malloc_aligned(bytes, 1, err) : NULL;

    *out = (ps_matrix){data, to, n, k};
    l->weights->bytes += ps_blocks_bytes(&block, 1);
    if (!data)
        return l->measuring ? 0 : -1;
    l->crc = 0;
    for (size_t at = 0; at < n; at += rows) {
        size_t some = n - at < rows ? n - at : rows;
        if (ps_safetensors_read_part(l->file, t, at * raw_row, some * raw_row, l->raw, err) < 0)
            return -1;
        l->crc = ps_crc32c(l->crc, l->raw, some * raw_row);
        ps_matrix_lay_out(ops, data + at * row, to_type(l, from, to, some, k), to, some, k);
    }
    return 0;
}

/* Checkpoints of a base model leave out the "model." in front. */
static const ps_tensor *find(const loader *l, const char *name)
{
    const ps_tensor *t = ps_safetensors_find(l->file, name);

    if (!t && !strncmp(name, "model.", 6))
        t = ps_safetensors_find(l->file, name + 6);
    return t;
}

/* How a tensor is held: matrices as products take them, vectors as plain float32; an embedding that is
 * not the head too as the file has it, for its rows are only looked up. */
static int read_tensor(loader *l, int role, const ps_tensor *t, ps_matrix *out, ps_err *err)
{
    const ps_backend_ops *ops = &l->weights->backend->ops;

    if (shape_of(l->weights->config, (enum ps_tensor_role)role).cols == 0)
        return read_matrix(l, t, &ps_backend_ref, PS_DTYPE_F32, out, err);
    if (role == PS_W_EMBED)
        return read_matrix(l, t, &ps_backend_ref, (enum ps_dtype)t->dtype, out, err);
    return read_matrix(l, t, ops, ops->held[t->dtype], out, err);
}

static const ps_tensor *find_tensor(loader *l, int role, int32_t layer, ps_err *err)
{
    const ps_config *c = l->weights->config;
    char name[256], format[256];

    snprintf(format, sizeof format, "%s", c->family->tensor[role]);
    char *hole = strstr(format, "%d");
    if (hole)
        snprintf(name, sizeof name, "%.*s%d%s", (int)(hole - format), format, (int)layer, hole + 2);
    else
        snprintf(name, sizeof name, "%s", format);
    const ps_tensor *t = find(l, name);
    if (!t)
        ps_err_set(err, PS_EINPUT, "tensor '%s' is missing from the model's weights", name);
    else if (check_shape(t, shape_of(c, (enum ps_tensor_role)role), err) < 0)
        return NULL;
    else
        l->used[t - ps_safetensors_at(l->file, 0)] = true;
    return t;
}

static int load(loader *l, int role, int32_t layer, ps_matrix *out, ps_err *err)
{
    if (!wanted(l->weights->config, role))
        return 0;
    const ps_tensor *t = find_tensor(l, role, layer, err);
    if (!t || read_tensor(l, role, t, out, err) < 0)
        return -1;
    note_sum(l, t);
    return 0;
}

/*
 * A tied head is the embedding.  One copy serves both where the backend holds the file's type: a row comes out
 * of the head's as it went in.  Where it rounds, the embedding's rows stay as the file has them.
 */
static int load_ends(loader *l, ps_err *err)
{
    ps_weights *w = l->weights;

    if (load(l, PS_W_FINAL_NORM, 0, &w->final_norm, err) < 0)
        return -1;
    if (!w->config->tied)
        return load(l, PS_W_EMBED, 0, &w->embed, err) < 0 ? -1 : load(l, PS_W_HEAD, 0, &w->head, err);
    const ps_tensor *t = find_tensor(l, PS_W_EMBED, 0, err);
    if (!t || read_tensor(l, PS_W_HEAD, t, &w->head, err) < 0)
        return -1;
    note_sum(l, t);
    if (w->head.dtype == PS_DTYPE_F32 || w->head.dtype == (enum ps_dtype)t->dtype) {
        w->embed = w->head;
        return 0;
    }
    return read_tensor(l, PS_W_EMBED, t, &w->embed, err);
}

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);

    return n >= m && !strcmp(s + n - m, tail);
}

/* A tensor nobody asked for would change results, but for buffers that older files carry and the
 * copy of the embedding that some tied models have. */
static int check_unused(const loader *l, ps_err *err)
{
    for (int i = 0; i < ps_safetensors_n(l->file); i++) {
        const ps_tensor *t = ps_safetensors_at(l->file, i);
        if (l->used[i] || ends_with(t->name, "rotary_emb.inv_freq") ||
            (l->weights->config->tied && !strcmp(t->name, "lm_head.weight")))
            continue;
        return ps_err_set(err, PS_EINPUT, "tensor '%s' is not part of a %s as config.json describes it",
                          t->name, l->weights->config->family->architecture);
    }
    return 0;
}

static int load_all(loader *l, ps_err *err)
{
    ps_weights *w = l->weights;

    if (load_ends(l, err) < 0)
        return -1;
    for (int32_t layer = 0; layer < w->config->n_layers; layer++)
        for (int role = 0; role < PS_N_ROLES; role++)
            if (per_layer(role) && load(l, role, layer, &w->layers[layer][role], err) < 0)
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

static ps_weights *new_weights(const ps_config *config, const ps_backend *backend, ps_err *err)
{
    ps_weights *w = ps_calloc(1, sizeof *w, err);

    if (!w)
        return NULL;
    w->config = config;
    w->backend = backend;
    w->layers = ps_calloc((size_t)config->n_layers, sizeof *w->layers, err);
    if (w->layers)
        return w;
    ps_weights_close(w);
    return NULL;
}

int ps_weights_open(ps_weights **out, const ps_config *config, const char *dir, const ps_backend *backend,
                    ps_err *err)
{
    loader l = {.weights = new_weights(config, backend, err)};

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
    loader l = {.weights = new_weights(config, backend, err), .measuring = true};
    int rc = l.weights ? load_dir(&l, dir, err) : -1;

    if (rc == 0) {
        *resident = l.weights->bytes;
        *loading = 3 * (uint64_t)l.room;
    }
    ps_weights_close(l.weights);
    return rc;
}

/* ---- made up ---- */

/* xorshift64* (Vigna, arXiv:1402.6246), to floats in +-0.02 sqrt(3). */
static void fill_random(float *x, size_t n, uint64_t seed)
{
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;

    for (size_t i = 0; i < n; i++) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        x[i] = ((float)(state * 0x2545f4914f6cdd1du >> 40) * 0x1p-23f - 1) * 0.034641016f;
    }
}

/* Strips of [n, k], each from its own seed. */
static int random_matrix(ps_weights *w, ps_matrix *out, size_t n, size_t k, enum ps_dtype held, ps_err *err)
{
    const ps_backend_ops *ops = &w->backend->ops;
    size_t bytes = ps_matrix_bytes(ops, held, n, k), row = k * ps_dtype_bytes(held);
    char *data = ps_malloc_aligned(bytes, 1, err);
    float *wide = ps_malloc_aligned(64 * k, sizeof *wide, err);
    char *typed = ps_malloc_aligned(64 * k, sizeof *wide, err);

    *out = (ps_matrix){data, held, n, k};
    for (size_t at = 0; data && wide && typed && at < n; at += 64) { /* whole strips of any backend */
        size_t some = n - at < 64 ? n - at : 64;
        fill_random(wide, some * k, w->bytes + at);
        ps_narrow(typed, wide, held, some * k);
        ps_matrix_lay_out(ops, data + at * row, typed, held, some, k);
    }
    w->bytes += bytes;
    ps_free(wide);
    ps_free(typed);
    return data && wide && typed ? 0 : -1;
}

static int random_tensor(ps_weights *w, int role, enum ps_dtype dtype, ps_matrix *out, ps_err *err)
{
    shape s = shape_of(w->config, (enum ps_tensor_role)role);
    float *ones;

    if (!wanted(w->config, role))
        return 0;
    if (s.cols)
        return random_matrix(w, out, (size_t)s.rows, (size_t)s.cols, w->backend->ops.held[dtype], err);
    ones = ps_malloc_aligned((size_t)s.rows, sizeof *ones, err);
    *out = (ps_matrix){ones, PS_DTYPE_F32, (size_t)s.rows, 1};
    bool bias = role != PS_W_ATTN_NORM && role != PS_W_MLP_NORM && role != PS_W_FINAL_NORM;
    for (int64_t i = 0; ones && i < s.rows; i++)
        ones[i] = bias ? 0 : 1;
    return ones ? 0 : -1;
}

/* The head serves as the embedding: nobody will tell. */
int ps_weights_synthetic(ps_weights **out, const ps_config *config, enum ps_dtype dtype,
                         const ps_backend *backend, ps_err *err)
{
    ps_weights *w = new_weights(config, backend, err);

    if (!w)
        return -1;
    int rc = random_tensor(w, PS_W_FINAL_NORM, dtype, &w->final_norm, err);
    if (rc == 0)
        rc = random_matrix(w, &w->head, (size_t)config->vocab, (size_t)config->d_model,
                           backend->ops.held[dtype], err);
    w->embed = w->head;
    for (int32_t layer = 0; layer < config->n_layers && rc == 0; layer++)
        for (int role = 0; role < PS_N_ROLES && rc == 0; role++)
            if (per_layer(role))
                rc = random_tensor(w, role, dtype, &w->layers[layer][role], err);
    if (rc < 0)
        ps_weights_close(w);
    else
        *out = w;
    return rc;
}

static void free_matrix(const ps_matrix *m)
{
    ps_free((void *)(uintptr_t)m->data);
}

void ps_weights_drop(ps_weights *w)
{
    for (int32_t layer = 0; w->layers && layer < w->config->n_layers; layer++)
        for (int role = 0; role < PS_N_ROLES; role++)
            free_matrix(&w->layers[layer][role]);
    if (w->head.data != w->embed.data)
        free_matrix(&w->head);
    free_matrix(&w->embed);
    free_matrix(&w->final_norm);
    ps_free(w->layers);
    w->layers = NULL;
    w->head = w->embed = w->final_norm = (ps_matrix){.data = NULL};
}

void ps_weights_close(ps_weights *w)
{
    if (!w)
        return;
    ps_weights_drop(w);
    ps_text_release(&w->sums);
    ps_free(w);
}

uint64_t ps_weights_bytes(const ps_weights *w)
{
    return w->bytes;
}

const char *ps_weights_sums(const ps_weights *w)
{
    return ps_text_str(&w->sums);
}

/* ---- parts ---- */

int ps_weights_layer(ps_weights *w, int32_t layer, ps_matrix part[PS_N_ROLES], ps_err *err)
{
    (void)err; /* what is resident cannot fail; a stream can */
    memcpy(part, w->layers[layer], sizeof w->layers[layer]);
    w->acquired++;
    return 0;
}

const float *ps_weights_final_norm(const ps_weights *w)
{
    return w->final_norm.data;
}

int ps_weights_head(ps_weights *w, int32_t first, int32_t n, ps_matrix *panel, ps_err *err)
{
    size_t d = (size_t)w->config->d_model;

    (void)err;
    if (first < 0 || first > w->config->vocab - n || (size_t)first % w->backend->ops.strip)
        PS_BUG("head rows %d..%d", (int)first, (int)(first + n));
    *panel = (ps_matrix){(const char *)w->head.data + (size_t)first * d * ps_dtype_bytes(w->head.dtype),
                         w->head.dtype, (size_t)n, d};
    w->acquired++;
    return 0;
}

void ps_weights_embed_rows(const ps_weights *w, const int32_t *ids, size_t n, float *out)
{
    const ps_backend_ops *ops = w->embed.data == w->head.data ? &w->backend->ops : &ps_backend_ref;

    for (size_t i = 0; i < n; i++)
        ps_matrix_row(ops, &w->embed, (size_t)ids[i], out + i * w->embed.k);
}

void ps_weights_head_row(const ps_weights *w, int32_t id, float *out)
{
    ps_matrix_row(&w->backend->ops, &w->head, (size_t)id, out);
}

uint64_t ps_weights_acquired(const ps_weights *w)
{
    return w->acquired;
}
