/*
 * weights.c - the resident weights: all tensors are in memory.
 */
#include "patchsweep/weights.h"

#include <string.h>

#include "patchsweep/mem.h"
#include "weights_store.h"

ps_weights *ps_weights_new(const ps_config *config, const ps_backend *backend, ps_err *err)
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

/* ---- how tensors are held ---- */

/* Embeddings are looked up by rows and never multiplied: they keep the layout of the file. */
static bool only_looked_up(const ps_tensor_source *source)
{
    return source->role == PS_W_EMBED || source->role == PS_W_POSITIONS;
}

const ps_backend_ops *ps_weights_layout(const ps_weights *w, const ps_tensor_source *source)
{
    return source->cols == PS_DIM_NONE || only_looked_up(source) ? &ps_backend_ref : &w->backend->ops;
}

enum ps_dtype ps_weights_held(const ps_weights *w, const ps_tensor_source *source, enum ps_dtype dtype)
{
    return source->cols == PS_DIM_NONE ? PS_DTYPE_F32 : only_looked_up(source) ? dtype : w->backend->ops.held[dtype];
}

int ps_weights_add(ps_weights *w, ps_matrix *out, const ps_tensor_source *source, enum ps_dtype dtype,
                   bool measuring, ps_err *err)
{
    size_t n = (size_t)ps_config_dim(w->config, (enum ps_dim)source->rows);
    size_t k = source->cols == PS_DIM_NONE ? 1 : (size_t)ps_config_dim(w->config, (enum ps_dim)source->cols);
    enum ps_dtype held = ps_weights_held(w, source, dtype);
    const ps_block block = {.n = ps_matrix_bytes(ps_weights_layout(w, source), held, n, k), .size = 1};

    *out = (ps_matrix){.dtype = held, .n = n, .k = k};
    w->bytes += ps_blocks_bytes(&block, 1);
    if (measuring)
        return 0;
    out->data = ps_malloc_aligned(block.n, 1, err);
    return out->data ? 0 : -1;
}

/* ---- the end ---- */

static void free_matrix(const ps_matrix *m)
{
    ps_free((void *)(uintptr_t)m->data);
}

void ps_weights_drop(ps_weights *w)
{
    for (int32_t layer = 0; w->layers && layer < w->config->n_layers; layer++)
        for (int role = 0; role < PS_N_ROLES; role++)
            free_matrix(&w->layers[layer][role]);
    if (w->whole[PS_W_LM_HEAD].data == w->whole[PS_W_EMBED].data)
        w->whole[PS_W_LM_HEAD].data = NULL;
    for (int role = 0; role < PS_N_ROLES; role++)
        free_matrix(&w->whole[role]);
    ps_free(w->layers);
    w->layers = NULL;
    memset(w->whole, 0, sizeof w->whole);
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

/* ---- acquiring ---- */

int ps_weights_layer(ps_weights *w, int32_t layer, ps_matrix tensors[PS_N_ROLES], ps_err *err)
{
    (void)err; /* a resident layer is always there */
    memcpy(tensors, w->layers[layer], sizeof w->layers[layer]);
    w->acquired++;
    return 0;
}

const float *ps_weights_final_norm(const ps_weights *w)
{
    return w->whole[PS_W_FINAL_NORM].data;
}

const float *ps_weights_final_norm_bias(const ps_weights *w)
{
    return w->whole[PS_B_FINAL_NORM].data;
}

int ps_weights_lm_head(ps_weights *w, int32_t first, int32_t n, ps_matrix *panel, ps_err *err)
{
    const ps_matrix *head = &w->whole[PS_W_LM_HEAD];

    (void)err;
    if (first < 0 || first > w->config->vocab - n || (size_t)first % w->backend->ops.strip)
        PS_BUG("head rows %d..%d", (int)first, (int)(first + n));
    *panel = (ps_matrix){(const char *)head->data + (size_t)first * head->k * ps_dtype_bytes(head->dtype), head->dtype,
                         (size_t)n, head->k};
    w->acquired++;
    return 0;
}

void ps_weights_embed_rows(const ps_weights *w, const int32_t *ids, size_t n, float *out)
{
    const ps_matrix *embed = &w->whole[PS_W_EMBED];
    const ps_backend_ops *ops = embed->data == w->whole[PS_W_LM_HEAD].data ? &w->backend->ops : &ps_backend_ref;

    for (size_t i = 0; i < n; i++)
        ps_matrix_row(ops, embed, (size_t)ids[i], out + i * embed->k);
}

void ps_weights_lm_head_row(const ps_weights *w, int32_t id, float *out)
{
    ps_matrix_row(&w->backend->ops, &w->whole[PS_W_LM_HEAD], (size_t)id, out);
}

void ps_weights_position_rows(const ps_weights *w, int32_t first, size_t n, float *out)
{
    const ps_matrix *positions = &w->whole[PS_W_POSITIONS];

    for (size_t i = 0; i < n; i++)
        ps_matrix_row(&ps_backend_ref, positions, (size_t)first + i, out + i * positions->k);
}

uint64_t ps_weights_acquired(const ps_weights *w)
{
    return w->acquired;
}
