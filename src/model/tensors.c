/* tensors.c - what follows from a family's table of tensors. */
#include <string.h>

#include "config_keys.h"
#include "patchsweep/family.h"

int64_t ps_config_dim(const ps_config *c, enum ps_dim dim)
{
    const int64_t dims[PS_N_DIMS] = {
        [PS_DIM_NONE] = 0,
        [PS_DIM_D] = c->d_model,
        [PS_DIM_Q] = (int64_t)c->n_heads * c->head_dim,
        [PS_DIM_KV] = (int64_t)c->n_kv_heads * c->head_dim,
        [PS_DIM_MLP] = c->d_mlp,
        [PS_DIM_VOCAB] = c->vocab,
        [PS_DIM_HEAD] = c->head_dim,
        [PS_DIM_POSITIONS] = c->max_positions,
    };

    return dims[dim];
}

bool ps_tensor_in_layer(const ps_tensor_source *source)
{
    return strstr(source->name, "%d") != NULL;
}

bool ps_tensor_wanted(const ps_config *config, const ps_tensor_source *source)
{
    if (source->role == PS_W_LM_HEAD && config->tied)
        return false;
    return source->when == 0 || *(const bool *)((const char *)config + source->when);
}

const ps_tensor_source *ps_family_tensor(const ps_config *config, enum ps_tensor_role role)
{
    for (const ps_tensor_source *source = config->family->tensors; source->name; source++)
        if (source->role == role && ps_tensor_wanted(config, source))
            return source;
    return NULL;
}

double ps_family_numbers(const ps_config *config)
{
    double numbers = 0;

    for (const ps_tensor_source *source = config->family->tensors; source->name; source++)
        if (ps_tensor_wanted(config, source))
            numbers += (ps_tensor_in_layer(source) ? config->n_layers : 1) *
                       (double)ps_config_dim(config, (enum ps_dim)source->rows) *
                       (double)ps_config_dim(config, (enum ps_dim)source->cols);
    return numbers;
}

bool ps_family_rotates(const ps_family *family)
{
    for (const ps_step *step = family->layer; step->op != PS_OP_END; step++)
        if (step->op == PS_OP_ROPE)
            return true;
    return false;
}
