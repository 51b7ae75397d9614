/* test_same.c - tables of checksums, values that are compared, and what a journal keeps of both. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../src/sweep/ledger.h"
#include "../../src/sweep/same.h"
#include "../check.h"
#include "patchsweep/family.h"
#include "patchsweep/summary.h"
#include "patchsweep/trial.h"

static const char identity[] = "program: 1\njob: {}\n";
static const char table[] = "0000aaaa a.weight one.safetensors\n0000bbbb b.weight one.safetensors\n0000cccc c two\n";
static char folder[] = "/tmp/patchsweep-same-XXXXXX", path[64];
static ps_grid *grid;

static void tables_are_compared(void)
{
    static const struct {
        const char *theirs;
        size_t n;
        const char *ours_name, *theirs_name, *theirs_crc;
    } cases[] = {
        {table, 0, "", "", ""},
        {"0000aaaa a.weight other file\n0000bbbb b.weight\n0000cccc c two\n", 0, "", "", ""}, /* elsewhere, but the same */
        {"0000aaaa a.weight one\n0000bbbc b.weight one\n0000cccc c two\n", 1, "b.weight", "b.weight", "0000bbbc"},
        {"1000aaaa a.weight one\n0000bbbb b.weight one\n1000cccc c two\n", 2, "a.weight", "a.weight", "1000aaaa"},
        {"0000aaaa a.weight one\n0000bbbb b.weigh one\n0000cccc c two\n", 1, "b.weight", "b.weigh", "0000bbbb"},
        {"0000aaaa a.weight one\n0000bbbb b.weight one\n", 1, "c", "", ""},
        {"0000aaaa a.weight\n0000bbbb b.weight one\n0000cccc c two\n0000dddd d\n", 1, "", "d", "0000dddd"},
        {"", 3, "a.weight", "", ""},
        {"\n\n\n", 3, "a.weight", "", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_sum ours = {"", "", ""}, theirs = {"", "", ""};
        CHECK_INT(ps_sums_compare(table, cases[i].theirs, &ours, &theirs), cases[i].n);
        CHECK_STR(ours.name, cases[i].ours_name);
        CHECK_STR(theirs.name, cases[i].theirs_name);
        CHECK_STR(theirs.crc, cases[i].theirs_crc);
    }
}

/* Values that are not finite on both sides say nothing; on one side alone they are a failure. */
static void values_that_are_not_finite(void)
{
    static const struct {
        double seen, wanted;
        size_t n_failed, n_blind;
        double worst;
    } cases[] = {
        {5, 5, 0, 0, 0},          {5, 5.5, 1, 0, 0.5},         {NAN, NAN, 0, 1, 0},      {INFINITY, INFINITY, 0, 1, 0},
        {INFINITY, NAN, 0, 1, 0}, {NAN, 5, 1, 0, INFINITY},    {5, NAN, 1, 0, INFINITY}, {-INFINITY, 5, 1, 0, INFINITY},
    };
    const ps_cell cell = {.pair = 1, .check = PS_CHECK_SELF};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_checks checks = {.n = 0};
        double seen[PS_N_METRICS] = {cases[i].seen}, wanted[PS_N_METRICS] = {cases[i].wanted};
        ps_check_compare(&checks, grid, &cell, seen, wanted, cases[i].wanted);
        CHECK(checks.n == 1 && checks.n_failed == cases[i].n_failed && checks.n_blind == cases[i].n_blind);
        CHECK(checks.worst == cases[i].worst);
    }
}

static void ranks_share_a_cell(void)
{
    for (int32_t layer = 0; layer < grid->n_layers; layer++) {
        ps_cell cell = ps_check_of_ranks(1, layer, grid);
        CHECK(ps_grid_key(grid, &cell) >= 0 && ps_grid_cell_entry(grid, &cell) == layer);
        CHECK_INT(ps_grid_cell_rows(grid, &cell), 1);
    }
}

static ps_ledger *open_ledger(void)
{
    ps_err err = PS_ERR_INIT;
    ps_ledger *l = NULL;

    if (ps_ledger_open(&l, path, identity, grid, 8, PS_DTYPE_F32, false, &err) < 0)
        printf("# %s\n", err.text);
    CHECK(l);
    return l;
}

static void check_outcome(const ps_ledger *l)
{
    const ps_checks *c = ps_ledger_checks(l);

    CHECK(c->n == 4 && c->n_blind == 1 && c->n_failed == 2 && c->worst == 4.5 && c->failed.layer == 1);
    CHECK(c->odd.n_ranks == 3 && c->odd.odd == 2 && c->odd.difference == 0.25);
    CHECK_STR(c->odd.host, "node-c");
}

/* What ranks made of a cell counts once, whether it is live or replayed. */
static void a_journal_keeps_agreements(void)
{
    const ps_agreement all[] = {
        {.cell = ps_check_of_ranks(0, 0, grid), .n_ranks = 3, .odd = -1, .host = "node-a"},
        {.cell = ps_check_of_ranks(0, 1, grid), .n_ranks = 3, .odd = 2, .difference = 0.25, .host = "node-c"},
        {.cell = ps_check_of_ranks(1, 0, grid), .n_ranks = 3, .odd = 0, .difference = 4.5, .host = "node-a"},
        {.cell = ps_check_of_ranks(1, 1, grid), .n_ranks = 3, .odd = -1, .host = "node-a", .blind = 1},
    };
    ps_err err = PS_ERR_INIT;
    ps_ledger *l = open_ledger();

    CHECK(ps_ledger_begin(l, table, "first", &err) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(ps_ledger_add_agreement(l, &all[i], &err) == 0);
    CHECK(ps_ledger_sync(l, &err) == 0);
    check_outcome(l);
    ps_ledger_close(l);
    l = open_ledger();
    check_outcome(l);
    ps_ledger_close(l);
    ps_summary s;
    CHECK(ps_summary_read(&s, path, &err) == 0);
    CHECK(s.n_checks == 4 && s.n_cells == 0);
    ps_summary_release(&s);
}

/* That is counted as blind: nothing was compared. */
static void ranks_that_see_no_finite_value(void)
{
    const struct {
        double value;
        size_t n_blind;
    } cases[] = {{5, 0}, {NAN, 1}, {INFINITY, 1}};
    ps_cell cell = ps_check_of_ranks(0, 0, grid);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_checks checks = {.n = 0};
        bool blind = false;
        double values[PS_N_METRICS] = {cases[i].value};
        CHECK(ps_check_difference(grid, 0, values, values, &blind) == 0);
        const ps_agreement a = {.cell = cell, .n_ranks = 2, .odd = -1, .blind = blind};
        ps_check_count(&checks, &a);
        CHECK(checks.n == 1 && checks.n_failed == 0 && checks.n_blind == cases[i].n_blind);
    }
}

/* The tensors that were loaded are those that the journal began with, or its next run is none. */
static void a_journal_keeps_weights(void)
{
    ps_err err = PS_ERR_INIT;
    ps_ledger *l = open_ledger();

    CHECK(ps_ledger_begin(l, "0000aaaa a.weight one\n0000bbbc b.weight one\n0000cccc c two\n", "second", &err) == -1);
    CHECK_INT(err.code, PS_EINPUT);
    CHECK(strstr(err.text, "'b.weight'") && strstr(err.text, "'one'") && strstr(err.text, "0000bbbb"));
    CHECK(!strcmp(ps_ledger_sessions(l), "first"));
    err = (ps_err)PS_ERR_INIT;
    ps_ledger_close(l);
    l = open_ledger();
    CHECK(ps_ledger_begin(l, table, "second", &err) == 0);
    ps_ledger_close(l);
    l = open_ledger();
    CHECK(!strcmp(ps_ledger_sessions(l), "first\nsecond"));
    ps_ledger_close(l);
}

int main(void)
{
    const ps_config config = {.family = &ps_families[0], .n_layers = 3, .vocab = 100};
    ps_err err = PS_ERR_INIT;

    if (!mkdtemp(folder) || ps_trial_grid(&grid, &config, 2, 6, 3, &err) < 0)
        return 1;
    snprintf(path, sizeof path, "%s/journal", folder);
    RUN(tables_are_compared);
    RUN(values_that_are_not_finite);
    RUN(ranks_share_a_cell);
    RUN(ranks_that_see_no_finite_value);
    RUN(a_journal_keeps_agreements);
    RUN(a_journal_keeps_weights);
    unlink(path);
    rmdir(folder);
    ps_grid_free(grid);
    return check_done();
}
