/*
 * test_forward.c - the forward pass against the oracle, tap by tap, for every family's layer, on ref and on cpu.
 *
 * Shapes are tiny and odd, weights random.  What config.json decides is varied beyond what any model of the family has: shared
 * keys and values, windows, caps, parts of heads that are rotated, activations, kinds of norms.
 */
#include <stdlib.h>

#include "../check.h"
#include "product.h"
#include "rand.h"

enum { L = 3, MAX_T = 11 };

static ps_backend *ref, *cpu;

/* Norms about 1, biases about 0, matrices so large that no score is nearly 0. */
static void spread(ps_matrix *m)
{
    float *x = (float *)(uintptr_t)m->data;

    for (size_t i = 0; x && m->k == 1 && i < m->n; i++)
        x[i] += 0.4f * rand_float();
}

static void enlarge(const ps_backend *backend, ps_matrix *m)
{
    float *x = (float *)(uintptr_t)m->data;
    size_t n = ps_matrix_bytes(&backend->ops, PS_DTYPE_F32, m->n, m->k) / sizeof *x;

    for (size_t i = 0; x && m->k > 1 && i < n; i++)
        x[i] *= 14;
}

static ps_weights *make_weights(const ps_config *c, const ps_backend *backend)
{
    ps_weights *weights = NULL;
    ps_matrix part[PS_N_ROLES], final = {.n = (size_t)c->d_model, .k = 1};
    ps_err err = PS_ERR_INIT;

    if (ps_weights_synthetic(&weights, c, PS_DTYPE_F32, backend, &err) < 0) {
        printf("# %s\n", err.text);
        exit(1);
    }
    rand_state = 1;
    for (int32_t l = 0; l < c->n_layers; l++) {
        ps_weights_layer(weights, l, part, &err);
        for (int role = 0; role < PS_N_ROLES; role++) {
            spread(&part[role]);
            enlarge(backend, &part[role]);
        }
    }
    final.data = ps_weights_final_norm(weights);
    spread(&final);
    final.data = ps_weights_final_norm_bias(weights);
    spread(&final);
    ps_weights_lm_head(weights, 0, c->vocab, &part[0], &err);
    enlarge(backend, &part[0]);
    return weights;
}

/* The largest difference in units of 1 + |wanted|. */
static double worst(const double *seen, const double *wanted, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        double off = fabs(seen[i] - wanted[i]) / (1 + fabs(wanted[i]));
        most = off > most || isnan(off) ? off : most;
    }
    return most;
}

/* One run on `backend`, compared at every tap of every layer. */
static void check_run(const ps_config *c, const ps_backend *backend, size_t T)
{
    ps_weights *weights = make_weights(c, backend);
    oracle o = oracle_open(c, weights, &backend->ops);
    oracle_run wanted = oracle_run_open(c, T), seen;
    int32_t ids[MAX_T];
    ps_err err = PS_ERR_INIT;
    double sum = 0;

    for (size_t t = 0; t < T; t++)
        ids[t] = rand_int(c->vocab);
    oracle_forward(&o, ids, T, NULL, 0, NULL, &wanted, wanted.logits);
    CHECK(product_run(&seen, c, weights, backend, ids, T, &err) == 0);
    for (int tap = 1; tap < PS_N_TAPS; tap++)
        for (size_t i = 0, n = (size_t)c->n_layers * T * oracle_width(c, tap); i < n; i++)
            sum += fabs(wanted.tap[tap][i]);
    CHECK(sum > 100 && isfinite(sum));
    for (int tap = 1; tap < PS_N_TAPS; tap++) {
        double off = worst(seen.tap[tap], wanted.tap[tap], (size_t)c->n_layers * T * oracle_width(c, tap));
        if (!(off <= 2e-5))
            printf("# %s on %s: tap %d is off by %g\n", c->family->architecture, backend->ops.name, tap, off);
        CHECK(off <= 2e-5);
    }
    CHECK(worst(seen.logits, wanted.logits, (size_t)c->vocab) <= 2e-5);
    oracle_run_close(&wanted);
    oracle_run_close(&seen);
    oracle_close(&o);
    ps_weights_close(weights);
}

static bool rotates(const ps_step *program)
{
    while (program->op != PS_OP_END && program->op != PS_OP_ROPE)
        program++;
    return program->op == PS_OP_ROPE;
}

/* A model of a family. */
static ps_config tiny(const ps_family *f, ps_layer_kind *layers)
{
    return (ps_config){.family = f, .n_layers = L, .d_model = 20, .n_heads = 4, .n_kv_heads = 2, .head_dim = 6, .d_mlp = 28,
                       .vocab = 37, .max_positions = 16, .tied = true, .attention_bias = true, .mlp_bias = true,
                       .norm_eps = 1e-5, .rotary_dim = rotates(f->layer) ? 6 : 0, .learned_positions = !rotates(f->layer),
                       .embed_scale = 1, .attention_scale = 0.4, .layers = layers, .rope.theta = 10000};
}

static void check_both(const ps_config *c)
{
    check_run(c, ref, MAX_T);
    check_run(c, cpu, MAX_T);
    check_run(c, cpu, 1);
}

/* Every family as it is, with keys and values for every head and for two heads each. */
static void families_as_they_are(void)
{
    for (const ps_family *f = ps_families; f->architecture; f++)
        for (int32_t kv = 1; kv <= 4; kv *= 2) {
            ps_layer_kind layers[L] = {{0}};
            ps_config c = tiny(f, layers);
            c.n_kv_heads = kv;
            check_both(&c);
        }
}

static void windows_and_caps(void)
{
    for (const ps_family *f = ps_families; f->architecture; f++)
        for (int how = 1; how < 8; how++) {
            ps_layer_kind layers[L] = {{how & 1 ? 3 : 0}, {0}, {how & 1 ? 1 : 0}};
            ps_config c = tiny(f, layers);
            c.attention_softcap = how & 2 ? 0.7 : 0;
            c.logit_softcap = how & 4 ? 1.5 : 0;
            check_both(&c);
        }
}

static void parts_of_heads_and_scales(void)
{
    for (const ps_family *f = ps_families; f->architecture; f++)
        for (int32_t rotary = 2; rotary <= 6; rotary += 2) {
            ps_layer_kind layers[L] = {{0}};
            ps_config c = tiny(f, layers);
            c.rotary_dim = rotates(f->layer) ? rotary : 0;
            c.embed_scale = sqrt(c.d_model);
            c.attention_scale = 0.2;
            check_both(&c);
        }
}

/* Whatever the family: every activation, and the other kind of norm, of which biases are left out. */
static void activations_and_norms(void)
{
    for (const ps_family *f = ps_families; f->architecture; f++)
        for (int act = PS_ACT_SILU; act <= PS_ACT_GELU_TANH; act++) {
            ps_layer_kind layers[L] = {{0}};
            ps_family other = *f;
            other.act = (uint8_t)act;
            other.norm = f->norm == PS_NORM_RMS ? PS_NORM_LAYER : f->norm;
            ps_config c = tiny(&other, layers);
            check_both(&c);
        }
}

/* Both ways to a logit agree, capped or not. */
static void a_logit_alone_is_capped_as_a_panel(void)
{
    ps_layer_kind layers[L] = {{0}};
    ps_config c = tiny(&ps_families[0], layers);

    for (int capped = 0; capped < 2; capped++) {
        ps_weights *weights = make_weights(&c, cpu);
        ps_forward *f = NULL;
        ps_err err = PS_ERR_INIT;
        float x[20], h[20], logits[37], row[20];
        c.logit_softcap = capped ? 0.8 : 0;
        CHECK(ps_forward_open(&f, &c, weights, cpu, 4, &err) == 0);
        rand_fill(x, 20);
        ps_forward_final_norm(f, h, x, 1);
        CHECK(ps_forward_lm_head(f, 0, c.vocab, &err) == 0);
        ps_forward_logits(f, logits, h, 1);
        for (int32_t id = 0; id < c.vocab; id++) {
            double product = 0;
            ps_weights_lm_head_row(weights, id, row);
            for (int i = 0; i < 20; i++)
                product += (double)row[i] * h[i];
            CHECK_CLOSE(ps_forward_logit(f, product), logits[id], 1e-5);
            CHECK(capped ? fabs(logits[id]) <= 0.8 : ps_forward_logit(f, product) == product);
        }
        ps_forward_close(f);
        ps_weights_close(weights);
    }
}

/* The backend is ready for every product of every family. */
static void needs_cover_every_product(void)
{
    for (const ps_family *f = ps_families; f->architecture; f++) {
        ps_layer_kind layers[L] = {{0}};
        ps_config c = tiny(f, layers);
        for (c.head_dim = 2; c.head_dim < 60; c.head_dim += 20) {
            ps_backend_needs needs = ps_forward_needs(&c, PS_DTYPE_F32, 1, 7, 3);
            CHECK(needs.max_depth >= (size_t)c.d_model && needs.max_matrix >= (size_t)(c.vocab * c.d_model));
            for (const ps_step *s = f->layer; s->op != PS_OP_END; s++) {
                size_t n = ps_program_width(&c, (enum ps_reg)s->out), k = ps_program_width(&c, (enum ps_reg)s->in);
                CHECK(s->op != PS_OP_LINEAR || (needs.max_depth >= k && needs.max_matrix >= n * k));
            }
        }
    }
}

/* A table of positions ends; rotations do not. */
static void positions_may_end(void)
{
    ps_config c = {.max_positions = 16, .learned_positions = true};
    ps_err err = PS_ERR_INIT;

    CHECK(ps_forward_check_positions(&c, 16, &err) == 0);
    CHECK_ERR(ps_forward_check_positions(&c, 17, &err), err, PS_EINPUT, "17 tokens, and the model has embeddings of 16 positions");
    c.learned_positions = false;
    CHECK(ps_forward_check_positions(&c, 17, &err) == 0);
}

int main(void)
{
    const ps_backend_needs needs = {.n_threads = 2, .max_positions = MAX_T, .max_rows = MAX_T, .max_depth = 64,
                                    .max_matrix = 4096};
    ps_err err = PS_ERR_INIT;

    if (ps_backend_open(&ref, "ref", &needs, &err) < 0 || ps_backend_open(&cpu, "cpu", &needs, &err) < 0) {
        printf("# %s\n", err.text);
        return 1;
    }
    RUN(families_as_they_are);
    RUN(windows_and_caps);
    RUN(parts_of_heads_and_scales);
    RUN(activations_and_norms);
    RUN(a_logit_alone_is_capped_as_a_panel);
    RUN(needs_cover_every_product);
    RUN(positions_may_end);
    ps_backend_close(ref);
    ps_backend_close(cpu);
    return check_done();
}
