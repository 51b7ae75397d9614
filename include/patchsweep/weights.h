/*
 * weights.h - the weights of a pass, acquired a layer or a panel of the LM head at a time.
 *
 * A caller acquires what it computes with next.  Matrices have the layout of the backend's products, vectors are float32.
 * Callers do not know where weights live.  Today the whole model is resident: it is laid out for the backend while it is
 * loaded, and keeps the types of the files if the backend multiplies them.
 */
#ifndef PATCHSWEEP_WEIGHTS_H
#define PATCHSWEEP_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/backend.h"
#include "patchsweep/config.h"
#include "patchsweep/err.h"
#include "patchsweep/family.h"

typedef struct ps_weights ps_weights;

/*
 * Load the weights of model directory `dir` for products of `backend`.  PS_EINPUT names a tensor that the family needs and
 * the files lack, that has another shape than `config` implies, or that the family does not know.  `config` and `backend`
 * are borrowed and must outlive the weights.
 */
int ps_weights_open(ps_weights **out, const ps_config *config, const char *dir, const ps_backend *backend,
                    ps_err *err);
/*
 * Random weights in the shape of `config`, as if a file of type `dtype` held them: for timing. Norms are 1,
 * matrices uniform with standard deviation 0.02, biases 0.
 */
int ps_weights_synthetic(ps_weights **out, const ps_config *config, enum ps_dtype dtype,
                         const ps_backend *backend, ps_err *err);
void ps_weights_close(ps_weights *weights);
uint64_t ps_weights_bytes(const ps_weights *weights); /* that are resident */
/*
 * The CRC32C of every tensor, computed from the bytes of its file while it was loaded.  One line for each tensor:
 * "<8 hexadecimal digits> <tensor> <file>", in an order that depends on the config alone.  "" for synthetic
 * weights.  Borrowed.
 */
const char *ps_weights_sums(const ps_weights *weights);
/*
 * Measure the memory of ps_weights_open() with the same arguments, from the headers of the files: bytes that stay, and
 * bytes that loading needs on top.  Fails as ps_weights_open() does, except that no tensor is read.
 */
int ps_weights_measure(uint64_t *resident, uint64_t *loading, const ps_config *config, const char *dir,
                       const ps_backend *backend, ps_err *err);
/* Free the tensors and keep the checksums.  After that, only call ps_weights_sums() and ps_weights_close(). */
void ps_weights_drop(ps_weights *weights);

/*
 * Acquire the tensors of a layer.  tensors[role] is a matrix [out, in], or a norm or bias [n, 1] in float32.  Its data is
 * NULL if the model has no such tensor.  Valid until the next acquire.
 */
int ps_weights_layer(ps_weights *weights, int32_t layer, ps_matrix tensors[PS_N_ROLES], ps_err *err);
/* The weight of the final norm, [d_model].  Valid as long as the weights. */
const float *ps_weights_final_norm(const ps_weights *weights);
/* The bias of the final norm.  NULL: it has none. */
const float *ps_weights_final_norm_bias(const ps_weights *weights);
/* Acquire rows first .. first + n - 1 of the LM head as *panel [n, d_model].  Valid until the next acquire.  `first` must be
 * a multiple of the backend's strip, as every multiple of 64 is. */
int ps_weights_lm_head(ps_weights *weights, int32_t first, int32_t n, ps_matrix *panel, ps_err *err);

/* out[n, d_model] = rows `ids` of the embedding, or of the LM head. */
void ps_weights_embed_rows(const ps_weights *weights, const int32_t *ids, size_t n, float *out);
void ps_weights_lm_head_row(const ps_weights *weights, int32_t id, float *out);
/* out[n, d_model] = the embeddings of positions first .. first + n - 1, if the family has such embeddings. */
void ps_weights_position_rows(const ps_weights *weights, int32_t first, size_t n, float *out);

/* Count the layers and panels of the LM head acquired since the weights were opened. */
uint64_t ps_weights_acquired(const ps_weights *weights);

#endif
