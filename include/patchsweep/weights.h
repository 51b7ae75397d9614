/*
 * weights.h - where the weights of a pass come from, a part at a time.
 *
 * A part is a layer, the final norm, or a panel of the LM head's rows; it is acquired, used, and
 * released.  Matrices are handed out in the type that products take them in, vectors in float32.
 * Whoever uses them does not know where they live: today the whole model is resident. For float32
 * products it stays in the file's own types, and a part is widened when it is acquired; for bfloat16
 * products matrices are rounded to that when they are loaded, if the file has another.
 */
#ifndef PATCHSWEEP_WEIGHTS_H
#define PATCHSWEEP_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/config.h"
#include "patchsweep/dtype.h"
#include "patchsweep/err.h"
#include "patchsweep/family.h"

typedef struct ps_weights ps_weights;

/*
 * Load the weights of model directory `dir` for products of `operand` (PS_DTYPE_F32 or
 * PS_DTYPE_BF16).  Every tensor the family needs must be there with the
 * shape that config implies, and none that it does not know: PS_EINPUT names
 * the tensor.  `config` is borrowed and must outlive the weights.
 */
int ps_weights_open(ps_weights **out, const ps_config *config, const char *dir, enum ps_dtype operand,
                    ps_err *err);
void ps_weights_close(ps_weights *weights);
uint64_t ps_weights_bytes(const ps_weights *weights); /* resident */

/*
 * The tensors of a layer: part[role] is [out, in] (norms and biases [n]), NULL where the
 * model has none.  Valid until the next acquire.
 */
int ps_weights_layer(ps_weights *weights, int32_t layer, const void *part[PS_N_ROLES], ps_err *err);
/* The final norm's weight, [d_model]; valid as long as the weights. */
const float *ps_weights_final_norm(const ps_weights *weights);
/* Rows first .. first+n of the LM head: *panel [n, d_model]; valid until the next acquire. */
int ps_weights_head(ps_weights *weights, int32_t first, int32_t n, const void **panel, ps_err *err);
/* The most rows that one call of ps_weights_head() gives. */
int32_t ps_weights_head_rows(const ps_weights *weights);

/* out[n, d_model] = rows `ids` of the embedding, or of the LM head. */
void ps_weights_embed_rows(const ps_weights *weights, const int32_t *ids, size_t n, float *out);
void ps_weights_head_row(const ps_weights *weights, int32_t id, float *out);

/* How often parts were acquired since the weights were opened: layers and head panels. */
uint64_t ps_weights_acquired(const ps_weights *weights);

#endif
