/*
 * family.h - architectures by name: where config.json and the weights' files have what.
 *
 * A layer is a program of steps (program.h); forward pass, cost and the rows that cells compute follow from it.  Two more
 * places know what a family may need: the keys of config.json in config.c and the shapes of tensors in weights.c.
 */
#ifndef PATCHSWEEP_FAMILY_H
#define PATCHSWEEP_FAMILY_H

#include "patchsweep/config.h"
#include "patchsweep/program.h"

/* The tensors of a layer and of the whole model, in the order in which a pass needs them. */
enum ps_tensor_role {
    PS_W_EMBED, PS_W_POSITIONS,
    PS_W_ATTN_NORM, PS_B_ATTN_NORM, PS_W_Q, PS_W_K, PS_W_V, PS_W_O, PS_B_Q, PS_B_K, PS_B_V, PS_B_O,
    PS_W_Q_NORM, PS_W_K_NORM, PS_W_ATTN_POST_NORM,
    PS_W_MLP_NORM, PS_B_MLP_NORM, PS_W_GATE, PS_W_UP, PS_W_DOWN, PS_B_GATE, PS_B_UP, PS_B_DOWN,
    PS_W_MLP_POST_NORM,
    PS_W_FINAL_NORM, PS_B_FINAL_NORM, PS_W_HEAD,
    PS_N_ROLES
};

enum ps_norm { PS_NORM_RMS, PS_NORM_LAYER };
enum ps_act { PS_ACT_SILU, PS_ACT_GELU, PS_ACT_GELU_TANH };

struct ps_family {
    const char *architecture; /* config.json's architectures[0]: "LlamaForCausalLM" */
    const char *model_type;   /* "llama" */
    const ps_step *layer;     /* what a layer computes; weights and biases are roles below */
    uint8_t norm, act;        /* enum ps_norm, enum ps_act */
    const char *tensor[PS_N_ROLES]; /* names, %d for the layer: "model.layers.%d.self_attn.q_proj.weight" */
};

/* The row for `architecture`, or NULL. */
const ps_family *ps_family_find(const char *architecture);
/* All rows, for messages; ends with a row whose architecture is NULL. */
extern const ps_family ps_families[];
/* The architectures of all rows, NULL behind the last. */
const char *const *ps_family_architectures(void);

#endif
