/* terms.c - the tables of names. */
#include "patchsweep/terms.h"

#include <string.h>

const ps_term ps_sites[PS_N_SITES] = {
    [PS_RESID_PRE] = {"resid_pre", "residual stream before the layer",
                      "blocks.{layer}.hook_resid_pre; model.layers[{layer}].input"},
    [PS_MLP_OUT] = {"mlp_out", "output of the layer's MLP",
                    "blocks.{layer}.hook_mlp_out; model.layers[{layer}].mlp.output"},
    [PS_RESID_POST] = {"resid_post", "residual stream after the layer",
                       "blocks.{layer}.hook_resid_post; model.layers[{layer}].output"},
    [PS_ATTN_OUT] = {"attn_out", "output of the layer's attention",
                     "blocks.{layer}.hook_attn_out; model.layers[{layer}].self_attn.output[0]"},
    [PS_RESID_MID] = {"resid_mid", "residual stream between the layer's attention and its MLP",
                      "blocks.{layer}.hook_resid_mid; model.layers[{layer}].post_attention_layernorm.input"},
};

const ps_term ps_directions[PS_N_DIRECTIONS] = {
    [PS_DENOISE] = {"denoise", "clean states into the corrupt run", "clean->corrupt"},
    [PS_NOISE] = {"noise", "corrupt states into the clean run", "corrupt->clean"},
};

const ps_term ps_whiches[PS_N_WHICH] = {
    [PS_CLEAN] = {"clean", "the clean run", NULL},
    [PS_CORRUPT] = {"corrupt", "the corrupt run", NULL},
};

const ps_term ps_metrics[PS_N_METRICS] = {
    [PS_LOGIT_ANSWER] = {"logit_answer", "logit of the answer at the last position", NULL},
    [PS_LOGIT_FOIL] = {"logit_foil", "logit of the foil at the last position", NULL},
    [PS_LOGIT_DIFF] = {"logit_diff", "logit of the answer less that of the foil", NULL},
    [PS_LOGPROB_ANSWER] = {"logprob_answer", "natural log of the answer's probability", NULL},
    [PS_KL] = {"kl", "KL(clean || patched) at the last position, in nats", NULL},
    [PS_ANSWER_RANK] = {"answer_rank", "tokens with a higher logit than the answer's", NULL},
};

const ps_term ps_precisions[PS_N_PRECISIONS] = {
    [PS_FP32] = {"fp32", "weights widened exactly, single-precision products and sums", NULL},
    [PS_BF16] = {"bf16", "operands of the matrix products in bfloat16, single-precision sums", NULL},
};

int ps_term_find(const ps_term *terms, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(terms[i].name, name))
            return i;
    return -1;
}

bool ps_metric_needs_foil(enum ps_metric metric)
{
    return metric == PS_LOGIT_FOIL || metric == PS_LOGIT_DIFF;
}
