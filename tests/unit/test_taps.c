/*
 * test_taps.c - the states of whole runs against transformers' (tests/golden/NAME.taps.json and .f32, which says how they were
 * made), at every tap of every layer, on ref and on cpu, and the oracle against them as well.
 *
 *     build/release/tests/test_taps gpt2     # this file only
 */
#include <dirent.h>
#include <stdlib.h>

#include "../check.h"
#include "patchsweep/file.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "product.h"

#define GOLDEN "tests/golden"
#define MODELS "tests/fixtures/models"
#define TOLERANCE 3e-5

static const char *only;

static const char *const names[PS_N_TAPS] = {
    [PS_TAP_Q] = "q", [PS_TAP_K] = "k", [PS_TAP_V] = "v", [PS_TAP_Z] = "z", [PS_TAP_ATTN_OUT] = "attn_out",
    [PS_TAP_RESID_MID] = "resid_mid", [PS_TAP_MLP_OUT] = "mlp_out", [PS_TAP_RESID_POST] = "resid_post",
    [PS_TAP_RESID_PRE] = "resid_pre"};

/* What transformers says to one prompt. */
typedef struct golden {
    char name[100], model[200];
    int32_t *ids;
    size_t T, n_arrays, n_floats;
    float *floats;
    ps_json *json;
    const ps_node *arrays;
} golden;

static void must(bool good, const char *name, const char *what)
{
    if (good)
        return;
    printf("# %s: %s\n", name, what);
    exit(1);
}

static void open_golden(golden *g, const char *file)
{
    char path[400];
    char *bytes = NULL;
    size_t n = 0;
    ps_err err = PS_ERR_INIT;

    *g = (golden){0};
    snprintf(g->name, sizeof g->name, "%.*s", (int)(strlen(file) - strlen(".taps.json")), file);
    snprintf(path, sizeof path, GOLDEN "/%s", file);
    must(ps_json_read(&g->json, path, 1 << 24, &err) == 0, path, err.text);
    const ps_node *root = ps_json_root(g->json), *ids = ps_json_get(root, "ids");
    g->arrays = ps_json_get(root, "arrays");
    snprintf(g->model, sizeof g->model, MODELS "/%s", ps_json_string(ps_json_get(root, "fixture")));
    snprintf(path, sizeof path, GOLDEN "/%s", ps_json_string(ps_json_get(root, "file")));
    must(ps_file_read(path, (size_t)1 << 26, &bytes, &n, &err) == 0, path, err.text);
    g->floats = (float *)(void *)bytes; /* little-endian, as every machine that this is built for */
    g->n_floats = n / sizeof(float);
    g->T = ps_json_count(ids);
    g->ids = malloc((g->T + 1) * sizeof *g->ids);
    size_t t = 0;
    for (const ps_node *id = ps_json_first(ids); id; id = ps_json_next(id))
        g->ids[t++] = (int32_t)ps_json_double(id);
}

static void close_golden(golden *g)
{
    ps_json_free(g->json);
    ps_free(g->floats);
    free(g->ids);
}

/* The numbers of the run that an array is compared with, and how many; NULL where the run has none. */
static const double *numbers_of(const ps_config *c, const oracle_run *run, const char *name, size_t *n)
{
    const char *slash = strchr(name, '/');

    if (!strcmp(name, "logits")) {
        *n = (size_t)c->vocab;
        return run->logits;
    }
    for (int tap = 1; tap < PS_N_TAPS; tap++) {
        int32_t layer = slash ? atoi(slash + 1) : 0;
        size_t length = slash ? (size_t)(slash - name) : strlen(name);
        bool same = names[tap] && strlen(names[tap]) == length && !strncmp(name, names[tap], length);
        if (!same && !(tap == PS_TAP_RESID_PRE && !strcmp(name, "embed")))
            continue;
        *n = run->T * oracle_width(c, tap);
        return run->tap[tap] && layer < c->n_layers ? oracle_at(c, run, tap, layer) : NULL;
    }
    return NULL;
}

/* Compare every array.  Counts, in bits of *seen, the taps that were compared. */
static void compare(golden *g, const ps_config *c, const oracle_run *run, const char *who, unsigned *seen)
{
    double most = 0;

    for (const ps_node *a = ps_json_first(g->arrays); a; a = ps_json_next(a)) {
        const char *name = ps_json_string(ps_json_get(a, "name"));
        size_t at = (size_t)ps_json_double(ps_json_get(a, "offset")), n = 0, product = 1;
        const double *numbers = numbers_of(c, run, name, &n);
        double off = 0;
        for (const ps_node *dim = ps_json_first(ps_json_get(a, "shape")); dim; dim = ps_json_next(dim))
            product *= (size_t)ps_json_double(dim);
        if (!numbers || n != product || at + n > g->n_floats) {
            printf("# %s has %s of %zu numbers, the run %zu\n", g->name, name, product, numbers ? n : 0);
            CHECK(!"an array of another shape");
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            double d = fabs(numbers[i] - g->floats[at + i]);
            off = d > off || isnan(d) ? d : off;
        }
        if (!(off <= TOLERANCE)) {
            printf("# %s on %s: %s is off by %g\n", g->name, who, name, off);
            CHECK(!"a tap that is off");
        }
        most = off > most ? off : most;
        g->n_arrays++;
        for (int tap = 1; tap < PS_N_TAPS; tap++)
            if (names[tap] && !strncmp(name, names[tap], strlen(names[tap])) && name[strlen(names[tap])] == '/')
                *seen |= 1u << tap;
    }
    printf("# %s on %s: within %.2g\n", g->name, who, most);
}

static void check_backend(golden *g, const ps_config *c, const char *backend_name)
{
    const ps_backend_needs needs = ps_forward_needs(c, PS_DTYPE_F32, 2, g->T, g->T);
    ps_backend *backend = NULL;
    ps_weights *weights = NULL;
    ps_err err = PS_ERR_INIT;
    oracle_run run;
    unsigned seen = 0;

    must(ps_backend_open(&backend, backend_name, &needs, &err) == 0, g->name, err.text);
    must(ps_weights_open(&weights, c, g->model, backend, &err) == 0, g->name, err.text);
    must(product_run(&run, c, weights, backend, g->ids, g->T, &err) == 0, g->name, err.text);
    compare(g, c, &run, backend_name, &seen);
    for (int tap = 1; tap < PS_N_TAPS; tap++) /* all that the family has */
        if (names[tap] && !(seen >> tap & 1) && tap != PS_TAP_RESID_PRE && oracle_width(c, tap)) {
            printf("# %s has no %s\n", g->name, names[tap]);
            CHECK(!"a tap that is not compared");
        }
    oracle_run_close(&run);
    if (!strcmp(backend_name, "ref")) {
        oracle o = oracle_open(c, weights, &backend->ops);
        run = oracle_run_open(c, g->T);
        oracle_forward(&o, g->ids, g->T, NULL, 0, NULL, &run, run.logits);
        compare(g, c, &run, "the oracle", &seen);
        oracle_run_close(&run);
        oracle_close(&o);
    }
    ps_weights_close(weights);
    ps_backend_close(backend);
}

static void taps_are_transformers(void)
{
    DIR *dir = opendir(GOLDEN);
    size_t n_files = 0, n_arrays = 0;

    must(dir != NULL, GOLDEN, "cannot be opened");
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name), tail = strlen(".taps.json");
        golden g;
        ps_config *c = NULL;
        ps_err err = PS_ERR_INIT;
        if (length <= tail || strcmp(entry->d_name + length - tail, ".taps.json"))
            continue;
        open_golden(&g, entry->d_name);
        if (!only || !strcmp(only, g.name)) {
            must(ps_config_read(&c, g.model, &err) == 0, g.name, err.text);
            check_backend(&g, c, "ref");
            check_backend(&g, c, "cpu");
            n_files++;
            n_arrays += g.n_arrays;
        }
        ps_config_free(c);
        close_golden(&g);
    }
    closedir(dir);
    printf("# %zu arrays of %zu files\n", n_arrays, n_files);
    CHECK(n_files > 0 && n_arrays > 0);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    RUN(taps_are_transformers);
    return check_done();
}
