/* weights_synthetic.c - weights made up in the shape of a config, for timing. */
#include <string.h>

#include "patchsweep/mem.h"
#include "weights_store.h"

/* xorshift64* (Vigna, arXiv:1402.6246), to floats in +-0.02 sqrt(3). */
static void fill_random(float *x, size_t n, uint64_t seed)
{
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;

    for (size_t i = 0; i < n; i++) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        x[i] = ((float)(state * 0x2545f4914f6cdd1du >> 40) * 0x1p-23f - 1) * 0.034641016f;
    }
}

/* Fill strips of `m`, each from its own seed. */
static int fill_matrix(const ps_backend_ops *ops, const ps_matrix *m, uint64_t seed, ps_err *err)
{
    const size_t strips = 64; /* rows: whole strips of any backend */
    size_t row = m->k * ps_dtype_bytes(m->dtype);
    float *wide = ps_malloc_aligned(strips * m->k, sizeof *wide, err);
    char *typed = ps_malloc_aligned(strips * m->k, sizeof *wide, err);

    for (size_t at = 0; wide && typed && at < m->n; at += strips) {
        size_t some = m->n - at < strips ? m->n - at : strips;
        fill_random(wide, some * m->k, seed + at);
        ps_narrow(typed, wide, m->dtype, some * m->k);
        ps_matrix_lay_out(ops, (char *)(uintptr_t)m->data + at * row, typed, m->dtype, some, m->k);
    }
    int rc = wide && typed ? 0 : -1;
    ps_free(wide);
    ps_free(typed);
    return rc;
}

/* A norm's weight is 1, a bias 0. */
static void fill_vector(const ps_matrix *m, enum ps_tensor_role role)
{
    static const bool ones[PS_N_ROLES] = {
        [PS_W_ATTN_NORM] = true, [PS_W_Q_NORM] = true, [PS_W_K_NORM] = true, [PS_W_ATTN_POST_NORM] = true,
        [PS_W_MLP_NORM] = true, [PS_W_MLP_POST_NORM] = true, [PS_W_FINAL_NORM] = true,
    };
    float *x = (float *)(uintptr_t)m->data;

    for (size_t i = 0; i < m->n; i++)
        x[i] = ones[role] ? 1 : 0;
}

static int make(ps_weights *w, const ps_tensor_source *source, enum ps_dtype dtype, ps_matrix *out, ps_err *err)
{
    ps_matrix *m = &out[source->role];
    uint64_t seed = w->bytes;

    if (ps_weights_add(w, m, source, dtype, false, err) < 0)
        return -1;
    if (source->cols != PS_DIM_NONE)
        return fill_matrix(ps_weights_layout(w, source), m, seed, err);
    fill_vector(m, (enum ps_tensor_role)source->role);
    return 0;
}

/* Make the tensors of layer `layer`; -1: those of the whole model, where the head serves as the embedding. */
static int make_part(ps_weights *w, int32_t layer, enum ps_dtype dtype, ps_matrix *out, ps_err *err)
{
    for (const ps_tensor_source *source = w->config->family->tensors; source->name; source++) {
        ps_tensor_source one = *source;
        if (ps_tensor_in_layer(source) != (layer >= 0) || source->role == PS_W_LM_HEAD || !ps_tensor_wanted(w->config, source))
            continue;
        if (source->role == PS_W_EMBED)
            one.role = PS_W_LM_HEAD;
        if (make(w, &one, dtype, out, err) < 0)
            return -1;
    }
    return 0;
}

int ps_weights_synthetic(ps_weights **out, const ps_config *config, enum ps_dtype dtype,
                         const ps_backend *backend, ps_err *err)
{
    ps_weights *w = ps_weights_new(config, backend, err);

    if (!w)
        return -1;
    int rc = make_part(w, -1, dtype, w->whole, err);
    w->whole[PS_W_EMBED] = w->whole[PS_W_LM_HEAD];
    for (int32_t layer = 0; layer < config->n_layers && rc == 0; layer++)
        rc = make_part(w, layer, dtype, w->layers[layer], err);
    if (rc < 0)
        ps_weights_close(w);
    else
        *out = w;
    return rc;
}
