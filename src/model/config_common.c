/*
 * config_common.c - the keys of config.json that mean the same in every family.
 *
 * Bounds are far above any model and low enough that no product of two of them, nor a sum over layers, passes 2^63.
 */
#include <math.h>

#include "config_keys.h"

#define QUANTIZED "quantized weights cannot be read; use the model that they were made from"

const ps_config_key ps_config_common_keys[] = {
    {PS_INTEGER("num_hidden_layers", config.n_layers, 1, 10000, NAN)},
    {PS_INTEGER("hidden_size", config.d_model, 1, 1 << 20, NAN)},
    {PS_INTEGER("intermediate_size", config.d_mlp, 1, 1 << 24, NAN)},
    {PS_INTEGER("num_attention_heads", config.n_heads, 1, 1 << 16, NAN)},
    {PS_INTEGER("vocab_size", config.vocab, 1, 1 << 24, NAN)},
    {PS_NUMBER("rms_norm_eps", config.norm_eps, 1e-30, 1, 1e-6)},
    {PS_FLAG("tie_word_embeddings", config.tied, false)},
    {PS_ACTIVATION("hidden_act")},

    {PS_NUMBER("rope_theta", config.rope.theta, 1, 1e15, 10000), .rope = true},
    {.name = "partial_rotary_factor", .kind = PS_CONFIG_NEUTRAL, .text = "1", .rope = true},
    {.name = "rope_scaling", .kind = PS_CONFIG_LATER, .rope = true},
    {.name = "rope_parameters", .kind = PS_CONFIG_LATER, .rope = true},
    {.name = "original_max_position_embeddings", .kind = PS_CONFIG_LATER, .rope = true},
    {.name = "rope_interleaved", .kind = PS_CONFIG_NEUTRAL, .text = "false", .rope = true},

    {.name = "architectures", .kind = PS_CONFIG_LATER},
    {.name = "model_type", .kind = PS_CONFIG_LATER},

    {.name = "pretraining_tp", .kind = PS_CONFIG_NEUTRAL, .text = "1"},
    {.name = "use_sliding_window", .kind = PS_CONFIG_NEUTRAL, .text = "false"},
    {.name = "sliding_window", .kind = PS_CONFIG_NEUTRAL, .text = "null"},
    {.name = "layer_types", .kind = PS_CONFIG_EACH, .text = "\"full_attention\""},
    {.name = "is_encoder_decoder", .kind = PS_CONFIG_NEUTRAL, .text = "false"},
    {.name = "add_cross_attention", .kind = PS_CONFIG_NEUTRAL, .text = "false"},
    {.name = "tie_encoder_decoder", .kind = PS_CONFIG_NEUTRAL, .text = "false"},
    {.name = "qk_layernorm", .kind = PS_CONFIG_NEUTRAL, .text = "false"},
    {.name = "use_qk_norm", .kind = PS_CONFIG_NEUTRAL, .text = "false"},
    {.name = "pruned_heads", .kind = PS_CONFIG_NEUTRAL, .text = "{}"},
    {.name = "per_layer_config", .kind = PS_CONFIG_NEUTRAL, .text = "{}"},
    {.name = "chunk_size_feed_forward", .kind = PS_CONFIG_NEUTRAL, .text = "0"},
    {.name = "quantization_config", .kind = PS_CONFIG_REFUSED, .text = QUANTIZED},
    {.name = "quantization", .kind = PS_CONFIG_REFUSED, .text = QUANTIZED},
    {.name = "compression_config", .kind = PS_CONFIG_REFUSED, .text = "compressed weights cannot be read; use the model "
                                                                   "that they were made from"},
    {.name = "auto_map", .kind = PS_CONFIG_REFUSED, .text = "the model brings code of its own, which is not run; remove "
                                                         "the key if that code computes what transformers' does"},
    {.name = NULL},
};

/* Bookkeeping, training, generation, classification. */
const char *const ps_config_ignored_keys[] = {
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_flash_attn_2_enabled",
    "_name_or_path", "_num_labels", "attention_dropout", "attention_probs_dropout_prob", "attn_implementation", "attn_pdrop", "bad_words_ids",
    "begin_suppress_tokens", "bos_token_id", "cache_implementation", "classifier_dropout", "cls_token_id",
    "cross_attention_hidden_size", "decoder_start_token_id", "diversity_penalty", "do_sample", "dtype",
    "early_stopping", "embd_pdrop", "encoder_no_repeat_ngram_size", "eos_token_id",
    "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id",
    "gradient_checkpointing", "hidden_dropout", "hidden_dropout_prob", "id2label", "initializer_range", "is_decoder",
    "keys_to_ignore_at_inference", "label2id", "length_penalty", "max_length",
    "max_sequence_length", "max_window_layers", "min_length", "model_max_length", "name_or_path",
    "neftune_noise_alpha", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_labels",
    "num_return_sequences", "output_attentions", "output_hidden_states", "output_past", "output_scores",
    "pad_token_id", "prefix", "problem_type", "remove_invalid_values", "repetition_penalty", "resid_pdrop",
    "return_dict", "return_dict_in_generate", "sep_token_id", "suppress_tokens", "task_specific_params",
    "temperature", "tf_legacy_loss", "tie_last_hidden_states", "tokenizer_class", "top_k", "top_p", "torch_dtype",
    "torchscript", "transformers.js_config", "transformers_version", "typical_p", "unk_token_id", "unsloth_fixed",
    "unsloth_version", "use_bfloat16", "use_cache", "use_flash_attention_2", "use_return_dict", NULL,
};
