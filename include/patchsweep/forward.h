/*
 * forward.h - one layer of the network over any rows.
 *
 * The steps of a layer, in their order, over rows that may belong to many runs and
 * stand at many positions.  Only attention must know which row belongs to which run; the caller (wave.c)
 * tells it by ps_queries.
 *
 *     h = norm(x)   q, k, v = rope(h W + b)   a = attend(q, k, v)
 *     m = x + a Wo  h = norm(m)  y = (silu(h Wg) * (h Wu)) Wd   x' = m + y
 */
#ifndef PATCHSWEEP_FORWARD_H
#define PATCHSWEEP_FORWARD_H

#include "patchsweep/backend.h"
#include "patchsweep/config.h"
#include "patchsweep/weights.h"

/* A model ready to run, and room for one panel of rows. */
typedef struct ps_forward ps_forward;

/*
 * `weights` and `backend` are borrowed.  No call may have more than `max_rows` rows nor a
 * position at or past `max_positions`.
 */
int ps_forward_open(ps_forward **out, const ps_config *config, ps_weights *weights,
                    const ps_backend *backend, size_t max_rows, size_t max_positions, ps_err *err);
void ps_forward_close(ps_forward *forward);
/* Bytes that ps_forward_open() allocates. */
uint64_t ps_forward_bytes(const ps_config *config, size_t max_rows, size_t max_positions);

/* Most tokens of the LM head in one matrix product. */
#define PS_HEAD_PANEL_TOKENS 4096
/* PS_HEAD_PANEL_TOKENS, or the vocabulary where it is smaller. */
int32_t ps_forward_panel_tokens(const ps_config *config);

/* The needs of a backend that runs `config` on panels of at most `max_rows` rows and `max_positions` positions. */
ps_backend_needs ps_forward_needs(const ps_config *config, enum ps_dtype operand, int n_threads,
                                  size_t max_rows, size_t max_positions);

size_t ps_forward_q_width(const ps_forward *forward);  /* n_heads * head_dim */
size_t ps_forward_kv_width(const ps_forward *forward); /* n_kv_heads * head_dim */

/* The backend's operations, for callers that move rows between calls. */
const ps_backend_ops *ps_forward_ops(const ps_forward *forward);

/* x [n, d_model] = the embeddings of `ids`: boundary 0. */
void ps_forward_embed(const ps_forward *forward, float *x, const int32_t *ids, size_t n);

/* Acquire the weights of layer `layer`; the calls below compute with them. */
int ps_forward_layer(ps_forward *forward, int32_t layer, ps_err *err);

/* h = attention norm of x; h and x [rows, d_model]. */
void ps_forward_norm(const ps_forward *forward, float *h, const float *x, size_t rows);
/* q [rows, q_width] of normed rows at `positions`, rotated. */
void ps_forward_q(const ps_forward *forward, float *q, const float *h, const int32_t *positions,
                  size_t rows);
/* k, v [rows, kv_width] of normed rows at `positions`, k rotated. */
void ps_forward_kv(const ps_forward *forward, float *k, float *v, const float *h,
                   const int32_t *positions, size_t rows);
void ps_forward_attend(const ps_forward *forward, const ps_queries *runs, size_t n_runs);
/*
 * Run the layer from Wo on: x [rows, d_model] is replaced by x', a [rows, q_width] is the output of attention.
 * Where not NULL, mid gets m and mlp gets y (each [rows, d_model]).
 */
void ps_forward_rest(ps_forward *forward, float *x, const float *a, size_t rows, float *mid, float *mlp);

/* h = final norm of x, rounded to the operand type of matrix products: a logit is then the same whether a matrix
 * product or a single dot product computes it. */
void ps_forward_final_norm(const ps_forward *forward, float *h, const float *x, size_t rows);
/* Acquire rows first .. first+n of the LM head, at most PS_HEAD_PANEL_TOKENS; `first` is a
 * multiple of that. */
int ps_forward_head(ps_forward *forward, int32_t first, int32_t n, ps_err *err);
/* logits [rows, n] of normed rows for the acquired tokens. */
void ps_forward_logits(const ps_forward *forward, float *logits, const float *h, size_t rows);

#endif
