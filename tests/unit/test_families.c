/*
 * test_families.c - config.json of each family: both styles, what is taken where a key is absent, and what is refused.
 *
 * tests/fixtures/configs has those of models on the hub, as transformers 4 and 5 write them.  The other cases change keys of
 * the smallest config of a family.
 */
#include <stdlib.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/family.h"
#include "patchsweep/mem.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))
#define FIXTURES "tests/fixtures/configs"

static char path[] = "/tmp/test_families.XXXXXX";

/* ---- models of the hub ---- */

typedef struct fields {
    int n_layers, d_model, n_heads, n_kv_heads, head_dim, d_mlp, vocab, max_positions, rotary_dim;
    bool tied, learned_positions, has_q_bias, has_o_bias, has_up_bias;
    double norm_eps, theta, embed_scale, attention_scale, attention_softcap, logit_softcap;
    int first_window, second_window; /* of layers 0, 2 ..., and 1, 3 ... */
} fields;

static const struct hub {
    const char *name, *architecture;
    fields want;
} hub[] = {
    {"mistral-7b-v0.1", "MistralForCausalLM",
     {32, 4096, 32, 8, 128, 14336, 32000, 32768, 128, false, false, false, false, false, 1e-5, 1e4, 1, 0.08838834764831845, 0, 0,
      4096, 4096}},
    {"mistral-7b-v0.3", "MistralForCausalLM",
     {32, 4096, 32, 8, 128, 14336, 32768, 32768, 128, false, false, false, false, false, 1e-5, 1e6, 1, 0.08838834764831845, 0, 0, 0, 0}},
    {"qwen2.5-0.5b", "Qwen2ForCausalLM",
     {24, 896, 14, 2, 64, 4864, 151936, 32768, 64, true, false, true, false, false, 1e-6, 1e6, 1, 0.125, 0, 0, 0, 0}},
    {"qwen3-0.6b", "Qwen3ForCausalLM",
     {28, 1024, 16, 8, 128, 3072, 151936, 40960, 128, true, false, false, false, false, 1e-6, 1e6, 1, 0.08838834764831845, 0, 0, 0, 0}},
    {"gemma-2-2b", "Gemma2ForCausalLM",
     {26, 2304, 8, 4, 256, 9216, 256000, 8192, 256, true, false, false, false, false, 1e-6, 1e4, 48, 0.0625, 50, 30, 4096, 0}},
    {"gpt2", "GPT2LMHeadModel",
     {12, 768, 12, 12, 64, 3072, 50257, 1024, 0, true, true, true, true, true, 1e-5, 0, 1, 0.125, 0, 0, 0, 0}},
    {"pythia-70m", "GPTNeoXForCausalLM",
     {6, 512, 8, 8, 64, 2048, 50304, 2048, 16, false, false, true, true, true, 1e-5, 1e4, 1, 0.125, 0, 0, 0, 0}},
};

static void check_fields(const ps_config *c, const fields *want)
{
    CHECK_INT(c->n_layers, want->n_layers);
    CHECK_INT(c->d_model, want->d_model);
    CHECK_INT(c->n_heads, want->n_heads);
    CHECK_INT(c->n_kv_heads, want->n_kv_heads);
    CHECK_INT(c->head_dim, want->head_dim);
    CHECK_INT(c->d_mlp, want->d_mlp);
    CHECK_INT(c->vocab, want->vocab);
    CHECK_INT(c->max_positions, want->max_positions);
    CHECK_INT(c->rotary_dim, want->rotary_dim);
    CHECK_INT(c->tied, want->tied);
    CHECK_INT(c->learned_positions, want->learned_positions);
    CHECK_INT(ps_family_tensor(c, PS_B_Q) != NULL, want->has_q_bias);
    CHECK_INT(ps_family_tensor(c, PS_B_O) != NULL, want->has_o_bias);
    CHECK_INT(ps_family_tensor(c, PS_B_UP) != NULL, want->has_up_bias);
    CHECK(c->norm_eps == want->norm_eps && c->embed_scale == want->embed_scale && c->rope.theta == want->theta);
    CHECK_CLOSE(c->attention_scale, want->attention_scale, 1e-15);
    CHECK(c->attention_softcap == want->attention_softcap && c->logit_softcap == want->logit_softcap);
    for (int layer = 0; layer < c->n_layers; layer++)
        CHECK_INT(c->layers[layer].window, layer % 2 ? want->second_window : want->first_window);
}

static void models_of_the_hub(void)
{
    for (size_t i = 0; i < N_OF(hub); i++)
        for (int style = 4; style <= 5; style++) {
            ps_err err = PS_ERR_INIT;
            ps_config *config = NULL;
            char file[200];
            snprintf(file, sizeof file, FIXTURES "/%s.v%d.json", hub[i].name, style);
            ps_config_read_file(&config, file, &err);
            CHECK_STR(err.text, "");
            if (!config)
                continue;
            int before = check_failed_here;
            CHECK_STR(config->family->architecture, hub[i].architecture);
            check_fields(config, &hub[i].want);
            if (check_failed_here > before)
                printf("# ... of %s\n", file);
            ps_config_free(config);
        }
}

/* ---- small configs ---- */

/* Keys that have no value of their own where they are absent. */
static const char *smallest(const char *architecture)
{
    if (!strcmp(architecture, "GPT2LMHeadModel"))
        return "\"n_layer\": 4, \"n_embd\": 64, \"n_head\": 4, \"vocab_size\": 50";
    if (!strcmp(architecture, "Gemma2ForCausalLM"))
        return "\"num_hidden_layers\": 4, \"hidden_size\": 64, \"num_attention_heads\": 4, \"intermediate_size\": 96, "
               "\"vocab_size\": 50, \"query_pre_attn_scalar\": 16";
    return "\"num_hidden_layers\": 4, \"hidden_size\": 64, \"num_attention_heads\": 32, \"intermediate_size\": 96, \"vocab_size\": 50";
}

/* Read the smallest config of the family with `change`, whose keys it has not yet. */
static ps_config *read_with(const char *architecture, const char *change, ps_err *err)
{
    ps_config *config = NULL;
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    fprintf(file, "{\"architectures\": [\"%s\"], %s%s%s}", architecture, smallest(architecture), *change ? ", " : "", change);
    fclose(file);
    ps_config_read_file(&config, path, err);
    return config;
}

#define MISTRAL "MistralForCausalLM"
#define QWEN2 "Qwen2ForCausalLM"
#define QWEN3 "Qwen3ForCausalLM"
#define GEMMA2 "Gemma2ForCausalLM"
#define GPT2 "GPT2LMHeadModel"
#define NEOX "GPTNeoXForCausalLM"

/* transformers' own values, of the configuration files. */
static void absent_keys(void)
{
    static const struct {
        const char *architecture;
        fields want;
    } cases[] = {
        {MISTRAL, {4, 64, 32, 8, 2, 96, 50, 131072, 2, false, false, false, false, false, 1e-6, 1e4, 1, 0.7071067811865475, 0, 0, 4096, 4096}},
        {QWEN2, {4, 64, 32, 32, 2, 96, 50, 32768, 2, false, false, true, false, false, 1e-6, 1e4, 1, 0.7071067811865475, 0, 0, 0, 0}},
        {QWEN3, {4, 64, 32, 32, 128, 96, 50, 32768, 128, false, false, false, false, false, 1e-6, 1e4, 1, 0.08838834764831845, 0, 0, 0, 0}},
        {GEMMA2, {4, 64, 4, 4, 256, 96, 50, 8192, 256, true, false, false, false, false, 1e-6, 1e4, 8, 0.25, 50, 30, 4096, 0}},
        {GPT2, {4, 64, 4, 4, 16, 256, 50, 1024, 0, true, true, true, true, true, 1e-5, 0, 1, 0.25, 0, 0, 0, 0}},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        ps_err err = PS_ERR_INIT;
        ps_config *config = read_with(cases[i].architecture, "", &err);
        CHECK_STR(err.text, "");
        if (config)
            check_fields(config, &cases[i].want);
        ps_config_free(config);
    }
}

/* What a change does, shown in a number. */
static void values_that_are_read(void)
{
#define RESULT(what) {offsetof(ps_config, what), sizeof ((ps_config *)0)->what}
    static const struct {
        const char *architecture, *change;
        struct {
            size_t offset, bytes;
        } field;
        double want;
    } cases[] = {
        {MISTRAL, "\"num_key_value_heads\": null", RESULT(n_kv_heads), 32},
        {MISTRAL, "\"num_key_value_heads\": 4, \"head_dim\": 6", RESULT(head_dim), 6},
        {QWEN3, "\"head_dim\": null", RESULT(head_dim), 128},
        {QWEN3, "\"attention_bias\": true", RESULT(attention_bias), 1},
        {GEMMA2, "\"attn_logit_softcapping\": null", RESULT(attention_softcap), 0},
        {GEMMA2, "\"final_logit_softcapping\": null", RESULT(logit_softcap), 0},
        {GEMMA2, "\"final_logit_softcapping\": 12.5", RESULT(logit_softcap), 12.5},
        {GEMMA2, "\"tie_word_embeddings\": false", RESULT(tied), 0},
        {GEMMA2, "\"hidden_act\": \"gelu_pytorch_tanh\"", RESULT(tied), 1},
        {GEMMA2, "\"sliding_window_size\": 4096, \"use_bidirectional_attention\": null", RESULT(tied), 1},
        {GPT2, "\"n_inner\": 96", RESULT(d_mlp), 96},
        {GPT2, "\"n_inner\": null", RESULT(d_mlp), 256},
        {GPT2, "\"n_positions\": 77, \"n_ctx\": 99", RESULT(max_positions), 77},
        {GPT2, "\"tie_word_embeddings\": false", RESULT(tied), 0},
        {GPT2, "\"activation_function\": \"gelu_pytorch_tanh\"", RESULT(tied), 1},
        {GPT2, "\"layer_norm_epsilon\": 0.25", RESULT(norm_eps), 0.25},
        {NEOX, "\"rotary_pct\": 1.0", RESULT(rotary_dim), 2},
        {NEOX, "\"rope_parameters\": {\"partial_rotary_factor\": 1, \"rope_theta\": 77}", RESULT(rope.theta), 77},
        {NEOX, "\"rotary_pct\": 1, \"rotary_emb_base\": 500", RESULT(rope.theta), 500},
        {NEOX, "\"rotary_pct\": 1, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}", RESULT(rope.factor), 2},
        {NEOX, "\"rotary_pct\": 1, \"attention_bias\": false", RESULT(attention_bias), 0},
        {NEOX, "\"rotary_pct\": 1, \"layer_norm_eps\": 0.5, \"classifier_dropout\": 0.1", RESULT(norm_eps), 0.5},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        ps_err err = PS_ERR_INIT;
        ps_config *config = read_with(cases[i].architecture, cases[i].change, &err);
        CHECK_STR(err.text, "");
        const char *field = (const char *)config + cases[i].field.offset;
        double seen = !config                       ? NAN
                      : cases[i].field.bytes == 8 ? *(const double *)(const void *)field
                      : cases[i].field.bytes == 4 ? *(const int32_t *)(const void *)field
                                                  : *(const bool *)field;
        if (seen != cases[i].want)
            printf("# {%s}: %g\n", cases[i].change, seen);
        CHECK(seen == cases[i].want);
        ps_config_free(config);
    }
}

/* The windows of four layers, of each family that has any. */
static void windows_of_layers(void)
{
    static const struct {
        const char *architecture, *change;
        int want[4];
    } cases[] = {
        {MISTRAL, "\"sliding_window\": 7", {7, 7, 7, 7}},
        {MISTRAL, "\"sliding_window\": null", {0, 0, 0, 0}},
        {QWEN2, "\"sliding_window\": 7", {0, 0, 0, 0}},
        {QWEN2, "\"sliding_window\": 7, \"max_window_layers\": 1", {0, 0, 0, 0}},
        {QWEN2, "\"sliding_window\": 7, \"max_window_layers\": 1, \"use_sliding_window\": true", {0, 7, 7, 7}},
        {QWEN2, "\"max_window_layers\": 3, \"use_sliding_window\": true", {0, 0, 0, 4096}},
        {QWEN2, "\"sliding_window\": 7, \"use_sliding_window\": true", {0, 0, 0, 0}}, /* max_window_layers 28 */
        {QWEN2, "\"sliding_window\": null, \"max_window_layers\": 0, \"use_sliding_window\": true", {0, 0, 0, 0}},
        {QWEN3, "\"sliding_window\": 7, \"max_window_layers\": 0, \"use_sliding_window\": true, \"layer_types\": "
                "[\"full_attention\", \"sliding_attention\", \"full_attention\", \"full_attention\"]", {0, 7, 0, 0}},
        {QWEN3, "\"layer_types\": [\"full_attention\", \"full_attention\", \"full_attention\", \"full_attention\"]", {0, 0, 0, 0}},
        {QWEN3, "\"layer_types\": null, \"sliding_window\": 7, \"max_window_layers\": 2, \"use_sliding_window\": true", {0, 0, 7, 7}},
        {GEMMA2, "\"sliding_window\": 7", {7, 0, 7, 0}},
        {GEMMA2, "\"sliding_window\": 7, \"layer_types\": "
                 "[\"full_attention\", \"sliding_attention\", \"sliding_attention\", \"full_attention\"]", {0, 7, 7, 0}},
        {GEMMA2, "\"sliding_window\": null, \"layer_types\": "
                 "[\"full_attention\", \"full_attention\", \"full_attention\", \"full_attention\"]", {0, 0, 0, 0}},
        {GPT2, "", {0, 0, 0, 0}},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        ps_err err = PS_ERR_INIT;
        ps_config *config = read_with(cases[i].architecture, cases[i].change, &err);
        CHECK_STR(err.text, "");
        for (int layer = 0; config && layer < 4; layer++) {
            if (config->layers[layer].window != cases[i].want[layer])
                printf("# {%s}, layer %d\n", cases[i].change, layer);
            CHECK_INT(config->layers[layer].window, cases[i].want[layer]);
        }
        ps_config_free(config);
    }
}

static void refused_by_name(void)
{
    static const struct {
        const char *architecture, *change, *words;
    } cases[] = {
        {MISTRAL, "\"sliding_window\": 0", "'sliding_window' is 0; it must be from 1"},
        {MISTRAL, "\"attention_bias\": true", "'attention_bias' with value true would change results"},
        {MISTRAL, "\"layer_types\": [\"full_attention\"]", "'layer_types': transformers ignores it"},
        {MISTRAL, "\"use_sliding_window\": true", "'use_sliding_window' with value true"},
        {MISTRAL, "\"model_type\": \"llama\"", "'model_type' is 'llama', which does not fit the architecture MistralForCausalLM"},
        {MISTRAL, "\"hidden_act\": \"gelu\"", "'hidden_act' with value \"gelu\" would change results"},
        {MISTRAL, "\"num_key_value_heads\": 5", "'num_key_value_heads' is 5, which does not divide num_attention_heads, 32"},
        {QWEN2, "\"attention_bias\": false", "'attention_bias' with value false would change results"},
        {QWEN2, "\"use_mrope\": true", "'use_mrope' with value true"},
        {QWEN2, "\"layer_types\": [\"full_attention\"]", "'layer_types' has 1 entries, for 4 layers"},
        {QWEN2, "\"layer_types\": \"full_attention\"", "'layer_types' with value \"full_attention\" is not an array"},
        {QWEN2, "\"sliding_window\": 7, \"layer_types\": [\"full_attention\", \"sliding_attention\", \"full_attention\", \"full_attention\"]",
         "'layer_types': layer 1 is \"sliding_attention\", but no 'sliding_window' is in use"},
        {QWEN3, "\"layer_types\": [\"full_attention\", \"full_attention\", \"linear_attention\", \"full_attention\"]",
         "'layer_types' with value [\"full_attention\",\"full_attention\",\"linear_attention\",\"full_attention\"] would change results"},
        {QWEN3, "\"mlp_bias\": true", "'mlp_bias' with value true"},
        {QWEN3, "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0}", "\"yarn\" is not implemented"},
        {QWEN3, "\"max_window_layers\": -1", "'max_window_layers' is -1"},
        {QWEN3, "\"num_experts\": 8", "'num_experts' with value 8 is unknown"},
        {GEMMA2, "\"hidden_activation\": \"gelu\"", "'hidden_activation' with value \"gelu\""},
        {GEMMA2, "\"hidden_act\": \"silu\"", "'hidden_act' with value \"silu\""},
        {GEMMA2, "\"use_bidirectional_attention\": true", "'use_bidirectional_attention' with value true"},
        {GEMMA2, "\"attn_logit_softcapping\": 0", "'attn_logit_softcapping' is 0"},
        {GEMMA2, "\"sliding_window\": null", "'sliding_window' is null"},
        {GEMMA2, "\"mlp_bias\": true", "'mlp_bias' with value true is unknown"},
        {GEMMA2, "\"rope_parameters\": {\"sliding_attention\": {\"rope_type\": \"default\"}}", "'sliding_attention': settings of their own"},
        {GPT2, "\"activation_function\": \"gelu\"", "'activation_function' with value \"gelu\""},
        {GPT2, "\"activation_function\": \"relu\"", "'activation_function' with value \"relu\""},
        {GPT2, "\"scale_attn_weights\": false", "'scale_attn_weights' with value false"},
        {GPT2, "\"scale_attn_by_inverse_layer_idx\": true", "'scale_attn_by_inverse_layer_idx' with value true"},
        {GPT2, "\"reorder_and_upcast_attn\": true", "'reorder_and_upcast_attn' with value true"},
        {GPT2, "\"add_cross_attention\": true", "'add_cross_attention' with value true"},
        {GPT2, "\"hidden_size\": 64", "'hidden_size' with value 64 is unknown"},
        {GPT2, "\"num_key_value_heads\": 4", "'num_key_value_heads' with value 4 is unknown"},
        {GPT2, "\"head_dim\": 16", "'head_dim' with value 16 is unknown"},
        {GPT2, "\"rope_theta\": 10000", "'rope_theta' with value 10000 is unknown"},
        {GPT2, "\"rope_parameters\": {\"rope_type\": \"default\"}", "'rope_parameters' with value {\"rope_type\":\"default\"} is unknown"},
        {GPT2, "\"rms_norm_eps\": 1e-5", "'rms_norm_eps' with value 1e-05 is unknown"},
        {NEOX, "", "'rotary_pct' is 0.25, which rotates 0 of a head's 2 dimensions"},
        {NEOX, "\"rotary_pct\": 0.5", "'rotary_pct' is 0.5, which rotates 1 of a head's 2 dimensions; rope needs an even number"},
        {NEOX, "\"rotary_pct\": 1.5", "'rotary_pct' is 1.5"},
        {NEOX, "\"use_parallel_residual\": false", "'use_parallel_residual' with value false would change results"},
        {NEOX, "\"hidden_act\": \"gelu_fast\"", "'hidden_act' with value \"gelu_fast\""},
        {NEOX, "\"rope_theta\": 10000", "'rope_theta' with value 10000 is unknown"},
        {NEOX, "\"partial_rotary_factor\": 0.5", "'partial_rotary_factor' with value 0.5"},
        {NEOX, "\"rotary_pct\": 0.5, \"rope_parameters\": {\"partial_rotary_factor\": 1}",
         "'rotary_pct' is 0.5 and, in 'rope_parameters', 1; remove one"},
        {NEOX, "\"rotary_emb_base\": 500, \"rope_parameters\": {\"rope_theta\": 10000}",
         "'rotary_emb_base' is 500 and, in 'rope_parameters', 10000; remove one"},
        {NEOX, "\"head_dim\": 2", "'head_dim' with value 2 is unknown"},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        ps_err err = PS_ERR_INIT;
        ps_config *config = read_with(cases[i].architecture, cases[i].change, &err);
        bool good = !config && err.code == PS_EINPUT && strstr(err.text, cases[i].words);
        if (!good)
            printf("# %s {%s}: gave '%s', wanted '%s'\n", cases[i].architecture, cases[i].change, err.text, cases[i].words);
        CHECK(good);
        ps_config_free(config);
    }
}

/* Missing keys are named as the family names them. */
static void missing_by_name(void)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{\"architectures\": [\"GPT2LMHeadModel\"], \"n_layer\": 4, \"n_head\": 4, \"vocab_size\": 50}", "key 'n_embd' is missing"},
        {"{\"architectures\": [\"GPT2LMHeadModel\"], \"n_layer\": 4, \"n_head\": 5, \"n_embd\": 64, \"vocab_size\": 50}",
         "'n_head' is 5, which does not divide n_embd, 64"},
        {"{\"model_type\": \"gpt_neox\", \"num_hidden_layers\": 4}", "key 'hidden_size' is missing"},
        {"{\"model_type\": \"gemma2\", \"num_hidden_layers\": 4, \"hidden_size\": 64, \"num_attention_heads\": 4, "
         "\"intermediate_size\": 96, \"vocab_size\": 50}", "key 'query_pre_attn_scalar' is missing"},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        ps_config *config = NULL;
        ps_err err = PS_ERR_INIT;
        FILE *file = fopen(path, "w");
        fputs(cases[i].text, file);
        fclose(file);
        CHECK_ERR(ps_config_read_file(&config, path, &err), err, PS_EINPUT, cases[i].words);
    }
}

/* Every family's program is sound, and all that it reads has a tensor. */
static void programs_have_their_tensors(void)
{
    for (const ps_family *family = ps_families; family->architecture; family++) {
        ps_err err = PS_ERR_INIT;
        ps_config *config = read_with(family->architecture, !strcmp(family->architecture, NEOX) ? "\"rotary_pct\": 1" : "", &err);
        CHECK_STR(err.text, "");
        CHECK(ps_program_check(family->layer, &err) == 0);
        for (const ps_step *step = family->layer; config && step->op != PS_OP_END; step++) {
            bool weighs = step->op == PS_OP_NORM || step->op == PS_OP_HEAD_NORM || step->op == PS_OP_LINEAR;
            CHECK(!weighs || ps_family_tensor(config, (enum ps_tensor_role)step->weight));
        }
        CHECK(config && ps_family_tensor(config, PS_W_FINAL_NORM) && ps_family_tensor(config, PS_W_EMBED));
        ps_config_free(config);
    }
}

/* As transformers counts them, but for norms and biases. */
static void numbers_in_matrices(void)
{
    static const struct {
        const char *file;
        double want;
    } cases[] = {
        {FIXTURES "/gpt2.v4.json", 50257. * 768 + 1024 * 768 + 12 * (12. * 768 * 768)},
        {FIXTURES "/pythia-70m.v5.json", 2 * 50304. * 512 + 6 * (12. * 512 * 512)},
        {FIXTURES "/qwen3-0.6b.v5.json", 151936. * 1024 + 28. * 1024 * (2048 + 2 * 1024 + 2048 + 3 * 3072)},
        {FIXTURES "/mistral-7b-v0.1.v4.json", 2 * 32000. * 4096 + 32. * 4096 * (4096 + 2 * 1024 + 4096 + 3 * 14336)},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        ps_config *config = NULL;
        ps_err err = PS_ERR_INIT;
        CHECK(ps_config_read_file(&config, cases[i].file, &err) == 0);
        CHECK(config && ps_family_numbers(config) == cases[i].want);
        ps_config_free(config);
    }
}

int main(void)
{
    int fd = mkstemp(path);

    if (fd < 0)
        return 1;
    close(fd);
    RUN(models_of_the_hub);
    RUN(absent_keys);
    RUN(values_that_are_read);
    RUN(windows_of_layers);
    RUN(refused_by_name);
    RUN(missing_by_name);
    RUN(programs_have_their_tensors);
    RUN(numbers_in_matrices);
    unlink(path);
    return check_done();
}
