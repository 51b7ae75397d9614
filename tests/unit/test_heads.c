/*
 * test_heads.c - every kind of cell against whole runs, bit by bit.
 *
 * A whole run takes every row of one prompt through every step, in the order of the program, with the same backend as
 * the engine, and lays the edit of one cell over what a step leaves.  It has no paths, no schedule, no panels, no base rows.
 * Under mpirun each rank checks its own cells.
 */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "patchsweep/backend.h"
#include "patchsweep/check.h"
#include "patchsweep/family.h"
#include "patchsweep/forward.h"
#include "patchsweep/plan.h"
#include "patchsweep/wave.h"
#include "world.h"

#define MODELS "tests/fixtures/models/"

/* Prompts that part at the beginning, in the middle and at the end; one of a single token; one that begins as another does. */
static const world_pair pairs[] = {{.T = 9, .D = 4, .also = 6}, {.T = 5, .D = 0, .also = 2}, {.T = 6, .D = 5}, {.T = 1, .D = 0},
                                   {.T = 8, .D = 5, .shared = 5, .of = PS_CORRUPT}};
enum { N_PAIRS = sizeof pairs / sizeof *pairs, MAX_T = 9, MAX_L = 5 };

static ps_comm *comm;

/* What every step of a run left in its register: [layer][value][T, width]. */
typedef struct states {
    float *value[MAX_L + 1][PS_MAX_STEPS + 1];
} states;

typedef struct world {
    ps_config *config;
    ps_backend *backend;
    ps_weights *weights;
    ps_forward *forward;
    ps_grid *grid;
    ps_program_inputs in;
    states runs[N_PAIRS][PS_N_WHICH];
} world;

static size_t width_of(const world *w, size_t v)
{
    return ps_program_width(w->config, v ? (enum ps_reg)w->config->family->layer[v - 1].out : PS_X);
}

static void free_states(states *s)
{
    for (size_t l = 0; l <= MAX_L; l++)
        for (size_t v = 0; v <= PS_MAX_STEPS; v++)
            free(s->value[l][v]);
    *s = (states){0};
}

/* Attention of all rows: queries and keys of one run, values of another. */
static void attend(const world *w, float *out, const states *qk, const states *v, int32_t l, int32_t T)
{
    const int *in = w->in.value[w->in.attend];
    const ps_query query = {.n = T};
    const ps_key_span span = {0, T};
    const ps_attention a = {.out = out, .q = qk->value[l][in[0]], .k = qk->value[l][in[1]], .v = v->value[l][in[2]],
                            .queries = &query, .n_queries = 1, .spans = &span};

    ps_forward_attend(w->forward, &a);
}

/* Put the edit's rows, or a head's columns of them, into value v of the run. */
static void lay_edit(const world *w, states *run, int32_t l, size_t v, const ps_edit *edit, const states *source, int32_t T)
{
    size_t width = width_of(w, v), hd = (size_t)w->config->head_dim;
    size_t first = edit->head < 0 ? 0 : (size_t)edit->head * hd, n = edit->head < 0 ? width : hd;
    float *from = malloc((size_t)T * width * sizeof *from);

    if (edit->tap == PS_TAP_PATTERN)
        attend(w, from, source, run, l, T);
    else
        memcpy(from, source->value[l][v], (size_t)T * width * sizeof *from);
    for (int32_t r = edit->first; r < edit->first + edit->n; r++)
        memcpy(run->value[l][v] + (size_t)r * width + first, from + (size_t)r * width + first, n * sizeof *from);
    free(from);
}

static void run_step(const world *w, states *run, int32_t l, size_t i, int32_t T)
{
    static const int32_t positions[MAX_T] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    const int *in = w->in.value[i];
    ps_step_rows rows = {.in = run->value[l][in[0]], .positions = positions, .n = (size_t)T};

    run->value[l][i + 1] = rows.out = malloc((size_t)T * width_of(w, i + 1) * sizeof(float));
    if (i == w->in.attend) {
        attend(w, rows.out, run, run, l, T);
        return;
    }
    rows.in2 = w->in.n[i] > 1 ? run->value[l][in[1]] : NULL;
    ps_forward_step(w->forward, i, &rows);
}

/* Whether the edit is one of step i; i = -1: of X at the entrance. */
static bool is_edit_of(const world *w, const ps_edit *e, int i)
{
    return (e->tap == PS_TAP_RESID_PRE ? -1 : ps_program_tap(w->config->family->layer, (enum ps_tap)e->tap)) == i;
}

/* Run all layers; with a cell its edit is laid.  The last layer's output is value 0 of layer L. */
static void whole_run(const world *w, states *run, int32_t pair, enum ps_which which, const ps_cell *cell, const states *source)
{
    const ps_grid_pair *p = &w->grid->pairs[pair];
    int32_t T = p->n_positions, L = w->config->n_layers;
    size_t n = w->in.n_steps, bytes = (size_t)T * width_of(w, 0) * sizeof(float);
    const ps_edit edit = cell ? ps_cell_edit(cell, T) : (ps_edit){.tap = 0};
    ps_err err = PS_ERR_INIT;

    *run = (states){0};
    for (int32_t l = 0; l <= L; l++) {
        bool here = cell && cell->layer == l;
        run->value[l][0] = malloc(bytes);
        if (l)
            memcpy(run->value[l][0], run->value[l - 1][n], bytes);
        else
            ps_forward_embed(w->forward, run->value[0][0], p->ids[which], 0, (size_t)T);
        if (here && is_edit_of(w, &edit, -1))
            lay_edit(w, run, l, 0, &edit, source, T);
        if (l == L)
            break;
        CHECK(ps_forward_layer(w->forward, l, &err) == 0);
        for (size_t i = 0; i < n; i++) {
            run_step(w, run, l, i, T);
            if (here && is_edit_of(w, &edit, (int)i))
                lay_edit(w, run, l, i + 1, &edit, source, T);
        }
    }
}

/* All sites that the model's layers have. */
static unsigned all_sites(const ps_step *program)
{
    unsigned sites = 0;

    for (int site = 0; site < PS_N_SITES; site++) {
        enum ps_tap tap = (enum ps_tap)ps_cell_edit(&(ps_cell){.site = (uint8_t)site}, 1).tap;
        sites |= tap == PS_TAP_RESID_PRE || ps_program_tap(program, tap) >= 0 ? 1u << site : 0;
    }
    return sites;
}

static int open_world(world *w, const char *name, const char *backend)
{
    int n_threads = ps_comm_size(comm) > 1 ? 1 : 2;
    ps_err err = PS_ERR_INIT;
    char dir[256];

    *w = (world){0};
    snprintf(dir, sizeof dir, MODELS "%s", name);
    if (ps_config_read(&w->config, dir, &err) < 0)
        goto failed;
    const ps_backend_needs needs = ps_forward_needs(w->config, PS_DTYPE_F32, n_threads, 1024, MAX_T);
    if (ps_backend_open(&w->backend, backend, &needs, &err) < 0 ||
        ps_weights_open(&w->weights, w->config, dir, w->backend, &err) < 0 ||
        ps_forward_open(&w->forward, w->config, w->weights, w->backend, MAX_T, &err) < 0)
        goto failed;
    w->in = ps_program_resolve(w->config->family->layer);
    w->grid = world_grid(&(world_shape){.L = w->config->n_layers, .n_heads = w->config->n_heads,
                                        .n_kv_heads = w->config->n_kv_heads, .n_pairs = N_PAIRS, .pairs = pairs,
                                        .program = w->config->family->layer,
                                        .sites = all_sites(w->config->family->layer), .vocab = w->config->vocab / 2 * 2});
    for (int32_t pair = 0; pair < N_PAIRS; pair++)
        for (int which = 0; which < PS_N_WHICH; which++)
            whole_run(w, &w->runs[pair][which], pair, (enum ps_which)which, NULL, NULL);
    return 0;
failed:
    printf("# %s\n", err.text);
    return -1;
}

static void close_world(world *w)
{
    for (int32_t pair = 0; pair < N_PAIRS; pair++)
        for (int which = 0; which < PS_N_WHICH; which++)
            free_states(&w->runs[pair][which]);
    ps_grid_free(w->grid);
    ps_forward_close(w->forward);
    ps_weights_close(w->weights);
    ps_backend_close(w->backend);
    ps_config_free(w->config);
}

/* Whether the cell's final row is what a whole run makes of it. */
static bool is_right(const world *w, const ps_cell *cell, const float *final)
{
    size_t d = (size_t)w->config->d_model, last = (size_t)(w->grid->pairs[cell->pair].n_positions - 1);
    states run;

    whole_run(w, &run, cell->pair, ps_cell_base(cell), cell, &w->runs[cell->pair][ps_cell_source(cell)]);
    const float *wanted = run.value[w->config->n_layers][0] + last * d;
    bool same = !memcmp(final, wanted, d * sizeof *final);
    double most = 0;
    for (size_t i = 0; i < d; i++)
        most = fmax(most, fabs((double)final[i] - (double)wanted[i]));
    /* where rows depend on the rows beside them, their last bits do */
    bool right = w->backend->same_bits ? same : most < 1e-4;
    if (!right)
        printf("# pair %d %s %s layer %d head %d position %d: off by %g\n", (int)cell->pair, ps_sites[cell->site].name,
               ps_directions[cell->direction].name, (int)cell->layer, (int)cell->head, (int)cell->position, most);
    free_states(&run);
    return right;
}

typedef struct setup {
    size_t panel_rows;
    int64_t max_rows; /* of a wave */
    int every;        /* check each `every`-th cell */
    bool free_too;
} setup;

static void check_setup(const world *w, const setup *s)
{
    const ps_plan_options options = {.free_too = s->free_too, .checks = true};
    ps_plan *plan = world_plan(w->grid, ps_comm_size(comm), s->max_rows, &options);
    ps_wave_sink sink = {0};
    ps_err err = PS_ERR_INIT;
    ps_wave *wave = NULL;
    size_t n = 0, wrong = 0, d = (size_t)w->config->d_model;

    CHECK(ps_wave_open(&wave, w->grid, plan, &(ps_wave_model){w->config, w->weights, w->backend}, comm, s->panel_rows, &err) == 0);
    for (size_t i = 0; i < plan->n_waves; i++) {
        const ps_plan_wave *of = &plan->waves[i];
        ps_wave_values values;
        size_t mine = 0;
        CHECK(ps_wave_run(wave, i, &sink, &values, &err) == 0);
        for (size_t c = of->first_cell; c < of->first_cell + of->n_cells; c++) {
            if (plan->owner[c] != ps_comm_rank(comm))
                continue;
            if (n++ % (size_t)s->every == 0)
                wrong += !is_right(w, &plan->cells[c], values.finals + mine * d);
            mine++;
        }
        CHECK_INT(values.n_cells, mine);
    }
    CHECK(n > 0);
    CHECK_INT(wrong, 0);
    ps_wave_close(wave);
    ps_plan_free(plan);
}

static void check_model(const char *name, const char *backend, const setup *s)
{
    world w;
    int rc = open_world(&w, name, backend);

    CHECK(rc == 0);
    if (rc)
        return;
    check_setup(&w, s);
    close_world(&w);
}

/* Query heads share key heads two by two, and all with one. */
static void heads_that_share(void)
{
    check_model("base", "cpu", &(setup){0, 1 << 30, 1, false});
    check_model("base", "ref", &(setup){0, 300, 7, false});
    check_model("mqa-f16-sharded", "cpu", &(setup){0, 1 << 30, 5, false});
}

static void heads_of_their_own_width(void)
{
    check_model("head-dim", "cpu", &(setup){0, 1 << 30, 3, false});
}

static void last_layers(void)
{
    check_model("one-layer", "cpu", &(setup){0, 1 << 30, 1, true});
    check_model("one-layer", "ref", &(setup){12, 100, 3, true});
}

/* Norms of heads, windows, soft caps, no rotation, blocks side by side. */
static void layers_of_other_families(void)
{
    static const char *const models[] = {"qwen3-window", "gemma2", "gpt2", "gpt-neox", "mistral"};

    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        check_model(models[i], "cpu", &(setup){0, 200, 11, true});
}

/* Small panels, waves that split pairs, free cells and cells that are the same as others. */
static void whatever_the_waves(void)
{
    check_model("base", "cpu", &(setup){12, 100, 3, true});
    check_model("five-layer", "cpu", &(setup){40, 1 << 30, 11, true});
}

int main(void)
{
    ps_err err = PS_ERR_INIT;

    if (ps_comm_open(&comm, &err) < 0)
        return 1;
    RUN(heads_that_share);
    RUN(heads_of_their_own_width);
    RUN(last_layers);
    RUN(whatever_the_waves);
    RUN(layers_of_other_families);
    int rc = check_done();
    ps_comm_close(comm);
    return rc;
}
