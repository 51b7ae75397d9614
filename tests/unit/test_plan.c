/*
 * test_plan.c - plans of synthetic grids: each unfinished cell once, waves within bounds, ranks
 * balanced layer by layer; and which cells are free, case by case.
 */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "patchsweep/cost.h"
#include "patchsweep/plan.h"
#include "world.h"

/* All pairs begin with the same `shared` tokens. */
static ps_grid *synthetic(int32_t L, int n_pairs, const int32_t *T, const int32_t *D, int32_t shared,
                          unsigned sites)
{
    world_pair pairs[32];

    for (int p = 0; p < n_pairs; p++)
        pairs[p] = (world_pair){.T = T[p], .D = D[p], .shared = shared};
    return world_grid(&(world_shape){.L = L, .n_pairs = n_pairs, .pairs = pairs, .sites = sites,
                                     .directions = 1u << PS_DENOISE, .metrics = 1});
}

typedef struct count {
    const ps_plan *plan;
    const ps_grid *grid;
    size_t live, wrong;
} count;

static int seen_once(void *context, const ps_cell *cell)
{
    count *c = context;
    ps_cell twin;
    bool live = !ps_grid_free_cell(c->grid, cell, NULL) && !ps_grid_twin(c->grid, cell, &twin);
    size_t n = 0;

    for (size_t i = 0; i < c->plan->n_cells; i++) {
        const ps_cell *p = &c->plan->cells[i];
        n += p->pair == cell->pair && p->layer == cell->layer && p->position == cell->position &&
             p->site == cell->site && p->direction == cell->direction;
    }
    c->live += live;
    c->wrong += n != live;
    return 0;
}

static void check_plan(const ps_grid *grid, int size, int64_t max_rows, size_t n_waves_at_least)
{
    ps_plan *plan = world_plan(grid, size, max_rows, NULL);
    count c = {plan, grid, 0, 0};
    ps_grid_each(grid, seen_once, &c);
    CHECK_INT(c.wrong, 0);
    CHECK_INT(plan->n_cells, c.live);
    CHECK(plan->n_waves >= n_waves_at_least);
    size_t cells = 0;
    for (size_t i = 0; i < plan->n_waves; i++) {
        const ps_plan_wave *w = &plan->waves[i];
        int64_t rows = w->trunk_rows;
        CHECK_INT(w->first_cell, cells);
        cells += w->n_cells;
        for (size_t k = w->first_cell; k < cells; k++) {
            const ps_cell *cell = &plan->cells[k];
            rows += ps_grid_cell_rows(grid, cell);
            CHECK(cell->pair >= w->first_pair && cell->pair < w->first_pair + w->n_pairs);
            CHECK(k == w->first_cell || ps_grid_cell_entry(grid, cell) >= ps_grid_cell_entry(grid, cell - 1));
            CHECK(plan->owner[k] >= 0 && plan->owner[k] < size);
        }
        CHECK(rows <= max_rows || w->n_cells <= 1);
    }
    CHECK_INT(cells, plan->n_cells);
    ps_plan_free(plan);
}

static void each_cell_once(void)
{
    static const int32_t T[] = {9, 14, 5}, D[] = {3, 0, 4};
    ps_grid *grid = synthetic(6, 3, T, D, 0, 7);

    check_plan(grid, 1, 1 << 30, 1);
    check_plan(grid, 7, 1 << 30, 1);
    check_plan(grid, 3, 200, 3);
    check_plan(grid, 2, 1, 100); /* one cell a wave */
    ps_grid_free(grid);
}

/* Every live cell is done, or under way, or in a wave that begins at the bottom; as chosen by its number. */
enum fate { DONE, FLIGHT, REST };

static enum fate fate_of(const ps_grid *grid, const ps_cell *cell)
{
    if (cell->pair == 0)
        return DONE;
    int64_t key = ps_grid_key(grid, cell);
    return cell->pair == 1 ? (key % 3 ? FLIGHT : DONE) : key % 5 ? REST : FLIGHT;
}

typedef struct sorting {
    const ps_grid *grid;
    ps_cellset *done, *flight;
} sorting;

static int sort_cell(void *context, const ps_cell *cell)
{
    sorting *s = context;
    enum fate fate = fate_of(s->grid, cell);

    if (fate == DONE)
        ps_cellset_add(s->done, cell);
    else if (fate == FLIGHT)
        ps_cellset_add(s->flight, cell);
    return 0;
}

static void check_resumed(const ps_grid *grid, const ps_plan_options *options, int64_t max_rows)
{
    bool based[4] = {false};
    ps_plan *plan = world_plan(grid, 3, max_rows, options);
    size_t live = 0, n_flight = 0;

    for (size_t i = 0; i < plan->n_waves; i++) {
        const ps_plan_wave *w = &plan->waves[i];
        for (size_t k = w->first_cell; k < w->first_cell + w->n_cells; k++) {
            enum fate fate = fate_of(grid, &plan->cells[k]);
            CHECK(fate != DONE && (fate == FLIGHT) == (w->start == options->layer));
            n_flight += fate == FLIGHT;
            for (size_t j = 0; j < k; j++)
                CHECK(memcmp(&plan->cells[j], &plan->cells[k], sizeof plan->cells[k]));
            live++;
        }
        for (int32_t p = w->first_pair; p < w->first_pair + w->n_pairs; p++)
            based[p] = true;
    }
    CHECK(!based[0] && based[1] && based[2] && based[3]); /* the first has nothing left to do */
    CHECK(live == plan->n_cells && n_flight > 0 && n_flight < live);
    size_t wanted = 0;
    ps_plan *whole = world_plan(grid, 1, 0, NULL);
    for (size_t i = 0; i < whole->n_cells; i++)
        wanted += fate_of(grid, &whole->cells[i]) != DONE;
    CHECK_INT(live, wanted);
    ps_plan_free(whole);
    ps_plan_free(plan);
}

static void goes_on_where_it_was(void)
{
    static const int32_t T[] = {9, 14, 5, 8}, D[] = {3, 0, 4, 2};
    ps_grid *grid = synthetic(6, 4, T, D, 0, 7);
    ps_err err = PS_ERR_INIT;
    sorting s = {.grid = grid};

    CHECK(ps_cellset_open(&s.done, grid, &err) == 0 && ps_cellset_open(&s.flight, grid, &err) == 0);
    CHECK(ps_grid_each(grid, sort_cell, &s) == 0);
    ps_cellset_add_pair(s.done, 0);
    const ps_plan_options options = {.done = s.done, .flight = s.flight, .layer = 4};
    check_resumed(grid, &options, 1 << 30);
    check_resumed(grid, &options, 90);
    check_resumed(grid, &options, 1);
    ps_cellset_close(s.done);
    ps_cellset_close(s.flight);
    ps_grid_free(grid);
}

/* Free cells, listed by what the last row can see.  test_wave.c computes them all, and compares their scores. */
static void free_cells_are_what_nobody_reads(void)
{
    enum { L = 4, FREE_BASE = 1, FREE_SOURCE };
    static const int32_t T = 7, D = 2, last = 6;
    ps_grid *grid = synthetic(L, 1, &T, &D, 0, (1u << PS_SITE_Q) - 1);
    enum ps_which which;

    for (int site = 0; site < PS_SITE_Q; site++)
        for (int32_t l = 0; l < L; l++)
            for (int32_t t = 0; t < T; t++) {
                const ps_cell cell = {.layer = l, .position = t, .site = (uint8_t)site};
                bool behind = l == L - 1 && site != PS_RESID_PRE; /* attention */
                bool copy = site == PS_RESID_POST || site == PS_RESID_MID;
                int wanted = t < D || (behind && t < T - 1) ? FREE_BASE : behind && t == T - 1 && copy ? FREE_SOURCE : 0;
                CHECK_INT(ps_grid_free_cell(grid, &cell, &which), wanted != 0);
                CHECK(!wanted || which == (wanted == FREE_BASE ? PS_CORRUPT : PS_CLEAN));
            }
    ps_grid_free(grid);
    grid = synthetic(L, 1, &T, &last, 0, (1u << PS_SITE_Q) - 1);
    ps_cell cell = {.layer = 0, .position = T - 1, .site = PS_RESID_POST};
    CHECK(ps_grid_free_cell(grid, &cell, &which) && which == PS_CLEAN);
    cell.site = PS_MLP_OUT;
    CHECK(!ps_grid_free_cell(grid, &cell, &which));
    ps_grid_free(grid);
}

/* resid_pre of a layer and resid_post of the one before are one cell where both are swept, and two where only one is. */
static void twins_are_computed_once(void)
{
    enum { L = 5 };
    static const int32_t T = 7, D = 2;
    static const struct { unsigned sites; size_t computed; } cases[] = {
        {1u << PS_RESID_PRE, L * 5}, {1u << PS_RESID_POST, (L - 1) * 5}, {1u << PS_RESID_PRE | 1u << PS_RESID_POST, L * 5}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_grid *grid = synthetic(L, 1, &T, &D, 0, cases[i].sites);
        ps_plan *plan = world_plan(grid, 1, 0, NULL);
        size_t sites = i < 2 ? 1 : 2;
        CHECK_INT(plan->n_cells, cases[i].computed);
        CHECK_INT(plan->n_cells + plan->n_free, sites * L * (size_t)T);
        ps_plan_free(plan);
        ps_grid_free(grid);
    }
    const ps_cell post = {.layer = 1, .position = 3, .site = PS_RESID_POST}, last = {.layer = L - 1, .position = 3, .site = PS_RESID_POST};
    ps_grid *grid = synthetic(L, 1, &T, &D, 0, 1u << PS_RESID_PRE | 1u << PS_RESID_POST);
    ps_cell twin;
    CHECK(ps_grid_twin(grid, &post, &twin) && twin.site == PS_RESID_PRE && twin.layer == 2 && twin.position == 3);
    CHECK(!ps_grid_twin(grid, &last, &twin));
    CHECK(!ps_grid_twin(grid, &(ps_cell){.layer = 2, .position = 3, .site = PS_RESID_PRE}, &twin));
    ps_grid_free(grid);
}

/* A prefix that pairs have in common is carried once a wave. */
static void shared_prefixes_count_once(void)
{
    enum { N = 20, HEADER = 148, LENGTH = 161, FIRST = 150 };
    int32_t T[N], D[N];

    for (int p = 0; p < N; p++)
        T[p] = LENGTH, D[p] = FIRST;
    ps_grid *grid = synthetic(4, N, T, D, HEADER, 1u << PS_RESID_POST);
    ps_plan *plan = world_plan(grid, 1, 0, NULL);
    CHECK_INT(plan->n_waves, 1);
    CHECK_INT(plan->waves[0].trunk_rows, HEADER + N * (2 * LENGTH - FIRST - HEADER));
    ps_plan_free(plan);
    /* In waves of a pair or two each has the header again. */
    plan = world_plan(grid, 1, 420, NULL);
    CHECK(plan->n_waves > 1);
    for (size_t w = 0; w < plan->n_waves; w++)
        CHECK_INT(plan->waves[w].trunk_rows, HEADER + plan->waves[w].n_pairs * (2 * LENGTH - FIRST - HEADER));
    ps_plan_free(plan);
    ps_grid_free(grid);
}

/* The 70B grid with T = 28, D = 14: what the design promises of the plan. */
static void ranks_are_balanced(void)
{
    static const int32_t T = 28, D = 14;
    static const struct { int size; double least; } wanted[] = {
        {1, 1}, {2, 0.98}, {4, 0.98}, {8, 0.98}, {16, 0}, {32, 0}, {64, 0.82}, {128, 0}, {256, 0}, {512, 0}};
    ps_grid *grid = synthetic(80, 1, &T, &D, 0, 1u << PS_RESID_POST);
    double before = 1;

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        ps_plan *plan = world_plan(grid, wanted[i].size, 0, NULL);
        printf("# %d ranks: efficiency %.4f\n", wanted[i].size, plan->efficiency);
        CHECK(plan->efficiency >= wanted[i].least && plan->efficiency <= before + 1e-3);
        CHECK_INT(plan->n_free, 80 * 28 - 79 * 14);
        before = plan->efficiency;
        ps_plan_free(plan);
    }
    ps_grid_free(grid);
}

/* As many as still work half their time: neither fewer nor more. */
static void useful_ranks_are_named(void)
{
    static const int32_t T[] = {28, 12}, D[] = {14, 11};
    ps_err err = PS_ERR_INIT;

    for (int n_pairs = 1; n_pairs <= 2; n_pairs++) {
        ps_grid *grid = synthetic(20, n_pairs, T, D, 0, 1u << PS_RESID_POST);
        int useful = 0;
        CHECK(ps_plan_useful_ranks(grid, 1 << 30, 4096, &useful, &err) == 0);
        printf("# %d useful ranks\n", useful);
        CHECK(useful > 1 && useful < 4096);
        for (int more = 0; more < 2; more++) {
            ps_plan *plan = world_plan(grid, useful + more, 0, NULL);
            CHECK((plan->efficiency >= PS_PLAN_USEFUL) == !more);
            ps_plan_free(plan);
        }
        CHECK(ps_plan_useful_ranks(grid, 1 << 30, 3, &useful, &err) == 0);
        CHECK_INT(useful, 3);
        ps_grid_free(grid);
    }
}

/* Operations of one row of one layer, by what is asked of it. */
static double of_row(const ps_config *c, bool q, bool kv, bool rest, int keys)
{
    double d = c->d_model, qw = c->n_heads * c->head_dim, kvw = c->n_kv_heads * c->head_dim;

    return (q ? 2 * d * qw : 0) + (kv ? 2 * 2 * d * kvw : 0) +
           (rest ? 2 * qw * d + 3 * 2 * d * c->d_mlp + 2 * 2.0 * keys * qw : 0);
}

/* The keys that a row at position t sees. */
static int keys_of_row(const ps_config *c, int32_t layer, int32_t t)
{
    int32_t window = c->layers[layer].window;

    return window && t + 1 > window ? window : t + 1;
}

/* The cost, row by row: every computed cell's rows in every layer behind its entry; some layers may have windows. */
static void check_cost(ps_layer_kind *layers)
{
    enum { L = 4 };
    static const int32_t T[] = {7, 5}, D[] = {2, 0};
    const ps_config c = {.family = &ps_families[0], .n_layers = L, .d_model = 24, .n_heads = 4, .n_kv_heads = 2, .head_dim = 6,
                         .d_mlp = 40, .vocab = 100, .tied = true, .layers = layers};

    for (unsigned sites = 1; sites < 1u << (PS_RESID_POST + 1); sites++) {
        ps_grid *grid = synthetic(L, 2, T, D, 0, sites);
        ps_plan *plan = world_plan(grid, 3, 0, NULL);
        double wanted = 2 * 2 * 2.0 * c.d_model * c.vocab, rows = 0, keys = 0, n = 0;
        for (size_t i = 0; i < plan->n_cells; i++) {
            const ps_cell *cell = &plan->cells[i];
            int32_t T_ = T[cell->pair], first = T_ - ps_grid_cell_rows(grid, cell);
            bool copy = cell->site != PS_MLP_OUT;
            int32_t entry = cell->layer + (cell->site != PS_RESID_PRE);
            rows += T_ - first;
            for (int32_t l = entry; l < L; l++)
                for (int32_t t = first; t < T_; t++) {
                    bool own = l > entry || (!copy && t == cell->position);
                    bool on = l < L - 1 || t == T_ - 1;
                    wanted += of_row(&c, own && on, own, on, keys_of_row(&c, l, t));
                }
        }
        for (int p = 0; p < 2; p++)
            for (int32_t t = 0; t < T[p]; t++, n++)
                for (int32_t l = 0; l < L; l++)
                    keys += (double)keys_of_row(&c, l, t) / L;
        rows += (double)plan->waves[0].trunk_rows;
        wanted += plan->waves[0].trunk_rows * L * (of_row(&c, true, true, true, 0) + 4.0 * 24 * keys / n);
        ps_cost cost = ps_cost_of(plan, grid, &c);
        CHECK_CLOSE(cost.flops / wanted, 1, 1e-12);
        CHECK_CLOSE(cost.rows, rows, 0);
        CHECK(cost.naive_flops > 4 * cost.flops);
        ps_plan_free(plan);
        ps_grid_free(grid);
    }
}

static void cost_is_the_sum_over_rows(void)
{
    ps_layer_kind plain[4] = {{0}}, windows[4] = {{3}, {0}, {1}, {3}};

    check_cost(plain);
    check_cost(windows);
}

int main(void)
{
    RUN(each_cell_once);
    RUN(goes_on_where_it_was);
    RUN(free_cells_are_what_nobody_reads);
    RUN(twins_are_computed_once);
    RUN(shared_prefixes_count_once);
    RUN(ranks_are_balanced);
    RUN(useful_ranks_are_named);
    RUN(cost_is_the_sum_over_rows);
    return check_done();
}
