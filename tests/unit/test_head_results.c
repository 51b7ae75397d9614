/*
 * test_head_results.c - grids along layer and head, and along layer, head and position, written and read back.
 *
 * With an argument, that file is written and kept: tests/readers/test_head_results.py opens it with the tools that
 * people use, and tests/cli/test_head_maps.py draws it.
 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/mem.h"
#include "patchsweep/results.h"

/* The contracts' texts are char *; nobody writes to these. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

enum { L = 3, H = 4, KV = 2, D = 2, T = 5 };

static const ps_results_shape shape = {L, H, KV, D};
static char path[256];

static char *clean[] = {"<s>", " Albert", " Einstein", "?", ":"}, *corrupt[] = {"<s>", " Taylor", " Swift", "?", ":"};
static char *roles[] = {"bos", "subject", "subject", "text", "last"}, *spans[] = {"", "first", "last", "", ""};
static int32_t ids[T] = {0, 1, 2, 3, 4}, other_ids[T] = {0, 5, 6, 3, 4};
static const ps_job_pair job = {.id = "one", .answer_id = 7, .foil_id = -1};
static const ps_pair pair = {
    .job = &job, .n_positions = T, .first_difference = 1, .ids = {ids, other_ids}, .token = {clean, corrupt},
    .piece = {clean, corrupt}, .role = roles, .span = spans, .answer_id = 7, .foil_id = -1, .answer_token = "",
    .foil_token = ""};

/* The grids of the file, in its order. */
static const struct {
    enum ps_site site;
    enum ps_direction direction;
    int n_axes;
    int32_t size[PS_N_AXES];
    bool finals;
} grids[] = {
    {PS_RESID_POST, PS_DENOISE, 2, {L, 1, T}, false},    {PS_SITE_Q, PS_DENOISE, 2, {L, H, 1}, false},
    {PS_SITE_K, PS_DENOISE, 2, {L, KV, 1}, false},       {PS_SITE_Z, PS_DENOISE, 2, {L, H, 1}, true},
    {PS_SITE_Z, PS_NOISE, 2, {L, H, 1}, false},          {PS_SITE_V_BY_POS, PS_DENOISE, 3, {L, KV, T}, false},
    {PS_SITE_PATTERN_BY_POS, PS_DENOISE, 3, {L, H, T}, true}, {PS_SITE_PATTERN_BY_POS, PS_NOISE, 3, {L, H, T}, false},
};
enum { N_GRIDS = sizeof grids / sizeof *grids };

/* A made-up effect: of each position one head is far below 0. */
static double effect_at(const int32_t place[PS_N_AXES])
{
    int l = place[PS_AXIS_LAYER], h = place[PS_AXIS_HEAD];

    return ((h + place[PS_AXIS_POSITION]) % 4 == 0 ? -0.9 : 0.1 * (h + 1)) * (l + 1) / L;
}

static double score_of(int i, const int32_t place[PS_N_AXES])
{
    double effect = effect_at(place);

    return grids[i].direction == PS_NOISE ? 1 - effect : effect;
}

static ps_axes axes_of(int i)
{
    ps_axes axes;

    for (int axis = 0; axis < PS_N_AXES; axis++) {
        axes.has[axis] = ps_site_shapes[grids[i].site].axis[axis];
        axes.size[axis] = grids[i].size[axis];
    }
    return axes;
}

/* Layer 1's rows alone: each is its number, twice. */
static int layer_of_finals(void *context, int32_t layer, float *rows, ps_err *err)
{
    const ps_axes *axes = context;

    (void)err;
    for (size_t i = 0; layer == 1 && i < ps_axes_cells(axes) / L * D; i++)
        rows[i] = (float)(i / D);
    return layer == 1;
}

static int add_grid(ps_results *results, int i, ps_err *err)
{
    double score[L * H * T], logit[L * H * T], rank[L * H * T], done[L * H * T];
    const ps_column columns[] = {{"score", "normalized", score}, {"logit_answer", NULL, logit},
                                 {"answer_rank", NULL, rank}, {"done", "finished", done}};
    ps_axes axes = axes_of(i);
    const ps_row_source finals = {layer_of_finals, &axes};
    int32_t place[PS_N_AXES];

    for (size_t at = 0; at < ps_axes_cells(&axes); at++) {
        ps_axes_place(&axes, at, place);
        score[at] = score_of(i, place);
        logit[at] = 10 + score[at];
        rank[at] = (double)at;
        done[at] = 1;
    }
    score[0] = logit[0] = rank[0] = NAN;
    done[0] = 0;
    return ps_results_add_grid(results, grids[i].site, grids[i].direction, columns, 4,
                               grids[i].finals ? &finals : NULL, err);
}

static int write_file(ps_err *err)
{
    static const ps_attr root[] = {{"history", "made by a test", 0, false}, {"score", "logit_answer", 0, false}};
    static const ps_attr baselines[] = {{"clean_logit_answer", NULL, 11, false}, {"corrupt_logit_answer", NULL, 10, false}};
    ps_results *results;

    if (ps_results_create(&results, path, &shape, root, 2, err) < 0)
        return -1;
    int rc = ps_results_begin_pair(results, &pair, baselines, 2, err);
    for (int i = 0; i < N_GRIDS && rc == 0; i++)
        rc = add_grid(results, i, err);
    if (rc == 0 && ps_results_end_pair(results, err) == 0 && ps_results_add_run(results, NULL, 0, NULL, 0, 1, err) == 0)
        return ps_results_close(results, ps_results_seal(results, err), err);
    return ps_results_close(results, -1, err);
}

static void test_writes(void)
{
    ps_err err = PS_ERR_INIT;
    ps_result_file *file = NULL;
    bool attributes = false;
    size_t n = 0;

    CHECK_INT(write_file(&err), 0);
    CHECK_STR(err.text, "");
    CHECK_INT(ps_result_open(&file, path, &err), 0);
    CHECK_INT(ps_result_verify(file, &n, &attributes, &err), 0);
    CHECK_STR(err.text, "");
    /* Of the pair 10; of each grid its axes, 4 columns, the tokens where it has positions, final rows and their width; /run's. */
    CHECK_INT(n, 10 + (2 + 4 + 1) + 2 * (2 + 4) + (2 + 4 + 2) + (2 + 4) + (3 + 4 + 1) + (3 + 4 + 1 + 2) + (3 + 4 + 1) + 1);
    CHECK(attributes);
    ps_result_close(file);
}

/* The model's numbers and the pair's give the sizes of every site. */
static void test_sizes(void)
{
    for (int i = 0; i < N_GRIDS; i++) {
        int32_t size[PS_N_AXES];
        int n = 0;
        ps_results_sizes(&shape, grids[i].site, T, size);
        for (int axis = 0; axis < PS_N_AXES; axis++) {
            CHECK_INT(size[axis], grids[i].size[axis]);
            n += ps_site_shapes[grids[i].site].axis[axis];
        }
        CHECK_INT(n, grids[i].n_axes);
    }
}

static void check_values(const ps_result_grid *grid, int i)
{
    int32_t place[PS_N_AXES];

    for (size_t at = 0; at < ps_axes_cells(&grid->axes); at++) {
        ps_axes_place(&grid->axes, at, place);
        CHECK_INT(ps_axes_at(&grid->axes, place), at);
        CHECK(at ? grid->score[at] == score_of(i, place) : isnan(grid->score[at]));
        CHECK(at ? grid->columns[2].values[at] == (double)at : isnan(grid->columns[2].values[at]));
        CHECK(grid->columns[3].values[at] == (at != 0));
    }
}

static void test_reads(void)
{
    ps_err err = PS_ERR_INIT;
    ps_result_file *file = NULL;

    CHECK_INT(ps_result_open(&file, path, &err), 0);
    CHECK_INT(ps_result_n_grids(file), N_GRIDS);
    for (int i = 0; i < N_GRIDS; i++) {
        ps_axes wanted = axes_of(i), axes;
        ps_result_grid grid;
        CHECK_INT(ps_result_grid_axes(file, (size_t)i, &axes, &err), 0);
        CHECK_INT(ps_result_grid_read(file, (size_t)i, &grid, &err), 0);
        CHECK_STR(err.text, "");
        CHECK_STR(grid.site, ps_sites[grids[i].site].name);
        CHECK_STR(grid.direction, ps_directions[grids[i].direction].name);
        for (int axis = 0; axis < PS_N_AXES; axis++) {
            CHECK_INT(grid.axes.has[axis], wanted.has[axis]);
            CHECK_INT(grid.axes.size[axis], wanted.size[axis]);
            CHECK(axes.has[axis] == wanted.has[axis] && axes.size[axis] == wanted.size[axis]);
        }
        CHECK_INT(grid.kv_heads, grids[i].size[PS_AXIS_HEAD] == KV);
        CHECK_INT(grid.n_positions, T);
        CHECK_STR(grid.token_corrupt[2], " Swift");
        CHECK_INT(grid.n_columns, 4); /* final rows are no column */
        if (grid.n_columns == 4)
            check_values(&grid, i);
        ps_result_grid_release(&grid);
    }
    ps_result_close(file);
}

/* Grids of many cells, and final rows of all heads and positions, take memory that must be counted. */
static void test_bytes(void)
{
    static const ps_results_shape big = {80, 64, 8, 8192};
    enum { LONG = 3000 };
    unsigned plain = 1u << PS_RESID_POST, q = 1u << PS_SITE_Q_BY_POS, k = 1u << PS_SITE_K_BY_POS, z = 1u << PS_SITE_Z;
    size_t bytes = ps_results_bytes(&big, plain, true, LONG), row = (size_t)LONG * 8192 * sizeof(float);

    CHECK(bytes >= 2 * row);
    CHECK_INT(ps_results_bytes(&big, plain, false, LONG), bytes); /* activations may be kept, final rows or not */
    CHECK_INT(ps_results_bytes(&big, plain | z, true, LONG), bytes); /* fewer heads than positions */
    CHECK(ps_results_bytes(&big, z, true, 3) > ps_results_bytes(&big, plain, true, 3));
    CHECK(ps_results_bytes(&big, k, true, LONG) >= 2 * 8 * row);
    CHECK(ps_results_bytes(&big, q | k, true, LONG) >= 2 * 64 * row);
    CHECK(ps_results_bytes(&big, q, false, LONG) < 3 * row + ((size_t)80 * 64 * LONG) * 12);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/patchsweep-XXXXXX";
    bool keep = argc > 1;

    if (keep)
        snprintf(path, sizeof path, "%s", argv[1]);
    else if (mkdtemp(folder))
        snprintf(path, sizeof path, "%s/results.h5", folder);
    unlink(path);
    RUN(test_sizes);
    RUN(test_writes);
    RUN(test_reads);
    RUN(test_bytes);
    if (!keep) {
        unlink(path);
        rmdir(folder);
    }
    return check_done();
}
