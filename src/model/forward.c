/*
 * forward.c - a pre-norm decoder layer, step by step, over rows.
 *
 * Formulas: transformers' modeling_llama.py; RMSNorm in float32, rotary embedding on halves.
 */
#include "patchsweep/forward.h"

#include <math.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/minmax.h"

struct ps_forward {
    const ps_config *config;
    ps_weights *weights;
    const ps_backend *backend;
    ps_matrix part[PS_N_ROLES]; /* the acquired layer */
    ps_matrix head;             /* the acquired panel, [tokens, d_model] */
    float *cos, *sin;              /* [max_positions, head_dim / 2] */
    float *h, *gate, *up;          /* [max_rows, d_model], [max_rows, d_mlp] twice */
    size_t max_rows, d, q_width, kv_width, d_mlp;
};

#define N_BLOCKS 5

static void list_blocks(ps_forward *f, const ps_config *c, size_t max_rows, size_t max_positions,
                        ps_block blocks[N_BLOCKS])
{
    size_t half = (size_t)c->head_dim / 2, d_mlp = (size_t)c->d_mlp;
    const ps_block all[N_BLOCKS] = {
        {&f->cos, max_positions * half, sizeof(float)}, {&f->sin, max_positions * half, sizeof(float)},
        {&f->h, max_rows * (size_t)c->d_model, sizeof(float)}, {&f->gate, max_rows * d_mlp, sizeof(float)},
        {&f->up, max_rows * d_mlp, sizeof(float)},
    };

    memcpy(blocks, all, sizeof all);
}

uint64_t ps_forward_bytes(const ps_config *c, size_t max_rows, size_t max_positions)
{
    ps_forward none;
    ps_block blocks[N_BLOCKS];

    list_blocks(&none, c, max_rows, max_positions, blocks);
    return ps_blocks_bytes(blocks, N_BLOCKS);
}

/* cos and sin of position * frequency, each rounded to float as transformers does: the product in
 * float, its cosine rounded from double. */
static int fill_rope(ps_forward *f, size_t max_positions, ps_err *err)
{
    size_t half = (size_t)f->config->head_dim / 2;
    float *frequency = ps_malloc(half, sizeof *frequency, err);

    if (!frequency)
        return -1;
    ps_config_rope(f->config, frequency);
    for (size_t p = 0; p < max_positions; p++)
        for (size_t i = 0; i < half; i++) {
            float angle = (float)p * frequency[i];
            f->cos[p * half + i] = (float)cos((double)angle);
            f->sin[p * half + i] = (float)sin((double)angle);
        }
    ps_free(frequency);
    return 0;
}

int ps_forward_open(ps_forward **out, const ps_config *config, ps_weights *weights,
                    const ps_backend *backend, size_t max_rows, size_t max_positions, ps_err *err)
{
    ps_forward *f = ps_calloc(1, sizeof *f, err);
    ps_block blocks[N_BLOCKS];

    if (!f)
        return -1;
    f->config = config;
    f->weights = weights;
    f->backend = backend;
    f->max_rows = max_rows;
    f->d = (size_t)config->d_model;
    f->d_mlp = (size_t)config->d_mlp;
    f->q_width = (size_t)config->n_heads * (size_t)config->head_dim;
    f->kv_width = (size_t)config->n_kv_heads * (size_t)config->head_dim;
    list_blocks(f, config, max_rows, max_positions, blocks);
    if (ps_blocks_alloc(blocks, N_BLOCKS, err) < 0 || fill_rope(f, max_positions, err) < 0) {
        ps_forward_close(f);
        return -1;
    }
    *out = f;
    return 0;
}

void ps_forward_close(ps_forward *f)
{
    ps_block blocks[N_BLOCKS];

    if (!f)
        return;
    list_blocks(f, f->config, 0, 0, blocks);
    ps_blocks_free(blocks, N_BLOCKS);
    ps_free(f);
}

int32_t ps_forward_panel_tokens(const ps_config *c)
{
    return c->vocab < PS_HEAD_PANEL_TOKENS ? c->vocab : PS_HEAD_PANEL_TOKENS;
}

ps_backend_needs ps_forward_needs(const ps_config *c, enum ps_dtype operand, int n_threads,
                                  size_t max_rows, size_t max_positions)
{
    size_t panel = (size_t)ps_forward_panel_tokens(c);
    size_t depth = ps_max((size_t)c->n_heads * (size_t)c->head_dim, ps_max((size_t)c->d_model, (size_t)c->d_mlp));

    return (ps_backend_needs){.n_threads = n_threads, .operand = operand, .max_positions = max_positions,
                              .max_rows = ps_max(max_rows, max_positions), .max_depth = depth,
                              .max_matrix = (size_t)c->d_model * ps_max(panel, depth)};
}

size_t ps_forward_q_width(const ps_forward *f)
{
    return f->q_width;
}

size_t ps_forward_kv_width(const ps_forward *f)
{
    return f->kv_width;
}

const ps_backend_ops *ps_forward_ops(const ps_forward *f)
{
    return &f->backend->ops;
}

void ps_forward_embed(const ps_forward *f, float *x, const int32_t *ids, size_t n)
{
    ps_weights_embed_rows(f->weights, ids, n, x);
}

int ps_forward_layer(ps_forward *f, int32_t layer, ps_err *err)
{
    return ps_weights_layer(f->weights, layer, f->part, err);
}

static void norm(const ps_forward *f, float *h, const float *x, const float *w, size_t rows)
{
    f->backend->ops.norm(h, x, w, (float)f->config->norm_eps, rows, f->d);
}

void ps_forward_norm(const ps_forward *f, float *h, const float *x, size_t rows)
{
    norm(f, h, x, f->part[PS_W_ATTN_NORM].data, rows);
}

static void matmul(const ps_forward *f, float *out, const float *x, int weight, int bias, size_t rows)
{
    f->backend->ops.matmul(f->backend, out, x, &f->part[weight], f->part[bias].data, rows);
}

static void rope(const ps_forward *f, float *x, const int32_t *positions, size_t rows, int32_t heads)
{
    f->backend->ops.rope(x, positions, f->cos, f->sin, rows, (size_t)heads, (size_t)f->config->head_dim);
}

void ps_forward_q(const ps_forward *f, float *q, const float *h, const int32_t *positions, size_t rows)
{
    matmul(f, q, h, PS_W_Q, PS_B_Q, rows);
    rope(f, q, positions, rows, f->config->n_heads);
}

void ps_forward_kv(const ps_forward *f, float *k, float *v, const float *h,
                   const int32_t *positions, size_t rows)
{
    matmul(f, k, h, PS_W_K, PS_B_K, rows);
    matmul(f, v, h, PS_W_V, PS_B_V, rows);
    rope(f, k, positions, rows, f->config->n_kv_heads);
}

void ps_forward_attend(const ps_forward *f, const ps_queries *runs, size_t n_runs)
{
    ps_heads heads = {f->config->n_heads, f->config->n_kv_heads, f->config->head_dim,
                      (float)(1.0 / sqrt(f->config->head_dim))};

    f->backend->ops.attend(f->backend, runs, n_runs, heads);
}

void ps_forward_rest(ps_forward *f, float *x, const float *a, size_t rows, float *mid, float *mlp)
{
    const ps_backend_ops *op = &f->backend->ops;
    float *y = f->h; /* what a branch adds; free again before the norm writes it */

    if (rows > f->max_rows)
        PS_BUG("%zu rows in a panel of %zu", rows, f->max_rows);
    matmul(f, y, a, PS_W_O, PS_B_O, rows);
    op->add(x, y, rows * f->d);
    if (mid)
        op->move(mid, NULL, x, NULL, rows, f->d);
    norm(f, f->h, x, f->part[PS_W_MLP_NORM].data, rows);
    matmul(f, f->gate, f->h, PS_W_GATE, PS_B_GATE, rows);
    matmul(f, f->up, f->h, PS_W_UP, PS_B_UP, rows);
    op->swiglu(f->gate, f->up, rows * f->d_mlp);
    matmul(f, y, f->gate, PS_W_DOWN, PS_B_DOWN, rows);
    op->add(x, y, rows * f->d);
    if (mlp)
        op->move(mlp, NULL, y, NULL, rows, f->d);
}

/* In place, to what products take. */
static void round_row(float *h, enum ps_dtype type, size_t d)
{
    uint16_t narrow[256];

    for (size_t at = 0; at < d; at += 256) {
        size_t n = d - at < 256 ? d - at : 256;
        ps_narrow(narrow, h + at, type, n);
        ps_widen(h + at, narrow, type, n);
    }
}

void ps_forward_final_norm(const ps_forward *f, float *h, const float *x, size_t rows)
{
    norm(f, h, x, ps_weights_final_norm(f->weights), rows);
    if (f->backend->operand == PS_DTYPE_F32)
        return;
#pragma omp parallel for
    for (size_t r = 0; r < rows; r++)
        round_row(h + r * f->d, f->backend->operand, f->d);
}

int ps_forward_head(ps_forward *f, int32_t first, int32_t n, ps_err *err)
{
    if (n > PS_HEAD_PANEL_TOKENS)
        PS_BUG("%d tokens of the head in one product", (int)n);
    return ps_weights_head(f->weights, first, n, &f->head, err);
}

void ps_forward_logits(const ps_forward *f, float *logits, const float *h, size_t rows)
{
    f->backend->ops.matmul(f->backend, logits, h, &f->head, NULL, rows);
}
