/*
 * forward.c - the steps of a layer as calls of the backend.
 *
 * Formulas: transformers' modeling files of the families; norms in float32, rotary embedding on halves.
 */
#include "patchsweep/forward.h"

#include <math.h>
#include <string.h>

#include "patchsweep/family.h"
#include "patchsweep/mem.h"
#include "patchsweep/minmax.h"

struct ps_forward {
    const ps_config *config;
    ps_weights *weights;
    const ps_backend *backend;
    int32_t layer;              /* the acquired one */
    ps_matrix tensor[PS_N_ROLES]; /* its tensors, by role */
    ps_matrix lm_head;          /* the acquired panel, [tokens, d_model] */
    float *cos, *sin;           /* [max_positions, rotary_dim / 2] */
    float *position;            /* [d_model] one position's embedding, in families that have such embeddings */
    size_t d;
};

#define N_BLOCKS 3

static void list_blocks(ps_forward *f, const ps_config *c, size_t max_positions, ps_block blocks[N_BLOCKS])
{
    size_t half = (size_t)c->rotary_dim / 2;
    const ps_block all[N_BLOCKS] = {
        {&f->cos, max_positions * half, sizeof(float)}, {&f->sin, max_positions * half, sizeof(float)},
        {&f->position, c->learned_positions ? (size_t)c->d_model : 0, sizeof(float)},
    };

    memcpy(blocks, all, sizeof all);
}

uint64_t ps_forward_bytes(const ps_config *c, size_t max_positions)
{
    ps_forward none;
    ps_block blocks[N_BLOCKS];

    list_blocks(&none, c, max_positions, blocks);
    return ps_blocks_bytes(blocks, N_BLOCKS);
}

/* cos and sin of position * frequency, each rounded to float as transformers does: the product in
 * float, its cosine rounded from double. */
static int fill_rope(ps_forward *f, size_t max_positions, ps_err *err)
{
    size_t half = (size_t)f->config->rotary_dim / 2;
    float *frequency = half ? ps_malloc(half, sizeof *frequency, err) : NULL;

    if (!frequency)
        return half ? -1 : 0;
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

int ps_forward_check_positions(const ps_config *c, size_t n, ps_err *err)
{
    if (!c->learned_positions || n <= (size_t)c->max_positions)
        return 0;
    return ps_err_set(err, PS_EINPUT, "a prompt has %zu tokens, and the model has embeddings of %d positions; shorten it", n,
                      (int)c->max_positions);
}

int ps_forward_open(ps_forward **out, const ps_config *config, ps_weights *weights, const ps_backend *backend,
                    size_t max_positions, ps_err *err)
{
    ps_forward *f = ps_calloc(1, sizeof *f, err);
    ps_block blocks[N_BLOCKS];

    if (!f)
        return -1;
    f->config = config;
    f->weights = weights;
    f->backend = backend;
    f->d = (size_t)config->d_model;
    list_blocks(f, config, max_positions, blocks);
    if (ps_forward_check_positions(config, max_positions, err) < 0 ||
        ps_blocks_alloc(blocks, N_BLOCKS, err) < 0 || fill_rope(f, max_positions, err) < 0) {
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
    list_blocks(f, f->config, 0, blocks);
    ps_blocks_free(blocks, N_BLOCKS);
    ps_free(f);
}

int32_t ps_forward_panel_tokens(const ps_config *c)
{
    return c->vocab < PS_LM_HEAD_TOKENS ? c->vocab : PS_LM_HEAD_TOKENS;
}

ps_backend_needs ps_forward_needs(const ps_config *c, enum ps_dtype operand, int n_threads,
                                  size_t max_rows, size_t max_positions)
{
    size_t d = (size_t)c->d_model, depth = d, matrix = d * (size_t)ps_forward_panel_tokens(c);

    for (const ps_step *step = c->family->layer; step->op != PS_OP_END; step++)
        if (step->op == PS_OP_LINEAR) {
            size_t k = ps_program_width(c, (enum ps_reg)step->in), n = ps_program_width(c, (enum ps_reg)step->out);
            depth = ps_max(depth, k);
            matrix = ps_max(matrix, n * k);
        }
    return (ps_backend_needs){.n_threads = n_threads, .operand = operand, .max_positions = max_positions,
                              .max_rows = ps_max(max_rows, max_positions), .max_depth = depth, .max_matrix = matrix};
}

const ps_backend *ps_forward_backend(const ps_forward *f)
{
    return f->backend;
}

void ps_forward_embed(const ps_forward *f, float *x, const int32_t *ids, int32_t first, size_t n)
{
    float scale = (float)f->config->embed_scale;

    ps_weights_embed_rows(f->weights, ids, n, x);
    for (size_t i = 0; scale != 1 && i < n * f->d; i++)
        x[i] *= scale;
    for (size_t i = 0; f->config->learned_positions && i < n; i++) {
        ps_weights_position_rows(f->weights, first + (int32_t)i, 1, f->position);
        for (size_t j = 0; j < f->d; j++)
            x[i * f->d + j] += f->position[j];
    }
}

int ps_forward_layer(ps_forward *f, int32_t layer, ps_err *err)
{
    f->layer = layer;
    return ps_weights_layer(f->weights, layer, f->tensor, err);
}

/* The family's kind of norm; `b` may be NULL. */
static void norm(const ps_forward *f, float *h, const float *x, const float *w, const float *b, size_t rows, size_t width)
{
    float eps = (float)f->config->norm_eps;

    if (f->config->family->norm == PS_NORM_LAYER)
        f->backend->ops.layer_norm(h, x, w, b, eps, rows, width);
    else
        f->backend->ops.norm(h, x, w, eps, rows, width);
}

/* Move the input to where the step leaves its output, for operations that work in place. */
static float *in_place(const ps_forward *f, const ps_step_rows *r, size_t width)
{
    if (r->out != r->in)
        f->backend->ops.move(r->out, NULL, r->in, NULL, NULL, r->n, width);
    return r->out;
}

void ps_forward_step(const ps_forward *f, size_t i, const ps_step_rows *r)
{
    const ps_backend_ops *op = &f->backend->ops;
    const ps_step *step = &f->config->family->layer[i];
    size_t width = ps_program_width(f->config, (enum ps_reg)step->out), hd = (size_t)f->config->head_dim;
    const float *bias = step->bias ? f->tensor[step->bias].data : NULL;

    switch (step->op) {
    case PS_OP_NORM:
        norm(f, r->out, r->in, f->tensor[step->weight].data, bias, r->n, width);
        return;
    case PS_OP_HEAD_NORM:
        norm(f, r->out, r->in, f->tensor[step->weight].data, bias, r->n * (width / hd), hd);
        return;
    case PS_OP_LINEAR:
        op->matmul(f->backend, r->out, r->in, &f->tensor[step->weight], bias, r->n);
        return;
    case PS_OP_ROPE:
        op->rope(in_place(f, r, width), r->positions, f->cos, f->sin, r->n, width / hd, hd, (size_t)f->config->rotary_dim);
        return;
    case PS_OP_ACT:
        op->act(in_place(f, r, width), (enum ps_act)f->config->family->act, r->n * width);
        return;
    case PS_OP_GLU:
        op->glu(in_place(f, r, width), r->in2, (enum ps_act)f->config->family->act, r->n * width);
        return;
    case PS_OP_ADD:
        op->add(r->out, r->in, r->in2, r->n * width);
        return;
    }
    PS_BUG("step %zu of a layer is of kind %d", i, step->op);
}

void ps_forward_attend(const ps_forward *f, const ps_attention *work)
{
    const ps_config *c = f->config;
    const ps_heads heads = {.n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads, .head_dim = c->head_dim,
                            .scale = (float)c->attention_scale, .window = c->layers[f->layer].window,
                            .softcap = (float)c->attention_softcap};

    f->backend->ops.attend(f->backend, work, heads);
}

void ps_forward_final_norm(const ps_forward *f, float *h, const float *x, size_t rows)
{
    norm(f, h, x, ps_weights_final_norm(f->weights), ps_weights_final_norm_bias(f->weights), rows, f->d);
    f->backend->ops.round(f->backend, h, rows * f->d);
}

int ps_forward_lm_head(ps_forward *f, int32_t first, int32_t n, ps_err *err)
{
    if (n > PS_LM_HEAD_TOKENS)
        PS_BUG("%d tokens of the head in one product", (int)n);
    return ps_weights_lm_head(f->weights, first, n, &f->lm_head, err);
}

void ps_forward_logits(const ps_forward *f, float *logits, const float *h, size_t rows)
{
    const ps_backend_ops *op = &f->backend->ops;

    op->matmul(f->backend, logits, h, &f->lm_head, NULL, rows);
    if (f->config->logit_softcap > 0)
        op->softcap(logits, (float)f->config->logit_softcap, rows * f->lm_head.n);
}

double ps_forward_logit(const ps_forward *f, double product)
{
    double cap = f->config->logit_softcap;

    return cap > 0 ? cap * tanh(product / cap) : product;
}
