/*
 * product.h - a run through the product's forward pass (forward.h), all rows of a step at once, every tap kept.
 */
#ifndef PATCHSWEEP_TESTS_PRODUCT_H
#define PATCHSWEEP_TESTS_PRODUCT_H

#include "oracle.h"
#include "patchsweep/forward.h"

static void product_keep(const ps_config *c, oracle_run *run, int tap, int32_t layer, const float *x)
{
    double *to = oracle_at(c, run, tap, layer);

    for (size_t i = 0; i < run->T * oracle_width(c, tap); i++)
        to[i] = x[i];
}

static void product_layer(const ps_config *c, ps_forward *f, float *const reg[PS_N_REGS], const int32_t *positions, int32_t layer,
                          oracle_run *run)
{
    const ps_step *program = c->family->layer;
    int32_t T = (int32_t)run->T;

    product_keep(c, run, PS_TAP_RESID_PRE, layer, reg[PS_X]);
    for (size_t i = 0; program[i].op != PS_OP_END; i++) {
        const ps_step *s = &program[i];
        uint8_t in[PS_MAX_INPUTS];
        const ps_key_span span = {0, T};
        const ps_query query = {.n = T};
        const ps_attention work = {.out = reg[s->out], .q = reg[PS_Q], .k = reg[PS_K], .v = reg[PS_V], .queries = &query,
                                   .n_queries = 1, .spans = &span};
        ps_step_rows rows = {.out = reg[s->out], .in = reg[s->in], .positions = positions, .n = run->T};
        if (s->op == PS_OP_ATTEND)
            ps_forward_attend(f, &work);
        else {
            if (ps_step_inputs(s, in) > 1)
                rows.in2 = reg[in[1]];
            ps_forward_step(f, i, &rows);
        }
        if (s->tap)
            product_keep(c, run, s->tap, layer, reg[s->out]);
    }
}

/* Logits of x[d], panel by panel. */
static int product_logits(const ps_config *c, ps_forward *f, const float *x, double *logits, ps_err *err)
{
    float *h = malloc((size_t)c->d_model * sizeof *h), *panel = malloc((size_t)ps_forward_panel_tokens(c) * sizeof *panel);
    int32_t most = ps_forward_panel_tokens(c);
    int rc = 0;

    ps_forward_final_norm(f, h, x, 1);
    for (int32_t first = 0; first < c->vocab && rc == 0; first += most) {
        int32_t n = c->vocab - first < most ? c->vocab - first : most;
        if ((rc = ps_forward_lm_head(f, first, n, err)) < 0)
            break;
        ps_forward_logits(f, panel, h, 1);
        for (int32_t i = 0; i < n; i++)
            logits[first + i] = panel[i];
    }
    free(h);
    free(panel);
    return rc;
}

/* Run ids[T] with the weights of `weights`, as `backend` computes: *run gets every tap and the logits; close it. */
static int product_run(oracle_run *run, const ps_config *c, ps_weights *weights, const ps_backend *backend, const int32_t *ids,
                       size_t T, ps_err *err)
{
    float *reg[PS_N_REGS];
    int32_t *positions = malloc(T * sizeof *positions);
    ps_forward *f = NULL;
    size_t half = T / 2, d = (size_t)c->d_model;

    *run = oracle_run_open(c, T);
    for (int r = 0; r < PS_N_REGS; r++)
        reg[r] = calloc(T * ps_program_width(c, (enum ps_reg)r), sizeof *reg[r]);
    for (size_t t = 0; t < T; t++)
        positions[t] = (int32_t)t;
    int rc = ps_forward_open(&f, c, weights, backend, T, err);
    if (rc == 0) { /* in two parts, for embeddings of positions */
        ps_forward_embed(f, reg[PS_X], ids, 0, half);
        ps_forward_embed(f, reg[PS_X] + half * d, ids + half, (int32_t)half, T - half);
    }
    for (int32_t layer = 0; layer < c->n_layers && rc == 0; layer++)
        if ((rc = ps_forward_layer(f, layer, err)) == 0)
            product_layer(c, f, reg, positions, layer, run);
    if (rc == 0)
        rc = product_logits(c, f, reg[PS_X] + (T - 1) * d, run->logits, err);
    ps_forward_close(f);
    for (int r = 0; r < PS_N_REGS; r++)
        free(reg[r]);
    free(positions);
    return rc;
}

#endif
