/*
 * test_snapshot.c - a wave that is saved before any layer, and gone on with in other waves, ends in the same bits.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/sweep/snapshot.h"
#include "../check.h"
#include "patchsweep/backend.h"
#include "patchsweep/check.h"
#include "patchsweep/crc.h"
#include "patchsweep/forward.h"
#include "patchsweep/mem.h"
#include "patchsweep/wave.h"
#include "world.h"

#define FIXTURE "tests/fixtures/models/five-layer"

static ps_comm *comm;
static char folder[] = "/tmp/patchsweep-snapshot-XXXXXX";

/* Three pairs, of which two begin alike; all sites of rows and some of heads, both directions. */
enum { N_PAIRS = 3, T = 7 };
#define ROWS ((1u << PS_SITE_Q) - 1)
static const world_pair pairs[N_PAIRS] = {{.T = T, .D = 3, .also = 5}, {.T = T, .D = 4, .shared = 4}, {.T = T, .D = 0}};

typedef struct world {
    ps_config *config;
    ps_backend *backend;
    ps_weights *weights;
    ps_grid *grid;
    double (*values)[PS_N_METRICS]; /* [n_keys] by an undisturbed run, then by others */
    double (*again)[PS_N_METRICS];
    int32_t save_at;
    ps_snapshot_part part;
    ps_snapshot *snapshot;
} world;

static void open_world(world *w)
{
    ps_err err = PS_ERR_INIT;

    *w = (world){.save_at = -1};
    CHECK(ps_config_read(&w->config, FIXTURE, &err) == 0);
    const ps_backend_needs needs = ps_forward_needs(w->config, PS_DTYPE_F32, 2, 64, T);
    CHECK(ps_backend_open(&w->backend, "cpu", &needs, &err) == 0);
    CHECK(ps_weights_open(&w->weights, w->config, FIXTURE, w->backend, &err) == 0);
    w->grid = world_grid(&(world_shape){.L = w->config->n_layers, .n_heads = w->config->n_heads,
                                        .n_kv_heads = w->config->n_kv_heads, .sites = ROWS | 1u << PS_SITE_K | 1u << PS_SITE_PATTERN | 1u << PS_SITE_Z_BY_POS,
                                        .n_pairs = N_PAIRS, .pairs = pairs,
                                        .vocab = w->config->vocab / 2 * 2, .with_foil = true});
    w->values = calloc((size_t)w->grid->n_keys, sizeof *w->values);
    w->again = calloc((size_t)w->grid->n_keys, sizeof *w->again);
}

static void close_world(world *w)
{
    free(w->values);
    free(w->again);
    ps_grid_free(w->grid);
    ps_weights_close(w->weights);
    ps_backend_close(w->backend);
    ps_config_free(w->config);
}

static unsigned word(void *context, int32_t layer)
{
    const world *w = context;

    return layer == w->save_at ? PS_SAVE | PS_STOP : PS_GO_ON;
}

static int save(void *context, int32_t layer, const ps_rows *rows, size_t n, ps_err *err)
{
    world *w = context;

    ps_snapshot_id id = {.layer = layer, .n_parts = 1};
    ps_snapshot_part *parts = NULL;

    int rc = ps_snapshot_save(&id, &parts, folder, rows, n, (size_t)w->config->d_model, comm, err);
    w->part = *parts;
    ps_free(parts);
    return rc;
}

static int restore(void *context, ps_rows *rows, size_t n, ps_err *err)
{
    const world *w = context;

    return ps_snapshot_load(w->snapshot, rows, n, err);
}

/* Run the plan of `options`; values of its cells to `to`.  Returns the waves run whole. */
static size_t run(world *w, int64_t max_rows, const ps_plan_options *options, double (*to)[PS_N_METRICS])
{
    const ps_wave_sink sink = {.context = w, .command = word, .save = save, .restore = restore};
    ps_err err = PS_ERR_INIT;
    ps_plan *plan = world_plan(w->grid, 1, max_rows, options);
    ps_wave *wave = NULL;
    size_t whole = 0;

    CHECK(ps_wave_open(&wave, w->grid, plan, &(ps_wave_model){w->config, w->weights, w->backend}, comm, 0, &err) == 0);
    for (size_t i = 0; i < plan->n_waves; i++) {
        ps_wave_values values;
        int rc = ps_wave_run(wave, i, &sink, &values, &err);
        if (rc < 0)
            printf("# %s\n", err.text);
        CHECK(rc == 0);
        if (rc < 0 || values.stopped)
            break;
        whole++;
        for (size_t c = 0; c < values.n_cells; c++)
            memcpy(to[ps_grid_key(w->grid, &plan->cells[plan->waves[i].first_cell + c])], values.cells[c], sizeof *to);
    }
    ps_wave_close(wave);
    ps_plan_free(plan);
    return whole;
}

/* Stop the first wave before `layer`, then go on in waves of max_rows: all cells' values are as before. */
static void stop_and_go_on(world *w, int32_t layer, int64_t first_rows, int64_t max_rows)
{
    const ps_plan_options fresh = {.checks = true};
    ps_err err = PS_ERR_INIT;
    ps_cellset *flight = NULL;
    size_t bytes = (size_t)w->grid->n_keys * sizeof *w->again;

    memset(w->again, 0, bytes);
    w->save_at = layer;
    CHECK_INT(run(w, first_rows, &fresh, w->again), 0);
    const ps_snapshot_id id = {.layer = layer, .n_parts = 1};
    CHECK(ps_snapshot_open(&w->snapshot, folder, &id, &w->part, w->grid, (size_t)w->config->d_model, comm, &err) == 0);
    CHECK(ps_cellset_open(&flight, w->grid, &err) == 0);
    ps_snapshot_cells(w->snapshot, flight);
    CHECK(ps_cellset_count(flight) > 0);
    const ps_plan_options later = {.checks = true, .flight = flight, .layer = ps_snapshot_layer(w->snapshot)};
    w->save_at = -1;
    run(w, max_rows, &later, w->again);
    CHECK(!memcmp(w->again, w->values, bytes));
    ps_cellset_close(flight);
    ps_snapshot_close(w->snapshot);
}

static void same_bits_from_every_layer(void)
{
    const ps_plan_options fresh = {.checks = true};
    world w;

    open_world(&w);
    CHECK(run(&w, 1 << 20, &fresh, w.values) == 1);
    for (int32_t layer = 1; layer < w.config->n_layers; layer++) {
        stop_and_go_on(&w, layer, 1 << 20, 1 << 20);
        stop_and_go_on(&w, layer, 1 << 20, 60); /* one wave becomes many */
        stop_and_go_on(&w, layer, 200, 1 << 20); /* a wave of a part of the cells, then all others */
    }
    close_world(&w);
}

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");

    CHECK(f && fseek(f, at, SEEK_SET) == 0);
    int c = getc(f);
    CHECK(fseek(f, at, SEEK_SET) == 0 && putc(c ^ 1, f) != EOF && fclose(f) == 0);
}

/* What is not as the journal knows it is refused, wherever it was touched. */
static void damage_is_seen(void)
{
    const ps_plan_options fresh = {.checks = true};
    ps_err err = PS_ERR_INIT;
    char path[128];
    world w;

    open_world(&w);
    w.save_at = 2;
    run(&w, 1 << 20, &fresh, w.again);
    snprintf(path, sizeof path, "%s/0.0", folder);
    const ps_snapshot_id id = {.layer = 2, .n_parts = 1};
    size_t d = (size_t)w.config->d_model;
    for (int i = 0; i <= 40; i++) {
        long at = (long)((double)(w.part.bytes - 1) * i / 40);
        flip(path, at);
        CHECK_ERR(ps_snapshot_open(&w.snapshot, folder, &id, &w.part, w.grid, d, comm, &err), err, PS_EINPUT, "checksum");
        flip(path, at);
    }
    CHECK(truncate(path, (off_t)w.part.bytes - 1) == 0);
    CHECK_ERR(ps_snapshot_open(&w.snapshot, folder, &id, &w.part, w.grid, d, comm, &err), err, PS_EINPUT, "bytes");
    unlink(path);
    CHECK_ERR(ps_snapshot_open(&w.snapshot, folder, &id, &w.part, w.grid, d, comm, &err), err, PS_EFAIL, "cannot find");
    close_world(&w);
}

/* A part as snapshot.c writes it. */
enum { HEAD_BYTES = 32, ENTRY_BYTES = 32, AT_N_ENTRIES = 16, AT_INDEX_CRC = 20, AT_LAYOUT = 24 };
enum { AT_FIRST = 16, AT_N = 20, AT_KIND = 28 }; /* of an entry */

static int32_t number_at(const char *bytes)
{
    int32_t n;

    memcpy(&n, bytes, sizeof n);
    return n;
}

static void add_at(char *bytes, int32_t more)
{
    const int32_t n = number_at(bytes) + more;

    memcpy(bytes, &n, sizeof n);
}

static void older_layout(char *bytes)
{
    add_at(bytes + AT_LAYOUT, -1);
}

/* As a build did that began cells of some kind a row later. */
static void fewer_rows(char *bytes)
{
    char *e = bytes + HEAD_BYTES;
    size_t n = (size_t)number_at(bytes + AT_N_ENTRIES) * ENTRY_BYTES;

    while (e < bytes + HEAD_BYTES + n && (number_at(e + AT_KIND) != PS_ROWS_CELL || number_at(e + AT_N) == 0))
        e += ENTRY_BYTES;
    CHECK(e < bytes + HEAD_BYTES + n);
    add_at(e + AT_FIRST, 1);
    add_at(e + AT_N, -1);
    const uint32_t crc = ps_crc32c(0, bytes + HEAD_BYTES, n);
    memcpy(bytes + AT_INDEX_CRC, &crc, sizeof crc);
}

/* Rows of which a build with other rules carries others are refused before the sweep, although all checksums are right. */
static void other_builds_are_refused(void)
{
    static const struct {
        void (*change)(char *bytes);
        const char *why;
    } cases[] = {{older_layout, "another version of patchsweep"}, {fewer_rows, "is not a strand of this sweep"}};
    const ps_plan_options fresh = {.checks = true};
    ps_err err = PS_ERR_INIT;
    char path[128];
    world w;

    open_world(&w);
    snprintf(path, sizeof path, "%s/0.0", folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        w.save_at = w.config->n_layers - 1;
        run(&w, 1 << 20, &fresh, w.again);
        const ps_snapshot_id id = {.layer = w.save_at, .n_parts = 1};
        char *bytes = malloc(w.part.bytes);
        FILE *f = fopen(path, "r+b");
        CHECK(bytes && f && fread(bytes, 1, w.part.bytes, f) == w.part.bytes);
        cases[i].change(bytes);
        rewind(f);
        CHECK(fwrite(bytes, 1, w.part.bytes, f) == w.part.bytes && fclose(f) == 0);
        w.part.crc = ps_crc32c(0, bytes, w.part.bytes);
        free(bytes);
        CHECK_ERR(ps_snapshot_open(&w.snapshot, folder, &id, &w.part, w.grid, (size_t)w.config->d_model, comm, &err), err,
                  PS_EINPUT, cases[i].why);
        run(&w, 1 << 20, &fresh, w.again); /* the part is ours all the same, and is overwritten */
    }
    ps_rows_dir_remove(folder);
    CHECK(ps_rows_dir_make(folder, &err) == 0);
    close_world(&w);
}

/* ---- checks ---- */

static void checks_are_cells_of_known_score(void)
{
    world w;

    open_world(&w);
    for (int32_t pair = 0; pair < N_PAIRS; pair++) {
        ps_cell cells[PS_MAX_CHECKS];
        size_t n = ps_check_cells(w.grid, pair, cells);
        int32_t D = w.grid->pairs[pair].first_difference;
        CHECK_INT(n, D > 0 ? 3 : 2);
        for (size_t i = 0; i < n; i++) {
            CHECK(ps_grid_key(w.grid, &cells[i]) >= 0);
            CHECK(cells[i].check == PS_CHECK_SHARED ? cells[i].position < D : cells[i].position >= D);
            CHECK(cells[i].check != PS_CHECK_SELF || ps_cell_source(&cells[i]) == ps_cell_base(&cells[i]));
        }
    }
    close_world(&w);
}

static void checks_fail_where_values_differ(void)
{
    double wanted[PS_N_METRICS] = {5, 1, 4, -1, 0, 0}, seen[PS_N_METRICS];
    ps_cell cell = {.pair = 1, .check = PS_CHECK_SELF};
    ps_checks checks = {.n = 0};
    world w;

    open_world(&w);
    memcpy(seen, wanted, sizeof seen);
    ps_check_compare(&checks, w.grid, &cell, seen, wanted, 10);
    seen[PS_LOGIT_ANSWER] += 5e-5; /* of the largest logit: half the tolerance */
    ps_check_compare(&checks, w.grid, &cell, seen, wanted, 10);
    CHECK(checks.n == 2 && checks.n_failed == 0 && checks.worst > 4e-5);
    seen[PS_LOGIT_ANSWER] += 1e-3;
    ps_check_compare(&checks, w.grid, &cell, seen, wanted, 10);
    seen[PS_LOGIT_ANSWER] = NAN;
    ps_check_compare(&checks, w.grid, &cell, seen, wanted, 10);
    CHECK(checks.n == 4 && checks.n_failed == 2 && checks.failed.pair == 1);
    close_world(&w);
}

int main(void)
{
    ps_err err = PS_ERR_INIT;

    if (ps_comm_open(&comm, &err) < 0 || !mkdtemp(folder) || ps_rows_dir_make(folder, &err) < 0)
        return 1;
    RUN(same_bits_from_every_layer);
    RUN(damage_is_seen);
    RUN(other_builds_are_refused);
    RUN(checks_are_cells_of_known_score);
    RUN(checks_fail_where_values_differ);
    ps_rows_dir_remove(folder);
    int rc = check_done();
    ps_comm_close(comm);
    return rc;
}
