/* terms.c - the tables of names. */
#include "patchsweep/terms.h"

#include <string.h>

#define Q_ALIASES "blocks.{layer}.attn.hook_q; model.layers[{layer}].self_attn.q_proj.output"
#define K_ALIASES "blocks.{layer}.attn.hook_k; model.layers[{layer}].self_attn.k_proj.output"
#define V_ALIASES "blocks.{layer}.attn.hook_v; model.layers[{layer}].self_attn.v_proj.output"
#define Z_ALIASES "blocks.{layer}.attn.hook_z; model.layers[{layer}].self_attn.o_proj.input"
#define PATTERN_ALIASES "blocks.{layer}.attn.hook_pattern; model.layers[{layer}].self_attn.output[1]"

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
    [PS_SITE_Q] = {"q", "queries of a head at all positions", Q_ALIASES},
    [PS_SITE_K] = {"k", "keys of a key/value head at all positions", K_ALIASES},
    [PS_SITE_V] = {"v", "values of a key/value head at all positions", V_ALIASES},
    [PS_SITE_Z] = {"z", "output of a head at all positions", Z_ALIASES},
    [PS_SITE_PATTERN] = {"pattern", "attention pattern of a head at all positions", PATTERN_ALIASES},
    [PS_SITE_Q_BY_POS] = {"q_by_pos", "queries of a head at a position", Q_ALIASES},
    [PS_SITE_K_BY_POS] = {"k_by_pos", "keys of a key/value head at a position", K_ALIASES},
    [PS_SITE_V_BY_POS] = {"v_by_pos", "values of a key/value head at a position", V_ALIASES},
    [PS_SITE_Z_BY_POS] = {"z_by_pos", "output of a head at a position", Z_ALIASES},
    [PS_SITE_PATTERN_BY_POS] = {"pattern_by_pos", "attention pattern of a head: what a position attends to",
                                PATTERN_ALIASES},
};

#define LAYER_AND_POSITION {.axis = {[PS_AXIS_LAYER] = true, [PS_AXIS_POSITION] = true}}
#define LAYER_AND_HEAD(kv) {.axis = {[PS_AXIS_LAYER] = true, [PS_AXIS_HEAD] = true}, .kv_heads = kv}
#define ALL_AXES(kv) {.axis = {true, true, true}, .kv_heads = kv}

const ps_site_shape ps_site_shapes[PS_N_SITES] = {
    [PS_RESID_PRE] = LAYER_AND_POSITION,
    [PS_MLP_OUT] = LAYER_AND_POSITION,
    [PS_RESID_POST] = LAYER_AND_POSITION,
    [PS_ATTN_OUT] = LAYER_AND_POSITION,
    [PS_RESID_MID] = LAYER_AND_POSITION,
    [PS_SITE_Q] = LAYER_AND_HEAD(false),
    [PS_SITE_K] = LAYER_AND_HEAD(true),
    [PS_SITE_V] = LAYER_AND_HEAD(true),
    [PS_SITE_Z] = LAYER_AND_HEAD(false),
    [PS_SITE_PATTERN] = LAYER_AND_HEAD(false),
    [PS_SITE_Q_BY_POS] = ALL_AXES(false),
    [PS_SITE_K_BY_POS] = ALL_AXES(true),
    [PS_SITE_V_BY_POS] = ALL_AXES(true),
    [PS_SITE_Z_BY_POS] = ALL_AXES(false),
    [PS_SITE_PATTERN_BY_POS] = ALL_AXES(false),
};

const char *const ps_axis_names[PS_N_AXES] = {
    [PS_AXIS_LAYER] = "layer", [PS_AXIS_HEAD] = "head", [PS_AXIS_POSITION] = "position"};

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

/* Whether `name` equals alias[n], where {layer} matches any number, or itself. */
static bool matches(const char *alias, size_t n, const char *name)
{
    static const char layer[] = "{layer}";
    const char *end = alias + n;

    while (alias < end) {
        size_t digits = strspn(name, "0123456789");
        if ((size_t)(end - alias) >= sizeof layer - 1 && !strncmp(alias, layer, sizeof layer - 1) && digits) {
            alias += sizeof layer - 1;
            name += digits;
        } else if (*alias++ != *name++)
            return false;
    }
    return !*name;
}

bool ps_term_is_called(const ps_term *term, const char *name)
{
    for (const char *alias = term->aliases; alias && *alias;) {
        size_t n = strcspn(alias, ";");
        for (size_t from = 0; from < n; from++)
            if ((!from || alias[from - 1] == '.') && matches(alias + from, n - from, name))
                return true;
        alias += n;
        alias += strspn(alias, "; ");
    }
    return false;
}

bool ps_metric_needs_foil(enum ps_metric metric)
{
    return metric == PS_LOGIT_FOIL || metric == PS_LOGIT_DIFF;
}
