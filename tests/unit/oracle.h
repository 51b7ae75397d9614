/*
 * oracle.h - the oracle: a model's whole forward pass in double, as its program reads, with the simplest loops.
 *
 * Nothing of the engine is used but the weights and the tables of steps: every position goes through every layer, and states
 * are overwritten on the way.  No cache, no suffix, no free cell.
 */
#ifndef PATCHSWEEP_TESTS_ORACLE_H
#define PATCHSWEEP_TESTS_ORACLE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/config.h"
#include "patchsweep/family.h"
#include "patchsweep/weights.h"

/* A model's weights, widened. */
typedef struct oracle {
    const ps_config *c;
    ps_weights *weights; /* borrowed */
    float *(*part)[PS_N_ROLES]; /* [L] */
} oracle;

/* The states of a run of T positions.  What the program has no step for is NULL. */
typedef struct oracle_run {
    size_t T;
    double *tap[PS_N_TAPS]; /* [L, T, width] */
    double *logits;         /* [vocab] of the last position */
} oracle_run;

/* Positions first .. first + n - 1 of `tap` in `layer` become the source run's; of one head's columns, if head >= 0. */
typedef struct oracle_edit {
    enum ps_tap tap;
    int32_t layer, first, n, head;
} oracle_edit;

/* ---- weights ---- */

/* A part [n, k] as floats, in rows; NULL where the model has none. */
static float *oracle_widened(const ps_backend_ops *ops, const ps_matrix *m)
{
    float *wide = m->data ? malloc(m->n * m->k * sizeof *wide) : NULL;

    for (size_t i = 0; wide && m->k > 1 && i < m->n; i++)
        ps_matrix_row(ops, m, i, wide + i * m->k);
    if (wide && m->k == 1)
        memcpy(wide, m->data, m->n * sizeof *wide);
    return wide;
}

/* `ops` holds the matrices of `weights`. */
static oracle oracle_open(const ps_config *c, ps_weights *weights, const ps_backend_ops *ops)
{
    oracle o = {c, weights, calloc((size_t)c->n_layers, sizeof *o.part)};

    for (int32_t l = 0; l < c->n_layers; l++) {
        ps_matrix part[PS_N_ROLES];
        ps_err err = PS_ERR_INIT;
        ps_weights_layer(weights, l, part, &err);
        for (int role = 0; role < PS_N_ROLES; role++)
            o.part[l][role] = oracle_widened(ops, &part[role]);
    }
    return o;
}

static void oracle_close(oracle *o)
{
    for (int32_t l = 0; l < o->c->n_layers; l++)
        for (int role = 0; role < PS_N_ROLES; role++)
            free(o->part[l][role]);
    free(o->part);
}

/* ---- states ---- */

static size_t oracle_width(const ps_config *c, int tap)
{
    int i = tap == PS_TAP_RESID_PRE ? -1 : ps_program_tap(c->family->layer, (enum ps_tap)tap);

    return tap == PS_TAP_RESID_PRE ? (size_t)c->d_model
           : i < 0                 ? 0
                                   : ps_program_width(c, (enum ps_reg)c->family->layer[i].out);
}

static oracle_run oracle_run_open(const ps_config *c, size_t T)
{
    oracle_run run = {.T = T, .logits = calloc((size_t)c->vocab, sizeof(double))};

    for (int tap = 1; tap < PS_N_TAPS; tap++)
        if (oracle_width(c, tap))
            run.tap[tap] = calloc((size_t)c->n_layers * T * oracle_width(c, tap), sizeof(double));
    return run;
}

static void oracle_run_close(oracle_run *run)
{
    for (int tap = 1; tap < PS_N_TAPS; tap++)
        free(run->tap[tap]);
    free(run->logits);
}

/* [T, width] of a tap in a layer. */
static double *oracle_at(const ps_config *c, const oracle_run *run, int tap, int32_t layer)
{
    return run->tap[tap] + (size_t)layer * run->T * oracle_width(c, tap);
}

/* ---- steps ---- */

static void oracle_norm(double *out, const double *x, const float *w, const float *b, size_t d, const ps_config *c)
{
    double mean = 0, squares = 0;

    for (size_t i = 0; i < d && c->family->norm == PS_NORM_LAYER; i++)
        mean += x[i] / (double)d;
    for (size_t i = 0; i < d; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    for (size_t i = 0; i < d; i++)
        out[i] = (x[i] - mean) / sqrt(squares / (double)d + c->norm_eps) * w[i] + (b ? b[i] : 0);
}

static void oracle_linear(double *out, const double *x, const float *w, const float *b, size_t n, size_t k)
{
    for (size_t j = 0; j < n; j++) {
        out[j] = b ? b[j] : 0;
        for (size_t i = 0; i < k; i++)
            out[j] += w[j * k + i] * x[i];
    }
}

/* One row of heads. */
static void oracle_rope(const ps_config *c, double *x, size_t heads, size_t position)
{
    size_t hd = (size_t)c->head_dim, half = (size_t)c->rotary_dim / 2;
    float frequency[1024];

    ps_config_rope(c, frequency);
    for (size_t h = 0; h < heads; h++, x += hd)
        for (size_t i = 0; i < half; i++) {
            double angle = (double)((float)position * frequency[i]), a = x[i], b = x[i + half];
            x[i] = a * cos(angle) - b * sin(angle);
            x[i + half] = b * cos(angle) + a * sin(angle);
        }
}

static double oracle_capped(double x, double cap)
{
    return cap > 0 ? cap * tanh(x / cap) : x;
}

/* out[hd] of a head's attention at row t. */
static void oracle_attend(const ps_config *c, double *out, const double *q, const double *k, const double *v, size_t t,
                          size_t window)
{
    size_t hd = (size_t)c->head_dim, width = (size_t)c->n_kv_heads * hd;
    double *p = malloc((t + 1) * sizeof *p), sum = 0;

    memset(out, 0, hd * sizeof *out);
    for (size_t j = 0; j <= t; j++) {
        double dot = 0;
        for (size_t i = 0; i < hd; i++)
            dot += q[i] * k[j * width + i];
        bool seen = window == 0 || t - j < window;
        p[j] = seen ? exp(oracle_capped(dot * c->attention_scale, c->attention_softcap)) : 0;
        sum += p[j];
    }
    for (size_t j = 0; j <= t; j++)
        for (size_t i = 0; i < hd; i++)
            out[i] += p[j] / sum * v[j * width + i];
    free(p);
}

static double oracle_act(double x, int act)
{
    return act == PS_ACT_SILU   ? x / (1 + exp(-x))
           : act == PS_ACT_GELU ? x / 2 * erfc(-x / sqrt(2))
                                : x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * pow(x, 3))));
}

/* One row of a step that is not attention. */
static void oracle_step(const oracle *o, int32_t layer, const ps_step *s, double *const row[PS_N_REGS], size_t position)
{
    const ps_config *c = o->c;
    size_t n = ps_program_width(c, (enum ps_reg)s->out), hd = (size_t)c->head_dim;
    double *out = row[s->out], *in = row[s->in];
    const float *w = o->part[layer][s->weight], *b = s->bias ? o->part[layer][s->bias] : NULL;

    if (s->op == PS_OP_NORM)
        oracle_norm(out, in, w, b, n, c);
    else if (s->op == PS_OP_HEAD_NORM)
        for (size_t h = 0; h < n / hd; h++)
            oracle_norm(out + h * hd, in + h * hd, w, b, hd, c);
    else if (s->op == PS_OP_LINEAR)
        oracle_linear(out, in, w, b, n, ps_program_width(c, (enum ps_reg)s->in));
    else if (s->op == PS_OP_ROPE) {
        memmove(out, in, n * sizeof *out);
        oracle_rope(c, out, n / hd, position);
    } else
        for (size_t i = 0; i < n; i++)
            out[i] = s->op == PS_OP_ACT   ? oracle_act(in[i], c->family->act)
                     : s->op == PS_OP_GLU ? oracle_act(in[i], c->family->act) * row[s->in2][i]
                                          : in[i] + row[s->in2][i];
}

/* ---- the pass ---- */

/* Lay the edits of `tap` over x[T, width], then keep it. */
static void oracle_edit_and_keep(const ps_config *c, double *x, int tap, int32_t layer, const oracle_edit *edits, size_t n_edits,
                                 const oracle_run *source, oracle_run *keep)
{
    size_t width = oracle_width(c, tap), hd = (size_t)c->head_dim;

    for (const oracle_edit *e = edits; e < edits + n_edits; e++)
        for (int32_t t = e->first; (int)e->tap == tap && e->layer == layer && t < e->first + e->n; t++) {
            size_t at = (size_t)t * width + (e->head < 0 ? 0 : (size_t)e->head * hd);
            memcpy(x + at, oracle_at(c, source, tap, layer) + at, (e->head < 0 ? width : hd) * sizeof *x);
        }
    if (tap && keep)
        memcpy(oracle_at(c, keep, tap, layer), x, keep->T * width * sizeof *x);
}

static void oracle_embed(const oracle *o, double *x, const int32_t *ids, size_t T)
{
    size_t d = (size_t)o->c->d_model;
    float *row = malloc(2 * d * sizeof *row), *position = row + d;

    for (size_t t = 0; t < T; t++) {
        memset(position, 0, d * sizeof *row);
        ps_weights_embed_rows(o->weights, &ids[t], 1, row);
        if (o->c->learned_positions)
            ps_weights_position_rows(o->weights, (int32_t)t, 1, position);
        for (size_t i = 0; i < d; i++)
            x[t * d + i] = row[i] * (double)(float)o->c->embed_scale + position[i];
    }
    free(row);
}

static void oracle_logits(const oracle *o, double *logits, const double *x)
{
    size_t d = (size_t)o->c->d_model;
    double *h = malloc(d * sizeof *h);
    float *row = malloc(d * sizeof *row);

    oracle_norm(h, x, ps_weights_final_norm(o->weights), ps_weights_final_norm_bias(o->weights), d, o->c);
    for (int32_t id = 0; id < o->c->vocab; id++) {
        ps_weights_lm_head_row(o->weights, id, row);
        oracle_linear(&logits[id], h, row, NULL, 1, d);
        logits[id] = oracle_capped(logits[id], o->c->logit_softcap);
    }
    free(h);
    free(row);
}

/* All rows of one layer, from reg[PS_X] to reg[PS_X]. */
static void oracle_layer(const oracle *o, double *const reg[PS_N_REGS], size_t T, int32_t layer, const oracle_edit *edits,
                         size_t n_edits, const oracle_run *source, oracle_run *keep)
{
    const ps_config *c = o->c;
    size_t hd = (size_t)c->head_dim, H = (size_t)c->n_heads, share = H / (size_t)c->n_kv_heads;

    oracle_edit_and_keep(c, reg[PS_X], PS_TAP_RESID_PRE, layer, edits, n_edits, source, keep);
    for (const ps_step *s = c->family->layer; s->op != PS_OP_END; s++) {
        for (size_t t = 0; t < T; t++) {
            double *row[PS_N_REGS];
            for (int r = 0; r < PS_N_REGS; r++)
                row[r] = reg[r] + t * ps_program_width(c, (enum ps_reg)r);
            for (size_t h = 0; h < H && s->op == PS_OP_ATTEND; h++)
                oracle_attend(c, row[s->out] + h * hd, row[PS_Q] + h * hd, reg[PS_K] + h / share * hd, reg[PS_V] + h / share * hd,
                              t, (size_t)c->layers[layer].window);
            if (s->op != PS_OP_ATTEND)
                oracle_step(o, layer, s, row, t);
        }
        if (s->tap)
            oracle_edit_and_keep(c, reg[s->out], s->tap, layer, edits, n_edits, source, keep);
    }
}

/* Run ids[T] with `edits` out of `source`; all states go to *keep, where it is not NULL.  logits[vocab] at the last position. */
static void oracle_forward(const oracle *o, const int32_t *ids, size_t T, const oracle_edit *edits, size_t n_edits,
                           const oracle_run *source, oracle_run *keep, double *logits)
{
    double *reg[PS_N_REGS];

    for (int r = 0; r < PS_N_REGS; r++)
        reg[r] = calloc(T * ps_program_width(o->c, (enum ps_reg)r), sizeof *reg[r]);
    oracle_embed(o, reg[PS_X], ids, T);
    for (int32_t layer = 0; layer < o->c->n_layers; layer++)
        oracle_layer(o, reg, T, layer, edits, n_edits, source, keep);
    oracle_logits(o, logits, reg[PS_X] + (T - 1) * (size_t)o->c->d_model);
    for (int r = 0; r < PS_N_REGS; r++)
        free(reg[r]);
}

#endif
