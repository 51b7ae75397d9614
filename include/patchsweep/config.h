/*
 * config.h - a model's blueprint, from its config.json.
 *
 * Reads what transformers 4 and 5 write, and so both styles of rope settings: rope_theta with rope_scaling, and
 * rope_parameters.  A key or value that is unknown, or that would change results and is not implemented, is an error that
 * names it.
 */
#ifndef PATCHSWEEP_CONFIG_H
#define PATCHSWEEP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

enum ps_rope_type { PS_ROPE_DEFAULT, PS_ROPE_LINEAR, PS_ROPE_LLAMA3, PS_N_ROPE_TYPES };
extern const char *const ps_rope_types[PS_N_ROPE_TYPES]; /* as in config.json */

typedef struct ps_family ps_family; /* family.h */

/* What differs from layer to layer. */
typedef struct ps_layer_kind {
    int32_t window; /* the number of keys that a row sees, its own included; 0: all */
} ps_layer_kind;

typedef struct ps_config {
    const ps_family *family; /* the row whose architecture config.json names */
    int32_t n_layers;   /* L */
    int32_t d_model;    /* width of the residual stream */
    int32_t n_heads;    /* H, query heads */
    int32_t n_kv_heads; /* key/value heads; divides n_heads */
    int32_t head_dim;
    int32_t d_mlp;
    int32_t vocab;
    int32_t max_positions;
    bool tied;           /* the LM head is the embedding */
    bool attention_bias; /* the key of this name, in families that have it: whether the model has these tensors (family.h) */
    bool mlp_bias;       /* likewise */
    double norm_eps;
    int32_t rotary_dim;      /* the first dimensions of a head that are rotated, even; 0: none are */
    bool learned_positions;  /* an embedding of the position is added to the token's */
    double embed_scale;      /* of the embeddings; 1 */
    double attention_scale;  /* of q.k: 1 / sqrt(head_dim) in most families */
    double attention_softcap, logit_softcap; /* c: x becomes c tanh(x / c); 0: x stays */
    ps_layer_kind *layers;   /* [n_layers] */
    struct {
        enum ps_rope_type type;
        double theta, factor, low_freq_factor, high_freq_factor, original_max_positions;
        double partial; /* the share of a head's dimensions that is rotated */
    } rope;
    char *text;         /* the file, verbatim */
} ps_config;

/* Read <dir>/config.json.  PS_EINPUT with file, key and remedy. */
int ps_config_read(ps_config **out, const char *dir, ps_err *err);
/* Read a config.json that has another name. */
int ps_config_read_file(ps_config **out, const char *path, ps_err *err);
void ps_config_free(ps_config *config);

/* The i-th rope setting that the config's rope type uses: its key in config.json (static), and *value.  NULL after
 * the last. */
const char *ps_config_rope_setting(const ps_config *config, size_t i, double *value);

/* Rotary frequencies f[rotary_dim / 2], computed in float as transformers does (modeling_rope_utils.py). */
void ps_config_rope(const ps_config *config, float *f);

#endif
