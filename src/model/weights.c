/*
 * weights.c - the resident source: every tensor read once.
 *
 * A tensor that is held in the type it is wanted in is handed out as it lies; others are widened into
 * one of two blocks, a layer's or the head's, that the next acquire overwrites.
 */
#include "patchsweep/weights.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/safetensors.h"

#define HEAD_PANEL_BYTES ((int64_t)32 << 20)

/* A resident tensor; data NULL where the model has none. */
typedef struct tensor {
    void *data;
    enum ps_dtype dtype;
    size_t n; /* elements */
} tensor;

struct ps_weights {
    const ps_config *config;
    enum ps_dtype operand;          /* what matrices are handed out in */
    tensor embed, final_norm, head; /* head.data is embed.data in a tied model, if it is of the type */
    tensor (*layers)[PS_N_ROLES];   /* [n_layers] */
    float *wide_layer;              /* what a layer is widened into; NULL if nothing is */
    float *wide_head;
    float *wide_norm;
    int32_t head_rows;
    uint64_t bytes, acquired;
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
        return true;
    }
}

static bool per_layer(int role)
{
    return role != PS_W_EMBED && role != PS_W_FINAL_NORM && role != PS_W_HEAD;
}

static bool is_matrix(int role)
{
    switch (role) {
    case PS_W_EMBED: case PS_W_HEAD: case PS_W_Q: case PS_W_K: case PS_W_V: case PS_W_O:
    case PS_W_GATE: case PS_W_UP: case PS_W_DOWN:
        return true;
    default:
        return false;
    }
}

static int check_shape(const ps_tensor *t, shape want, ps_err *err)
{
    bool fits = want.cols ? t->n_dims == 2 && t->dims[0] == want.rows && t->dims[1] == want.cols
                          : t->n_dims == 1 && t->dims[0] == want.rows;

    if (t->dtype < 0)
        return ps_err_set(err, PS_EINPUT, "tensor '%s' has type %s; F32, F16 and BF16 are supported",
                          t->name, t->type_name);
    if (fits)
        return 0;
    return ps_err_set(err, PS_EINPUT, "tensor '%s' has %d dimensions (%lld, %lld), config.json implies "
                      "(%lld%s%lld)", t->name, t->n_dims, t->n_dims > 0 ? (long long)t->dims[0] : 0,
                      t->n_dims > 1 ? (long long)t->dims[1] : 0, (long long)want.rows,
                      want.cols ? ", " : ") and not (", (long long)want.cols);
}

/* ---- loading ---- */

typedef struct loader {
    ps_weights *weights;
    const ps_safetensors *file;
    bool *used; /* [tensors in file] */
} loader;

/* Checkpoints of a base model leave out the "model." in front. */
static const ps_tensor *find(const loader *l, const char *name)
{
    const ps_tensor *t = ps_safetensors_find(l->file, name);

    if (!t && !strncmp(name, "model.", 6))
        t = ps_safetensors_find(l->file, name + 6);
    return t;
}

/* `t` rounded to bfloat16: in its place, or beside it where `keep`. */
static int narrow(tensor *t, bool keep, ps_err *err)
{
    const size_t block = 4096, bytes = ps_dtype_bytes(t->dtype);
    const char *from = t->data;
    uint16_t *to = ps_malloc_aligned(t->n, sizeof *to, err);

    if (!to)
        return -1;
#pragma omp parallel for
    for (size_t at = 0; at < t->n; at += block) {
        size_t n = t->n - at < block ? t->n - at : block;
        float wide[4096];
        ps_widen(wide, from + at * bytes, t->dtype, n);
        ps_narrow(to + at, wide, PS_DTYPE_BF16, n);
    }
    if (!keep)
        ps_free(t->data);
    *t = (tensor){to, PS_DTYPE_BF16, t->n};
    return 0;
}

static int load(loader *l, int role, int32_t layer, tensor *out, ps_err *err)
{
    const ps_config *c = l->weights->config;
    char name[256], format[256];

    if (!wanted(c, role))
        return 0;
    snprintf(format, sizeof format, "%s", c->family->tensor[role]);
    char *hole = strstr(format, "%d");
    if (hole)
        snprintf(name, sizeof name, "%.*s%d%s", (int)(hole - format), format, (int)layer, hole + 2);
    else
        snprintf(name, sizeof name, "%s", format);
    const ps_tensor *t = find(l, name);
    if (!t)
        return ps_err_set(err, PS_EINPUT, "tensor '%s' is missing from the model's weights", name);
    if (check_shape(t, shape_of(c, (enum ps_tensor_role)role), err) < 0)
        return -1;
    out->dtype = (enum ps_dtype)t->dtype;
    out->n = t->bytes / ps_dtype_bytes(out->dtype);
    out->data = ps_malloc_aligned(t->bytes, 1, err);
    if (!out->data || ps_safetensors_read(l->file, t, out->data, err) < 0)
        return -1;
    l->used[t - ps_safetensors_at(l->file, 0)] = true;
    if (l->weights->operand == PS_DTYPE_BF16 && out->dtype != PS_DTYPE_BF16 && is_matrix(role) &&
        role != PS_W_EMBED && narrow(out, false, err) < 0)
        return -1;
    l->weights->bytes += out->n * ps_dtype_bytes(out->dtype);
    return 0;
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

/* A tied head is the embedding, whose rows enter the residual stream as the file has them. */
static int tie_head(ps_weights *w, ps_err *err)
{
    w->head = w->embed;
    if (w->operand == PS_DTYPE_F32 || w->embed.dtype == PS_DTYPE_BF16)
        return 0;
    if (narrow(&w->head, true, err) < 0) {
        w->head = (tensor){0};
        return -1;
    }
    w->bytes += w->head.n * sizeof(uint16_t);
    return 0;
}

static int load_all(loader *l, ps_err *err)
{
    ps_weights *w = l->weights;

    if (load(l, PS_W_EMBED, 0, &w->embed, err) < 0 ||
        load(l, PS_W_FINAL_NORM, 0, &w->final_norm, err) < 0 ||
        load(l, PS_W_HEAD, 0, &w->head, err) < 0)
        return -1;
    if (w->config->tied && tie_head(w, err) < 0)
        return -1;
    for (int32_t layer = 0; layer < w->config->n_layers; layer++)
        for (int role = 0; role < PS_N_ROLES; role++)
            if (per_layer(role) && load(l, role, layer, &w->layers[layer][role], err) < 0)
                return -1;
    return check_unused(l, err);
}

/* The type a tensor is handed out in. */
static enum ps_dtype type_wanted(const ps_weights *w, int role)
{
    return is_matrix(role) ? w->operand : PS_DTYPE_F32;
}

static size_t wide_floats(const ps_weights *w, const tensor part[PS_N_ROLES])
{
    size_t n = 0;

    for (int role = 0; role < PS_N_ROLES; role++)
        if (part[role].data && part[role].dtype != type_wanted(w, role))
            n += (part[role].n + 15) / 16 * 16; /* each begins a cache line */
    return n;
}

/* The blocks that parts are widened into, as large as the largest part. */
static int make_room(ps_weights *w, ps_err *err)
{
    size_t most = 0, d = (size_t)w->config->d_model;
    int64_t rows = HEAD_PANEL_BYTES / (4 * (int64_t)d);

    for (int32_t layer = 0; layer < w->config->n_layers; layer++) {
        size_t n = wide_floats(w, w->layers[layer]);
        most = n > most ? n : most;
    }
    w->head_rows = rows < 1 ? 1 : rows > w->config->vocab ? w->config->vocab : (int32_t)rows;
    w->wide_norm = ps_malloc_aligned(d, sizeof(float), err);
    if (!w->wide_norm)
        return -1;
    ps_widen(w->wide_norm, w->final_norm.data, w->final_norm.dtype, d);
    if (most && !(w->wide_layer = ps_malloc_aligned(most, sizeof(float), err)))
        return -1;
    if (w->head.dtype == w->operand)
        return 0;
    w->wide_head = ps_malloc_aligned((size_t)w->head_rows * d, sizeof(float), err);
    return w->wide_head ? 0 : -1;
}

int ps_weights_open(ps_weights **out, const ps_config *config, const char *dir, enum ps_dtype operand,
                    ps_err *err)
{
    ps_safetensors *file = NULL;
    loader l = {0};
    int rc = -1;

    ps_weights *w = ps_calloc(1, sizeof *w, err);
    if (!w || ps_safetensors_open(&file, dir, err) < 0)
        goto out;
    w->config = config;
    w->operand = operand;
    w->layers = ps_calloc((size_t)config->n_layers, sizeof *w->layers, err);
    l = (loader){w, file, ps_calloc((size_t)ps_safetensors_n(file), sizeof *l.used, err)};
    if (!w->layers || !l.used)
        goto out;
    if (load_all(&l, err) < 0) {
        ps_err_prefix(err, "model '%s'", dir);
        goto out;
    }
    if (make_room(w, err) < 0)
        goto out;
    *out = w;
    w = NULL;
    rc = 0;
out:
    ps_free(l.used);
    ps_safetensors_close(file);
    ps_weights_close(w);
    return rc;
}

void ps_weights_close(ps_weights *w)
{
    if (!w)
        return;
    for (int32_t layer = 0; w->layers && layer < w->config->n_layers; layer++)
        for (int role = 0; role < PS_N_ROLES; role++)
            ps_free(w->layers[layer][role].data);
    if (w->head.data != w->embed.data)
        ps_free(w->head.data);
    ps_free(w->embed.data);
    ps_free(w->final_norm.data);
    ps_free(w->layers);
    ps_free(w->wide_layer);
    ps_free(w->wide_head);
    ps_free(w->wide_norm);
    ps_free(w);
}

uint64_t ps_weights_bytes(const ps_weights *w)
{
    return w->bytes;
}

/* ---- parts ---- */

static void widen(float *out, const tensor *t)
{
    const size_t block = 1 << 16;
    size_t blocks = (t->n + block - 1) / block;

#pragma omp parallel for
    for (size_t b = 0; b < blocks; b++) {
        size_t at = b * block, n = t->n - at < block ? t->n - at : block;
        ps_widen(out + at, (const char *)t->data + at * ps_dtype_bytes(t->dtype), t->dtype, n);
    }
}

int ps_weights_layer(ps_weights *w, int32_t layer, const void *part[PS_N_ROLES], ps_err *err)
{
    float *room = w->wide_layer;

    (void)err; /* what is resident cannot fail; a stream can */
    for (int role = 0; role < PS_N_ROLES; role++) {
        const tensor *t = &w->layers[layer][role];
        part[role] = t->data;
        if (!t->data || t->dtype == type_wanted(w, role))
            continue;
        widen(room, t);
        part[role] = room;
        room += (t->n + 15) / 16 * 16;
    }
    w->acquired++;
    return 0;
}

const float *ps_weights_final_norm(const ps_weights *w)
{
    return w->wide_norm;
}

/* Rows of a matrix of width d, as the file has them. */
static const void *rows_at(const tensor *t, int64_t first, size_t d)
{
    return (const char *)t->data + (size_t)first * d * ps_dtype_bytes(t->dtype);
}

int ps_weights_head(ps_weights *w, int32_t first, int32_t n, const void **panel, ps_err *err)
{
    size_t d = (size_t)w->config->d_model;

    (void)err;
    if (n > w->head_rows || first < 0 || first > w->config->vocab - n)
        PS_BUG("head rows %d..%d", (int)first, (int)(first + n));
    *panel = rows_at(&w->head, first, d);
    if (w->head.dtype != w->operand) {
        tensor rows = {(void *)(uintptr_t)*panel, w->head.dtype, (size_t)n * d};
        widen(w->wide_head, &rows);
        *panel = w->wide_head;
    }
    w->acquired++;
    return 0;
}

int32_t ps_weights_head_rows(const ps_weights *w)
{
    return w->head_rows;
}

void ps_weights_embed_rows(const ps_weights *w, const int32_t *ids, size_t n, float *out)
{
    size_t d = (size_t)w->config->d_model;

    for (size_t i = 0; i < n; i++)
        ps_widen(out + i * d, rows_at(&w->embed, ids[i], d), w->embed.dtype, d);
}

void ps_weights_head_row(const ps_weights *w, int32_t id, float *out)
{
    size_t d = (size_t)w->config->d_model;

    ps_widen(out, rows_at(&w->head, id, d), w->head.dtype, d);
}

uint64_t ps_weights_acquired(const ps_weights *w)
{
    return w->acquired;
}
