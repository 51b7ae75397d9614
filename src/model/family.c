/* family.c - the rows.  tests/golden has the numbers that each was checked against. */
#include "patchsweep/family.h"

#include <string.h>

#include "programs.h"

const ps_family ps_families[] = {
    {
        .architecture = "LlamaForCausalLM",
        .model_type = "llama",
        .layer = ps_program_pre_norm_glu,
        .tensor =
            {
                [PS_W_EMBED] = "model.embed_tokens.weight",
                [PS_W_ATTN_NORM] = "model.layers.%d.input_layernorm.weight",
                [PS_W_Q] = "model.layers.%d.self_attn.q_proj.weight",
                [PS_W_K] = "model.layers.%d.self_attn.k_proj.weight",
                [PS_W_V] = "model.layers.%d.self_attn.v_proj.weight",
                [PS_W_O] = "model.layers.%d.self_attn.o_proj.weight",
                [PS_B_Q] = "model.layers.%d.self_attn.q_proj.bias",
                [PS_B_K] = "model.layers.%d.self_attn.k_proj.bias",
                [PS_B_V] = "model.layers.%d.self_attn.v_proj.bias",
                [PS_B_O] = "model.layers.%d.self_attn.o_proj.bias",
                [PS_W_MLP_NORM] = "model.layers.%d.post_attention_layernorm.weight",
                [PS_W_GATE] = "model.layers.%d.mlp.gate_proj.weight",
                [PS_W_UP] = "model.layers.%d.mlp.up_proj.weight",
                [PS_W_DOWN] = "model.layers.%d.mlp.down_proj.weight",
                [PS_B_GATE] = "model.layers.%d.mlp.gate_proj.bias",
                [PS_B_UP] = "model.layers.%d.mlp.up_proj.bias",
                [PS_B_DOWN] = "model.layers.%d.mlp.down_proj.bias",
                [PS_W_FINAL_NORM] = "model.norm.weight",
                [PS_W_HEAD] = "lm_head.weight",
            },
    },
    {.architecture = NULL},
};

const ps_family *ps_family_find(const char *architecture)
{
    for (const ps_family *family = ps_families; family->architecture; family++)
        if (!strcmp(family->architecture, architecture))
            return family;
    return NULL;
}

const char *const *ps_family_architectures(void)
{
    static const char *names[sizeof ps_families / sizeof *ps_families]; /* the last row has none, and ends the list */

    for (size_t i = 0; i < sizeof ps_families / sizeof *ps_families; i++)
        names[i] = ps_families[i].architecture;
    return names;
}
