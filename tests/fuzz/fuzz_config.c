/*
 * fuzz_config.c - a config.json.  What is accepted is a shape that can be computed with.
 */
#include "fuzz.h"

#include <math.h>

#include "patchsweep/config.h"

static void check_config(const ps_config *config)
{
    CLAIM(config->family && config->n_layers > 0 && config->d_model > 0 && config->d_mlp > 0 && config->vocab > 0);
    CLAIM(config->n_heads > 0 && config->n_kv_heads > 0 && config->n_heads % config->n_kv_heads == 0);
    CLAIM(config->head_dim > 0 && config->max_positions > 0);
    CLAIM(config->rotary_dim >= 0 && config->rotary_dim <= config->head_dim && config->rotary_dim % 2 == 0);
    CLAIM((config->rotary_dim == 0) == config->learned_positions);
    CLAIM((int64_t)config->n_heads * config->head_dim <= 1 << 24);
    CLAIM(config->norm_eps > 0 && config->norm_eps <= 1);
    CLAIM(config->embed_scale >= 1 && config->attention_scale > 0 && isfinite(config->attention_scale));
    CLAIM(config->attention_softcap >= 0 && config->logit_softcap >= 0);
    for (int32_t layer = 0; layer < config->n_layers; layer++)
        CLAIM(config->layers[layer].window >= 0);
    float *f = malloc((size_t)config->rotary_dim / 2 * sizeof *f + 1);
    CLAIM(f);
    ps_config_rope(config, f);
    for (int i = 0; i < config->rotary_dim / 2; i++)
        CLAIM(isfinite(f[i]));
    free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ps_err err = PS_ERR_INIT;
    ps_config *config = NULL;

    fuzz_write("config.json", data, n);
    int rc = ps_config_read(&config, fuzz_folder(), &err);
    if (rc < 0)
        fuzz_refused(rc, &err);
    else
        check_config(config);
    ps_config_free(config);
    return 0;
}
