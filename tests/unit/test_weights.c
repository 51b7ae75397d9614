/* test_weights.c - weights that do not fit config.json are refused, naming the tensor; what changes nothing is taken. */
#include "patchsweep/weights.h"

#include <stdlib.h>
#include <unistd.h>

#include "../check.h"

static char folder[] = "/tmp/patchsweep-weights-XXXXXX";
static ps_backend *backend;

/* A model of one layer: width 8, 2 heads of 4, one of which has keys, 12 wide in the MLP, 10 tokens. */
static const char config_text[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 8, \"intermediate_size\": 12, \"vocab_size\": 10,"
    " \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"max_position_embeddings\": 16,"
    " \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, \"hidden_act\": \"silu\", \"tie_word_embeddings\": %s,"
    " \"attention_bias\": %s, \"mlp_bias\": false}";

typedef struct tensor {
    const char *name, *dtype;
    int rows, cols; /* cols 0: a vector */
} tensor;

#define LAYER "model.layers.0."
static const tensor whole[] = {
    {"model.embed_tokens.weight", "F32", 10, 8},      {"model.norm.weight", "F32", 8, 0},
    {"lm_head.weight", "F32", 10, 8},                 {LAYER "input_layernorm.weight", "F32", 8, 0},
    {LAYER "self_attn.q_proj.weight", "F32", 8, 8},   {LAYER "self_attn.k_proj.weight", "F32", 4, 8},
    {LAYER "self_attn.v_proj.weight", "F32", 4, 8},   {LAYER "self_attn.o_proj.weight", "F32", 8, 8},
    {LAYER "mlp.gate_proj.weight", "F32", 12, 8},     {LAYER "mlp.up_proj.weight", "F32", 12, 8},
    {LAYER "mlp.down_proj.weight", "F32", 8, 12},     {LAYER "post_attention_layernorm.weight", "F32", 8, 0},
};
enum { N_WHOLE = sizeof whole / sizeof *whole };

static size_t bytes_of(const tensor *t)
{
    size_t width = !strcmp(t->dtype, "F64") || !strcmp(t->dtype, "I64") ? 8 : !strcmp(t->dtype, "F32") ? 4 : 2;

    return (size_t)t->rows * (size_t)(t->cols ? t->cols : 1) * width;
}

static void write_config(bool tied, bool bias)
{
    char path[128];

    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "w");
    fprintf(f, config_text, tied ? "true" : "false", bias ? "true" : "false");
    fclose(f);
}

/* One file of all zeros; the tensors one after the other. */
static void write_weights(const tensor *tensors, size_t n)
{
    char path[128], header[8192];
    size_t used = 0, at = 0;

    used += (size_t)snprintf(header + used, sizeof header - used, "{");
    for (size_t i = 0; i < n; i++) {
        const tensor *t = &tensors[i];
        char shape[32];
        snprintf(shape, sizeof shape, t->cols ? "%d,%d" : "%d", t->rows, t->cols);
        used += (size_t)snprintf(header + used, sizeof header - used, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],"
                                 "\"data_offsets\":[%zu,%zu]}", i ? "," : "", t->name, t->dtype, shape, at, at + bytes_of(t));
        at += bytes_of(t);
    }
    used += (size_t)snprintf(header + used, sizeof header - used, "}");
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    FILE *f = fopen(path, "wb");
    uint64_t size = used;
    fwrite(&size, sizeof size, 1, f);
    fwrite(header, 1, used, f);
    for (size_t i = 0; i < at; i++)
        fputc(0, f);
    fclose(f);
}

/* Open what lies in the folder: 0, or -1 with *err. */
static int open_it(ps_err *err)
{
    ps_weights *weights = NULL;
    ps_config *config = NULL;

    CHECK_INT(ps_config_read(&config, folder, err), 0);
    int rc = ps_weights_open(&weights, config, folder, backend, err);
    CHECK((rc == 0) == (weights != NULL));
    ps_weights_close(weights);
    ps_config_free(config);
    return rc;
}

static void open_weights(const tensor *tensors, size_t n, const char *words)
{
    ps_err err = PS_ERR_INIT;

    write_weights(tensors, n);
    if (words) {
        CHECK_ERR(open_it(&err), err, PS_EINPUT, words);
        CHECK(strstr(err.text, folder));
        return;
    }
    int rc = open_it(&err);
    CHECK_STR(rc == 0 ? "" : err.text, "");
}

static void whole_models_are_taken(void)
{
    write_config(false, false);
    open_weights(whole, N_WHOLE, NULL);
}

static void each_missing_tensor_is_named(void)
{
    write_config(false, false);
    for (size_t i = 0; i < N_WHOLE; i++) {
        tensor some[N_WHOLE];
        memcpy(some, whole, sizeof some);
        some[i] = some[N_WHOLE - 1];
        char words[128];
        snprintf(words, sizeof words, "'%s' is missing", whole[i].name);
        open_weights(some, N_WHOLE - 1, words);
    }
}

/* One row more, one column less, a vector for a matrix and the other way round. */
static void each_shape_is_checked(void)
{
    write_config(false, false);
    for (size_t i = 0; i < N_WHOLE; i++)
        for (int how = 0; how < 4; how++) {
            tensor some[N_WHOLE];
            char name[128];
            memcpy(some, whole, sizeof some);
            tensor *t = &some[i];
            if (how == 0)
                t->rows++;
            else if (how == 1)
                t->rows--;
            else if (how == 2)
                t->cols = t->cols ? t->cols - 1 : 1;
            else
                t->cols = t->cols ? 0 : t->rows;
            snprintf(name, sizeof name, "tensor '%s'", whole[i].name);
            open_weights(some, N_WHOLE, name);
        }
}

static void types_are_checked(void)
{
    static const char *const taken[] = {"F32", "F16", "BF16"}, *const refused[] = {"F64", "I64", "I16", "U16"};
    tensor some[N_WHOLE];
    char words[128];

    write_config(false, false);
    for (size_t k = 0; k < 3; k++) {
        memcpy(some, whole, sizeof some);
        for (size_t i = 0; i < N_WHOLE; i += 1 + k) /* types may be mixed */
            some[i].dtype = taken[k];
        open_weights(some, N_WHOLE, NULL);
    }
    for (size_t i = 0; i < N_WHOLE; i++) {
        memcpy(some, whole, sizeof some);
        some[i].dtype = refused[i % 4];
        snprintf(words, sizeof words, "tensor '%s' has type %s", whole[i].name, refused[i % 4]);
        open_weights(some, N_WHOLE, words);
    }
}

/* What nobody asks for would change results: refused, but for buffers of older files. */
static void surplus_tensors(void)
{
    static const tensor more[] = {{LAYER "self_attn.q_proj.bias", "F32", 8, 0},    {LAYER "self_attn.q_norm.weight", "F32", 4, 0},
                                  {"model.layers.1.mlp.up_proj.weight", "F32", 12, 8}, {"score.weight", "F32", 2, 8}};
    static const tensor buffer = {LAYER "self_attn.rotary_emb.inv_freq", "F32", 2, 0};
    tensor some[N_WHOLE + 1];

    write_config(false, false);
    memcpy(some, whole, sizeof whole);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        char words[128];
        some[N_WHOLE] = more[i];
        snprintf(words, sizeof words, "tensor '%s' is not part of", more[i].name);
        open_weights(some, N_WHOLE + 1, words);
    }
    some[N_WHOLE] = buffer;
    open_weights(some, N_WHOLE + 1, NULL);
}

/* A tied model has no head of its own, or a copy that is not read; an untied one must have it. */
static void tied_heads(void)
{
    tensor some[N_WHOLE];

    write_config(true, false);
    open_weights(whole, N_WHOLE, NULL);
    memcpy(some, whole, sizeof some);
    some[2] = some[N_WHOLE - 1]; /* the head goes */
    open_weights(some, N_WHOLE - 1, NULL);
    write_config(false, false);
    open_weights(some, N_WHOLE - 1, "'lm_head.weight' is missing");
}

static void biases_that_config_asks_for(void)
{
    tensor some[N_WHOLE + 4];

    write_config(false, true);
    open_weights(whole, N_WHOLE, "q_proj.bias' is missing");
    memcpy(some, whole, sizeof whole);
    some[N_WHOLE] = (tensor){LAYER "self_attn.q_proj.bias", "F32", 8, 0};
    some[N_WHOLE + 1] = (tensor){LAYER "self_attn.k_proj.bias", "F32", 4, 0};
    some[N_WHOLE + 2] = (tensor){LAYER "self_attn.v_proj.bias", "F32", 4, 0};
    some[N_WHOLE + 3] = (tensor){LAYER "self_attn.o_proj.bias", "F32", 8, 0};
    open_weights(some, N_WHOLE + 4, NULL);
    some[N_WHOLE + 1].rows = 8;
    open_weights(some, N_WHOLE + 4, "k_proj.bias'");
}

/* Checkpoints of a base model: "model." is left out. */
static void names_without_their_prefix(void)
{
    tensor some[N_WHOLE];

    write_config(true, false);
    memcpy(some, whole, sizeof some);
    some[2] = some[N_WHOLE - 1];
    for (size_t i = 0; i < N_WHOLE - 1; i++)
        some[i].name += strncmp(some[i].name, "model.", 6) ? 0 : 6;
    open_weights(some, N_WHOLE - 1, NULL);
}

int main(void)
{
    const ps_backend_needs needs = {.n_threads = 1, .operand = PS_DTYPE_F32, .max_positions = 16, .max_rows = 16,
                                    .max_depth = 16, .max_matrix = 1024};
    char path[128];
    ps_err err = PS_ERR_INIT;

    if (!mkdtemp(folder) || ps_backend_open(&backend, "ref", &needs, &err) < 0)
        return 1;
    RUN(whole_models_are_taken);
    RUN(each_missing_tensor_is_named);
    RUN(each_shape_is_checked);
    RUN(types_are_checked);
    RUN(surplus_tensors);
    RUN(tied_heads);
    RUN(biases_that_config_asks_for);
    RUN(names_without_their_prefix);
    ps_backend_close(backend);
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    rmdir(folder);
    return check_done();
}
