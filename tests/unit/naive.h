/*
 * naive.h - the oracle: one whole forward pass for one cell, as a textbook has it.
 *
 * Nothing of the engine is used but the weights: every position of the base run goes through every
 * layer, in double, and one state is overwritten on the way.  No cache, no suffix, no free cell.
 */
#ifndef PATCHSWEEP_TESTS_NAIVE_H
#define PATCHSWEEP_TESTS_NAIVE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/cell.h"
#include "patchsweep/config.h"
#include "patchsweep/weights.h"

/* The states of a run that a cell may take: [boundary or layer][position][d]. */
typedef struct naive_run {
    double *resid; /* [L + 1, T, d] */
    double *mlp;   /* [L, T, d] */
    double *attn, *mid; /* [L, T, d] */
} naive_run;

typedef struct naive {
    const ps_config *c;
    ps_weights *weights; /* held by `ref`: as the file has them */
    size_t T, d;
    float *frequency;
} naive;

static void naive_norm(double *out, const double *x, const float *w, size_t d, double eps)
{
    double sum = 0;

    for (size_t i = 0; i < d; i++)
        sum += x[i] * x[i];
    for (size_t i = 0; i < d; i++)
        out[i] = x[i] / sqrt(sum / (double)d + eps) * w[i];
}

/* out[n] = w[n, k] x + b */
static void naive_linear(double *out, const double *x, const float *w, const float *b, size_t n, size_t k)
{
    for (size_t j = 0; j < n; j++) {
        out[j] = b ? b[j] : 0;
        for (size_t i = 0; i < k; i++)
            out[j] += w[j * k + i] * x[i];
    }
}

static void naive_rope(const naive *m, double *x, size_t heads, size_t position)
{
    size_t hd = (size_t)m->c->head_dim, half = hd / 2;

    for (size_t h = 0; h < heads; h++, x += hd)
        for (size_t i = 0; i < half; i++) {
            double angle = (double)((float)position * m->frequency[i]), a = x[i], b = x[i + half];
            x[i] = a * cos(angle) - b * sin(angle);
            x[i + half] = b * cos(angle) + a * sin(angle);
        }
}

/* out[T, H * hd] of attention over all positions. */
static void naive_attend(const naive *m, double *out, const double *q, const double *k, const double *v)
{
    size_t H = (size_t)m->c->n_heads, hd = (size_t)m->c->head_dim, KV = (size_t)m->c->n_kv_heads;
    double *p = malloc(m->T * sizeof *p);

    for (size_t t = 0; t < m->T; t++)
        for (size_t h = 0; h < H; h++) {
            size_t kv = h / (H / KV);
            double sum = 0, *to = out + (t * H + h) * hd;
            for (size_t j = 0; j <= t; j++) {
                p[j] = 0;
                for (size_t i = 0; i < hd; i++)
                    p[j] += q[(t * H + h) * hd + i] * k[(j * KV + kv) * hd + i];
                p[j] = exp(p[j] / sqrt((double)hd));
                sum += p[j];
            }
            memset(to, 0, hd * sizeof *to);
            for (size_t j = 0; j <= t; j++)
                for (size_t i = 0; i < hd; i++)
                    to[i] += p[j] / sum * v[(j * KV + kv) * hd + i];
        }
    free(p);
}

/* y[d] of the MLP for one row. */
static void naive_mlp(const naive *m, double *y, const double *x, const float *part[PS_N_ROLES])
{
    size_t n = (size_t)m->c->d_mlp;
    double *h = malloc(m->d * sizeof *h), *gate = malloc(n * sizeof *gate), *up = malloc(n * sizeof *up);

    naive_norm(h, x, part[PS_W_MLP_NORM], m->d, m->c->norm_eps);
    naive_linear(gate, h, part[PS_W_GATE], part[PS_B_GATE], n, m->d);
    naive_linear(up, h, part[PS_W_UP], part[PS_B_UP], n, m->d);
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    naive_linear(y, gate, part[PS_W_DOWN], part[PS_B_DOWN], m->d, n);
    free(h);
    free(gate);
    free(up);
}

/* out[T, d] = attention of one layer over x[T, d]. */
static void naive_attention(const naive *m, double *out, const double *x, const float *part[PS_N_ROLES])
{
    size_t qw = (size_t)m->c->n_heads * (size_t)m->c->head_dim;
    size_t kvw = (size_t)m->c->n_kv_heads * (size_t)m->c->head_dim;
    double *h = malloc(m->d * sizeof *h);
    double *q = malloc(m->T * qw * sizeof *q), *a = malloc(m->T * qw * sizeof *a);
    double *k = malloc(m->T * kvw * sizeof *k), *v = malloc(m->T * kvw * sizeof *v);

    for (size_t t = 0; t < m->T; t++) {
        naive_norm(h, x + t * m->d, part[PS_W_ATTN_NORM], m->d, m->c->norm_eps);
        naive_linear(q + t * qw, h, part[PS_W_Q], part[PS_B_Q], qw, m->d);
        naive_linear(k + t * kvw, h, part[PS_W_K], part[PS_B_K], kvw, m->d);
        naive_linear(v + t * kvw, h, part[PS_W_V], part[PS_B_V], kvw, m->d);
        naive_rope(m, q + t * qw, (size_t)m->c->n_heads, t);
        naive_rope(m, k + t * kvw, (size_t)m->c->n_kv_heads, t);
    }
    naive_attend(m, a, q, k, v);
    for (size_t t = 0; t < m->T; t++) {
        naive_linear(out + t * m->d, a + t * qw, part[PS_W_O], part[PS_B_O], m->d, qw);
    }
    free(h), free(q), free(a), free(k), free(v);
}

/* A tensor of the file as floats, or NULL; the caller frees it. */
static const float *naive_widened(const ps_matrix *m)
{
    float *wide = m->data ? malloc(m->n * m->k * sizeof *wide) : NULL;

    if (wide)
        ps_widen(wide, m->data, m->dtype, m->n * m->k);
    return wide;
}

/*
 * Run `ids`; where cell is not NULL its state is taken from `source`.  All states go to *keep where
 * it is not NULL.  logits[vocab] at the last position.
 */
static void naive_forward(const naive *m, const int32_t *ids, const ps_cell *cell,
                          const naive_run *source, naive_run *keep, double *logits)
{
    size_t T = m->T, d = m->d, L = (size_t)m->c->n_layers, row = d * sizeof(double);
    double *x = malloc(T * row), *y = malloc(row), *attn = malloc(T * row);
    float *embedding = malloc(T * d * sizeof *embedding);

    ps_weights_embed_rows(m->weights, ids, T, embedding);
    for (size_t i = 0; i < T * d; i++)
        x[i] = embedding[i];
    for (size_t l = 0; l < L; l++) {
        ps_matrix acquired[PS_N_ROLES];
        const float *part[PS_N_ROLES];
        size_t t_patch = cell && (size_t)cell->layer == l ? (size_t)cell->position : T;
        ps_err err = PS_ERR_INIT;
        if (t_patch < T && cell->site == PS_RESID_PRE)
            memcpy(x + t_patch * d, source->resid + (l * T + t_patch) * d, row);
        if (keep)
            memcpy(keep->resid + l * T * d, x, T * row);
        ps_weights_layer(m->weights, (int32_t)l, acquired, &err);
        for (int role = 0; role < PS_N_ROLES; role++)
            part[role] = naive_widened(&acquired[role]);
        naive_attention(m, attn, x, part);
        if (t_patch < T && cell->site == PS_ATTN_OUT)
            memcpy(attn + t_patch * d, source->attn + (l * T + t_patch) * d, row);
        for (size_t i = 0; i < T * d; i++)
            x[i] += attn[i];
        if (t_patch < T && cell->site == PS_RESID_MID)
            memcpy(x + t_patch * d, source->mid + (l * T + t_patch) * d, row);
        if (keep) {
            memcpy(keep->attn + l * T * d, attn, T * row);
            memcpy(keep->mid + l * T * d, x, T * row);
        }
        for (size_t t = 0; t < T; t++) {
            naive_mlp(m, y, x + t * d, part);
            if (t == t_patch && cell->site == PS_MLP_OUT)
                memcpy(y, source->mlp + (l * T + t) * d, row);
            if (keep)
                memcpy(keep->mlp + (l * T + t) * d, y, row);
            for (size_t i = 0; i < d; i++)
                x[t * d + i] += y[i];
        }
        if (t_patch < T && cell->site == PS_RESID_POST)
            memcpy(x + t_patch * d, source->resid + ((l + 1) * T + t_patch) * d, row);
        for (int role = 0; role < PS_N_ROLES; role++)
            free((void *)(uintptr_t)part[role]);
    }
    if (keep)
        memcpy(keep->resid + L * T * d, x, T * row);
    naive_norm(y, x + (T - 1) * d, ps_weights_final_norm(m->weights), d, m->c->norm_eps);
    for (int32_t id = 0; id < m->c->vocab; id++) {
        ps_weights_head_row(m->weights, id, embedding);
        logits[id] = 0;
        for (size_t i = 0; i < d; i++)
            logits[id] += embedding[i] * y[i];
    }
    free(x), free(y), free(attn), free(embedding);
}

#endif
