/*
 * test_wave.c - the engine against the oracle: every site, direction, layer and position of every
 * fixture, free cells sent through the engine as well, whatever the panels and waves.
 *
 * Run under mpirun it does the same over the ranks: each checks its own cells.  Arguments are fixtures: these alone.
 *
 * run.sh: slow
 * run.sh: quick base five-layer gemma2 gpt2 gpt-neox qwen3-window
 */
#include <dirent.h>
#include <stdlib.h>

#include "../check.h"
#include "oracle.h"
#include "patchsweep/backend.h"
#include "patchsweep/check.h"
#include "patchsweep/forward.h"
#include "patchsweep/mem.h"
#include "patchsweep/plan.h"
#include "patchsweep/wave.h"
#include "world.h"

#define MODELS "tests/fixtures/models"

static ps_comm *comm;

typedef struct setup {
    const char *backend;
    size_t panel_rows;
    int64_t max_rows; /* of a wave */
    bool free_too;
    enum ps_dtype operand;
} setup;

/* Pairs of different lengths in one grid. The second differs from position 0 on; the third begins with seven
 * of the first's corrupt tokens, four of which are its clean ones' too, so that its rows lie in three places. */
#define N_PAIRS 3
static const world_pair pairs[N_PAIRS] = {{.T = 9, .D = 4, .also = 6}, {.T = 6, .D = 0, .also = 2},
                                          {.T = 10, .D = 7, .also = 9, .shared = 7, .of = PS_CORRUPT}};

typedef struct world {
    ps_config *config;
    ps_backend *ref; /* for the weights that the oracle reads */
    ps_weights *weights;
    ps_grid *grid;
    double tolerance; /* of the setup in hand */
    oracle o;
    oracle_run runs[N_PAIRS][PS_N_WHICH];
    double **cell_logits; /* of each cell, once an engine's answer has been compared with it */
} world;

/* What the cells of a site replace. */
static const enum ps_tap tap_of[PS_N_SITES] = {
    [PS_RESID_PRE] = PS_TAP_RESID_PRE, [PS_RESID_POST] = PS_TAP_RESID_POST, [PS_MLP_OUT] = PS_TAP_MLP_OUT,
    [PS_ATTN_OUT] = PS_TAP_ATTN_OUT, [PS_RESID_MID] = PS_TAP_RESID_MID};

/* The sites that a family has: bits. */
static unsigned sites_of(const ps_config *config)
{
    unsigned sites = 0;

    for (int site = 0; site < PS_N_SITES; site++)
        if (tap_of[site] && oracle_width(config, tap_of[site]))
            sites |= 1u << site;
    return sites;
}

static void run_base(world *w)
{
    for (int p = 0; p < N_PAIRS; p++)
        for (int which = 0; which < PS_N_WHICH; which++) {
            oracle_run *run = &w->runs[p][which];
            *run = oracle_run_open(w->config, (size_t)w->grid->pairs[p].n_positions);
            oracle_forward(&w->o, w->grid->pairs[p].ids[which], run->T, NULL, 0, NULL, run, run->logits);
        }
}

static int open_world(world *w, const char *dir)
{
    ps_err err = PS_ERR_INIT;

    const ps_backend_needs needs = {.n_threads = 1};

    *w = (world){0};
    if (ps_config_read(&w->config, dir, &err) < 0 || ps_backend_open(&w->ref, "ref", &needs, &err) < 0 ||
        ps_weights_open(&w->weights, w->config, dir, w->ref, &err) < 0) {
        printf("# %s\n", err.text);
        return -1;
    }
    w->o = oracle_open(w->config, w->weights, &w->ref->ops);
    w->grid = world_grid(&(world_shape){.L = w->config->n_layers, .program = w->config->family->layer, .n_pairs = N_PAIRS,
                                        .pairs = pairs, .sites = sites_of(w->config),
                                        .vocab = w->config->vocab / 2 * 2, .with_foil = true});
    w->cell_logits = calloc(N_PAIRS * PS_N_SITES * PS_N_DIRECTIONS * (size_t)w->config->n_layers *
                            (size_t)ps_grid_max_positions(w->grid), sizeof *w->cell_logits);
    run_base(w);
    return 0;
}

static void close_world(world *w)
{
    size_t cells = N_PAIRS * PS_N_SITES * PS_N_DIRECTIONS * (size_t)w->config->n_layers *
                   (size_t)ps_grid_max_positions(w->grid);

    for (size_t i = 0; i < cells; i++)
        free(w->cell_logits[i]);
    free(w->cell_logits);
    for (int p = 0; p < N_PAIRS; p++)
        for (int which = 0; which < PS_N_WHICH; which++)
            oracle_run_close(&w->runs[p][which]);
    oracle_close(&w->o);
    ps_grid_free(w->grid);
    ps_weights_close(w->weights);
    ps_backend_close(w->ref);
    ps_config_free(w->config);
}

/* Metrics of double logits, the plain way. */
static void plain_metrics(double out[PS_N_METRICS], const double *z, const double *clean, int32_t V,
                          int32_t answer, int32_t foil)
{
    double sum = 0, sum_clean = 0, kl = 0;
    int rank = 0;

    for (int32_t i = 0; i < V; i++) {
        sum += exp(z[i]);
        sum_clean += exp(clean[i]);
        rank += z[i] > z[answer];
    }
    for (int32_t i = 0; i < V; i++)
        kl += exp(clean[i]) / sum_clean * (clean[i] - log(sum_clean) - z[i] + log(sum));
    out[PS_LOGIT_ANSWER] = z[answer];
    out[PS_LOGIT_FOIL] = z[foil];
    out[PS_LOGIT_DIFF] = z[answer] - z[foil];
    out[PS_LOGPROB_ANSWER] = z[answer] - log(sum);
    out[PS_KL] = kl;
    out[PS_ANSWER_RANK] = rank;
}

/* All logits from a final row, in double. */
static void logits_of(const world *w, const float *final, double *z)
{
    size_t d = (size_t)w->config->d_model;
    double *x = malloc(d * sizeof *x);

    for (size_t i = 0; i < d; i++)
        x[i] = final[i];
    oracle_logits(&w->o, z, x);
    free(x);
}

static size_t cell_index(const world *w, const ps_cell *c)
{
    return ((((size_t)c->pair * PS_N_SITES + c->site) * PS_N_DIRECTIONS + c->direction) *
            (size_t)w->config->n_layers + (size_t)c->layer) * (size_t)ps_grid_max_positions(w->grid) +
           (size_t)c->position;
}

/* The oracle's logits for a cell: it runs once for all setups. */
static const double *logits_of_cell(const world *w, const ps_cell *cell)
{
    double **z = &w->cell_logits[cell_index(w, cell)];
    int base = ps_base_of((enum ps_direction)cell->direction);
    const oracle_edit edit = {tap_of[cell->site], cell->layer, cell->position, 1, -1};
    const ps_grid_pair *pair = &w->grid->pairs[cell->pair];

    if (!*z) {
        *z = malloc((size_t)w->config->vocab * sizeof **z);
        oracle_forward(&w->o, pair->ids[base], (size_t)pair->n_positions, &edit, 1, &w->runs[cell->pair][!base], NULL, *z);
    }
    return *z;
}

static double largest_of(const double *z, int32_t n)
{
    double most = 0;

    for (int32_t i = 0; i < n; i++)
        most = fmax(most, fabs(z[i]));
    return most;
}

/* One computed cell: all its logits through its final row, and its metrics. */
static void check_cell(const world *w, const ps_cell *cell, const double values[PS_N_METRICS],
                       const float *final)
{
    int32_t V = w->config->vocab, p = cell->pair;
    const double *wanted = logits_of_cell(w, cell);
    double metrics[PS_N_METRICS], worst = 0, *seen = malloc((size_t)V * sizeof *seen);

    logits_of(w, final, seen);
    double most = largest_of(wanted, V);
    for (int32_t i = 0; i < V; i++)
        worst = fmax(worst, fabs(seen[i] - wanted[i]));
    double tolerance = w->tolerance * most;
    if (!(worst <= tolerance))
        printf("# %s %s pair %d layer %d position %d: off by %g of %g\n", ps_sites[cell->site].name,
               ps_directions[cell->direction].name, (int)p, (int)cell->layer, (int)cell->position,
               worst, most);
    CHECK(worst <= tolerance);
    plain_metrics(metrics, wanted, w->runs[p][PS_CLEAN].logits, V, w->grid->pairs[p].answer_id,
                  w->grid->pairs[p].foil_id);
    for (int m = 0; m < PS_ANSWER_RANK; m++)
        CHECK_CLOSE(values[m], metrics[m], 2 * tolerance);
    /* A rank may move past the logits that lie closer than the tolerance. */
    int near = 0;
    for (int32_t i = 0; i < V; i++)
        near += fabs(wanted[i] - wanted[w->grid->pairs[p].answer_id]) <= 2 * tolerance;
    CHECK(fabs(values[PS_ANSWER_RANK] - metrics[PS_ANSWER_RANK]) < near);
    free(seen);
}

static size_t check_wave(const world *w, const ps_plan *plan, size_t index, const ps_wave_values *v)
{
    const ps_plan_wave *wave = &plan->waves[index];
    size_t n = 0;

    for (size_t i = wave->first_cell; i < wave->first_cell + wave->n_cells; i++)
        if (plan->owner[i] == ps_comm_rank(comm)) {
            check_cell(w, &plan->cells[i], v->cells[n], v->finals + n * (size_t)w->config->d_model);
            n++;
        }
    CHECK_INT(v->n_cells, n);
    for (int32_t i = 0; ps_comm_rank(comm) == 0 && i < wave->n_pairs; i++)
        for (int which = 0; which < PS_N_WHICH; which++) {
            const double *z = w->runs[wave->first_pair + i][which].logits;
            CHECK_CLOSE(v->base[2 * i + which][PS_LOGIT_ANSWER],
                        z[w->grid->pairs[wave->first_pair + i].answer_id],
                        w->tolerance * largest_of(z, w->config->vocab));
        }
    return n;
}

/* Run every wave of the plan with `weights`, and check what it says. */
static void check_waves(const world *w, const setup *s, const ps_plan *plan, ps_weights *weights,
                        const ps_backend *backend)
{
    ps_err err = PS_ERR_INIT;
    ps_wave *wave = NULL;
    ps_wave_sink sink = {0};

    CHECK(ps_wave_open(&wave, w->grid, plan, &(ps_wave_model){w->config, weights, backend}, comm, s->panel_rows, &err) == 0);
    for (size_t i = 0; i < plan->n_waves; i++) {
        ps_wave_values values;
        uint64_t before = ps_weights_acquired(weights);
        int32_t panel = PS_LM_HEAD_TOKENS, V = w->config->vocab;
        CHECK(ps_wave_run(wave, i, &sink, &values, &err) == 0);
        /* Every part of the weights once a wave: the layers, and the head by panels. */
        CHECK_INT(ps_weights_acquired(weights) - before, w->config->n_layers + (V + panel - 1) / panel);
        check_wave(w, plan, i, &values);
    }
    ps_wave_close(wave);
}

static void check_setup(world *w, const char *dir, const setup *s)
{
    ps_err err = PS_ERR_INIT;
    ps_plan *plan = NULL;
    ps_backend *backend = NULL;
    ps_weights *weights = NULL;
    const ps_backend_needs needs = ps_forward_needs(w->config, s->operand, 2, 1024,
                                                    (size_t)ps_grid_max_positions(w->grid));

    if (ps_backend_open(&backend, s->backend, &needs, &err) < 0) {
        printf("# %s\n", err.text);
        CHECK(s->operand == PS_DTYPE_BF16); /* not to be had on every machine */
        return;
    }
    w->tolerance = s->operand == PS_DTYPE_F32 ? PS_TOLERANCE : PS_TOLERANCE_BF16;
    CHECK(ps_plan_build(&plan, w->grid, ps_comm_size(comm), s->max_rows, &(ps_plan_options){.free_too = s->free_too}, &err) == 0);
    CHECK(ps_weights_open(&weights, w->config, dir, backend, &err) == 0);
    check_waves(w, s, plan, weights, backend);
    ps_weights_close(weights);
    ps_backend_close(backend);
    ps_plan_free(plan);
}

static void check_model(const char *name)
{
    static const setup setups[] = {
        {"cpu", 0, 1 << 20, false, PS_DTYPE_F32},   /* all in one panel and one wave */
        {"cpu", 12, 1 << 20, true, PS_DTYPE_F32},   /* many panels, free cells too */
        {"cpu", 40, 100, true, PS_DTYPE_F32},       /* many waves, which split pairs */
        {"openblas", 0, 300, false, PS_DTYPE_F32},
        {"ref", 0, 300, false, PS_DTYPE_F32},
        {"ref", 0, 300, false, PS_DTYPE_BF16},
        {"cpu", 0, 1 << 20, false, PS_DTYPE_BF16},
        {"cpu", 40, 100, true, PS_DTYPE_BF16},
    };
    char dir[512];
    world w;

    snprintf(dir, sizeof dir, MODELS "/%s", name);
    int rc = open_world(&w, dir);
    CHECK(rc == 0);
    if (rc)
        return;
    for (size_t i = 0; i < sizeof setups / sizeof *setups; i++)
        check_setup(&w, dir, &setups[i]);
    close_world(&w);
}

static const char *model;

static void equals_the_naive_loop(void)
{
    check_model(model);
}

/* Whether `name` is among the arguments, or there are none. */
static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name))
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    ps_err err = PS_ERR_INIT;
    struct dirent **entries;

    if (ps_comm_open(&comm, &err) < 0)
        return 1;
    int n = scandir(MODELS, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        model = entries[i]->d_name;
        if (model[0] != '.' && is_wanted(model, argc, argv)) {
            printf("# %s\n", model);
            RUN(equals_the_naive_loop);
        }
        free(entries[i]);
    }
    if (n > 0)
        free(entries);
    int rc = check_done();
    ps_comm_close(comm);
    return rc || check_passed == 0;
}
