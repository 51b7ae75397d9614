/*
 * run.c - the story of a run.
 *
 *     prepare  rank 0 reads the job, the tokenizer and the config, checks every pair, shows them
 *     share    the others learn where the model is and what is swept
 *     load     every rank reads the weights, plans, and makes room
 *     sweep    wave by wave; rank 0 collects
 *     finish   rank 0 works out the scores and publishes the file
 *
 * Up to the end of load a failure on one rank becomes everyone's (ps_comm_agree); in the sweep it
 * prints its line and aborts the job, because the others are waiting in a broadcast.
 */
#include "patchsweep/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "patchsweep/backend.h"
#include "patchsweep/config.h"
#include "patchsweep/file.h"
#include "patchsweep/forward.h"
#include "patchsweep/host.h"
#include "patchsweep/hub.h"
#include "patchsweep/job.h"
#include "patchsweep/lock.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/plan.h"
#include "patchsweep/progress.h"
#include "patchsweep/tokenizer.h"
#include "patchsweep/wave.h"
#include "patchsweep/weights.h"
#include "report.h"
#include "scores.h"

#define LOCK_PATIENCE 15 /* seconds: a killed mpirun's ranks are gone by then */

typedef struct run {
    const ps_run_options *options;
    ps_comm *comm;
    int rank, size;
    double start, load_seconds, sweep_seconds;
    /* rank 0 */
    ps_job *job;
    ps_tokenizer *tokenizer;
    ps_pair *pairs;
    char *output, *part, *revision;
    ps_lock *lock;
    bool complete; /* the output holds this job's result already */
    ps_results *results;
    ps_scores scores;
    ps_progress progress;
    /* every rank */
    char *model_dir, *backend_name;
    ps_config *config;
    ps_weights *weights;
    ps_backend *backend;
    ps_grid *grid;
    int64_t max_rows; /* of a wave, over all ranks */
    ps_plan *plan;
    ps_wave *wave;
    double busy, idle;
} run;

/* ---- prepare: rank 0 ---- */

/* -o, or the job's output, or its name with .h5, in the current folder. */
static char *output_name(const run *r, ps_err *err)
{
    const char *base = strrchr(r->options->job, '/'), *dot;

    if (r->options->output || r->job->output)
        return ps_strdup(r->options->output ? r->options->output : r->job->output, err);
    base = base ? base + 1 : r->options->job;
    dot = strrchr(base, '.');
    size_t n = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    char *name = ps_malloc(n + sizeof ".h5", 1, err);
    if (name)
        snprintf(name, n + sizeof ".h5", "%.*s.h5", (int)n, base);
    return name;
}

/* A file that stands where the output goes: this job's result, or somebody's. */
static int check_output(run *r, ps_err *err)
{
    ps_result_file *file = NULL;
    ps_err ignored = PS_ERR_INIT;

    if (r->options->force || !ps_file_kind(r->output))
        return 0;
    if (ps_result_open(&file, r->output, &ignored) == 0) {
        char *text = ps_result_attr(file, "/", "job");
        r->complete = text && !strcmp(text, r->job->text);
        ps_free(text);
        ps_result_close(file);
    }
    if (r->complete)
        return 0;
    return ps_err_set(err, PS_EINPUT, "'%s' exists and is not a result of this job; name another "
                      "with -o, or use --force to replace it", r->output);
}

static bool needs_tokenizer(const ps_job *job)
{
    for (size_t i = 0; i < job->n_pairs; i++)
        if (job->pairs[i].prompt[PS_CLEAN].text || job->pairs[i].answer)
            return true;
    return false;
}

/* Needed where the job has text; welcome for labels where it has ids. */
static int open_tokenizer(run *r, ps_err *err)
{
    char *path = ps_path_join(r->model_dir, "tokenizer.json", err);
    bool needed = needs_tokenizer(r->job);
    int rc = 0;

    if (!path)
        return -1;
    if (needed || ps_file_kind(path) == 1) {
        rc = ps_tokenizer_open(&r->tokenizer, path, err);
        if (rc < 0 && !needed) {
            ps_warn("%s; tokens have no labels", err->text);
            *err = (ps_err)PS_ERR_INIT;
            rc = 0;
        }
    }
    ps_free(path);
    return rc;
}

static void show_pairs(const run *r)
{
    ps_text table = {0};

    if (r->options->quiet)
        return;
    ps_pairs_table(r->pairs, r->job->n_pairs, &table);
    fprintf(stderr, "%s", ps_text_str(&table));
    ps_text_release(&table);
}

static int prepare(run *r, ps_err *err)
{
    const ps_run_options *o = r->options;

    if (ps_job_read(&r->job, o->job, o->overrides, o->n_overrides, err) < 0)
        return -1;
    r->output = output_name(r, err);
    if (!r->output || check_output(r, err) < 0)
        return -1;
    if (r->complete)
        return 0;
    /* ... and once more, for a run that was waited for may have published it. */
    if (ps_lock_take(&r->lock, r->output, LOCK_PATIENCE, err) < 0 || check_output(r, err) < 0)
        return -1;
    if (r->complete)
        return 0;
    r->backend_name = ps_strdup(r->job->backend, err);
    if (!r->backend_name || ps_file_part_begin(&r->part, r->output, err) < 0 ||
        ps_hub_resolve(&r->model_dir, &r->revision, r->job->model, r->job->dir, err) < 0 ||
        ps_config_read(&r->config, r->model_dir, err) < 0 || open_tokenizer(r, err) < 0)
        return -1;
    if (ps_pairs_build(&r->pairs, r->job, r->tokenizer, r->config->vocab, err) < 0 ||
        ps_grid_build(&r->grid, r->job, r->pairs, r->config->n_layers, err) < 0)
        return ps_err_prefix(err, "job '%s'", o->job);
    show_pairs(r);
    return 0;
}

/* ---- share and load: every rank ---- */

/* Collective. */
static void share_string(run *r, char **s)
{
    size_t bytes = *s ? strlen(*s) + 1 : 0;

    ps_comm_bcast_block(r->comm, (void **)s, &bytes, 0);
}

/* Collective. */
static int share(run *r, ps_err *err)
{
    share_string(r, &r->model_dir);
    share_string(r, &r->backend_name);
    return ps_grid_bcast(&r->grid, r->comm, err);
}

static size_t panel_rows(const run *r)
{
    return r->options->panel_rows ? (size_t)r->options->panel_rows : PS_WAVE_PANEL_ROWS;
}

/* What this rank needs besides the rows of a wave: weights, and room for a panel. */
static uint64_t fixed_bytes(const run *r)
{
    return ps_weights_bytes(r->weights) +
           2 * ps_forward_bytes(r->config, panel_rows(r), (size_t)ps_grid_max_positions(r->grid));
}

/*
 * Collective.  r->max_rows: what a wave may have over all ranks, the tightest node deciding: `memory` is what a node's
 * ranks may still take, the weights that they have already taken not counted.
 */
static int affordable_rows(run *r, uint64_t memory, ps_err *err)
{
    double share = (double)memory / ps_comm_node_size(r->comm) - (double)fixed_bytes(r);
    double mine = share / (double)ps_wave_row_bytes(r->config) * r->size;
    double least = ps_comm_min(r->comm, mine);

    if (least >= ps_grid_max_positions(r->grid) * 4.0) {
        r->max_rows = least > 1e9 ? (int64_t)1e9 : (int64_t)least;
        return 0;
    }
    return ps_err_set(err, PS_EINPUT, "%.0f MiB of memory for the %d ranks of a node are too few: the weights and a "
                      "panel take %.0f MiB of each; start fewer ranks a node, or give more with --memory",
                      (double)memory / 0x1p20, ps_comm_node_size(r->comm),
                      (double)fixed_bytes(r) / 0x1p20);
}

static int load_model(run *r, ps_err *err)
{
    size_t T = (size_t)ps_grid_max_positions(r->grid);

    if (!r->config && ps_config_read(&r->config, r->model_dir, err) < 0)
        return -1;
    if ((int64_t)T > r->config->max_positions)
        ps_warn("a prompt of %zu tokens is longer than the %d the model was made for", T,
                (int)r->config->max_positions);
    const ps_backend_needs needs = ps_forward_needs(
        r->config, r->grid->precision == PS_BF16 ? PS_DTYPE_BF16 : PS_DTYPE_F32,
        ps_host_threads(ps_comm_node_size(r->comm)), panel_rows(r), T);
    if (ps_backend_open(&r->backend, r->backend_name, &needs, err) < 0)
        return -1;
    return ps_weights_open(&r->weights, r->config, r->model_dir, r->backend, err);
}

static int make_room(run *r, ps_err *err)
{
    if (ps_plan_build(&r->plan, r->grid, r->size, r->max_rows, false, err) < 0)
        return -1;
    return ps_wave_open(&r->wave, r->grid, r->plan, r->config, r->weights, r->backend, r->comm,
                        (size_t)r->options->panel_rows, err);
}

static int open_results(run *r, ps_err *err)
{
    char utc[21];
    ps_text history = {0};

    ps_utc(utc);
    ps_text_printf(&history, "%s %s", utc, r->options->command ? r->options->command : "patchsweep run");
    const ps_attr attrs[] = {
        {"title", "activation patching sweep", 0, false},
        {"history", ps_text_str(&history), 0, false},
        {"job", r->job->text, 0, false},
        {"model", r->job->model, 0, false},
        {"model_revision", r->revision, 0, false},
        {"model_config", r->config->text, 0, false},
        {"precision", ps_precisions[r->job->precision].name, 0, false},
        {"program_version", PS_VERSION, 0, false},
    };
    int rc = ps_text_ok(&history, err);
    if (rc == 0)
        rc = ps_results_create(&r->results, r->part, r->config->n_layers, r->config->d_model, attrs,
                               sizeof attrs / sizeof *attrs, err);
    ps_text_release(&history);
    for (size_t i = 0; i < r->job->n_pairs && rc == 0; i++)
        rc = ps_results_add_pair(r->results, &r->pairs[i], NULL, 0, err);
    return rc < 0 ? -1 : ps_scores_init(&r->scores, r->grid, err);
}

static void describe(const run *r)
{
    if (ps_backend_advice(r->backend))
        ps_warn("%s", ps_backend_advice(r->backend));
    ps_info("%s, %d layers, width %d, %.2f GB of weights loaded in %.2f s", r->config->family->model_type,
            (int)r->config->n_layers, (int)r->config->d_model,
            (double)ps_weights_bytes(r->weights) / 1e9, r->load_seconds);
    ps_info("%zu cells to compute, %zu free, in %zu waves; %.4g token-layers; %d ranks, plan's efficiency %.3f",
            r->plan->n_cells, r->plan->n_free, r->plan->n_waves, (double)r->plan->work, r->size,
            r->plan->efficiency);
}

/* More ranks than there is work for: say how many there is work for. */
static int advise_ranks(const run *r, ps_err *err)
{
    int useful;

    if (r->plan->efficiency >= PS_PLAN_USEFUL || r->size == 1)
        return 0;
    if (ps_plan_useful_ranks(r->grid, r->max_rows, r->size, &useful, err) < 0)
        return -1;
    ps_warn("%d ranks wait for each other more than they work; this job has work for %d", r->size, useful);
    return 0;
}

/* ---- sweep ---- */

static int take_activations(void *context, int32_t pair, enum ps_which which, int32_t layer,
                            int32_t first, int32_t n, const float *rows, ps_err *err)
{
    run *r = context;

    return ps_results_put_activations(r->results, &r->pairs[pair], which, r->job->activation_dtype,
                                      layer, first, n, rows, err);
}

static void take_progress(void *context, int64_t token_layers)
{
    run *r = context;

    if (r->rank == 0)
        ps_progress_add(&r->progress, token_layers);
}

/* One rank's cells of a wave, as they travel: values, then final rows where they are kept. */
typedef struct harvest {
    run *run;
    const ps_plan_wave *wave;
} harvest;

static int take_cells(void *context, int rank, const void *block, size_t bytes, ps_err *err)
{
    const harvest *h = context;
    run *r = h->run;
    size_t d = (size_t)r->config->d_model, n = 0, i;
    const double (*values)[PS_N_METRICS] = block;

    for (i = h->wave->first_cell; i < h->wave->first_cell + h->wave->n_cells; i++)
        n += r->plan->owner[i] == rank;
    const float *final = (const float *)(const void *)(values + n);
    if (bytes != n * sizeof *values + (r->grid->patched_final ? n * d * sizeof *final : 0))
        return ps_err_set(err, PS_EFAIL, "rank %d sent %zu bytes for %zu cells", rank, bytes, n);
    for (i = h->wave->first_cell; i < h->wave->first_cell + h->wave->n_cells; i++) {
        const ps_cell *cell = &r->plan->cells[i];
        if (r->plan->owner[i] != rank)
            continue;
        ps_scores_put(&r->scores, cell, *values++);
        if (r->grid->patched_final &&
            ps_results_put_final(r->results, &r->pairs[cell->pair], (enum ps_site)cell->site,
                                 (enum ps_direction)cell->direction, cell->layer, cell->position,
                                 final, err) < 0)
            return -1;
        final += d;
    }
    return 0;
}

/* Collective. */
static int collect(run *r, const ps_plan_wave *wave, const ps_wave_values *v, ps_err *err)
{
    harvest h = {r, wave};
    size_t values = v->n_cells * sizeof *v->cells;
    size_t finals = r->grid->patched_final ? v->n_cells * (size_t)r->config->d_model * sizeof(float) : 0;
    char *block = ps_malloc(values + finals, 1, err);

    if (!block)
        return -1;
    memcpy(block, v->cells, values);
    memcpy(block + values, v->finals, finals);
    int rc = ps_comm_gather(r->comm, block, values + finals, take_cells, &h, err);
    ps_free(block);
    return rc;
}

/* The final rows of cells that were not computed are a base run's. */
typedef struct free_finals {
    run *run;
    const float *base; /* [2, d_model] */
    ps_err *err;
} free_finals;

static int put_free_final(void *context, const ps_cell *cell)
{
    const free_finals *f = context;
    enum ps_which which;

    if (ps_grid_known(f->run->grid, cell, &which) == PS_LIVE)
        return 0;
    return ps_results_put_final(f->run->results, &f->run->pairs[cell->pair],
                                (enum ps_site)cell->site, (enum ps_direction)cell->direction,
                                cell->layer, cell->position,
                                f->base + (size_t)which * (size_t)f->run->config->d_model, f->err);
}

/* Rank 0: the baselines of pairs that this wave was the first to run. */
static int take_baselines(run *r, const ps_plan_wave *wave, const ps_wave_values *v, ps_err *err)
{
    for (int32_t i = 0; i < wave->n_pairs; i++) {
        int32_t pair = wave->first_pair + i;
        ps_baseline *base = r->scores.base[pair];
        if (base[PS_CLEAN].done)
            continue;
        for (int which = 0; which < PS_N_WHICH; which++) {
            memcpy(base[which].values, v->base[2 * i + which], sizeof base[which].values);
            base[which].readout = v->base_readouts[2 * i + which];
            base[which].done = true;
        }
        ps_report_pair(&r->pairs[pair], base, r->job->score, r->tokenizer);
        fflush(stdout);
        free_finals f = {r, v->base_finals + (size_t)(2 * i) * (size_t)r->config->d_model, err};
        if (ps_report_attrs(r->results, &r->pairs[pair], base, r->tokenizer, err) < 0 ||
            (r->grid->patched_final && ps_grid_each_of_pair(r->grid, pair, put_free_final, &f) < 0))
            return -1;
    }
    return 0;
}

/* Collective. */
static int sweep(run *r, ps_err *err)
{
    ps_wave_sink sink = {r, r->grid->activations && r->rank == 0 ? take_activations : NULL,
                         take_progress};
    double start = ps_seconds();

    for (size_t i = 0; i < r->plan->n_waves; i++) {
        ps_wave_values values;
        if (ps_wave_run(r->wave, i, &sink, &values, err) < 0)
            return -1;
        r->busy += values.busy_seconds;
        r->idle += values.idle_seconds;
        if ((r->rank == 0 && take_baselines(r, &r->plan->waves[i], &values, err) < 0) ||
            collect(r, &r->plan->waves[i], &values, err) < 0)
            return -1;
    }
    r->sweep_seconds = ps_seconds() - start;
    return 0;
}

/* ---- finish ---- */

typedef struct rank_report {
    double busy, idle;
    char host[64];
} rank_report;

typedef struct rank_table {
    double *busy, *idle; /* [size] */
    ps_text hosts;
} rank_table;

static int take_rank(void *context, int rank, const void *block, size_t bytes, ps_err *err)
{
    rank_table *table = context;
    rank_report report;

    (void)err;
    memcpy(&report, block, bytes < sizeof report ? bytes : sizeof report);
    table->busy[rank] = report.busy;
    table->idle[rank] = report.idle;
    ps_text_printf(&table->hosts, "%s%s", rank ? " " : "", report.host);
    return 0;
}

static int write_run(run *r, rank_table *table, ps_err *err)
{
    const ps_attr attrs[] = {
        {"ranks", NULL, r->size, true},
        {"threads", NULL, r->backend->n_threads, true},
        {"hosts", ps_text_str(&table->hosts), 0, false},
        {"processor", ps_host_cpu(), 0, false},
        {"backend", r->backend->ops.name, 0, false},
        {"products", ps_backend_describe(r->backend), 0, false},
        {"same_bits", NULL, r->backend->same_bits, true},
        {"mpi", ps_comm_library(r->comm), 0, false},
        {"waves", NULL, (double)r->plan->n_waves, true},
        {"cells_computed", NULL, (double)r->plan->n_cells, true},
        {"cells_free", NULL, (double)r->plan->n_free, true},
        {"token_layers", NULL, (double)r->plan->work, true},
        {"plan_efficiency", NULL, r->plan->efficiency, false},
    };
    const ps_attr times[] = {
        {"sweep_seconds", NULL, r->sweep_seconds, false},
        {"load_seconds", NULL, r->load_seconds, false},
        {"total_seconds", NULL, ps_seconds() - r->start, false},
    };

    if (ps_results_put_attrs(r->results, "/run", attrs, sizeof attrs / sizeof *attrs, err) < 0 ||
        ps_results_put_ranks(r->results, "busy_seconds", "seconds computing", table->busy,
                             (size_t)r->size, err) < 0 ||
        ps_results_put_ranks(r->results, "idle_seconds", "seconds waiting for other ranks",
                             table->idle, (size_t)r->size, err) < 0)
        return -1;
    return ps_results_put_attrs(r->results, "/", times, sizeof times / sizeof *times, err);
}

/* Collective. */
static int gather_ranks(run *r, ps_err *err)
{
    rank_report mine = {.busy = r->busy, .idle = r->idle};
    rank_table table = {ps_malloc((size_t)r->size, sizeof(double), err),
                        ps_malloc((size_t)r->size, sizeof(double), err), {0}};
    int rc = -1;

    snprintf(mine.host, sizeof mine.host, "%s", ps_comm_host(r->comm));
    if (table.busy && table.idle)
        rc = ps_comm_gather(r->comm, &mine, sizeof mine, take_rank, &table, err);
    if (rc == 0 && r->rank == 0)
        rc = write_run(r, &table, err);
    ps_free(table.busy);
    ps_free(table.idle);
    ps_text_release(&table.hosts);
    return rc;
}

static int write_scores(run *r, ps_err *err)
{
    ps_scores_fill_free(&r->scores);
    for (int32_t i = 0; i < r->grid->n_pairs; i++)
        for (int site = 0; site < PS_N_SITES; site++)
            for (int dir = 0; dir < PS_N_DIRECTIONS; dir++) {
                if (!ps_grid_asks(r->grid, site, dir))
                    continue;
                ps_score_range range = ps_scores_compute(&r->scores, i, (enum ps_site)site,
                                                         (enum ps_direction)dir, r->job->score);
                if (ps_scores_write(&r->scores, r->results, &r->pairs[i], i, (enum ps_site)site,
                                    (enum ps_direction)dir, err) < 0)
                    return -1;
                ps_report_scores(&r->pairs[i], (enum ps_site)site, (enum ps_direction)dir,
                                 r->grid->n_layers, &range);
            }
    return 0;
}

/* Rank 0. */
static int publish(run *r, ps_err *err)
{
    ps_results *results = r->results;

    if (ps_results_seal(results, err) < 0)
        return ps_err_prefix(err, "result '%s'", r->output);
    r->results = NULL;
    if (ps_results_close(results, err) < 0 || ps_file_part_commit(r->part, r->output, err) < 0)
        return ps_err_prefix(err, "result '%s'", r->output);
    ps_info("wrote '%s'", r->output);
    return 0;
}

/* ---- the whole ---- */

static void release(run *r)
{
    ps_err ignored = PS_ERR_INIT;

    ps_results_close(r->results, &ignored);
    if (r->part)
        unlink(r->part); /* published under its own name, or of no use */
    ps_lock_release(r->lock);
    ps_wave_close(r->wave);
    ps_plan_free(r->plan);
    ps_scores_release(&r->scores);
    ps_grid_free(r->grid);
    ps_backend_close(r->backend);
    ps_weights_close(r->weights);
    ps_config_free(r->config);
    ps_pairs_free(r->pairs, r->job ? r->job->n_pairs : 0);
    ps_tokenizer_close(r->tokenizer);
    ps_job_free(r->job);
    ps_free(r->output);
    ps_free(r->part);
    ps_free(r->revision);
    ps_free(r->model_dir);
    ps_free(r->backend_name);
}

/* Collective.  Everything that may fail without anyone waiting. */
static int start(run *r, ps_err *err)
{
    if (r->rank == 0)
        prepare(r, err);
    if (ps_comm_agree(r->comm, err) < 0)
        return -1;
    ps_comm_bcast(r->comm, &r->complete, sizeof r->complete, 0);
    if (r->complete)
        return 0;
    uint64_t memory = ps_host_memory();
    share(r, err);
    if (ps_comm_agree(r->comm, err) < 0)
        return -1;
    load_model(r, err);
    if (ps_comm_agree(r->comm, err) < 0)
        return -1;
    affordable_rows(r, r->options->memory ? r->options->memory : memory / 10 * 8, err);
    if (ps_comm_agree(r->comm, err) < 0)
        return -1;
    if (make_room(r, err) == 0 && r->rank == 0 && advise_ranks(r, err) == 0)
        open_results(r, err);
    return ps_comm_agree(r->comm, err);
}

/* Collective.  Past the start: a failure here ends all ranks. */
static int work(run *r, ps_err *err)
{
    r->load_seconds = ps_seconds() - r->start;
    if (r->rank == 0) {
        describe(r);
        int64_t share = r->plan->work / r->size;
        ps_progress_begin(&r->progress, "sweep", share, r->size, (int64_t)r->plan->n_cells,
                          r->options->quiet);
    }
    if (sweep(r, err) < 0)
        return -1;
    if (r->rank == 0)
        ps_progress_end(&r->progress);
    if (r->rank == 0 && write_scores(r, err) < 0)
        return -1;
    if (gather_ranks(r, err) < 0)
        return -1;
    return r->rank == 0 ? publish(r, err) : 0;
}

int ps_run(const ps_run_options *options, ps_comm *comm, ps_err *err)
{
    run r = {.options = options, .comm = comm, .rank = ps_comm_rank(comm),
             .size = ps_comm_size(comm), .start = ps_seconds()};
    int rc = start(&r, err);

    if (rc == 0 && r.complete && r.rank == 0)
        ps_info("'%s' holds this job's result already; --force to run it again", r.output);
    if (rc == 0 && !r.complete && work(&r, err) < 0) {
        ps_error("%s", err->text);
        if (r.part)
            unlink(r.part);
        ps_lock_release(r.lock);
        ps_comm_abort(comm, err->code);
    }
    release(&r);
    return rc;
}
