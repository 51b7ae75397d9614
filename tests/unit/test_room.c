/* test_room.c - what owners of memory say that they allocate is what they do allocate. */
#include <malloc.h>

#include "../../src/sweep/scores.h"
#include "../check.h"
#include "patchsweep/backend.h"
#include "patchsweep/forward.h"
#include "patchsweep/mem.h"
#include "patchsweep/plan.h"
#include "patchsweep/trial.h"
#include "patchsweep/wave.h"
#include "patchsweep/weights.h"
#include "world.h"

#define FIXTURE "tests/fixtures/models/base"

enum { N_PAIRS = 7, T = 20, D = 4, SLACK = 10000 /* of malloc's own bytes, of structs and names */ };

static ps_comm *comm;
static ps_config *config;
static ps_grid *grid;
static ps_backend *backend;

/* Bytes that malloc has given out. */
static long long given(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return 0; /* its own malloc does not tell */
#else
    struct mallinfo2 m = mallinfo2();
    return (long long)(m.uordblks + m.hblkhd);
#endif
}

static void check_bytes(const char *what, long long before, uint64_t said)
{
    long long seen = given() - before;

    printf("# %s: %lld bytes, said %llu\n", what, seen, (unsigned long long)said);
    CHECK(given() == 0 || (seen >= (long long)said - SLACK && seen <= (long long)said + SLACK));
}

static void test_blocks(void)
{
    char *small = NULL, *large = NULL;
    const ps_block blocks[] = {{&small, 100, 3}, {&large, 9, (size_t)1 << 20}};
    const ps_block too_many[] = {{&small, SIZE_MAX / 2, 8}};
    ps_err err = PS_ERR_INIT;

    CHECK_INT(ps_blocks_bytes(blocks, 2), 320 + ((uint64_t)10 << 20)); /* whole lines, whole huge pages */
    CHECK(ps_blocks_alloc(blocks, 2, &err) == 0);
    memset(small, 1, 300);
    memset(large, 1, (size_t)9 << 20);
    CHECK(((uintptr_t)small & 63) == 0);
    ps_blocks_free(blocks, 2);
    CHECK(ps_blocks_bytes(too_many, 1) == UINT64_MAX);
    small = NULL;
    CHECK_ERR(ps_blocks_alloc(too_many, 1, &err), err, PS_EFAIL, "out of memory");
    CHECK(small == NULL);
}

static void test_backend(void)
{
    ps_err err = PS_ERR_INIT;
    const ps_backend_needs needs = ps_forward_needs(config, PS_DTYPE_F32, 2, 3000, 700);

    CHECK(ps_backend_fit(backend, &needs, &err) == 0);
    uint64_t bytes = ps_backend_bytes(backend, &needs);
    const ps_backend_needs none = ps_forward_needs(config, PS_DTYPE_F32, 2, 1, T);
    CHECK(ps_backend_fit(backend, &none, &err) == 0);
    long long before = given();
    uint64_t had = ps_backend_bytes(backend, &none);
    CHECK(ps_backend_fit(backend, &needs, &err) == 0);
    check_bytes("backend", before, bytes - had);
}

static void test_weights(void)
{
    ps_err err = PS_ERR_INIT;
    uint64_t resident = 0, loading = 0;
    ps_weights *weights = NULL;

    CHECK(ps_weights_measure(&resident, &loading, config, FIXTURE, backend, &err) == 0);
    long long before = given();
    CHECK(ps_weights_open(&weights, config, FIXTURE, backend, &err) == 0);
    CHECK_INT(ps_weights_bytes(weights), resident);
    check_bytes("weights", before, resident);
    CHECK(loading > 0 && loading < 3 * resident + 1000);
    ps_weights_close(weights);
    CHECK_ERR(ps_weights_measure(&resident, &loading, config, "no/such", backend, &err), err, PS_EINPUT, "no/such");
}

/* A wave of each plan: one large, many small, panels smaller and larger than the waves. */
static void test_wave(void)
{
    static const struct {
        int64_t max_rows;
        size_t panel_rows;
    } cases[] = {{1 << 30, 0}, {1 << 30, 1000000}, {1 << 30, 50}, {200, 0}, {200, 1000000}};
    ps_err err = PS_ERR_INIT;
    ps_weights *weights = NULL;

    CHECK(ps_weights_open(&weights, config, FIXTURE, backend, &err) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_plan *plan = NULL;
        ps_wave *wave = NULL;
        ps_wave_bytes bytes;
        CHECK(ps_plan_build(&plan, grid, 1, cases[i].max_rows, NULL, &err) == 0);
        CHECK(ps_wave_measure(&bytes, grid, plan, config, backend, 0, cases[i].panel_rows, &err) == 0);
        long long before = given();
        CHECK(ps_wave_open(&wave, grid, plan, &(ps_wave_model){config, weights, backend}, comm, cases[i].panel_rows, &err) == 0);
        check_bytes("wave", before, bytes.panel + bytes.base + bytes.rows + bytes.head);
        CHECK(ps_wave_panel_rows(grid, plan, 0, cases[i].panel_rows) <= (size_t)ps_plan_max_rows(plan, grid));
        CHECK(ps_wave_panel_rows(grid, plan, 0, cases[i].panel_rows) >= T);
        ps_wave_close(wave);
        ps_plan_free(plan);
    }
    ps_weights_close(weights);
}

/* One metric, and all of them; prompts of different lengths. */
static void test_scores(void)
{
    static const world_pair pairs[] = {{.T = 40, .D = 4}, {.T = 90, .D = 7}, {.T = 12, .D = 0}};
    static const unsigned metrics[] = {0, 1u << PS_LOGIT_DIFF};

    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        ps_grid *some = world_grid(&(world_shape){.L = 40, .n_pairs = 3, .pairs = pairs, .metrics = metrics[i]});
        ps_err err = PS_ERR_INIT;
        ps_scores scores;
        long long before = given();
        CHECK(ps_scores_init(&scores, some, &err) == 0);
        check_bytes("scores", before, ps_scores_bytes(some));
        ps_scores_release(&scores);
        ps_grid_free(some);
    }
}

int main(void)
{
    ps_err err = PS_ERR_INIT;

    CHECK(ps_comm_open(&comm, &err) == 0 && ps_config_read(&config, FIXTURE, &err) == 0);
    const ps_backend_needs needs = ps_forward_needs(config, PS_DTYPE_F32, 2, 64, T);
    CHECK(ps_backend_open(&backend, "cpu", &needs, &err) == 0 &&
          ps_trial_grid(&grid, config, N_PAIRS, T, D, &err) == 0);
    RUN(test_blocks);
    RUN(test_backend);
    RUN(test_weights);
    RUN(test_wave);
    RUN(test_scores);
    ps_grid_free(grid);
    ps_backend_close(backend);
    ps_config_free(config);
    ps_comm_close(comm);
    return check_done();
}
