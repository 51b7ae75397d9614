/* cmd_bench.c - measure this machine's rates, and predict the sweep rate for the shape of a model. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "opt.h"
#include "patchsweep/backend.h"
#include "patchsweep/comm.h"
#include "patchsweep/config.h"
#include "patchsweep/cores.h"
#include "patchsweep/cost.h"
#include "patchsweep/family.h"
#include "patchsweep/file.h"
#include "patchsweep/host.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/rate.h"
#include "patchsweep/text.h"
#include "patchsweep/trial.h"
#include "shape.h"

/* The matrix products that are timed.  The time of a sweep is predicted from those of its precision. */
enum product { FP32, FP32_OPENBLAS, BF16, N_PRODUCTS };
static const struct {
    const char *name, *backend;
    enum ps_dtype operand;
    bool sweeps; /* sweeps use it; else it is timed for comparison */
} products[N_PRODUCTS] = {
    [FP32] = {"fp32", "auto", PS_DTYPE_F32, true},
    [FP32_OPENBLAS] = {"fp32_openblas", "openblas", PS_DTYPE_F32, false},
    [BF16] = {"bf16", "auto", PS_DTYPE_BF16, true},
};

static const int rank_counts[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
#define N_RANK_COUNTS (sizeof rank_counts / sizeof *rank_counts)
#define MOST_RANKS 4096

typedef struct bench {
    const char *shape, *read;
    long tokens, first_difference, pairs;
    bool synthetic, json, no_disk, quick;
    int n_threads;
    ps_comm *comm; /* NULL if no sweep is run */
    /* measured; 0: not available */
    double flops[N_PRODUCTS], memory, disk, seconds[N_PRODUCTS];
    char words[N_PRODUCTS][256];
    /* counted */
    ps_config *config;
    ps_grid *grid;
    ps_cost cost;
    size_t n_cells, n_computed;
    double efficiency[N_RANK_COUNTS];
    int useful;
} bench;

/* ---- measuring ---- */

static int measure(bench *b, ps_err *err)
{
    for (int i = 0; i < N_PRODUCTS; i++) {
        ps_err none = PS_ERR_INIT;
        if (ps_rate_product(products[i].backend, products[i].operand, b->n_threads, b->quick,
                            &b->flops[i], b->words[i], &none) == 0)
            continue;
        if (none.code != PS_EINPUT) {
            *err = none;
            return -1;
        }
        snprintf(b->words[i], sizeof b->words[i], "%.200s", none.text); /* the reason why it is not available */
    }
    if (ps_rate_memory(b->n_threads, &b->memory, err) < 0)
        return -1;
    return b->no_disk ? 0 : ps_rate_file(b->read, &b->disk, err);
}

/* ---- a shape ---- */

static int count_plan(bench *b, ps_err *err)
{
    ps_plan *plan = NULL;

    for (size_t i = 0; i < N_RANK_COUNTS; i++) {
        if (ps_plan_build(&plan, b->grid, rank_counts[i], 1 << 30, NULL, err) < 0)
            return -1;
        b->efficiency[i] = plan->efficiency;
        if (i == 0) {
            b->cost = ps_cost_of(plan, b->grid, b->config);
            b->n_computed = plan->n_cells;
            b->n_cells = plan->n_cells + plan->n_free;
        }
        ps_plan_free(plan);
    }
    return ps_plan_useful_ranks(b->grid, 1 << 30, MOST_RANKS, &b->useful, err);
}

static int open_shape(bench *b, ps_err *err)
{
    char *path = NULL;
    int rc = ps_shape_find(&path, b->shape, err);

    if (rc == 0)
        rc = ps_config_read_file(&b->config, path, err);
    if (rc == 0)
        rc = ps_trial_grid(&b->grid, b->config, (int32_t)b->pairs, (int32_t)b->tokens,
                           (int32_t)b->first_difference, err);
    if (rc == 0)
        rc = count_plan(b, err);
    ps_free(path);
    return rc;
}

/* Collective.  Run the sweep in each precision that every rank's processor has. */
static int try_shape(bench *b, ps_err *err)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < N_PRODUCTS; i++)
        if (products[i].sweeps && ps_comm_min(b->comm, b->flops[i]) > 0)
            rc = ps_trial_run(b->config, b->grid, b->comm, products[i].operand, b->n_threads,
                              &b->seconds[i], err);
    return rc;
}

/* ---- words ---- */

/* 0.0123 s, 4.56 s, 12 min, 3.4 h */
static const char *duration(double seconds, char text[32])
{
    if (seconds < 300)
        snprintf(text, 32, "%.3g s", seconds);
    else if (seconds < 3 * 3600.0)
        snprintf(text, 32, "%.0f min", seconds / 60);
    else
        snprintf(text, 32, "%.1f h", seconds / 3600);
    return text;
}

static void print_machine(const bench *b)
{
    char from[200];

    ps_printable(from, sizeof from, b->read ? b->read : "a file made in this folder");
    printf("processor   %s, %d threads\n", ps_host_cpu(), b->n_threads);
    for (int i = 0; i < N_PRODUCTS; i++) {
        if (b->flops[i] > 0)
            printf("%-13s %8.0f GFLOP/s   %s\n", products[i].name, b->flops[i] / 1e9, b->words[i]);
        else
            printf("%-13s        -           %s\n", products[i].name, b->words[i]);
    }
    printf("memory        %8.1f GB/s\n", b->memory / 1e9);
    if (b->disk > 0)
        printf("disk          %8.2f GB/s      %s\n", b->disk / 1e9, from);
}

static void print_shape(const bench *b)
{
    const ps_config *c = b->config;
    double cells = (double)b->n_computed;
    char time[32], shape[200];

    ps_printable(shape, sizeof shape, b->shape);
    printf("\n%s: %s, %d layers, width %d, %.3g billion weights, %.3g GB in 16 bits", shape,
           c->family->model_type, (int)c->n_layers, (int)c->d_model, b->cost.parameters / 1e9, b->cost.parameters * 2e-9);
    if (b->disk > 0)
        printf(", %s to read", duration(b->cost.parameters * 2 / b->disk, time));
    printf("\n%ld pair%s of %ld tokens that differ from %ld on: %zu cells, %zu computed, %.4g TFLOP instead of %.4g\n\n",
           b->pairs, b->pairs == 1 ? "" : "s", b->tokens, b->first_difference, b->n_cells, b->n_computed,
           b->cost.flops / 1e12, b->cost.naive_flops / 1e12);
    printf("ranks  efficiency");
    for (int i = 0; i < N_PRODUCTS; i++)
        if (products[i].sweeps && b->flops[i] > 0)
            printf("  %9s    cells/s", products[i].name);
    printf("\n");
    for (size_t n = 0; n < N_RANK_COUNTS; n++) {
        printf("%5d  %10.4f", rank_counts[n], b->efficiency[n]);
        for (int i = 0; i < N_PRODUCTS; i++)
            if (products[i].sweeps && b->flops[i] > 0) {
                double seconds = b->cost.flops / b->flops[i] / rank_counts[n] / b->efficiency[n];
                printf("  %9s  %9.4g", duration(seconds, time), cells / seconds);
            }
        printf("\n");
    }
    printf("each rank as fast as this process; up to %d ranks work more than they wait; cells/s counts computed cells, "
           "as 'run' does\n", b->useful);
    for (int i = 0; i < N_PRODUCTS; i++)
        if (b->seconds[i] > 0)
            printf("run here with random weights, %s: %s, %.4g cells/s, %.3f of what the product rate allows\n",
                   products[i].name, duration(b->seconds[i], time), cells / b->seconds[i],
                   b->cost.flops / b->flops[i] / b->seconds[i]);
}

static void print_json(const bench *b)
{
    printf("{\"processor\": \"%s\", \"threads\": %d, \"products\": {", ps_host_cpu(), b->n_threads);
    const char *comma = "";
    for (int i = 0; i < N_PRODUCTS; i++)
        if (b->flops[i] > 0) {
            printf("%s\"%s\": {\"gflops\": %.4g, \"by\": \"%s\"}", comma, products[i].name, b->flops[i] / 1e9, b->words[i]);
            comma = ", ";
        }
    printf("}, \"memory_gbytes\": %.4g", b->memory / 1e9);
    if (b->disk > 0)
        printf(", \"disk_gbytes\": %.4g", b->disk / 1e9);
    if (b->config) {
        printf(", \"shape\": {\"weights\": %.0f, \"cells\": %zu, \"computed\": %zu, \"flops\": %.6g, \"naive_flops\": %.6g, "
               "\"useful_ranks\": %d, \"ranks\": {", b->cost.parameters, b->n_cells, b->n_computed, b->cost.flops,
               b->cost.naive_flops, b->useful);
        for (size_t n = 0; n < N_RANK_COUNTS; n++)
            printf("%s\"%d\": %.6f", n ? ", " : "", rank_counts[n], b->efficiency[n]);
        printf("}, \"synthetic_seconds\": {");
        comma = "";
        for (int i = 0; i < N_PRODUCTS; i++)
            if (b->seconds[i] > 0) {
                printf("%s\"%s\": %.6g", comma, products[i].name, b->seconds[i]);
                comma = ", ";
            }
        printf("}}");
    }
    printf("}\n");
}

/* ---- the command ---- */

static int bench_all(bench *b, ps_err *err)
{
    ps_cores cores;
    int rc = b->shape ? open_shape(b, err) : 0;

    if (rc == 0 && b->synthetic)
        rc = ps_comm_open(&b->comm, err);
    if (rc == 0)
        rc = ps_cores_take(&cores, b->comm, err);
    bool speaks = !b->comm || ps_comm_rank(b->comm) == 0;
    if (rc == 0) {
        b->n_threads = cores.threads;
        for (int i = 0; speaks && i < PS_CORES_ADVICE; i++)
            if (cores.advice[i][0])
                ps_warn("%s", cores.advice[i]);
        rc = measure(b, err);
    }
    if (b->comm)
        rc = ps_comm_agree(b->comm, err) < 0 ? -1 : try_shape(b, err);
    if (rc < 0 && speaks)
        ps_fail(err);
    else if (speaks && b->json)
        print_json(b);
    else if (speaks) {
        print_machine(b);
        if (b->shape)
            print_shape(b);
    }
    ps_grid_free(b->grid);
    ps_config_free(b->config);
    ps_comm_close(b->comm);
    return rc < 0 ? (int)err->code : 0;
}

int cmd_bench(int argc, char **argv)
{
    bench b = {.tokens = 28, .first_difference = 14, .pairs = 1};
    ps_err err = PS_ERR_INIT;
    int n_args = 0;
    const ps_opt opts[] = {
        {0, "shape", PS_OPT_STRING, &b.shape, "NAME",
         "count a sweep for this shape: a config.json, a model directory, or one of\n"
         "ours, which the message about an unknown name lists"},
        {0, "tokens", PS_OPT_INT, &b.tokens, "T", "tokens of its prompts (default 28)"},
        {0, "first-difference", PS_OPT_INT, &b.first_difference, "D", "first position at which the two prompts differ (default 14)"},
        {0, "pairs", PS_OPT_INT, &b.pairs, "N", "pairs of prompts (default 1)"},
        {0, "synthetic", PS_OPT_FLAG, &b.synthetic, NULL,
         "run that sweep too, with random weights; under mpirun, over its ranks"},
        {0, "read", PS_OPT_STRING, &b.read, "FILE", "time reading this file, past the page cache"},
        {0, "quick", PS_OPT_FLAG, &b.quick, NULL, "use small matrix products: faster and less exact"},
        {0, "no-disk", PS_OPT_FLAG, &b.no_disk, NULL, "do not time reading a file"},
        {0, "json", PS_OPT_FLAG, &b.json, NULL, "one JSON object instead of text"},
        {0, NULL, PS_OPT_FLAG, NULL, NULL, NULL},
    };
    const ps_usage usage = {
        "patchsweep bench [options]",
        "Time this machine's matrix products, memory and disk.  Predict the sweep rate for the\n"
        "shape of a model, to size a job before it is queued.",
        opts,
        "examples:\n"
        "  patchsweep bench --shape llama-3.3-70b\n"
        "  patchsweep bench --shape llama-3.2-1b --synthetic"};

    int rc = ps_opt_parse(&usage, argc, argv, &n_args, &err);
    if (rc == 0 && n_args)
        rc = ps_err_set(&err, PS_EINPUT, "bench takes no argument '%s'; see 'patchsweep bench --help'", argv[0]);
    if (rc == 0 && (b.pairs < 1 || b.pairs > 10000 || b.tokens < 1 || b.tokens > 100000))
        rc = ps_err_set(&err, PS_EINPUT, "--pairs is 1 to 10000, --tokens 1 to 100000");
    if (rc == 0 && b.synthetic && !b.shape)
        rc = ps_err_set(&err, PS_EINPUT, "--synthetic needs a shape; name one with --shape");
    if (rc)
        return rc > 0 ? 0 : ps_fail(&err);
    return bench_all(&b, &err);
}
