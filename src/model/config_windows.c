/*
 * config_windows.c - which layers' attention sees only a window of keys.
 *
 * The family's row decides, unless config.json lists the types of the layers.  With a window of W, a query sees the last W keys,
 * its own included (transformers' masking_utils.py).
 */
#include <string.h>

#include "config_keys.h"
#include "patchsweep/family.h"
#include "patchsweep/mem.h"

static bool windowed(const ps_draft *draft, int32_t layer)
{
    switch ((enum ps_windows)draft->config.family->windows) {
    case PS_WINDOWS_NONE:
        return false;
    case PS_WINDOWS_ALL:
        return true;
    case PS_WINDOWS_EVEN:
        return layer % 2 == 0;
    case PS_WINDOWS_UPPER:
        return draft->use_sliding_window && layer >= draft->max_window_layers;
    }
    return false;
}

/* The window of the layers that have one; 0: no layer has one. */
static int32_t window_of(const ps_draft *draft)
{
    bool off = draft->config.family->windows == PS_WINDOWS_UPPER && !draft->use_sliding_window;

    return off ? 0 : draft->sliding_window;
}

/* Read the list of the layers' types. */
static int read_types(ps_draft *draft, const ps_node *list, ps_err *err)
{
    ps_config *c = &draft->config;
    int32_t layer = 0;

    if (!ps_json_is(list, PS_JSON_ARRAY))
        return ps_config_refuse(list, "is not an array", err);
    if (ps_json_count(list) != (size_t)c->n_layers)
        return ps_err_set(err, PS_EINPUT, "key 'layer_types' has %zu entries, for %d layers", ps_json_count(list),
                          (int)c->n_layers);
    for (const ps_node *type = ps_json_first(list); type; type = ps_json_next(type), layer++) {
        if (!strcmp(ps_json_string(type), "full_attention"))
            continue;
        if (strcmp(ps_json_string(type), "sliding_attention"))
            return ps_config_check_neutral(list, type, "\"full_attention\"", err);
        if (window_of(draft) == 0)
            return ps_err_set(err, PS_EINPUT, "key 'layer_types': layer %d is \"sliding_attention\", but no "
                              "'sliding_window' is in use", (int)layer);
        c->layers[layer].window = window_of(draft);
    }
    return 0;
}

int ps_config_windows(ps_draft *draft, const ps_node *root, ps_err *err)
{
    const ps_node *types = ps_json_get(root, "layer_types");
    ps_config *c = &draft->config;

    c->layers = ps_calloc((size_t)c->n_layers, sizeof *c->layers, err);
    if (!c->layers)
        return -1;
    if (c->family->windows != PS_WINDOWS_NONE && !ps_config_absent(types))
        return read_types(draft, types, err);
    if (c->family->windows == PS_WINDOWS_EVEN && window_of(draft) == 0)
        return ps_err_set(err, PS_EINPUT, "key 'sliding_window' is null, but every other layer needs it");
    for (int32_t layer = 0; layer < c->n_layers; layer++)
        c->layers[layer].window = windowed(draft, layer) ? window_of(draft) : 0;
    return 0;
}
