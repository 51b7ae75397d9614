/*
 * weights.h - where the weights of a pass come from, a part at a time.
 *
 * A part is a layer, the final norm, or a panel of the LM head's rows; it is acquired, used, and
 * released.  Matrices are as the backend's products take them, vectors float32.  Whoever uses them does
 * not know where they live: today the whole model is resident, laid out for the backend when it is
 * loaded, in the file's own types where the backend takes those.
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
 * Load the weights of model directory `dir` for products of `backend`.  Every tensor the family needs
 * must be there with the shape that config implies, and none that it does not know: PS_EINPUT names
 * the tensor.  `config` and `backend` are borrowed and must outlive the weights.
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
uint64_t ps_weights_bytes(const ps_weights *weights); /* resident */
/*
 * The CRC32C of every tensor's bytes as they stand in its file, taken while it was loaded: a line
 * "<8 hexadecimal digits> <tensor> <file>" each, in an order that depends on the config alone.  "" for synthetic
 * weights.  Borrowed.
 */
const char *ps_weights_sums(const ps_weights *weights);
/*
 * What ps_weights_open() of the same arguments takes, from the files' headers alone: bytes that stay, and bytes that it
 * needs on top while it loads.  Errors as there, but for those of reading the tensors.
 */
int ps_weights_measure(uint64_t *resident, uint64_t *loading, const ps_config *config, const char *dir,
                       const ps_backend *backend, ps_err *err);
/* Free the tensors, and keep the checksums: nothing else may be asked of the weights then. */
void ps_weights_drop(ps_weights *weights);

/*
 * The tensors of a layer: part[role] is [out, in], a norm or a bias [n, 1] in float32; data is NULL where
 * the model has none.  Valid until the next acquire.
 */
int ps_weights_layer(ps_weights *weights, int32_t layer, ps_matrix tensors[PS_N_ROLES], ps_err *err);
/* The final norm's weight, [d_model]; valid as long as the weights. */
const float *ps_weights_final_norm(const ps_weights *weights);
/* Its bias, or NULL: there is none. */
const float *ps_weights_final_norm_bias(const ps_weights *weights);
/* Rows first .. first+n of the LM head: *panel [n, d_model]; valid until the next acquire. `first` begins
 * a strip of the backend's: multiples of 64 do. */
int ps_weights_lm_head(ps_weights *weights, int32_t first, int32_t n, ps_matrix *panel, ps_err *err);

/* out[n, d_model] = rows `ids` of the embedding, or of the LM head. */
void ps_weights_embed_rows(const ps_weights *weights, const int32_t *ids, size_t n, float *out);
void ps_weights_lm_head_row(const ps_weights *weights, int32_t id, float *out);
/* out[n, d_model] = the embeddings of positions first .. first + n - 1, of families that have them. */
void ps_weights_position_rows(const ps_weights *weights, int32_t first, size_t n, float *out);

/* How often parts were acquired since the weights were opened: layers and head panels. */
uint64_t ps_weights_acquired(const ps_weights *weights);

#endif
