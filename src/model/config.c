/*
 * config.c - a model's blueprint: its family, the values of its keys, and what follows from several keys.
 */
#include "patchsweep/config.h"

#include <math.h>
#include <string.h>

#include "config_keys.h"
#include "patchsweep/family.h"
#include "patchsweep/file.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define MAX_BYTES ((size_t)16 << 20)

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

    if (!ps_config_absent(list) && !ps_json_is(list, PS_JSON_ARRAY))
        return ps_config_refuse(list, "is not an array of names", err);
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
                   : ps_err_set(err, PS_EINPUT, "neither 'architectures' nor 'model_type' is given; "
                                              "is this the config.json of a model?");
    if (ps_program_check(config->family->layer, err) < 0)
        return -1;
    if (!ps_config_absent(type) && strcmp(ps_json_string(type), config->family->model_type))
        return ps_err_set(err, PS_EINPUT, "key 'model_type' is '%.100s', which does not fit the architecture %s",
                          ps_json_string(type), config->family->architecture);
    return 0;
}

/* ---- what follows from several keys ---- */

#define NAME(field) ps_config_key_name(c->family, offsetof(ps_draft, config.field))

static int derive_heads(ps_config *c, ps_err *err)
{
    if (c->n_kv_heads == 0)
        c->n_kv_heads = c->n_heads;
    if (c->n_heads % c->n_kv_heads)
        return ps_err_set(err, PS_EINPUT, "key '%s' is %d, which does not divide %s, %d", NAME(n_kv_heads), (int)c->n_kv_heads,
                          NAME(n_heads), (int)c->n_heads);
    if (c->head_dim == 0 && c->d_model % c->n_heads)
        return ps_err_set(err, PS_EINPUT, "key '%s' is %d, which does not divide %s, %d%s", NAME(n_heads), (int)c->n_heads,
                          NAME(d_model), (int)c->d_model,
                          ps_config_key_of(c->family, offsetof(ps_draft, config.head_dim)) ? ", and no 'head_dim' is given" : "");
    if (c->head_dim == 0)
        c->head_dim = c->d_model / c->n_heads;
    if ((int64_t)c->n_heads * c->head_dim > 1 << 24)
        return ps_err_set(err, PS_EINPUT, "key 'head_dim' is %d, which for %d heads makes a width past 2^24",
                          (int)c->head_dim, (int)c->n_heads);
    return 0;
}

static int derive(ps_draft *draft, ps_err *err)
{
    ps_config *c = &draft->config;
    double scalar = draft->query_pre_attn_scalar;

    if (derive_heads(c, err) < 0 || ps_config_rope_derive(draft, err) < 0)
        return -1;
    if (c->d_mlp == 0)
        c->d_mlp = 4 * c->d_model;
    c->learned_positions = ps_family_tensor(c, PS_W_POSITIONS) != NULL;
    c->embed_scale = c->family->embed_scale ? (float)sqrt(c->d_model) : 1;
    c->attention_scale = 1 / sqrt(scalar > 0 ? scalar : c->head_dim);
    return 0;
}

/* ---- the whole ---- */

/* Read the family first: errors about keys of another architecture would hide the real problem. */
static int read_object(ps_draft *draft, const ps_node *root, ps_err *err)
{
    if (!ps_json_is(root, PS_JSON_OBJECT))
        return ps_err_set(err, PS_EINPUT, "is %s, not an object", ps_json_type_name(ps_json_type(root)));
    if (read_family(&draft->config, root, err) < 0 || ps_config_keys_read(draft, root, err) < 0 ||
        ps_config_rope_read(draft, root, err) < 0 || derive(draft, err) < 0)
        return -1;
    return ps_config_windows(draft, root, err);
}

static int parse(ps_config *config, size_t n, ps_err *err)
{
    ps_draft draft = {.config = *config};
    ps_json *json = NULL;

    if (ps_json_parse(&json, config->text, n, err) < 0)
        return -1;
    int rc = read_object(&draft, ps_json_root(json), err);
    *config = draft.config; /* with what it owns */
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
