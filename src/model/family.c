/*
 * family.c - the rows of families, and the tables that they point to.  tests/golden has numbers for each family.
 *
 * Names of tensors and keys, and the values of absent keys, are those of transformers' modeling and configuration files.
 */
#include "patchsweep/family.h"

#include <math.h>
#include <string.h>

#include "config_keys.h"
#include "programs.h"

#define MATRIX(its_role, out, in, its_name) .role = its_role, .rows = PS_DIM_##out, .cols = PS_DIM_##in, .name = its_name
#define VECTOR(its_role, out, its_name) .role = its_role, .rows = PS_DIM_##out, .name = its_name
#define WHEN(flag) .when = offsetof(ps_config, flag)
#define ALWAYS .when = 0

/* ---- tensors that several families have under the same names ---- */

#define LAYER "model.layers.%d."

#define ENDS(...) \
    {VECTOR(PS_W_FINAL_NORM, D, "model.norm.weight"), __VA_ARGS__}, \
    {MATRIX(PS_W_EMBED, VOCAB, D, "model.embed_tokens.weight")}, \
    {MATRIX(PS_W_LM_HEAD, VOCAB, D, "lm_head.weight")}

#define ATTENTION \
    {MATRIX(PS_W_Q, Q, D, LAYER "self_attn.q_proj.weight")}, \
    {MATRIX(PS_W_K, KV, D, LAYER "self_attn.k_proj.weight")}, \
    {MATRIX(PS_W_V, KV, D, LAYER "self_attn.v_proj.weight")}, \
    {MATRIX(PS_W_O, D, Q, LAYER "self_attn.o_proj.weight")}

#define QKV_BIASES(its_when) \
    {VECTOR(PS_B_Q, Q, LAYER "self_attn.q_proj.bias"), its_when}, \
    {VECTOR(PS_B_K, KV, LAYER "self_attn.k_proj.bias"), its_when}, \
    {VECTOR(PS_B_V, KV, LAYER "self_attn.v_proj.bias"), its_when}

#define O_BIAS(its_when) {VECTOR(PS_B_O, D, LAYER "self_attn.o_proj.bias"), its_when}

#define GATED_MLP \
    {MATRIX(PS_W_GATE, MLP, D, LAYER "mlp.gate_proj.weight")}, \
    {MATRIX(PS_W_UP, MLP, D, LAYER "mlp.up_proj.weight")}, \
    {MATRIX(PS_W_DOWN, D, MLP, LAYER "mlp.down_proj.weight")}

/* ---- keys that several families have, with values of their own where they are absent ---- */

#define MAX_POSITIONS(name, absent) {PS_INTEGER(name, config.max_positions, 1, 1 << 30, absent)}
#define KV_HEADS(absent) {PS_INTEGER("num_key_value_heads", config.n_kv_heads, 1, 1 << 16, absent), .null_is_none = true}
#define HEAD_DIM(absent) {PS_INTEGER("head_dim", config.head_dim, 2, 1 << 16, absent)}
#define ATTENTION_BIAS(absent) {PS_FLAG("attention_bias", config.attention_bias, absent)}
#define TIED {PS_FLAG("tie_word_embeddings", config.tied, true)}
#define WINDOW {PS_INTEGER("sliding_window", sliding_window, 1, 1 << 30, 4096), .null_is_none = true}
#define UPPER_WINDOWS \
    WINDOW, {PS_FLAG("use_sliding_window", use_sliding_window, false)}, \
    {PS_INTEGER("max_window_layers", max_window_layers, 0, 10000, 28)}, LAYER_TYPES
#define LAYER_TYPES {.name = "layer_types", .kind = PS_CONFIG_LATER}
#define NEUTRAL(key, value) {.name = key, .kind = PS_CONFIG_NEUTRAL, .text = value}
#define IGNORED(key) {.name = key, .kind = PS_CONFIG_IGNORED}
#define DERIVED 0 /* from other keys */

static const char *const rotary_leftovers[] = {"rotary_emb.inv_freq", NULL};

/* ---- Llama and Mistral ---- */

static const ps_tensor_source llama_tensors[] = {
    ENDS(ALWAYS),
    {VECTOR(PS_W_ATTN_NORM, D, LAYER "input_layernorm.weight")},
    ATTENTION,
    QKV_BIASES(WHEN(attention_bias)),
    O_BIAS(WHEN(attention_bias)),
    {VECTOR(PS_W_MLP_NORM, D, LAYER "post_attention_layernorm.weight")},
    GATED_MLP,
    {VECTOR(PS_B_GATE, MLP, LAYER "mlp.gate_proj.bias"), WHEN(mlp_bias)},
    {VECTOR(PS_B_UP, MLP, LAYER "mlp.up_proj.bias"), WHEN(mlp_bias)},
    {VECTOR(PS_B_DOWN, D, LAYER "mlp.down_proj.bias"), WHEN(mlp_bias)},
    {.name = NULL},
};

static const ps_config_key llama_keys[] = {
    MAX_POSITIONS("max_position_embeddings", 2048), KV_HEADS(DERIVED), HEAD_DIM(DERIVED), ATTENTION_BIAS(false),
    {PS_FLAG("mlp_bias", config.mlp_bias, false)}, IGNORED("is_llama_config"),
    {.name = NULL},
};

static const ps_config_key mistral_keys[] = {
    MAX_POSITIONS("max_position_embeddings", 131072), KV_HEADS(8), HEAD_DIM(DERIVED), WINDOW,
    NEUTRAL("attention_bias", "false"), NEUTRAL("mlp_bias", "false"),
    {.name = "layer_types", .kind = PS_CONFIG_REFUSED, .text = "transformers ignores it for this architecture, whose "
                                                            "sliding_window holds for all layers; remove it"},
    {.name = NULL},
};

/* ---- Qwen ---- */

static const ps_tensor_source qwen2_tensors[] = {
    ENDS(ALWAYS),
    {VECTOR(PS_W_ATTN_NORM, D, LAYER "input_layernorm.weight")},
    ATTENTION,
    QKV_BIASES(ALWAYS),
    {VECTOR(PS_W_MLP_NORM, D, LAYER "post_attention_layernorm.weight")},
    GATED_MLP,
    {.name = NULL},
};

static const ps_config_key qwen2_keys[] = {
    MAX_POSITIONS("max_position_embeddings", 32768), KV_HEADS(32), HEAD_DIM(DERIVED), UPPER_WINDOWS,
    NEUTRAL("attention_bias", "true"), NEUTRAL("mlp_bias", "false"), NEUTRAL("use_mrope", "false"),
    {.name = NULL},
};

static const ps_tensor_source qwen3_tensors[] = {
    ENDS(ALWAYS),
    {VECTOR(PS_W_ATTN_NORM, D, LAYER "input_layernorm.weight")},
    ATTENTION,
    QKV_BIASES(WHEN(attention_bias)),
    O_BIAS(WHEN(attention_bias)),
    {VECTOR(PS_W_Q_NORM, HEAD, LAYER "self_attn.q_norm.weight")},
    {VECTOR(PS_W_K_NORM, HEAD, LAYER "self_attn.k_norm.weight")},
    {VECTOR(PS_W_MLP_NORM, D, LAYER "post_attention_layernorm.weight")},
    GATED_MLP,
    {.name = NULL},
};

static const ps_config_key qwen3_keys[] = {
    MAX_POSITIONS("max_position_embeddings", 32768), KV_HEADS(32), HEAD_DIM(128), ATTENTION_BIAS(false), UPPER_WINDOWS,
    NEUTRAL("mlp_bias", "false"), NEUTRAL("use_mrope", "false"),
    {.name = NULL},
};

/* ---- Gemma 2 ---- */

static const ps_tensor_source gemma2_tensors[] = {
    ENDS(.plus_one = true),
    {VECTOR(PS_W_ATTN_NORM, D, LAYER "input_layernorm.weight"), .plus_one = true},
    ATTENTION,
    QKV_BIASES(WHEN(attention_bias)),
    O_BIAS(WHEN(attention_bias)),
    {VECTOR(PS_W_ATTN_POST_NORM, D, LAYER "post_attention_layernorm.weight"), .plus_one = true},
    {VECTOR(PS_W_MLP_NORM, D, LAYER "pre_feedforward_layernorm.weight"), .plus_one = true},
    GATED_MLP,
    {VECTOR(PS_W_MLP_POST_NORM, D, LAYER "post_feedforward_layernorm.weight"), .plus_one = true},
    {.name = NULL},
};

/* query_pre_attn_scalar is required: versions of transformers differ in its default. */
static const ps_config_key gemma2_keys[] = {
    MAX_POSITIONS("max_position_embeddings", 8192), KV_HEADS(4), HEAD_DIM(256), ATTENTION_BIAS(false), TIED, WINDOW, LAYER_TYPES,
    {PS_NUMBER("query_pre_attn_scalar", query_pre_attn_scalar, 1e-6, 1e9, NAN)},
    {PS_NUMBER("attn_logit_softcapping", config.attention_softcap, 1e-6, 1e9, 50), .null_is_none = true},
    {PS_NUMBER("final_logit_softcapping", config.logit_softcap, 1e-6, 1e9, 30), .null_is_none = true},
    {PS_ACTIVATION("hidden_activation")},
    {PS_ACTIVATION("hidden_act")},
    NEUTRAL("use_bidirectional_attention", "false"),
    IGNORED("sliding_window_size"), /* of the first files; nothing reads it */
    {.name = NULL},
};

/* ---- GPT-2 ---- */

#define GPT2 "transformer.h.%d."
#define FUSED_QKV(name, ...) \
    {MATRIX(PS_W_Q, Q, D, name), __VA_ARGS__}, {MATRIX(PS_W_K, KV, D, name), __VA_ARGS__}, \
    {MATRIX(PS_W_V, KV, D, name), __VA_ARGS__}
#define FUSED_QKV_BIASES(name, ...) \
    {VECTOR(PS_B_Q, Q, name), __VA_ARGS__}, {VECTOR(PS_B_K, KV, name), __VA_ARGS__}, \
    {VECTOR(PS_B_V, KV, name), __VA_ARGS__}

static const ps_tensor_source gpt2_tensors[] = {
    {VECTOR(PS_W_FINAL_NORM, D, "transformer.ln_f.weight")},
    {VECTOR(PS_B_FINAL_NORM, D, "transformer.ln_f.bias")},
    {MATRIX(PS_W_EMBED, VOCAB, D, "transformer.wte.weight")},
    {MATRIX(PS_W_POSITIONS, POSITIONS, D, "transformer.wpe.weight")},
    {MATRIX(PS_W_LM_HEAD, VOCAB, D, "lm_head.weight")},
    {VECTOR(PS_W_ATTN_NORM, D, GPT2 "ln_1.weight")},
    {VECTOR(PS_B_ATTN_NORM, D, GPT2 "ln_1.bias")},
    FUSED_QKV(GPT2 "attn.c_attn.weight", .transposed = true),
    FUSED_QKV_BIASES(GPT2 "attn.c_attn.bias", ALWAYS),
    {MATRIX(PS_W_O, D, Q, GPT2 "attn.c_proj.weight"), .transposed = true},
    {VECTOR(PS_B_O, D, GPT2 "attn.c_proj.bias")},
    {VECTOR(PS_W_MLP_NORM, D, GPT2 "ln_2.weight")},
    {VECTOR(PS_B_MLP_NORM, D, GPT2 "ln_2.bias")},
    {MATRIX(PS_W_UP, MLP, D, GPT2 "mlp.c_fc.weight"), .transposed = true},
    {VECTOR(PS_B_UP, MLP, GPT2 "mlp.c_fc.bias")},
    {MATRIX(PS_W_DOWN, D, MLP, GPT2 "mlp.c_proj.weight"), .transposed = true},
    {VECTOR(PS_B_DOWN, D, GPT2 "mlp.c_proj.bias")},
    {.name = NULL},
};

static const char *const gpt2_leftovers[] = {".attn.bias", ".attn.masked_bias", NULL};

static const ps_config_key gpt2_keys[] = {
    {PS_INTEGER("n_layer", config.n_layers, 1, 10000, NAN)},
    {PS_INTEGER("n_embd", config.d_model, 1, 1 << 20, NAN)},
    {PS_INTEGER("n_inner", config.d_mlp, 1, 1 << 24, DERIVED)},
    {PS_INTEGER("n_head", config.n_heads, 1, 1 << 16, NAN)},
    MAX_POSITIONS("n_positions", 1024), TIED,
    {PS_NUMBER("layer_norm_epsilon", config.norm_eps, 1e-30, 1, 1e-5)},
    {PS_ACTIVATION("activation_function")},
    NEUTRAL("scale_attn_weights", "true"), NEUTRAL("scale_attn_by_inverse_layer_idx", "false"),
    NEUTRAL("reorder_and_upcast_attn", "false"),
    IGNORED("n_ctx"), IGNORED("n_special"), IGNORED("predict_special_tokens"),
    IGNORED("summary_activation"), IGNORED("summary_first_dropout"), IGNORED("summary_proj_to_labels"),
    IGNORED("summary_type"), IGNORED("summary_use_proj"),
    {.name = NULL},
};

/* ---- GPT-NeoX ---- */

#define NEOX "gpt_neox.layers.%d."

static const ps_tensor_source neox_tensors[] = {
    {VECTOR(PS_W_FINAL_NORM, D, "gpt_neox.final_layer_norm.weight")},
    {VECTOR(PS_B_FINAL_NORM, D, "gpt_neox.final_layer_norm.bias")},
    {MATRIX(PS_W_EMBED, VOCAB, D, "gpt_neox.embed_in.weight")},
    {MATRIX(PS_W_LM_HEAD, VOCAB, D, "embed_out.weight")},
    {VECTOR(PS_W_ATTN_NORM, D, NEOX "input_layernorm.weight")},
    {VECTOR(PS_B_ATTN_NORM, D, NEOX "input_layernorm.bias")},
    FUSED_QKV(NEOX "attention.query_key_value.weight", .by_head = true),
    FUSED_QKV_BIASES(NEOX "attention.query_key_value.bias", WHEN(attention_bias), .by_head = true),
    {MATRIX(PS_W_O, D, Q, NEOX "attention.dense.weight")},
    {VECTOR(PS_B_O, D, NEOX "attention.dense.bias"), WHEN(attention_bias)},
    {VECTOR(PS_W_MLP_NORM, D, NEOX "post_attention_layernorm.weight")},
    {VECTOR(PS_B_MLP_NORM, D, NEOX "post_attention_layernorm.bias")},
    {MATRIX(PS_W_UP, MLP, D, NEOX "mlp.dense_h_to_4h.weight")},
    {VECTOR(PS_B_UP, MLP, NEOX "mlp.dense_h_to_4h.bias")},
    {MATRIX(PS_W_DOWN, D, MLP, NEOX "mlp.dense_4h_to_h.weight")},
    {VECTOR(PS_B_DOWN, D, NEOX "mlp.dense_4h_to_h.bias")},
    {.name = NULL},
};

static const char *const neox_leftovers[] = {".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq", NULL};

static const ps_config_key neox_keys[] = {
    MAX_POSITIONS("max_position_embeddings", 2048), ATTENTION_BIAS(true),
    {PS_NUMBER("layer_norm_eps", config.norm_eps, 1e-30, 1, 1e-5)},
    {PS_NUMBER("rotary_emb_base", config.rope.theta, 1, 1e15, 10000)},
    {PS_NUMBER("rotary_pct", config.rope.partial, 1e-6, 1, 0.25)},
    NEUTRAL("use_parallel_residual", "true"),
    {.name = NULL},
};

/* ---- the rows ---- */

const ps_family ps_families[] = {
    {"LlamaForCausalLM", "llama", ps_program_pre_norm_glu, PS_NORM_RMS, PS_ACT_SILU, PS_WINDOWS_NONE, false, "model.",
     llama_tensors, rotary_leftovers, llama_keys},
    {"MistralForCausalLM", "mistral", ps_program_pre_norm_glu, PS_NORM_RMS, PS_ACT_SILU, PS_WINDOWS_ALL, false, "model.",
     llama_tensors, rotary_leftovers, mistral_keys},
    {"Qwen2ForCausalLM", "qwen2", ps_program_pre_norm_glu, PS_NORM_RMS, PS_ACT_SILU, PS_WINDOWS_UPPER, false, "model.",
     qwen2_tensors, rotary_leftovers, qwen2_keys},
    {"Qwen3ForCausalLM", "qwen3", ps_program_head_norm_glu, PS_NORM_RMS, PS_ACT_SILU, PS_WINDOWS_UPPER, false, "model.",
     qwen3_tensors, rotary_leftovers, qwen3_keys},
    {"Gemma2ForCausalLM", "gemma2", ps_program_both_norms_glu, PS_NORM_RMS, PS_ACT_GELU_TANH, PS_WINDOWS_EVEN, true, "model.",
     gemma2_tensors, rotary_leftovers, gemma2_keys},
    {"GPT2LMHeadModel", "gpt2", ps_program_pre_norm_mlp, PS_NORM_LAYER, PS_ACT_GELU_TANH, PS_WINDOWS_NONE, false,
     "transformer.", gpt2_tensors, gpt2_leftovers, gpt2_keys},
    {"GPTNeoXForCausalLM", "gpt_neox", ps_program_parallel_mlp, PS_NORM_LAYER, PS_ACT_GELU, PS_WINDOWS_NONE, false,
     "gpt_neox.", neox_tensors, neox_leftovers, neox_keys},
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
