/*
 * test_keys.c - cells of all kinds as numbers: a key for each and back, each planned once or known, and what does not fit is
 * refused by what there is.
 */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "patchsweep/check.h"
#include "patchsweep/plan.h"
#include "programs.h"
#include "world.h"

enum { L = 3, T = 6 };
static const world_pair pairs[] = {{.T = T, .D = 2}, {.T = 1, .D = 0}, {.T = 4, .D = 3}, {.T = 5, .D = 0}};
enum { N_PAIRS = sizeof pairs / sizeof *pairs };
#define ALL_SITES ((1u << PS_N_SITES) - 1)

static ps_grid *make_grid(unsigned sites, unsigned directions)
{
    return world_grid(&(world_shape){.L = L, .n_pairs = N_PAIRS, .pairs = pairs, .sites = sites, .directions = directions,
                                     .n_heads = 4, .n_kv_heads = 2});
}

static bool same_cell(const ps_cell *a, const ps_cell *b)
{
    return a->pair == b->pair && a->layer == b->layer && a->head == b->head && a->position == b->position && a->site == b->site &&
           a->direction == b->direction && a->check == b->check;
}

typedef struct walk {
    const ps_grid *grid;
    const ps_plan *plan;
    bool *seen; /* [n_keys] */
    size_t n, live, wrong;
} walk;

static int see_key(void *context, const ps_cell *cell)
{
    walk *w = context;
    int64_t key = ps_grid_key(w->grid, cell);
    ps_cell back;

    w->n++;
    w->wrong += key < 0 || key >= w->grid->n_keys || w->seen[key] || ps_grid_cell(w->grid, key, &back) < 0 ||
                !same_cell(&back, cell);
    if (key >= 0)
        w->seen[key] = true;
    return 0;
}

/* Every swept cell has a key of its own, and every key is a cell's: of the grids, or one of the checks. */
static void check_keys(unsigned sites, unsigned directions)
{
    ps_grid *grid = make_grid(sites, directions);
    walk w = {.grid = grid, .seen = calloc((size_t)grid->n_keys, 1)};
    size_t checks = 0, missing = 0;

    CHECK(ps_grid_each(grid, see_key, &w) == 0);
    CHECK_INT(w.wrong, 0);
    for (int64_t key = 0; key < grid->n_keys; key++) {
        ps_cell cell;
        if (ps_grid_cell(grid, key, &cell) < 0) {
            missing++;
            continue;
        }
        CHECK_INT(ps_grid_key(grid, &cell), key);
        checks += cell.check != PS_NO_CHECK;
        CHECK(w.seen[key] == (cell.check == PS_NO_CHECK));
    }
    CHECK_INT(missing, 2); /* a prompt that differs from its beginning has no check before D */
    CHECK_INT(checks, N_PAIRS * (PS_CHECK_RANKS - 1 + L) - 2);
    CHECK_INT(w.n + checks + missing, grid->n_keys);
    free(w.seen);
    ps_grid_free(grid);
}

static void every_cell_has_a_key(void)
{
    for (int site = 0; site < PS_N_SITES; site++)
        for (unsigned directions = 1; directions < 4; directions++)
            check_keys(1u << site, directions);
    for (unsigned directions = 1; directions < 4; directions++)
        check_keys(ALL_SITES, directions);
}

static void what_is_none_has_none(void)
{
    ps_grid *grid = make_grid(1u << PS_SITE_K | 1u << PS_SITE_Z_BY_POS | 1u << PS_RESID_POST, 1u << PS_NOISE);
    const ps_cell good = {.layer = 1, .head = 1, .position = 2, .site = PS_SITE_Z_BY_POS, .direction = PS_NOISE};
    ps_cell cell, bad[8];
    size_t n = 0;

    CHECK(ps_grid_key(grid, &good) >= 0);
    bad[n] = good, bad[n++].pair = N_PAIRS;
    bad[n] = good, bad[n++].layer = L;
    bad[n] = good, bad[n++].head = 4;
    bad[n] = good, bad[n++].head = -1;
    bad[n] = good, bad[n++].position = T;
    bad[n] = good, bad[n++].position = -1;
    bad[n] = good, bad[n++].site = PS_SITE_Q;
    bad[n] = good, bad[n++].direction = PS_DENOISE;
    for (size_t i = 0; i < n; i++)
        CHECK_INT(ps_grid_key(grid, &bad[i]), -1);
    cell = good;
    cell.site = PS_SITE_K;
    cell.position = -1;
    CHECK(ps_grid_key(grid, &cell) >= 0);
    cell.head = 2; /* of two */
    CHECK_INT(ps_grid_key(grid, &cell), -1);
    CHECK(ps_grid_cell(grid, -1, &cell) < 0 && ps_grid_cell(grid, grid->n_keys, &cell) < 0);
    ps_grid_free(grid);
}

static int see_planned(void *context, const ps_cell *cell)
{
    walk *w = context;
    ps_cell twin;
    bool live = !ps_grid_free_cell(w->grid, cell, NULL) && !ps_grid_twin(w->grid, cell, &twin);

    w->live += live;
    w->wrong += w->seen[ps_grid_key(w->grid, cell)] != live;
    return 0;
}

static void each_kind_is_planned_once(void)
{
    static const struct { int size; int64_t rows; } cases[] = {{1, 0}, {4, 0}, {3, 60}, {2, 1}};
    ps_grid *grid = make_grid(ALL_SITES, 3);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_plan *plan = world_plan(grid, cases[i].size, cases[i].rows, NULL);
        walk w = {.grid = grid, .seen = calloc((size_t)grid->n_keys, 1)};
        for (size_t k = 0; k < plan->n_cells; k++) {
            int64_t key = ps_grid_key(grid, &plan->cells[k]);
            w.wrong += key < 0 || w.seen[key] || plan->owner[k] < 0 || plan->owner[k] >= cases[i].size;
            w.seen[key] = true;
        }
        CHECK(ps_grid_each(grid, see_planned, &w) == 0);
        CHECK_INT(w.wrong, 0);
        CHECK_INT(plan->n_cells, w.live);
        free(w.seen);
        ps_plan_free(plan);
    }
    ps_grid_free(grid);
}

/* By what the last row can see; computed all the same, and compared, in test_heads.c. */
static void free_cells_of_heads(void)
{
    ps_grid *grid = make_grid(ALL_SITES, 1u << PS_DENOISE);

    for (int site = PS_SITE_Q; site < PS_N_SITES; site++)
        for (int32_t l = 0; l < L; l++)
            for (int32_t t = 0; t < T; t++) {
                bool by_pos = ps_site_shapes[site].axis[PS_AXIS_POSITION], kv = ps_site_shapes[site].kv_heads;
                const ps_cell cell = {.layer = l, .head = 1, .position = by_pos ? t : -1, .site = (uint8_t)site};
                enum ps_which which = PS_CLEAN;
                /* before D nothing changes; in the last layer the last row reads keys and values of others alone */
                bool wanted = by_pos && (t < pairs[0].D || (l == L - 1 && !kv && t < T - 1));
                CHECK_INT(ps_grid_free_cell(grid, &cell, &which), wanted);
                CHECK(!wanted || which == PS_CORRUPT);
            }
    ps_grid_free(grid);
}

/* All positions are one where the runs part at the last, and where there is no other. */
static void one_position_is_all(void)
{
    ps_grid *grid = make_grid(ALL_SITES, 3);

    for (int site = PS_SITE_Q; site <= PS_SITE_PATTERN; site++)
        for (int32_t pair = 0; pair < N_PAIRS; pair++)
            for (int32_t t = 0; t < pairs[pair].T; t++) {
                const int of_position = site + PS_SITE_Q_BY_POS - PS_SITE_Q;
                const ps_cell all = {.pair = pair, .layer = 1, .head = 1, .position = -1, .site = (uint8_t)site};
                const ps_cell one = {.pair = pair, .layer = 1, .head = 1, .position = t, .site = (uint8_t)of_position};
                ps_cell twin;
                bool is = ps_grid_twin(grid, &one, &twin);
                CHECK_INT(is, pairs[pair].D == pairs[pair].T - 1 && t == pairs[pair].D);
                CHECK(!is || same_cell(&twin, &all));
                CHECK(!ps_grid_twin(grid, &all, &twin));
            }
    ps_grid_free(grid);
}

/* ---- what does not fit ---- */

static int build(unsigned sites, const ps_step *program, int64_t head, ps_err *err)
{
    ps_job_pair named = {.where = (char[]){"a made-up pair"}};
    const ps_job job = {.n_pairs = 1, .layers = {.all = true}, .heads = {.at = &head, .n = 1}, .positions = {.all = true},
                        .sites = sites, .directions = 3, .metrics = 1};
    int32_t ids[] = {1, 2, 3};
    const ps_pair pair = {.job = &named, .n_positions = 2, .first_difference = 1, .ids = {ids, ids + 1}, .foil_id = -1};
    const ps_grid_model model = {program, L, 32, 8};
    ps_grid *grid = NULL;
    int rc = ps_grid_build(&grid, &job, &pair, &model, err);

    ps_grid_free(grid);
    return rc;
}

static void heads_are_counted_by_site(void)
{
    ps_err err = PS_ERR_INIT;

    CHECK(build(1u << PS_SITE_Q, ps_program_pre_norm_glu, 31, &err) == 0);
    CHECK_ERR(build(1u << PS_SITE_Q, ps_program_pre_norm_glu, 40, &err), err, PS_EINPUT,
              "heads of 'q': 40 is past the last (31); there are 32");
    CHECK_ERR(build(1u << PS_SITE_V_BY_POS, ps_program_pre_norm_glu, 8, &err), err, PS_EINPUT,
              "heads of 'v_by_pos': 8 is past the last (7); there are 8");
    CHECK_ERR(build(1u << PS_SITE_Z | 1u << PS_SITE_K, ps_program_pre_norm_glu, 9, &err), err, PS_EINPUT, "heads of 'k': 9");
    CHECK(build(1u << PS_SITE_K, ps_program_pre_norm_glu, -8, &err) == 0);
    CHECK_ERR(build(1u << PS_SITE_K, ps_program_pre_norm_glu, -9, &err), err, PS_EINPUT, "past the first (-8)");
    CHECK(build(1u << PS_RESID_POST, ps_program_pre_norm_glu, 40, &err) == 0); /* which has no heads */
}

static void sites_are_the_layers(void)
{
    ps_err err = PS_ERR_INIT;

    CHECK_ERR(build(1u << PS_RESID_MID, ps_program_parallel_mlp, 0, &err), err, PS_EINPUT,
              "this model's layers have no 'resid_mid'; they have resid_pre, mlp_out, resid_post, attn_out, q, k, v, z, pattern,");
    CHECK(build(ALL_SITES & ~(1u << PS_RESID_MID), ps_program_parallel_mlp, 0, &err) == 0);
}

int main(void)
{
    RUN(every_cell_has_a_key);
    RUN(what_is_none_has_none);
    RUN(each_kind_is_planned_once);
    RUN(free_cells_of_heads);
    RUN(one_position_is_all);
    RUN(heads_are_counted_by_site);
    RUN(sites_are_the_layers);
    return check_done();
}
