/* test_records.c - cells are journalled by their keys; whoever has no grid can count them; an older layout is refused. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/sweep/records.h"
#include "../check.h"
#include "patchsweep/check.h"
#include "patchsweep/summary.h"
#include "world.h"

enum { L = 3, T = 5, D_MODEL = 2 };
static char path[] = "/tmp/patchsweep-records-XXXXXX";
static ps_grid *grid;

typedef struct cells {
    ps_cell at[8];
    double values[8][PS_N_METRICS];
    float finals[8][D_MODEL];
    size_t n;
} cells;

/* A cell of each kind, and two checks. */
static cells some_cells(void)
{
    cells c = {.at = {{.pair = 1, .layer = 2, .head = -1, .position = 3, .site = PS_RESID_POST, .direction = PS_NOISE},
                      {.pair = 0, .layer = 1, .head = 3, .position = -1, .site = PS_SITE_PATTERN},
                      {.pair = 1, .layer = 0, .head = 1, .position = -1, .site = PS_SITE_K, .direction = PS_NOISE},
                      {.pair = 0, .layer = 2, .head = 2, .position = 4, .site = PS_SITE_Z_BY_POS}},
               .n = 4};
    ps_cell checks[PS_MAX_CHECKS];

    c.at[c.n++] = checks[ps_check_cells(grid, 1, checks) - 1];
    c.at[c.n++] = checks[0];
    for (size_t i = 0; i < c.n; i++) {
        c.values[i][0] = (double)i;
        c.finals[i][1] = (float)i;
    }
    return c;
}

static void write_cells(const cells *c)
{
    const ps_cells all = {c->at, (const double (*)[PS_N_METRICS])c->values, c->finals[0], c->n};
    const ps_agreement agreement = {.cell = ps_check_of_ranks(1, 2, grid), .n_ranks = 3, .odd = -1, .host = "here"};
    ps_journal *journal = NULL;
    ps_err err = PS_ERR_INIT;

    CHECK(ps_journal_create(&journal, path, &err) == 0);
    CHECK(ps_record_cells(journal, grid, &all, D_MODEL, &err) == 0);
    CHECK(ps_record_agreement(journal, grid, &agreement, &err) == 0);
    ps_journal_close(journal);
}

static bool same_cell(const ps_cell *a, const ps_cell *b)
{
    return a->pair == b->pair && a->layer == b->layer && a->head == b->head && a->position == b->position && a->site == b->site &&
           a->direction == b->direction && a->check == b->check;
}

static int see(void *context, uint32_t type, const void *payload, size_t bytes, ps_err *err)
{
    const cells *c = context;
    ps_record_view v;

    CHECK(ps_record_view_of(&v, type, payload, bytes, grid, D_MODEL, err) == 0);
    if (v.type == PS_RECORD_RANKS) {
        const ps_cell wanted = ps_check_of_ranks(1, 2, grid);
        CHECK(same_cell(&v.agreement.cell, &wanted) && v.agreement.n_ranks == 3);
        return 0;
    }
    CHECK(v.n_cells == c->n && v.n_checks == 2);
    for (size_t i = 0; i < v.n_cells; i++) {
        ps_cell cell;
        CHECK(ps_grid_cell(grid, v.keys[i], &cell) == 0 && same_cell(&cell, &c->at[i]));
        CHECK(v.values[i][0] == (double)i && v.finals[i * D_MODEL + 1] == (float)i);
    }
    return 0;
}

static void cells_come_back(void)
{
    cells c = some_cells();
    ps_journal_report report;
    ps_err err = PS_ERR_INIT;
    ps_summary s;

    write_cells(&c);
    CHECK(ps_journal_scan(path, see, &c, &report, &err) == 0);
    CHECK(report.frames == 2);
    CHECK(ps_summary_read(&s, path, &err) == 0);
    CHECK(s.n_cells == c.n - 2 && s.n_checks == 3);
    ps_summary_release(&s);
}

/* A key that is no cell's, and checks that are none. */
static void keys_must_fit(void)
{
    struct {
        uint32_t n, n_checks, d_model, zero;
        int64_t key;
        double values[PS_N_METRICS];
    } record = {.n = 1};
    ps_record_view v;
    ps_err err = PS_ERR_INIT;

    CHECK(ps_record_view_of(&v, PS_RECORD_CELLS, &record, sizeof record, grid, D_MODEL, &err) == 0);
    record.key = grid->n_keys;
    CHECK_ERR(ps_record_view_of(&v, PS_RECORD_CELLS, &record, sizeof record, grid, D_MODEL, &err), err, PS_EINPUT, "does not fit");
    record.key = -1;
    CHECK_ERR(ps_record_view_of(&v, PS_RECORD_CELLS, &record, sizeof record, grid, D_MODEL, &err), err, PS_EINPUT, "does not fit");
    record.key = 0;
    record.n_checks = 1;
    CHECK_ERR(ps_record_view_of(&v, PS_RECORD_CELLS, &record, sizeof record, grid, D_MODEL, &err), err, PS_EINPUT, "does not fit");
}

/* What versions before keys wrote is named, with what to do, and is not taken for damage. */
static void older_layouts_are_refused(void)
{
    static const uint32_t older[] = {PS_RECORD_OLD_CELLS, PS_RECORD_OLD_RANKS};

    for (size_t i = 0; i < 2; i++) {
        ps_err err = PS_ERR_INIT;
        ps_journal *journal = NULL;
        ps_summary s;
        const ps_span span = {"12345678", 8};
        CHECK(ps_journal_create(&journal, path, &err) == 0);
        CHECK(ps_journal_append(journal, older[i], &span, 1, &err) == 0);
        ps_journal_close(journal);
        CHECK_ERR(ps_summary_read(&s, path, &err), err, PS_EINPUT, "an older patchsweep");
    }
}

int main(void)
{
    static const world_pair pairs[] = {{.T = T, .D = 2}, {.T = T, .D = 1}};
    int fd = mkstemp(path);

    if (fd < 0)
        return 1;
    close(fd);
    grid = world_grid(&(world_shape){.L = L, .n_pairs = 2, .pairs = pairs, .sites = (1u << PS_N_SITES) - 1});
    RUN(cells_come_back);
    RUN(keys_must_fit);
    RUN(older_layouts_are_refused);
    ps_grid_free(grid);
    unlink(path);
    return check_done();
}
