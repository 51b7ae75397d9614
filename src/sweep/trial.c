/* trial.c - make up a grid, and sweep it without files. */
#include "patchsweep/trial.h"

#include "patchsweep/backend.h"
#include "patchsweep/cost.h"
#include "patchsweep/family.h"
#include "patchsweep/forward.h"
#include "patchsweep/host.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/plan.h"
#include "patchsweep/wave.h"
#include "patchsweep/weights.h"

/* Make up the tokens of pair p.  No two clean runs begin alike. */
static void make_ids(int32_t *clean, int32_t *corrupt, const ps_config *c, int32_t p, int32_t T, int32_t D)
{
    for (int32_t t = 0; t < T; t++) {
        clean[t] = (int32_t)((p + 1 + 7919 * (int64_t)t) % c->vocab);
        corrupt[t] = t == D ? (clean[t] + 1) % c->vocab : clean[t];
    }
}

int ps_trial_grid(ps_grid **out, const ps_config *config, int32_t n_pairs, int32_t T, int32_t D, ps_err *err)
{
    size_t n = (size_t)n_pairs;
    ps_job job = {.n_pairs = n, .layers = {.all = true}, .heads = {.all = true}, .positions = {.all = true},
                  .sites = 1u << PS_SITE_AFTER, .directions = 1u << PS_DENOISE, .metrics = 1u << PS_LOGIT_ANSWER};
    ps_job_pair named = {.where = (char[]){"a made-up pair"}};
    const ps_grid_model model = ps_grid_model_of(config);
    int rc = -1;

    if (T < 1 || D < 0 || D >= T)
        return ps_err_set(err, PS_EINPUT, "prompts of %d tokens cannot differ from position %d on", (int)T, (int)D);
    ps_pair *pairs = ps_calloc(n, sizeof *pairs, err);
    int32_t *ids = ps_malloc(2 * n * (size_t)T, sizeof *ids, err);
    for (int32_t p = 0; pairs && ids && p < n_pairs; p++) {
        int32_t *clean = ids + 2 * (size_t)p * (size_t)T;
        make_ids(clean, clean + T, config, p, T, D);
        pairs[p] = (ps_pair){.job = &named, .n_positions = T, .first_difference = D,
                             .ids = {clean, clean + T}, .answer_id = 0, .foil_id = -1};
    }
    if (pairs && ids)
        rc = ps_grid_build(out, &job, pairs, &model, err);
    ps_free(pairs);
    ps_free(ids);
    return rc;
}

typedef struct trial {
    ps_backend *backend;
    ps_weights *weights;
    ps_plan *plan;
    ps_wave *wave;
} trial;

static int open_trial(trial *t, const ps_config *c, const ps_grid *grid, ps_comm *comm,
                      enum ps_dtype operand, int n_threads, ps_err *err)
{
    const ps_backend_needs needs = ps_forward_needs(c, operand, n_threads, PS_WAVE_PANEL_ROWS,
                                                    (size_t)ps_grid_max_positions(grid));

    if (ps_plan_build(&t->plan, grid, ps_comm_size(comm), 1 << 30, NULL, err) < 0)
        return -1;
    ps_cost cost = ps_cost_of(t->plan, grid, c);
    ps_wave_bytes wave;
    if (ps_wave_measure(&wave, grid, t->plan, c, NULL, ps_comm_rank(comm), 0, err) < 0)
        return -1;
    double wanted = 2 * cost.parameters + (double)(wave.panel + wave.base + wave.rows + wave.head);
    double have = (double)ps_host_memory() / ps_comm_node_size(comm);
    if (wanted > 0.9 * have)
        return ps_err_set(err, PS_EINPUT, "--synthetic: the weights of this shape and a rank's part of a wave take %.3g GB, and "
                          "%.3g GB are free for each rank; without it the sweep is only counted", wanted / 1e9, have / 1e9);
    if (ps_backend_open(&t->backend, "auto", &needs, err) < 0 ||
        ps_weights_synthetic(&t->weights, c, PS_DTYPE_BF16, t->backend, err) < 0)
        return -1;
    const ps_wave_model model = {c, t->weights, t->backend};
    return ps_wave_open(&t->wave, grid, t->plan, &model, comm, 0, err);
}

int ps_trial_run(const ps_config *config, const ps_grid *grid, ps_comm *comm, enum ps_dtype operand,
                 int n_threads, double *seconds, ps_err *err)
{
    trial t = {0};
    ps_wave_sink sink = {0};

    open_trial(&t, config, grid, comm, operand, n_threads, err);
    int rc = ps_comm_agree(comm, err);
    double start = ps_seconds();
    for (size_t i = 0; rc == 0 && i < t.plan->n_waves; i++) {
        ps_wave_values values;
        if (ps_wave_run(t.wave, i, &sink, &values, err) == 0)
            continue;
        ps_error("%s", err->text); /* the other ranks wait for this one in a broadcast: end them */
        ps_comm_abort(comm, err->code);
    }
    *seconds = ps_seconds() - start;
    ps_wave_close(t.wave);
    ps_weights_close(t.weights);
    ps_backend_close(t.backend);
    ps_plan_free(t.plan);
    return rc;
}
