/* weights_store.h - the resident weights, filled by weights_load.c or weights_synthetic.c. */
#ifndef PATCHSWEEP_WEIGHTS_STORE_H
#define PATCHSWEEP_WEIGHTS_STORE_H

#include "patchsweep/text.h"
#include "patchsweep/weights.h"

struct ps_weights {
    const ps_config *config;
    const ps_backend *backend;
    ps_matrix whole[PS_N_ROLES];       /* tensors of the whole model; LM head and embedding may share their data */
    ps_matrix (*layers)[PS_N_ROLES];   /* [n_layers] */
    uint64_t bytes, acquired;
    ps_text sums; /* of what was read: see ps_weights_sums() */
};

/* Weights without tensors; ps_weights_close() frees them. */
ps_weights *ps_weights_new(const ps_config *config, const ps_backend *backend, ps_err *err);
/* The operations whose layout a tensor is held in. */
const ps_backend_ops *ps_weights_layout(const ps_weights *weights, const ps_tensor_source *source);
/* The type in which a tensor is held that has type `dtype` in its file. */
enum ps_dtype ps_weights_held(const ps_weights *weights, const ps_tensor_source *source, enum ps_dtype dtype);
/* Describe the tensor of `source` in *out and count its bytes; allocate it unless `measuring`. */
int ps_weights_add(ps_weights *weights, ps_matrix *out, const ps_tensor_source *source, enum ps_dtype dtype,
                   bool measuring, ps_err *err);

#endif
