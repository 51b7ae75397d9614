/*
 * config.c - config.json against a table in which every key has a row.
 *
 * A key sets a field, or is known not to change what a pass computes, or is known
 * to be neutral with one value only.  Any other key or value is refused by name: this is
 * the only way never to compute another model than the file describes.  null means "not given", as in
 * transformers.
 *
 * Rope settings come in two styles, rope_theta + rope_scaling and rope_parameters;
 * both end in config->rope, and a file that has both must have the same values in both.
 */
#include "patchsweep/config.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/family.h"
#include "patchsweep/file.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define MAX_BYTES ((size_t)16 << 20)

enum kind {
    INTEGER, /* int32_t at `offset`, from low to high */
    NUMBER,  /* double at `offset`, from low to high */
    FLAG,    /* bool at `offset` */
    NEUTRAL, /* only the value `text` (compact JSON) */
    EACH,    /* an array, each of whose elements is `text` */
    IGNORED, /* does not change what a pass computes */
    REFUSED, /* for the reason `text` */
    LATER,   /* read by its own function below */
};

struct key {
    const char *name;
    enum kind kind;
    size_t offset;
    double low, high;
    double absent; /* the value where the key is absent or null; NAN: it must be there */
    const char *text;
};

/* Bounds are far above any model and low enough that no product of two of them, nor a sum over
 * layers, passes 2^63. */
static const struct key keys[] = {
    {"num_hidden_layers", INTEGER, offsetof(ps_config, n_layers), 1, 10000, NAN, NULL},
    {"hidden_size", INTEGER, offsetof(ps_config, d_model), 1, 1 << 20, NAN, NULL},
    {"intermediate_size", INTEGER, offsetof(ps_config, d_mlp), 1, 1 << 24, NAN, NULL},
    {"num_attention_heads", INTEGER, offsetof(ps_config, n_heads), 1, 1 << 16, NAN, NULL},
    {"num_key_value_heads", INTEGER, offsetof(ps_config, n_kv_heads), 1, 1 << 16, 0, NULL}, /* derived */
    {"head_dim", INTEGER, offsetof(ps_config, head_dim), 2, 1 << 16, 0, NULL},              /* derived */
    {"vocab_size", INTEGER, offsetof(ps_config, vocab), 1, 1 << 24, NAN, NULL},
    {"max_position_embeddings", INTEGER, offsetof(ps_config, max_positions), 1, 1 << 30, 2048, NULL},
    {"rms_norm_eps", NUMBER, offsetof(ps_config, norm_eps), 1e-30, 1, 1e-6, NULL},
    {"tie_word_embeddings", FLAG, offsetof(ps_config, tied), 0, 0, 0, NULL},
    {"attention_bias", FLAG, offsetof(ps_config, attention_bias), 0, 0, 0, NULL},
    {"mlp_bias", FLAG, offsetof(ps_config, mlp_bias), 0, 0, 0, NULL},
    {"rope_theta", NUMBER, offsetof(ps_config, rope.theta), 1, 1e15, 10000, NULL},

    {.name = "architectures", .kind = LATER},
    {.name = "model_type", .kind = LATER},
    {.name = "rope_scaling", .kind = LATER},
    {.name = "rope_parameters", .kind = LATER},
    {.name = "original_max_position_embeddings", .kind = LATER},

    {.name = "hidden_act", .kind = NEUTRAL, .text = "\"silu\""},
    {.name = "pretraining_tp", .kind = NEUTRAL, .text = "1"},
    {.name = "partial_rotary_factor", .kind = NEUTRAL, .text = "1"},
    {.name = "rope_interleaved", .kind = NEUTRAL, .text = "false"},
    {.name = "use_sliding_window", .kind = NEUTRAL, .text = "false"},
    {.name = "sliding_window", .kind = NEUTRAL, .text = "null"},
    {.name = "layer_types", .kind = EACH, .text = "\"full_attention\""},
    {.name = "is_encoder_decoder", .kind = NEUTRAL, .text = "false"},
    {.name = "add_cross_attention", .kind = NEUTRAL, .text = "false"},
    {.name = "tie_encoder_decoder", .kind = NEUTRAL, .text = "false"},
    {.name = "qk_layernorm", .kind = NEUTRAL, .text = "false"},
    {.name = "use_qk_norm", .kind = NEUTRAL, .text = "false"},
    {.name = "pruned_heads", .kind = NEUTRAL, .text = "{}"},
    {.name = "per_layer_config", .kind = NEUTRAL, .text = "{}"},
    {.name = "chunk_size_feed_forward", .kind = NEUTRAL, .text = "0"},
    {.name = "quantization_config", .kind = REFUSED, .text = "quantized weights cannot be read; use the model "
                                                             "that they were made from"},
    {.name = "quantization", .kind = REFUSED, .text = "quantized weights cannot be read; use the model that "
                                                      "they were made from"},
    {.name = "compression_config", .kind = REFUSED, .text = "compressed weights cannot be read; use the model "
                                                            "that they were made from"},
    {.name = "auto_map", .kind = REFUSED, .text = "the model brings code of its own, which is not run; remove "
                                                  "the key if that code computes what transformers' does"},
};

/* Keys without influence on a forward pass: bookkeeping, training, generation, classification. */
static const char *const ignored[] = {
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_flash_attn_2_enabled",
    "_name_or_path", "attention_dropout", "attn_implementation", "attn_pdrop", "bad_words_ids",
    "begin_suppress_tokens", "bos_token_id", "cls_token_id", "cross_attention_hidden_size",
    "decoder_start_token_id", "diversity_penalty", "do_sample", "dtype", "early_stopping", "embd_pdrop",
    "encoder_no_repeat_ngram_size", "eos_token_id", "exponential_decay_length_penalty", "finetuning_task",
    "forced_bos_token_id", "forced_eos_token_id", "hidden_dropout", "hidden_dropout_prob", "id2label",
    "initializer_range", "is_decoder", "is_llama_config", "keys_to_ignore_at_inference", "label2id",
    "length_penalty", "max_length", "max_sequence_length", "max_window_layers", "min_length",
    "model_max_length", "name_or_path", "neftune_noise_alpha", "no_repeat_ngram_size", "num_beam_groups",
    "num_beams", "num_labels", "num_return_sequences", "output_attentions", "output_hidden_states",
    "output_scores", "pad_token_id", "prefix", "problem_type", "remove_invalid_values",
    "repetition_penalty", "resid_pdrop", "return_dict", "return_dict_in_generate", "sep_token_id",
    "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss", "tie_last_hidden_states",
    "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers.js_config",
    "transformers_version", "typical_p", "unk_token_id", "unsloth_fixed", "unsloth_version", "use_bfloat16",
    "use_cache", "use_flash_attention_2", "use_return_dict",
};

/* ---- single keys ---- */

/* "key 'x' with value 4096 <rest>" */
static int refuse(const ps_node *node, const char *rest, ps_err *err)
{
    char shown[100];

    char *value = ps_json_print(node, err);
    if (!value)
        return -1;
    ps_printable(shown, sizeof shown, value);
    ps_free(value);
    return ps_err_set(err, PS_EINPUT, "key '%.100s' with value %s %s", ps_json_key(node), shown, rest);
}

/* null is "not given". */
static bool absent(const ps_node *node)
{
    return !node || ps_json_is(node, PS_JSON_NULL);
}

/* 1 where the node's compact text is `text`, 0 where not, -1 where there is no memory to tell. */
static int is_text(const ps_node *node, const char *text, ps_err *err)
{
    char *value = ps_json_print(node, err);
    int same = value ? !strcmp(value, text) : -1;

    ps_free(value);
    return same;
}

static int check_neutral(const ps_node *node, const ps_node *value, const char *text, ps_err *err)
{
    int same = is_text(value, text, err);

    return same > 0   ? 0
           : same < 0 ? -1
                      : refuse(node, "would change results and is not implemented; use another model", err);
}

static int check_each(const ps_node *node, const char *text, ps_err *err)
{
    if (!ps_json_is(node, PS_JSON_ARRAY))
        return refuse(node, "is not an array", err);
    for (const ps_node *e = ps_json_first(node); e; e = ps_json_next(e))
        if (check_neutral(node, e, text, err) < 0)
            return -1;
    return 0;
}

static int read_number(double *value, const ps_node *node, double low, double high, bool integer, ps_err *err)
{
    int64_t i;

    if (integer ? !ps_json_int(node, &i) : !ps_json_is(node, PS_JSON_NUMBER))
        return refuse(node, integer ? "is not an integer" : "is not a number", err);
    *value = ps_json_double(node);
    if (*value >= low && *value <= high)
        return 0;
    return ps_err_set(err, PS_EINPUT, "key '%s' is %.9g; it must be from %.9g to %.9g", ps_json_key(node), *value,
                      low, high);
}

static int read_key(ps_config *config, const struct key *key, const ps_node *node, ps_err *err)
{
    void *field = (char *)config + key->offset;
    double value = 0;

    switch (key->kind) {
    case INTEGER:
    case NUMBER:
        if (read_number(&value, node, key->low, key->high, key->kind == INTEGER, err) < 0)
            return -1;
        if (key->kind == NUMBER)
            *(double *)field = value;
        else
            *(int32_t *)field = (int32_t)value;
        return 0;
    case FLAG:
        *(bool *)field = ps_json_bool(node);
        return ps_json_is(node, PS_JSON_BOOL) ? 0 : refuse(node, "is neither true nor false", err);
    case NEUTRAL:
        return check_neutral(node, node, key->text, err);
    case EACH:
        return check_each(node, key->text, err);
    case REFUSED:
        return ps_err_set(err, PS_EINPUT, "key '%s': %s", key->name, key->text);
    case IGNORED:
    case LATER:
        break;
    }
    return 0;
}

static const struct key *find_key(const char *name)
{
    static const struct key without_influence = {.kind = IGNORED};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(keys[i].name, name))
            return &keys[i];
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        if (!strcmp(ignored[i], name))
            return &without_influence;
    return NULL;
}

static void set_absent(ps_config *config)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        void *field = (char *)config + keys[i].offset;
        if (keys[i].kind == INTEGER && !isnan(keys[i].absent))
            *(int32_t *)field = (int32_t)keys[i].absent;
        else if (keys[i].kind == NUMBER)
            *(double *)field = keys[i].absent;
    }
}

static int read_keys(ps_config *config, const ps_node *root, ps_err *err)
{
    set_absent(config);
    for (const ps_node *node = ps_json_first(root); node; node = ps_json_next(node)) {
        const struct key *key = find_key(ps_json_key(node));
        if (absent(node))
            continue;
        if (!key)
            return refuse(node, "is unknown and may change results; remove it from config.json if it does not", err);
        if (read_key(config, key, node, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const ps_node *node = ps_json_get(root, keys[i].name);
        if (isnan(keys[i].absent) && absent(node))
            return ps_err_set(err, PS_EINPUT, "key '%s' is missing", keys[i].name);
    }
    return 0;
}

/* ---- the architecture ---- */

static int unknown_family(const char *what, const char *name, ps_err *err)
{
    ps_text known = {0};

    for (const ps_family *family = ps_families; family->architecture; family++)
        ps_text_printf(&known, "%s%s", family == ps_families ? "" : ", ", family->architecture);
    int rc = ps_text_ok(&known, err);
    if (rc == 0)
        rc = ps_err_set(err, PS_EINPUT, "%s '%.100s' is not implemented; use a model of %s", what, name,
                        ps_text_str(&known));
    ps_text_release(&known);
    return rc;
}

/* transformers uses model_type, people use architectures: both must fit the row. */
static int read_family(ps_config *config, const ps_node *root, ps_err *err)
{
    const ps_node *list = ps_json_get(root, "architectures"), *name = ps_json_first(list);
    const ps_node *type = ps_json_get(root, "model_type");

    if (!absent(list) && !ps_json_is(list, PS_JSON_ARRAY))
        return refuse(list, "is not an array of names", err);
    if (name) {
        config->family = ps_family_find(ps_json_string(name));
        if (!config->family)
            return unknown_family("architecture", ps_json_string(name), err);
    }
    for (const ps_family *f = ps_families; f->architecture && !config->family; f++)
        if (!strcmp(f->model_type, ps_json_string(type)))
            config->family = f;
    if (!config->family)
        return ps_json_is(type, PS_JSON_STRING)
                   ? unknown_family("model_type", ps_json_string(type), err)
                   : ps_err_set(err, PS_EINPUT, "neither 'architectures' nor 'model_type' is given; is this the config.json of a model?");
    if (ps_program_check(config->family->layer, err) < 0)
        return -1;
    if (!absent(type) && strcmp(ps_json_string(type), config->family->model_type))
        return ps_err_set(err, PS_EINPUT, "key 'model_type' is '%.100s', which does not fit the architecture %s",
                          ps_json_string(type), config->family->architecture);
    return 0;
}

/* ---- rope ---- */

#define DEFAULT (1u << PS_ROPE_DEFAULT)
#define LINEAR (1u << PS_ROPE_LINEAR)
#define LLAMA3 (1u << PS_ROPE_LLAMA3)

const char *const ps_rope_types[PS_N_ROPE_TYPES] = {
    [PS_ROPE_DEFAULT] = "default", [PS_ROPE_LINEAR] = "linear", [PS_ROPE_LLAMA3] = "llama3"};

/* The keys of rope_scaling and rope_parameters: which types use them, which cannot do without. */
static const struct rope_key {
    const char *name;
    size_t offset;
    unsigned uses, needs;
    double low, high;
} rope_keys[] = {
    {"rope_theta", offsetof(ps_config, rope.theta), DEFAULT | LINEAR | LLAMA3, 0, 1, 1e15},
    {"factor", offsetof(ps_config, rope.factor), LINEAR | LLAMA3, LINEAR | LLAMA3, 1e-6, 1e6},
    {"low_freq_factor", offsetof(ps_config, rope.low_freq_factor), LLAMA3, LLAMA3, 1e-6, 1e6},
    {"high_freq_factor", offsetof(ps_config, rope.high_freq_factor), LLAMA3, LLAMA3, 1e-6, 1e6},
    {"original_max_position_embeddings", offsetof(ps_config, rope.original_max_positions), LLAMA3, 0, 1, 1 << 30},
};

static int read_rope_type(ps_config *config, const ps_node *rope, ps_err *err)
{
    const ps_node *type = ps_json_get(rope, "rope_type"), *old = ps_json_get(rope, "type");

    if (absent(type))
        type = old; /* the name until transformers 4.43 */
    else if (!absent(old) && strcmp(ps_json_string(old), ps_json_string(type)))
        return ps_err_set(err, PS_EINPUT, "'type' and 'rope_type' differ; remove 'type'");
    config->rope.type = PS_ROPE_DEFAULT;
    if (absent(type))
        return 0;
    for (size_t i = 0; i < PS_N_ROPE_TYPES; i++)
        if (!strcmp(ps_rope_types[i], ps_json_string(type))) {
            config->rope.type = (enum ps_rope_type)i;
            return 0;
        }
    return refuse(type, "is not implemented; use a model whose rope is default, linear or llama3", err);
}

static int read_rope_key(ps_config *config, const ps_node *node, ps_err *err)
{
    const char *name = ps_json_key(node);

    if (!strcmp(name, "rope_type") || !strcmp(name, "type") || absent(node))
        return 0;
    if (ps_json_is(node, PS_JSON_OBJECT))
        return ps_err_set(err, PS_EINPUT, "key '%.100s': settings of their own for a kind of layers are not "
                          "implemented; use another model", name);
    if (!strcmp(name, "partial_rotary_factor"))
        return check_neutral(node, node, "1", err);
    for (size_t i = 0; i < sizeof rope_keys / sizeof *rope_keys; i++) {
        const struct rope_key *key = &rope_keys[i];
        if (strcmp(key->name, name))
            continue;
        if (!(key->uses & 1u << config->rope.type))
            return ps_err_set(err, PS_EINPUT, "key '%s' has no meaning for the type '%s'; remove it, or correct "
                              "the type", name, ps_rope_types[config->rope.type]);
        return read_number((double *)(void *)((char *)config + key->offset), node, key->low, key->high, false, err);
    }
    return refuse(node, "is unknown and may change results; remove it from config.json if it does not", err);
}

/* The settings that the object `rope` holds. */
static int read_rope_object(ps_config *config, const ps_node *rope, ps_err *err)
{
    if (!ps_json_is(rope, PS_JSON_OBJECT))
        return ps_err_set(err, PS_EINPUT, "is %s, not an object", ps_json_type_name(ps_json_type(rope)));
    if (read_rope_type(config, rope, err) < 0)
        return -1;
    for (const ps_node *node = ps_json_first(rope); node; node = ps_json_next(node))
        if (read_rope_key(config, node, err) < 0)
            return -1;
    for (size_t i = 0; i < sizeof rope_keys / sizeof *rope_keys; i++) {
        const ps_node *node = ps_json_get(rope, rope_keys[i].name);
        if (rope_keys[i].needs & 1u << config->rope.type && absent(node))
            return ps_err_set(err, PS_EINPUT, "key '%s' is missing, which the type '%s' needs", rope_keys[i].name,
                              ps_rope_types[config->rope.type]);
    }
    if (config->rope.type == PS_ROPE_LLAMA3 && config->rope.high_freq_factor <= config->rope.low_freq_factor)
        return ps_err_set(err, PS_EINPUT, "key 'high_freq_factor' is %.9g; it must be above low_freq_factor, %.9g",
                          config->rope.high_freq_factor, config->rope.low_freq_factor);
    return 0;
}

const char *ps_config_rope_setting(const ps_config *config, size_t i, double *value)
{
    for (size_t k = 0; k < sizeof rope_keys / sizeof *rope_keys; k++) {
        if (!(rope_keys[k].uses & 1u << config->rope.type) || i-- > 0)
            continue;
        *value = *(const double *)(const void *)((const char *)config + rope_keys[k].offset);
        return rope_keys[k].name;
    }
    return NULL;
}

static bool same_rope(const ps_config *a, const ps_config *b)
{
    bool same = a->rope.type == b->rope.type;

    for (size_t i = 0; i < sizeof rope_keys / sizeof *rope_keys; i++) {
        const char *x = (const char *)a + rope_keys[i].offset, *y = (const char *)b + rope_keys[i].offset;
        same = same && *(const double *)(const void *)x == *(const double *)(const void *)y;
    }
    return same;
}

/* The length that llama3's bands are relative to has stood in three places: those given must agree. */
static int read_original(ps_config *config, const ps_node *root, ps_err *err)
{
    const ps_node *outer = ps_json_get(root, "original_max_position_embeddings");
    double *inner = &config->rope.original_max_positions, value = 0;

    if (config->rope.type != PS_ROPE_LLAMA3)
        return 0;
    if (!absent(outer)) {
        if (read_number(&value, outer, 1, 1 << 30, true, err) < 0)
            return -1;
        if (*inner != 0 && *inner != value)
            return ps_err_set(err, PS_EINPUT, "key 'original_max_position_embeddings' is %.9g and, among the rope "
                              "settings, %.9g; remove one", value, *inner);
        *inner = value;
    }
    if (*inner == 0)
        *inner = config->max_positions;
    return 0;
}

static int read_rope(ps_config *config, const ps_node *root, ps_err *err)
{
    static const char *const styles[] = {"rope_scaling", "rope_parameters"};
    const ps_config plain = *config;
    const ps_node *theta = ps_json_get(root, "rope_theta"), *first = NULL;

    for (int i = 0; i < 2; i++) {
        const ps_node *rope = ps_json_get(root, styles[i]);
        ps_config read = plain;
        if (absent(rope))
            continue;
        if (read_rope_object(&read, rope, err) < 0)
            return ps_err_prefix(err, "key '%s'", styles[i]);
        if (ps_json_is(theta, PS_JSON_NUMBER) && read.rope.theta != plain.rope.theta)
            return ps_err_set(err, PS_EINPUT, "key 'rope_theta' is %.9g and, in '%s', %.9g; remove one",
                              plain.rope.theta, styles[i], read.rope.theta);
        if (first && !same_rope(config, &read))
            return ps_err_set(err, PS_EINPUT, "keys 'rope_scaling' and 'rope_parameters' differ; remove one");
        *config = read;
        first = rope;
    }
    return read_original(config, root, err);
}

/* ---- the whole ---- */

/* Kinds of layers, and what has a value of its own in some families. */
static int fill_layers(ps_config *config, ps_err *err)
{
    config->rotary_dim = config->head_dim;
    config->embed_scale = 1;
    config->attention_scale = 1 / sqrt(config->head_dim);
    config->layers = ps_calloc((size_t)config->n_layers, sizeof *config->layers, err);
    return config->layers ? 0 : -1;
}

/* What follows from several keys. */
static int derive(ps_config *config, ps_err *err)
{
    if (config->n_kv_heads == 0)
        config->n_kv_heads = config->n_heads;
    if (config->n_heads % config->n_kv_heads)
        return ps_err_set(err, PS_EINPUT, "key 'num_key_value_heads' is %d, which does not divide num_attention_heads, %d",
                          config->n_kv_heads, config->n_heads);
    if (config->head_dim == 0 && config->d_model % config->n_heads)
        return ps_err_set(err, PS_EINPUT, "key 'num_attention_heads' is %d, which does not divide hidden_size, %d, and "
                          "no 'head_dim' is given", config->n_heads, config->d_model);
    if (config->head_dim == 0)
        config->head_dim = config->d_model / config->n_heads;
    if (config->head_dim % 2)
        return ps_err_set(err, PS_EINPUT, "key 'head_dim' is %d; rope needs it even", config->head_dim);
    if ((int64_t)config->n_heads * config->head_dim > 1 << 24)
        return ps_err_set(err, PS_EINPUT, "key 'head_dim' is %d, which for %d heads makes a width past 2^24",
                          config->head_dim, config->n_heads);
    return fill_layers(config, err);
}

static int parse(ps_config *config, size_t n, ps_err *err)
{
    ps_json *json = NULL;
    int rc = -1;

    if (ps_json_parse(&json, config->text, n, err) < 0)
        return -1;
    const ps_node *root = ps_json_root(json);
    if (!ps_json_is(root, PS_JSON_OBJECT))
        ps_err_set(err, PS_EINPUT, "is %s, not an object", ps_json_type_name(ps_json_type(root)));
    /* The family first: complaints about keys of another architecture would hide the real problem. */
    else if (read_family(config, root, err) == 0 && read_keys(config, root, err) == 0 &&
             read_rope(config, root, err) == 0)
        rc = derive(config, err);
    ps_json_free(json);
    return rc;
}

int ps_config_read_file(ps_config **out, const char *path, ps_err *err)
{
    ps_config *config = ps_calloc(1, sizeof *config, err);
    size_t n;

    if (!config || ps_file_read(path, MAX_BYTES, &config->text, &n, err) < 0)
        goto fail;
    if (parse(config, n, err) < 0) {
        ps_err_prefix(err, "'%s'", path);
        goto fail;
    }
    *out = config;
    return 0;
fail:
    ps_config_free(config);
    return -1;
}

int ps_config_read(ps_config **out, const char *dir, ps_err *err)
{
    char *path = ps_path_join(dir, "config.json", err);
    int rc = path ? ps_config_read_file(out, path, err) : -1;

    ps_free(path);
    return rc;
}

void ps_config_free(ps_config *config)
{
    if (!config)
        return;
    ps_free(config->layers);
    ps_free(config->text);
    ps_free(config);
}

/*
 * llama3: frequencies of short wavelength, measured against the original context, stay; those of long
 * wavelength are divided by the factor; between the two bands the result is interpolated.
 */
static float llama3(const ps_config *config, float f)
{
    const float factor = (float)config->rope.factor, low = (float)config->rope.low_freq_factor;
    const double original = config->rope.original_max_positions;
    float wavelength = 1.0f / f * (float)(2 * M_PI);

    if (wavelength > (float)(original / config->rope.low_freq_factor))
        return f / factor;
    if (wavelength < (float)(original / config->rope.high_freq_factor))
        return f;
    float smooth = (1.0f / wavelength * (float)original - low) /
                   (float)(config->rope.high_freq_factor - config->rope.low_freq_factor);
    return (1.0f - smooth) * f / factor + smooth * f;
}

/*
 * f[i] = theta^(-2i / head_dim), then linear's or llama3's scaling: transformers 5.23,
 * compute_default_rope_parameters (modeling_llama.py), _compute_linear_scaling_rope_parameters
 * and _compute_llama3_parameters (modeling_rope_utils.py).  There the tensors are float32 and a
 * Python number over a tensor is the tensor's reciprocal times the number; so it is here.
 */
void ps_config_rope(const ps_config *config, float *f)
{
    for (int i = 0; i < config->head_dim / 2; i++) {
        float exponent = (float)(2 * i) / (float)config->head_dim;
        f[i] = 1.0f / powf((float)config->rope.theta, exponent);
        if (config->rope.type == PS_ROPE_LINEAR)
            f[i] /= (float)config->rope.factor;
        else if (config->rope.type == PS_ROPE_LLAMA3)
            f[i] = llama3(config, f[i]);
    }
}
