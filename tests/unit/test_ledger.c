/* test_ledger.c - what goes into a ledger comes out of its journal, and of nobody else's. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/sweep/identity.h"
#include "../../src/sweep/ledger.h"
#include "../check.h"
#include "patchsweep/mem.h"
#include "patchsweep/summary.h"
#include "world.h"

enum { N_PAIRS = 2, T = 5, L = 4, D_MODEL = 6 };

static char folder[] = "/tmp/patchsweep-ledger-XXXXXX";
static char path[64];
static const char identity[] = "program: 1\njob: {\"layers\":\"all\"}\nconfig: 12 bytes, 00aa\n";
static ps_grid *grid;

static void make_grid(void)
{
    static const world_pair pairs[N_PAIRS] = {{.T = T, .D = 2}, {.T = T, .D = 0}};

    grid = world_grid(&(world_shape){.L = L, .n_pairs = N_PAIRS, .pairs = pairs, .sites = 1u << PS_RESID_POST,
                                     .directions = 1u << PS_DENOISE, .metrics = 1u << PS_LOGIT_ANSWER | 1u << PS_KL,
                                     .activations = 3, .patched_final = true});
}

static ps_ledger *open_ledger(const char *who)
{
    ps_err err = PS_ERR_INIT;
    ps_ledger *l = NULL;

    if (ps_ledger_open(&l, path, who, grid, D_MODEL, PS_DTYPE_BF16, false, &err) < 0)
        printf("# %s\n", err.text);
    CHECK(l);
    return l;
}

static const ps_cell cells[] = {{.pair = 0, .layer = 1, .position = 2, .site = PS_RESID_POST},
                                {.pair = 1, .layer = 3, .position = 4, .site = PS_RESID_POST},
                                {.pair = 0, .layer = 2, .position = 3, .site = PS_RESID_POST, .check = PS_CHECK_SELF}};
static double values[3][PS_N_METRICS] = {{1.5, 0, 0, 0, 0.25, 0}, {NAN, 0, 0, 0, 0.5, 0}, {7, 0, 0, 0, 0, 0}};

static void fill(ps_ledger *l)
{
    ps_err err = PS_ERR_INIT;
    ps_baseline base[PS_N_WHICH] = {{.values = {9, 0, 0, 0, 0, 0}, .readout = {.largest = 11, .top = {{11, 3}, {10, 4}}}},
                                    {.values = {7, 0, 0, 0, 0, 0}, .readout = {.largest = 12, .top = {{12, 5}, {8, 6}}}}};
    float finals[3 * D_MODEL], rows[2 * D_MODEL];

    for (int i = 0; i < 3 * D_MODEL; i++)
        finals[i] = (float)i;
    for (int i = 0; i < 2 * D_MODEL; i++)
        rows[i] = 1 + (float)i / 4; /* exact in bfloat16 */
    CHECK(ps_ledger_begin(l, "", "first\nhere", &err) == 0);
    const ps_activations states = {.pair = 0, .which = PS_CORRUPT, .layer = 2, .first = 1, .n = 2, .rows = rows};
    CHECK(ps_ledger_add_activations(l, &states, &err) == 0);
    CHECK(ps_ledger_add_baseline(l, 0, base, finals, &err) == 0);
    CHECK(ps_ledger_add_baseline(l, 1, base, finals, &err) == 0);
    CHECK(ps_ledger_add_cells(l, cells, (const double (*)[PS_N_METRICS])values, finals, 3, &err) == 0);
    CHECK(ps_ledger_sync(l, &err) == 0);
}

/* The state that a ledger has, live or replayed. */
static void check_state(ps_ledger *l)
{
    const ps_checks *checks = ps_ledger_checks(l);
    ps_cell at;

    for (int i = 0; i < 3; i++)
        CHECK(ps_cellset_has(ps_ledger_done(l), &cells[i]));
    CHECK_INT(ps_cellset_count(ps_ledger_done(l)), 2);
    CHECK(ps_cellset_has_pair(ps_ledger_done(l), 0) && ps_cellset_has_pair(ps_ledger_done(l), 1));
    const ps_baseline *base = ps_ledger_scores(l)->base[0];
    CHECK(base[PS_CORRUPT].values[0] == 7 && base[PS_CLEAN].readout.top[1].id == 4);
    CHECK(checks->n == 1 && checks->n_failed == 0 && checks->worst == 0); /* it scores the corrupt run: 7 */
    CHECK_INT(ps_ledger_not_finite(l, &at), 1);
    CHECK(at.pair == 1 && at.layer == 3 && at.position == 4);
    ps_scores_fill_free(ps_ledger_scores(l));
    ps_scores_compute(ps_ledger_scores(l), 0, PS_RESID_POST, PS_DENOISE, PS_LOGIT_ANSWER);
    CHECK(ps_ledger_scores(l)->score[1 * T + 2] == (1.5 - 7) / 2);
}

static void comes_back(void)
{
    ps_ledger *l = open_ledger(identity);

    CHECK(!*ps_ledger_sessions(l));
    fill(l);
    check_state(l);
    ps_ledger_close(l);
    l = open_ledger(identity);
    CHECK(!strcmp(ps_ledger_sessions(l), "first\nhere"));
    check_state(l);
    ps_ledger_close(l);
}

typedef struct kept {
    size_t cells, activations, baselines;
    bool right;
} kept;

static int see(void *context, const ps_record_view *v, ps_err *err)
{
    kept *k = context;

    (void)err;
    k->cells += v->n_cells;
    k->baselines += v->type == PS_RECORD_BASELINE;
    for (size_t i = 0; v->finals && i < v->n_cells * D_MODEL; i++)
        k->right = k->right && v->finals[i] == (float)i;
    if (v->type != PS_RECORD_ACTIVATIONS)
        return 0;
    float wide[2 * D_MODEL];
    k->activations++;
    k->right = k->right && v->dtype == PS_DTYPE_BF16 && v->which == PS_CORRUPT && v->layer == 2 && v->first == 1 && v->n == 2;
    ps_widen(wide, v->rows, v->dtype, 2 * D_MODEL);
    for (int i = 0; i < 2 * D_MODEL; i++)
        k->right = k->right && wide[i] == 1 + (float)i / 4;
    return 0;
}

static void journal_keeps_the_rest(void)
{
    ps_ledger *l = open_ledger(identity);
    ps_err err = PS_ERR_INIT;
    kept k = {.right = true};

    CHECK(ps_ledger_begin(l, "", "second\nhere", &err) == 0);
    CHECK(ps_ledger_read(l, see, &k, &err) == 0);
    CHECK(k.cells == 3 && k.baselines == 2 && k.activations == 1 && k.right);
    ps_ledger_close(l);
    ps_summary s;
    CHECK(ps_summary_read(&s, path, &err) == 0);
    CHECK(s.n_cells == 2 && s.n_checks == 1 && s.n_pairs == 2 && s.n_sessions == 2 && s.n_activations == 1);
    CHECK(!strcmp(s.session, "second\nhere") && !strcmp(s.identity, identity));
    ps_summary_release(&s);
}

/* The last snapshot first; one that was written over is no more. */
static void snapshots_by_generation(void)
{
    static const int order[] = {0, 1, 1, 0, 0};
    static const int32_t newest[] = {1, 2, 3, 1, 2}, other[] = {0, 1, 1, 3, 3};
    ps_ledger *l = open_ledger(identity);
    ps_err err = PS_ERR_INIT;

    CHECK(ps_ledger_begin(l, "", "third\nhere", &err) == 0);
    for (int i = 0; i < 5; i++) {
        const ps_snapshot_id id = {.generation = order[i], .layer = newest[i], .n_parts = 1 + i, .n_cells = 3};
        ps_snapshot_part parts[8] = {{.bytes = (uint64_t)i}}, *none = NULL;
        const ps_snapshot_part *seen = none;
        CHECK(ps_ledger_add_snapshot(l, &id, parts, &err) == 0);
        CHECK_INT(ps_ledger_snapshot(l, 0, &seen)->layer, newest[i]);
        CHECK(seen[0].bytes == (uint64_t)i);
        CHECK_INT(ps_ledger_snapshot(l, 1, &seen)->layer, other[i]);
    }
    ps_ledger_close(l);
    l = open_ledger(identity);
    const ps_snapshot_part *parts;
    CHECK(ps_ledger_snapshot(l, 0, &parts)->n_parts == 5 && ps_ledger_snapshot(l, 1, &parts)->n_parts == 3);
    /* When the wave's cells are there, nobody needs its rows. */
    CHECK(ps_ledger_begin(l, "", "fourth\nhere", &err) == 0);
    for (size_t i = 0; i < 3; i++) {
        CHECK(ps_ledger_snapshot(l, 0, &parts)->n_parts && ps_ledger_snapshot(l, 1, &parts)->n_parts);
        CHECK(ps_ledger_add_cells(l, &cells[i], (const double (*)[PS_N_METRICS])&values[i], (float[D_MODEL]){0}, 1, &err) == 0);
    }
    CHECK(!ps_ledger_snapshot(l, 0, &parts)->n_parts && !ps_ledger_snapshot(l, 1, &parts)->n_parts);
    ps_ledger_close(l);
}

static void of_another_run(void)
{
    static const struct {
        const char *identity, *words;
    } others[] = {
        {"program: 1\njob: {\"layers\":[1]}\nconfig: 12 bytes, 00aa\n", "its job has"},
        {"program: 1\njob: {\"layers\":\"all\"}\nconfig: 12 bytes, 00ab\n", "this one's '12 bytes, 00ab'"},
        {"program: 1\njob: {\"layers\":\"all\"}\n", "it has 'config'"},
        {"program: 1\njob: {\"layers\":\"all\"}\nconfig: 12 bytes, 00aa\nmore: 1\n", "this one has 'more'"},
    };
    ps_err err = PS_ERR_INIT;
    ps_ledger *l = NULL;

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK_ERR(ps_ledger_open(&l, path, others[i].identity, grid, D_MODEL, PS_DTYPE_F32, false, &err), err, PS_EINPUT,
                  others[i].words);
    /* Another revision of the program goes on. */
    CHECK(ps_ledger_open(&l, path, "program: 2\njob: {\"layers\":\"all\"}\nconfig: 12 bytes, 00aa\n", grid, D_MODEL,
                         PS_DTYPE_F32, false, &err) == 0);
    CHECK(ps_cellset_count(ps_ledger_done(l)) > 0);
    ps_ledger_close(l);
    CHECK(ps_ledger_open(&l, path, others[0].identity, grid, D_MODEL, PS_DTYPE_F32, true, &err) == 0);
    CHECK_INT(ps_cellset_count(ps_ledger_done(l)), 0); /* which starts over */
    ps_ledger_close(l);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/j", folder);
    make_grid();
    RUN(comes_back);
    RUN(journal_keeps_the_rest);
    RUN(snapshots_by_generation);
    RUN(of_another_run);
    ps_grid_free(grid);
    unlink(path);
    rmdir(folder);
    return check_done();
}
