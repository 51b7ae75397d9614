/*
 * family.h - the supported architectures, a row each.
 *
 * A family is a row of pointers to tables: the layer's program (program.h), the tensors in its files, the keys of its
 * config.json.  The forward pass, shapes, memory and cost follow from the tables.
 */
#ifndef PATCHSWEEP_FAMILY_H
#define PATCHSWEEP_FAMILY_H

#include "patchsweep/backend.h"
#include "patchsweep/config.h"
#include "patchsweep/program.h"

/* The tensors of a layer and of the whole model, in the order in which a pass needs them. */
enum ps_tensor_role {
    PS_W_EMBED, PS_W_POSITIONS,
    PS_W_ATTN_NORM, PS_B_ATTN_NORM, PS_W_Q, PS_W_K, PS_W_V, PS_W_O, PS_B_Q, PS_B_K, PS_B_V, PS_B_O,
    PS_W_Q_NORM, PS_W_K_NORM, PS_W_ATTN_POST_NORM,
    PS_W_MLP_NORM, PS_B_MLP_NORM, PS_W_GATE, PS_W_UP, PS_W_DOWN, PS_B_GATE, PS_B_UP, PS_B_DOWN,
    PS_W_MLP_POST_NORM,
    PS_W_FINAL_NORM, PS_B_FINAL_NORM, PS_W_LM_HEAD,
    PS_N_ROLES
};

enum ps_norm { PS_NORM_RMS, PS_NORM_LAYER };

/* The numbers of a config that are dimensions of tensors. */
enum ps_dim {
    PS_DIM_NONE,
    PS_DIM_D,         /* d_model */
    PS_DIM_Q,         /* n_heads * head_dim */
    PS_DIM_KV,        /* n_kv_heads * head_dim */
    PS_DIM_MLP,       /* d_mlp */
    PS_DIM_VOCAB,     /* vocab */
    PS_DIM_HEAD,      /* head_dim */
    PS_DIM_POSITIONS, /* max_positions */
    PS_N_DIMS
};
int64_t ps_config_dim(const ps_config *config, enum ps_dim dim);

/*
 * Where the files of a model hold the tensor of a role.  Neighbouring rows of a table with the same name share one tensor
 * of the file: each row is a slice of its outputs.  The slices follow each other in the order of the rows.  With by_head,
 * the slices of head 0 come first, then those of head 1, and so on.
 */
typedef struct ps_tensor_source {
    uint8_t role;       /* enum ps_tensor_role */
    uint8_t rows, cols; /* enum ps_dim: the role's matrix is [rows, cols], [out, in]; cols PS_DIM_NONE: a vector [rows] */
    const char *name;   /* %d is the layer's number; the last row of a table has none */
    size_t when;        /* offset of the bool in ps_config that tells whether a model has the tensor; 0: every model has it */
    bool by_head;
    bool transposed;    /* the file's tensor is [in, out] */
    bool plus_one;      /* a vector: the file holds w, the formula needs 1 + w */
    bool optional;      /* the files may lack it */
} ps_tensor_source;

/* The layers in which a row sees only a window of keys.  A list `layer_types` in config.json overrides this. */
enum ps_windows {
    PS_WINDOWS_NONE,
    PS_WINDOWS_ALL,
    PS_WINDOWS_EVEN,  /* layers 0, 2, 4 ... */
    PS_WINDOWS_UPPER, /* layers from max_window_layers on, if use_sliding_window */
};

struct ps_family {
    const char *architecture; /* config.json's architectures[0]: "LlamaForCausalLM" */
    const char *model_type;   /* "llama" */
    const ps_step *layer;     /* what a layer computes; weights and biases are roles above */
    uint8_t norm, act;        /* enum ps_norm; enum ps_act of backend.h */
    uint8_t windows;          /* enum ps_windows */
    bool embed_scale;         /* embeddings are multiplied by sqrt(d_model) */
    const char *prefix;       /* of tensors' names; files that were saved without the LM head lack it */
    const ps_tensor_source *tensors;     /* the whole model's, then those of a layer, in the order of loading */
    const char *const *leftovers;        /* tensors whose names end so are buffers of older versions and not read; ends with NULL */
    const struct ps_config_key *keys;    /* keys of config.json that differ from the common ones (config_keys.h) */
};

/* The row for `architecture`, or NULL. */
const ps_family *ps_family_find(const char *architecture);
/* All rows, for messages; ends with a row whose architecture is NULL. */
extern const ps_family ps_families[];
/* The architectures of all rows; ends with NULL. */
const char *const *ps_family_architectures(void);

/* Does each layer have such a tensor?  Otherwise the model has one. */
bool ps_tensor_in_layer(const ps_tensor_source *source);
/* Does a model of `config` have the tensor?  A tied model has no LM head of its own. */
bool ps_tensor_wanted(const ps_config *config, const ps_tensor_source *source);
/* The row of `role`.  NULL: a model of `config` has no such tensor. */
const ps_tensor_source *ps_family_tensor(const ps_config *config, enum ps_tensor_role role);
/* Count the numbers in all matrices of a model, with the embedding and the LM head. */
double ps_family_numbers(const ps_config *config);

#endif
