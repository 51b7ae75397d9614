/* inspect_model.c - describe a model directory: its config, its weights, its tensors. */
#include "inspect.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "patchsweep/config.h"
#include "patchsweep/family.h"
#include "patchsweep/file.h"
#include "patchsweep/hub.h"
#include "patchsweep/mem.h"
#include "patchsweep/safetensors.h"
#include "patchsweep/text.h"

#define MAX_TYPES 32

static void row_rope(ps_answer *a, const ps_config *config)
{
    const char *name;
    double value;

    if (config->rotary_dim == 0)
        return;
    if (config->rotary_dim != config->head_dim)
        ps_answer_count(a, "rotary_dim", (uint64_t)config->rotary_dim);
    ps_answer_key(a, "rope");
    ps_text_printf(&a->text, a->json ? "{\"rope_type\": \"%s\"" : "%s", ps_rope_types[config->rope.type]);
    for (size_t i = 0; (name = ps_config_rope_setting(config, i, &value)); i++) {
        ps_text_printf(&a->text, a->json ? ", \"%s\": " : ", %s ", name);
        ps_answer_bare_number(a, value);
    }
    ps_answer_bracket(a, "}");
}

/* Add the windows: how many keys each layer's rows see, where that is not all; 0 is all. */
static void row_windows(ps_answer *a, const ps_config *config)
{
    int32_t largest = 0, n = 0;

    for (int32_t layer = 0; layer < config->n_layers; layer++) {
        int32_t window = config->layers[layer].window;
        largest = window > largest ? window : largest;
        n += window > 0;
    }
    if (n == 0)
        return;
    ps_answer_key(a, "windows");
    if (!a->json) {
        ps_text_printf(&a->text, "%d keys in %d of %d layers", (int)largest, (int)n, (int)config->n_layers);
        return;
    }
    ps_answer_bracket(a, "[");
    for (int32_t layer = 0; layer < config->n_layers; layer++) {
        ps_answer_next_word(a, (size_t)layer);
        ps_text_printf(&a->text, "%d", (int)config->layers[layer].window);
    }
    ps_answer_bracket(a, "]");
}

/* Add numbers that only some architectures have. */
static void rows_scales(ps_answer *a, const ps_config *config)
{
    if (config->embed_scale != 1)
        ps_answer_number(a, "embed_scale", config->embed_scale);
    if (config->attention_scale != 1 / sqrt(config->head_dim))
        ps_answer_number(a, "attention_scale", config->attention_scale);
    if (config->attention_softcap > 0)
        ps_answer_number(a, "attn_softcap", config->attention_softcap);
    if (config->logit_softcap > 0)
        ps_answer_number(a, "logit_softcap", config->logit_softcap);
}

static void rows_config(ps_answer *a, const ps_config *config)
{
    const struct {
        const char *name;
        int32_t value;
    } rows[] = {
        {"n_layers", config->n_layers}, {"d_model", config->d_model},
        {"n_heads", config->n_heads},   {"n_kv_heads", config->n_kv_heads},
        {"head_dim", config->head_dim}, {"d_mlp", config->d_mlp},
        {"vocab", config->vocab},       {"max_positions", config->max_positions},
    };

    ps_answer_text(a, "architecture", config->family->architecture);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ps_answer_count(a, rows[i].name, (uint64_t)rows[i].value);
    ps_answer_flag(a, "tied", config->tied);
    ps_answer_flag(a, "attention_bias", ps_family_tensor(config, PS_B_Q) != NULL);
    ps_answer_flag(a, "mlp_bias", ps_family_tensor(config, PS_B_UP) != NULL);
    ps_answer_number(a, "norm_eps", config->norm_eps);
    ps_answer_text(a, "positions", config->learned_positions ? "learned" : "rotary");
    row_rope(a, config);
    row_windows(a, config);
    rows_scales(a, config);
}

static uint64_t n_elements(const ps_tensor *tensor)
{
    uint64_t n = 1;

    for (int d = 0; d < tensor->n_dims; d++)
        n *= (uint64_t)tensor->dims[d]; /* fits: checked when the file was opened */
    return n;
}

/* Count the tensors of each dtype, in the order in which the dtypes first occur. */
static void row_dtypes(ps_answer *a, const ps_safetensors *st)
{
    const char *names[MAX_TYPES];
    int counts[MAX_TYPES], n = 0;

    for (int i = 0; i < ps_safetensors_n(st); i++) {
        const char *name = ps_safetensors_at(st, i)->type_name;
        int k = 0;
        while (k < n && strcmp(names[k], name))
            k++;
        if (k == MAX_TYPES)
            continue; /* the format has fewer */
        if (k == n) {
            names[n] = name;
            counts[n++] = 0;
        }
        counts[k]++;
    }
    ps_answer_key(a, "dtypes");
    ps_answer_bracket(a, "{");
    for (int k = 0; k < n; k++) {
        ps_answer_next_word(a, (size_t)k);
        ps_text_printf(&a->text, a->json ? "\"%s\": %d" : "%s %d", names[k], counts[k]);
    }
    ps_answer_bracket(a, "}");
}

static void rows_weights(ps_answer *a, const ps_safetensors *st)
{
    uint64_t parameters = 0;

    for (int i = 0; i < ps_safetensors_n(st); i++)
        parameters += n_elements(ps_safetensors_at(st, i));
    ps_answer_count(a, "n_tensors", (uint64_t)ps_safetensors_n(st));
    ps_answer_count(a, "parameters", parameters);
    ps_answer_count(a, "bytes", ps_safetensors_bytes(st));
    row_dtypes(a, st);
    ps_answer_key(a, "shards");
    ps_answer_bracket(a, "[");
    for (int i = 0; i < ps_safetensors_n_shards(st); i++) {
        const char *path = ps_safetensors_shard_path(st, i), *slash = strrchr(path, '/');
        ps_answer_next_word(a, (size_t)i);
        ps_answer_value(a, slash ? slash + 1 : path);
    }
    ps_answer_bracket(a, "]");
}

static void rows_tensors(ps_answer *a, const ps_safetensors *st)
{
    ps_answer_key(a, "tensors");
    ps_answer_bracket(a, "[");
    for (int i = 0; i < ps_safetensors_n(st); i++) {
        const ps_tensor *tensor = ps_safetensors_at(st, i);
        ps_answer_next_line(a, (size_t)i);
        ps_answer_bracket(a, "{\"name\": ");
        ps_answer_value(a, tensor->name);
        ps_text_printf(&a->text, a->json ? ", \"dtype\": \"%s\", \"shape\": [" : "  %s [", tensor->type_name);
        for (int d = 0; d < tensor->n_dims; d++) {
            ps_answer_next_word(a, (size_t)d);
            ps_text_printf(&a->text, "%" PRId64, tensor->dims[d]);
        }
        ps_text_puts(&a->text, a->json ? "]}" : "]");
    }
    ps_answer_bracket(a, "]");
}

int ps_inspect_model(ps_answer *a, const char *name, bool tensors, ps_err *err)
{
    char *dir = NULL, *revision = NULL, *tokenizer = NULL;
    ps_config *config = NULL;
    ps_safetensors *st = NULL;
    int rc = -1;

    if (ps_hub_resolve(&dir, &revision, name, "", ps_family_architectures(), err) < 0 || ps_config_read(&config, dir, err) < 0 ||
        ps_safetensors_open(&st, dir, err) < 0)
        goto out;
    tokenizer = ps_path_join(dir, "tokenizer.json", err);
    if (!tokenizer)
        goto out;
    ps_answer_text(a, "model", dir);
    if (*revision || a->json)
        ps_answer_text(a, "revision", revision);
    rows_config(a, config);
    rows_weights(a, st);
    ps_answer_flag(a, "tokenizer", ps_file_kind(tokenizer) == 1);
    if (tensors)
        rows_tensors(a, st);
    rc = 0;
out:
    ps_free(tokenizer);
    ps_safetensors_close(st);
    ps_config_free(config);
    ps_free(revision);
    ps_free(dir);
    return rc;
}
