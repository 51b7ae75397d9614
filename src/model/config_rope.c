/*
 * config_rope.c - the settings of rotary embeddings, and the frequencies that follow.
 *
 * They come in two styles, rope_theta + rope_scaling and rope_parameters.  Both end in config->rope, and a file that has
 * both must have the same values in both.
 */
#include <math.h>
#include <string.h>

#include "config_keys.h"
#include "patchsweep/family.h"

#define DEFAULT (1u << PS_ROPE_DEFAULT)
#define LINEAR (1u << PS_ROPE_LINEAR)
#define LLAMA3 (1u << PS_ROPE_LLAMA3)

const char *const ps_rope_types[PS_N_ROPE_TYPES] = {
    [PS_ROPE_DEFAULT] = "default", [PS_ROPE_LINEAR] = "linear", [PS_ROPE_LLAMA3] = "llama3"};

#define FIELD(name) offsetof(ps_draft, config.rope.name)

/* The keys of rope_scaling and rope_parameters: which types use them, which cannot do without. */
static const struct rope_key {
    const char *name;
    size_t offset;
    unsigned uses, needs;
    double low, high;
} rope_keys[] = {
    {"rope_theta", FIELD(theta), DEFAULT | LINEAR | LLAMA3, 0, 1, 1e15},
    {"factor", FIELD(factor), LINEAR | LLAMA3, LINEAR | LLAMA3, 1e-6, 1e6},
    {"low_freq_factor", FIELD(low_freq_factor), LLAMA3, LLAMA3, 1e-6, 1e6},
    {"high_freq_factor", FIELD(high_freq_factor), LLAMA3, LLAMA3, 1e-6, 1e6},
    {"original_max_position_embeddings", FIELD(original_max_positions), LLAMA3, 0, 1, 1 << 30},
    {"partial_rotary_factor", FIELD(partial), DEFAULT | LINEAR | LLAMA3, 0, 1e-6, 1},
};
#define N_ROPE_KEYS (sizeof rope_keys / sizeof *rope_keys)

static double *field(ps_config *config, const struct rope_key *key)
{
    return (double *)(void *)((char *)config + key->offset); /* a draft begins with its config */
}

/* Has the family a key for the share of dimensions that is rotated?  Other families rotate all dimensions. */
static bool rotates_a_part(const ps_config *config)
{
    return ps_config_key_of(config->family, FIELD(partial)) != NULL;
}

static int read_rope_type(ps_config *config, const ps_node *rope, ps_err *err)
{
    const ps_node *type = ps_json_get(rope, "rope_type"), *old = ps_json_get(rope, "type");

    if (ps_config_absent(type))
        type = old; /* the name until transformers 4.43 */
    else if (!ps_config_absent(old) && strcmp(ps_json_string(old), ps_json_string(type)))
        return ps_err_set(err, PS_EINPUT, "'type' and 'rope_type' differ; remove 'type'");
    config->rope.type = PS_ROPE_DEFAULT;
    if (ps_config_absent(type))
        return 0;
    for (size_t i = 0; i < PS_N_ROPE_TYPES; i++)
        if (!strcmp(ps_rope_types[i], ps_json_string(type))) {
            config->rope.type = (enum ps_rope_type)i;
            return 0;
        }
    return ps_config_refuse(type, "is not implemented; use a model whose rope is default, linear or llama3", err);
}

static int read_rope_key(ps_config *config, const ps_node *node, ps_err *err)
{
    const char *name = ps_json_key(node);

    if (!strcmp(name, "rope_type") || !strcmp(name, "type") || ps_config_absent(node))
        return 0;
    if (ps_json_is(node, PS_JSON_OBJECT))
        return ps_err_set(err, PS_EINPUT, "key '%.100s': settings of their own for a kind of layers are not "
                          "implemented; use another model", name);
    if (!strcmp(name, "partial_rotary_factor") && !rotates_a_part(config))
        return ps_config_check_neutral(node, node, "1", err);
    for (size_t i = 0; i < N_ROPE_KEYS; i++) {
        const struct rope_key *key = &rope_keys[i];
        if (strcmp(key->name, name))
            continue;
        if (!(key->uses & 1u << config->rope.type))
            return ps_err_set(err, PS_EINPUT, "key '%s' has no meaning for the type '%s'; remove it, or correct "
                              "the type", name, ps_rope_types[config->rope.type]);
        return ps_config_number(field(config, key), node, key->low, key->high, false, err);
    }
    return ps_config_refuse_unknown(node, err);
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
    for (size_t i = 0; i < N_ROPE_KEYS; i++) {
        const ps_node *node = ps_json_get(rope, rope_keys[i].name);
        if (rope_keys[i].needs & 1u << config->rope.type && ps_config_absent(node))
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
    for (size_t k = 0; k < N_ROPE_KEYS; k++) {
        if (!(rope_keys[k].uses & 1u << config->rope.type) ||
            (rope_keys[k].offset == FIELD(partial) && !rotates_a_part(config)) || i-- > 0)
            continue;
        *value = *(const double *)(const void *)((const char *)config + rope_keys[k].offset);
        return rope_keys[k].name;
    }
    return NULL;
}

static bool same_rope(const ps_config *a, const ps_config *b)
{
    bool same = a->rope.type == b->rope.type;

    for (size_t i = 0; i < N_ROPE_KEYS; i++) {
        const char *x = (const char *)a + rope_keys[i].offset, *y = (const char *)b + rope_keys[i].offset;
        same = same && *(const double *)(const void *)x == *(const double *)(const void *)y;
    }
    return same;
}

/* llama3's bands are relative to a length that may stand in three places.  The places that are given must agree. */
static int read_original(ps_config *config, const ps_node *root, ps_err *err)
{
    const ps_node *outer = ps_json_get(root, "original_max_position_embeddings");
    double *inner = &config->rope.original_max_positions, value = 0;

    if (config->rope.type != PS_ROPE_LLAMA3)
        return 0;
    if (!ps_config_absent(outer)) {
        if (ps_config_number(&value, outer, 1, 1 << 30, true, err) < 0)
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

/* If a setting also has a key outside of the object `style`, both must have the same value. */
static int check_outer(const ps_config *outer, ps_config *inner, const ps_node *root, const char *style, ps_err *err)
{
    for (size_t i = 0; i < N_ROPE_KEYS; i++) {
        const ps_config_key *key = ps_config_key_of(inner->family, rope_keys[i].offset);
        ps_config plain = *outer;
        double was = *field(&plain, &rope_keys[i]), is = *field(inner, &rope_keys[i]);
        if (key && was != is && !ps_config_absent(ps_json_get(root, key->name)))
            return ps_err_set(err, PS_EINPUT, "key '%s' is %.9g and, in '%s', %.9g; remove one", key->name, was, style, is);
    }
    return 0;
}

int ps_config_rope_read(ps_draft *draft, const ps_node *root, ps_err *err)
{
    static const char *const styles[] = {"rope_scaling", "rope_parameters"};
    const ps_config plain = draft->config;
    const ps_node *first = NULL;

    if (!ps_family_rotates(plain.family))
        return 0;
    for (int i = 0; i < 2; i++) {
        const ps_node *rope = ps_json_get(root, styles[i]);
        ps_config read = plain;
        if (ps_config_absent(rope))
            continue;
        if (read_rope_object(&read, rope, err) < 0)
            return ps_err_prefix(err, "key '%s'", styles[i]);
        if (check_outer(&plain, &read, root, styles[i], err) < 0)
            return -1;
        if (first && !same_rope(&draft->config, &read))
            return ps_err_set(err, PS_EINPUT, "keys 'rope_scaling' and 'rope_parameters' differ; remove one");
        draft->config = read;
        first = rope;
    }
    return read_original(&draft->config, root, err);
}

int ps_config_rope_derive(ps_draft *draft, ps_err *err)
{
    ps_config *c = &draft->config;

    if (!ps_family_rotates(c->family))
        return 0;
    if (!rotates_a_part(c)) {
        c->rotary_dim = c->head_dim;
        return c->head_dim % 2 == 0 ? 0 : ps_err_set(err, PS_EINPUT, "key 'head_dim' is %d; rope needs it even", (int)c->head_dim);
    }
    c->rotary_dim = (int32_t)(c->head_dim * c->rope.partial); /* Python's int() */
    if (c->rotary_dim > 0 && c->rotary_dim % 2 == 0)
        return 0;
    return ps_err_set(err, PS_EINPUT, "key '%s' is %.9g, which rotates %d of a head's %d dimensions; rope needs an even number",
                      ps_config_key_name(c->family, FIELD(partial)), c->rope.partial, (int)c->rotary_dim, (int)c->head_dim);
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
 * f[i] = theta^(-2i / rotary_dim), then linear's or llama3's scaling: transformers 5.23,
 * compute_default_rope_parameters (modeling_llama.py), _compute_linear_scaling_rope_parameters
 * and _compute_llama3_parameters (modeling_rope_utils.py).  There the tensors are float32 and a
 * Python number over a tensor is the tensor's reciprocal times the number; so it is here.
 */
void ps_config_rope(const ps_config *config, float *f)
{
    for (int i = 0; i < config->rotary_dim / 2; i++) {
        float exponent = (float)(2 * i) / (float)config->rotary_dim;
        f[i] = 1.0f / powf((float)config->rope.theta, exponent);
        if (config->rope.type == PS_ROPE_LINEAR)
            f[i] /= (float)config->rope.factor;
        else if (config->rope.type == PS_ROPE_LLAMA3)
            f[i] = llama3(config, f[i]);
    }
}
