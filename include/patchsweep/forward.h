/*
 * forward.h - the steps of a layer's program, over any rows.
 *
 * The rows of a call may belong to many runs and stand at many positions: the caller chooses them (wave.c).  Only
 * attention depends on which rows belong together; queries and spans of keys tell it.
 */
#ifndef PATCHSWEEP_FORWARD_H
#define PATCHSWEEP_FORWARD_H

#include "patchsweep/backend.h"
#include "patchsweep/config.h"
#include "patchsweep/weights.h"

/* A model ready to run. */
typedef struct ps_forward ps_forward;

/* Can the model run prompts of n tokens?  PS_EINPUT if it has embeddings of positions, and fewer than n. */
int ps_forward_check_positions(const ps_config *config, size_t n, ps_err *err);

/* Rows must stand below position `max_positions`; fails as ps_forward_check_positions() does.  `weights` and `backend` are
 * borrowed. */
int ps_forward_open(ps_forward **out, const ps_config *config, ps_weights *weights, const ps_backend *backend,
                    size_t max_positions, ps_err *err);
void ps_forward_close(ps_forward *forward);
/* Bytes that ps_forward_open() allocates. */
uint64_t ps_forward_bytes(const ps_config *config, size_t max_positions);

/* Most tokens of the LM head in one matrix product. */
#define PS_LM_HEAD_TOKENS 4096
/* PS_LM_HEAD_TOKENS, or the vocabulary if it is smaller. */
int32_t ps_forward_panel_tokens(const ps_config *config);

/* The needs of a backend that runs `config` on panels of at most `max_rows` rows and `max_positions` positions. */
ps_backend_needs ps_forward_needs(const ps_config *config, enum ps_dtype operand, int n_threads,
                                  size_t max_rows, size_t max_positions);

/* The backend that computes, for callers that move rows between calls. */
const ps_backend *ps_forward_backend(const ps_forward *forward);

/* Fill x[n, d_model], in host memory, with the embeddings of `ids` at positions first .. first + n - 1: X at the entrance of
 * layer 0. */
void ps_forward_embed(const ps_forward *forward, float *x, const int32_t *ids, int32_t first, size_t n);

/* Acquire the weights of layer `layer`; the calls below compute with them. */
int ps_forward_layer(ps_forward *forward, int32_t layer, ps_err *err);

/* What a step works on: out and in are [n, width of the register].  These rows and all rows below lie in stores. */
typedef struct ps_step_rows {
    float *out;
    const float *in, *in2;    /* in2: of steps with two inputs.  Either may be `out` */
    const int32_t *positions; /* [n] */
    size_t n;
} ps_step_rows;

/* Compute step `i` of the acquired layer's program.  For attention, call ps_forward_attend(). */
void ps_forward_step(const ps_forward *forward, size_t i, const ps_step_rows *rows);
void ps_forward_attend(const ps_forward *forward, const ps_attention *work);

/* h = final norm of x, rounded to the operand type of matrix products.  Because of the rounding, a matrix product and a
 * single dot product give the same logit. */
void ps_forward_final_norm(const ps_forward *forward, float *h, const float *x, size_t rows);
/* Acquire rows first .. first + n - 1 of the LM head; n <= PS_LM_HEAD_TOKENS, and `first` is a multiple of
 * PS_LM_HEAD_TOKENS. */
int ps_forward_lm_head(ps_forward *forward, int32_t first, int32_t n, ps_err *err);
/* logits [rows, n] of normed rows for the acquired tokens. */
void ps_forward_logits(const ps_forward *forward, float *logits, const float *h, size_t rows);
/* The logit that follows from `product`, the dot product of a normed row and a row of the LM head: ps_forward_logits()
 * applies the same softcap. */
double ps_forward_logit(const ps_forward *forward, double product);

#endif
