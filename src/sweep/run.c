/*
 * run.c - the story of a run.
 *
 *     prepare  rank 0 reads the job, the tokenizer and the config, checks every pair, and what an earlier run has left
 *     share    the other ranks learn where the model is, what is swept, and which cells are done
 *     load     every rank plans waves for which there is memory, reads the weights, and makes room
 *     sweep    wave by wave; rank 0 collects, and keeps the journal
 *     publish  rank 0 works out the scores and writes the file; weights and waves are freed before
 *
 * Up to the end of load a failure on one rank becomes everyone's (ps_comm_agree); in the sweep it
 * prints its line and aborts the job, because the others are waiting in a broadcast.  What was finished by then is in the
 * journal, and the same command line resumes from there.
 */
#include "patchsweep/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brief.h"
#include "budget.h"
#include "harvest.h"
#include "ledger.h"
#include "patchsweep/backend.h"
#include "patchsweep/family.h"
#include "patchsweep/build.h"
#include "patchsweep/cores.h"
#include "patchsweep/forward.h"
#include "patchsweep/host.h"
#include "patchsweep/journal.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/plan.h"
#include "patchsweep/progress.h"
#include "patchsweep/stop.h"
#include "patchsweep/wave.h"
#include "patchsweep/weights.h"
#include "publish.h"
#include "report.h"
#include "rows_dir.h"
#include "same.h"
#include "session.h"
#include "snapshot.h"
#include "verdict.h"
#include "watch.h"

typedef struct run {
    const ps_run_options *options;
    ps_comm *comm;
    int rank, size;
    ps_cores cores;
    double start, load_seconds, sweep_seconds;
    ps_brief brief; /* whole on rank 0 */
    /* rank 0 */
    ps_text history;
    ps_verdict verdict;
    ps_ledger *ledger;
    ps_watch watch;
    ps_progress progress;
    /* every rank */
    ps_weights *weights;
    ps_backend *backend;
    ps_cellset *done, *flight; /* done: on rank 0 the ledger's; flight: NULL where nothing is */
    ps_snapshot *snapshot;
    int generation;   /* of the last good snapshot */
    int64_t max_rows; /* of a wave, over all ranks */
    ps_plan *plan;
    ps_wave *wave;
    size_t at_wave;
    bool same_bits;   /* rank 0: all ranks compute the same bits */
    bool saved;       /* rank 0: rows of the wave in hand are in a snapshot */
    bool computed;    /* all cells, by earlier runs: only the result is to be written, and no weights are loaded */
    bool heard;       /* rank 0: a signal to stop was noticed */
    double busy, idle;
} run;

/* ---- share and load: every rank ---- */

/* Collective. */
static void share_string(run *r, char **s)
{
    size_t bytes = *s ? strlen(*s) + 1 : 0;
    void *block = *s;

    ps_comm_bcast_block(r->comm, &block, &bytes, 0);
    *s = block;
}

/* Collective.  Share which cells are done; rank 0 knows from the ledger. */
static int share_done(run *r, ps_err *err)
{
    if (r->rank == 0)
        r->done = ps_ledger_done(r->ledger);
    else
        ps_cellset_open(&r->done, r->brief.grid, err);
    if (ps_comm_agree(r->comm, err) < 0)
        return -1;
    ps_cellset_bcast(r->done, r->comm);
    return 0;
}

/* Collective.  The last snapshot that all ranks can read; none is no failure. */
static int find_snapshot(run *r, ps_err *err)
{
    for (int i = 0; i < PS_GENERATIONS && !r->snapshot; i++) {
        const ps_snapshot_part *parts = NULL;
        ps_snapshot_id id = {.n_parts = 0};
        ps_err why = PS_ERR_INIT;
        if (r->rank == 0)
            id = *ps_ledger_snapshot(r->ledger, i, &parts);
        ps_comm_bcast(r->comm, &id, sizeof id, 0);
        if (!id.n_parts)
            continue;
        if (ps_snapshot_open(&r->snapshot, r->brief.rows_dir, &id, parts, r->brief.grid,
                             (size_t)r->brief.config->d_model, r->comm, &why) < 0 && r->rank == 0)
            ps_warn("a wave's rows before layer %d cannot be used: %s", (int)id.layer, why.text);
    }
    if (r->snapshot && ps_cellset_open(&r->flight, r->brief.grid, err) == 0) {
        ps_snapshot_cells(r->snapshot, r->flight);
        r->generation = ps_snapshot_generation(r->snapshot); /* the next save overwrites the other one */
    }
    return ps_comm_agree(r->comm, err);
}

/* Collective. */
static int share(run *r, ps_err *err)
{
    share_string(r, &r->brief.rows_dir);
    share_string(r, &r->brief.model_dir);
    share_string(r, &r->brief.backend_name);
    if (ps_same_files(r->comm, r->brief.model_dir, err) < 0)
        return -1;
    if (!r->brief.config)
        ps_config_read(&r->brief.config, r->brief.model_dir, err);
    if (ps_comm_agree(r->comm, err) < 0)
        return -1;
    ps_grid_bcast(&r->brief.grid, r->brief.config->family->layer, r->comm, err);
    if (ps_comm_agree(r->comm, err) < 0 || share_done(r, err) < 0)
        return -1;
    return find_snapshot(r, err);
}

static size_t max_positions(const run *r)
{
    return (size_t)ps_grid_max_positions(r->brief.grid);
}

/* Open the backend.  It gets room for panels later: their size depends on the plan. */
static int open_backend(run *r, ps_err *err)
{
    size_t T = max_positions(r);

    if (ps_forward_check_positions(r->brief.config, T, err) < 0)
        return -1;
    if ((int64_t)T > r->brief.config->max_positions)
        ps_warn("a prompt of %zu tokens is longer than the %d the model was made for", T,
                (int)r->brief.config->max_positions);
    const ps_backend_needs needs = ps_forward_needs(
        r->brief.config, r->brief.grid->precision == PS_BF16 ? PS_DTYPE_BF16 : PS_DTYPE_F32,
        r->cores.threads, 0, T);
    return ps_backend_open(&r->backend, r->brief.backend_name, &needs, err);
}

/* Collective.  Plan waves for which there is memory, before anything large is allocated or read. */
static int make_plan(run *r, ps_err *err)
{
    const ps_budget budget = {
        .grid = r->brief.grid, .config = r->brief.config, .model_dir = r->brief.model_dir, .backend = r->backend,
        .comm = r->comm, .memory = r->options->memory, .wave_rows = r->options->wave_rows,
        .panel_rows = (size_t)r->options->panel_rows,
        .plan = {.checks = true, .done = r->done, .flight = r->flight,
                 .layer = r->snapshot ? ps_snapshot_layer(r->snapshot) : 0}};

    return ps_budget_plan(&r->plan, &r->max_rows, &budget, err);
}

static int load_model(run *r, ps_err *err)
{
    size_t rows = ps_wave_panel_rows(r->brief.grid, r->plan, r->rank, (size_t)r->options->panel_rows);
    const ps_backend_needs needs = ps_forward_needs(r->brief.config, r->backend->operand, r->backend->n_threads, rows,
                                                    max_positions(r));

    if (ps_backend_fit(r->backend, &needs, err) < 0)
        return -1;
    return ps_weights_open(&r->weights, r->brief.config, r->brief.model_dir, r->backend, err);
}

static int make_room(run *r, ps_err *err)
{
    const ps_wave_model model = {r->brief.config, r->weights, r->backend};

    return ps_wave_open(&r->wave, r->brief.grid, r->plan, &model, r->comm, (size_t)r->options->panel_rows, err);
}

/* Collective.  Do all ranks compute the same bits?  On one kind of processor, with products that promise it. */
static void compare_machines(run *r)
{
    char machine[512];

    snprintf(machine, sizeof machine, "%d %s, %s", r->backend->same_bits, ps_host_cpu(), ps_backend_describe(r->backend));
    r->same_bits = ps_same_text(r->comm, machine) && r->backend->same_bits;
}

/* Rank 0: from here on there is something to lose. */
static int begin_ledger(run *r, ps_err *err)
{
    const char *before = ps_ledger_sessions(r->ledger);
    ps_text session = {0}, machine = {0};
    ps_err why = PS_ERR_INIT;

    ps_text_printf(&machine, "%s, %s", ps_host_cpu(), ps_backend_describe(r->backend));
    ps_session_warn(before, ps_build_describe(), ps_text_str(&machine));
    ps_session_write(&session, r->options->command, ps_build_describe(), ps_text_str(&machine));
    ps_text_printf(&r->history, "%s%s%s", before, *before ? "\n" : "", ps_text_str(&session));
    int rc = ps_text_ok(&session, err) < 0 || ps_text_ok(&r->history, err) < 0
                 ? -1
                 : ps_ledger_begin(r->ledger, r->computed ? NULL : ps_weights_sums(r->weights), ps_text_str(&session), err);
    ps_text_release(&session);
    ps_text_release(&machine);
    if (rc == 0 && ps_rows_dir_make(r->brief.rows_dir, &why) < 0)
        ps_warn("%s; rows in flight may be lost", why.text);
    return rc;
}

/* Report which cells an earlier run finished, and which wave resumes at which layer. */
static void describe_resumed(const run *r)
{
    size_t n = 0;

    for (size_t w = 0; w < r->plan->n_waves; w++)
        for (size_t i = 0; r->plan->waves[w].start > 0 && i < r->plan->waves[w].n_cells; i++)
            n += r->plan->cells[r->plan->waves[w].first_cell + i].check == PS_NO_CHECK;
    if (n)
        ps_info("resuming from '%s': %zu cells are done, %zu under way before layer %d", r->brief.journal,
                ps_cellset_count(r->done), n, (int)ps_snapshot_layer(r->snapshot));
    else
        ps_info("resuming from '%s': %zu cells are done", r->brief.journal, ps_cellset_count(r->done));
}

static void describe(const run *r)
{
    ps_session_describe(&r->cores, r->backend, r->same_bits);
    if (r->weights)
        ps_info("%s, %d layers, width %d, %.2f GB of weights loaded in %.2f s", r->brief.config->family->model_type,
                (int)r->brief.config->n_layers, (int)r->brief.config->d_model,
                (double)ps_weights_bytes(r->weights) / 1e9, r->load_seconds);
    if (*ps_ledger_sessions(r->ledger))
        describe_resumed(r);
    ps_info("%zu cells to compute, %zu free, in %zu waves; %.4g token-layers; %d ranks, plan's efficiency %.3f",
            r->plan->n_cells - r->plan->n_checks, r->plan->n_free, r->plan->n_waves, (double)r->plan->work, r->size,
            r->plan->efficiency);
    for (int32_t pair = 0; pair < r->brief.grid->n_pairs; pair++)
        if (ps_cellset_has_pair(r->done, pair))
            ps_report_pair(&r->brief.pairs[pair], ps_ledger_scores(r->ledger)->base[pair], r->brief.job->score,
                           r->brief.tokenizer);
}

/* More ranks than there is work for: say how many there is work for. */
static int advise_ranks(const run *r, ps_err *err)
{
    int useful;

    if (r->plan->efficiency >= PS_PLAN_USEFUL || r->size == 1)
        return 0;
    if (ps_plan_useful_ranks(r->brief.grid, r->max_rows, r->size, &useful, err) < 0)
        return -1;
    ps_warn("%d ranks wait for each other more than they work; this job has work for %d", r->size, useful);
    return 0;
}

/* ---- sweep ---- */

/* Pairs whose base runs are done have theirs in the journal. */
static int take_activations(void *context, const ps_activations *states, ps_err *err)
{
    run *r = context;

    if (ps_cellset_has_pair(r->done, states->pair))
        return 0;
    return ps_ledger_add_activations(r->ledger, states, err);
}

static void take_progress(void *context, int64_t token_layers)
{
    run *r = context;

    if (r->rank != 0)
        return;
    ps_progress_add(&r->progress, token_layers);
    if (ps_stop_signal() && !r->heard)
        ps_info("%s: stopping before the next layer; another signal stops at once", ps_stop_name(ps_stop_signal()));
    r->heard = ps_stop_signal();
}

static unsigned say_word(void *context, int32_t layer)
{
    run *r = context;

    const ps_plan_wave *wave = &r->plan->waves[r->at_wave];

    return ps_watch_word(&r->watch, wave->n_cells > 0 && layer > wave->start);
}

/* The files that the next snapshot may overwrite: not the last good ones, nor those that a later wave resumes from. */
static int next_generation(const run *r)
{
    const ps_plan_wave *next = &r->plan->waves[r->at_wave + 1];
    bool needed = r->at_wave + 1 < r->plan->n_waves && next->start > 0;

    return !(needed ? ps_snapshot_generation(r->snapshot) : r->generation);
}

/*
 * Collective.  Save the rows in flight.  A snapshot that cannot be written is a warning, and the one before it stays the
 * last good one; a journal that cannot be written is a failure.
 */
static int save(void *context, int32_t layer, const ps_rows *rows, size_t n, ps_err *err)
{
    run *r = context;
    ps_snapshot_id id = {.generation = next_generation(r), .layer = layer, .n_parts = r->size,
                         .n_cells = (int32_t)r->plan->waves[r->at_wave].n_cells};
    ps_snapshot_part *parts = NULL;
    ps_err why = PS_ERR_INIT;
    double began = ps_seconds();

    int rc = ps_snapshot_save(&id, &parts, r->brief.rows_dir, rows, n, (size_t)r->brief.config->d_model, r->comm, &why);
    if (rc == 0)
        r->generation = id.generation;
    if (r->rank != 0)
        return 0;
    if (rc < 0)
        ps_warn("rows in flight are not saved: %s", why.text);
    else
        rc = ps_ledger_add_snapshot(r->ledger, &id, parts, err);
    ps_free(parts);
    r->saved = r->saved || rc == 0;
    ps_watch_safe(&r->watch, ps_seconds() - began);
    return why.code ? 0 : rc;
}

static int restore(void *context, ps_rows *rows, size_t n, ps_err *err)
{
    run *r = context;

    return ps_snapshot_load(r->snapshot, rows, n, err);
}

/* Rank 0: the baselines of pairs that this wave was the first to run. */
static int take_baselines(run *r, const ps_plan_wave *wave, const ps_wave_values *v, ps_err *err)
{
    for (int32_t i = 0; i < wave->n_pairs; i++) {
        int32_t pair = wave->first_pair + i;
        ps_baseline base[PS_N_WHICH];
        if (ps_cellset_has_pair(r->done, pair))
            continue;
        for (int which = 0; which < PS_N_WHICH; which++) {
            memcpy(base[which].values, v->base[2 * i + which], sizeof base[which].values);
            base[which].readout = v->base_readouts[2 * i + which];
        }
        ps_report_pair(&r->brief.pairs[pair], base, r->brief.job->score, r->brief.tokenizer);
        fflush(stdout);
        if (ps_ledger_add_baseline(r->ledger, pair, base,
                                   v->base_finals + (size_t)(2 * i) * (size_t)r->brief.config->d_model, err) < 0)
            return -1;
    }
    return 0;
}

/* Collective.  The cell that every rank has computed: a rank that differs is named at once, for a sweep may take hours. */
static int compare_ranks(run *r, const ps_wave_values *v, ps_err *err)
{
    double limit = r->same_bits ? 0 : ps_check_limit(r->brief.grid, v->base_readouts[PS_CORRUPT].largest);
    ps_agreement agreement;

    if (r->size == 1)
        return 0;
    if (ps_same_values(r->comm, r->brief.grid, &v->shared_cell, v->shared, limit, &agreement, err) < 0)
        return -1;
    if (r->rank != 0)
        return 0;
    if (agreement.odd >= 0 && !ps_ledger_checks(r->ledger)->odd.n_ranks)
        ps_warn("rank %d on %s does not compute the same values as the other ranks", (int)agreement.odd, agreement.host);
    return ps_ledger_add_agreement(r->ledger, &agreement, err);
}

/* Collective.  A wave's outcome, into the journal. */
static int keep(run *r, const ps_plan_wave *wave, const ps_wave_values *v, ps_err *err)
{
    const ps_harvest harvest = {.comm = r->comm, .grid = r->brief.grid, .plan = r->plan,
                                .d_model = (size_t)r->brief.config->d_model, .ledger = r->ledger};

    if ((r->rank == 0 && take_baselines(r, wave, v, err) < 0) || ps_harvest_cells(&harvest, wave, v, err) < 0 ||
        compare_ranks(r, v, err) < 0)
        return -1;
    if (r->rank != 0)
        return 0;
    ps_watch_safe(&r->watch, 0);
    return ps_ledger_sync(r->ledger, err);
}

/* Told to stop: what there is by then. */
static int stopped(const run *r, ps_err *err)
{
    if (r->rank == 0)
        ps_info("stopped by %s in wave %zu of %zu: %zu cells are done%s; run the same command line again%s to resume",
                r->watch.why, r->at_wave + 1, r->plan->n_waves, ps_cellset_count(r->done),
                r->saved ? ", the rows in flight are saved" : "", r->options->force ? " without --force" : "");
    return ps_err_set(err, PS_ESTOPPED, "stopped");
}

/* Collective. */
static int sweep(run *r, ps_err *err)
{
    ps_wave_sink sink = {.context = r, .progress = take_progress, .save = save, .restore = restore};
    double start = ps_seconds();

    if (r->rank == 0) {
        sink.activations = r->brief.grid->activations ? take_activations : NULL;
        sink.command = say_word;
    }
    for (r->at_wave = 0; r->at_wave < r->plan->n_waves; r->at_wave++) {
        ps_wave_values values;
        r->saved = r->plan->waves[r->at_wave].start > 0;
        if (ps_wave_run(r->wave, r->at_wave, &sink, &values, err) < 0)
            return -1;
        if (values.stopped)
            return stopped(r, err);
        r->busy += values.busy_seconds;
        r->idle += values.idle_seconds;
        if (keep(r, &r->plan->waves[r->at_wave], &values, err) < 0)
            return -1;
    }
    r->sweep_seconds = ps_seconds() - start;
    return 0;
}

/* ---- finish ---- */

typedef struct rank_report {
    double busy, idle, peak; /* peak: bytes */
    char host[64];
} rank_report;

typedef struct rank_table {
    double *busy, *idle, *peak; /* [size] */
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
    table->peak[rank] = report.peak;
    ps_text_printf(&table->hosts, "%s%s", rank ? " " : "", report.host);
    return 0;
}

static int write_result(run *r, rank_table *table, ps_err *err)
{
    const ps_checks *checks = ps_ledger_checks(r->ledger);
    ps_cell at;
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
        {"cells_computed", NULL, (double)ps_cellset_count(r->done), true},
        {"cells_free", NULL, (double)r->plan->n_free, true},
        {"token_layers", NULL, (double)r->plan->work, true},
        {"plan_efficiency", NULL, r->plan->efficiency, false},
        {"checks", NULL, (double)checks->n, true},
        {"checks_failed", NULL, (double)checks->n_failed, true},
        {"checks_blind", NULL, (double)checks->n_blind, true},
        {"checks_worst", NULL, checks->worst, false},
        {"values_not_finite", NULL, (double)ps_ledger_not_finite(r->ledger, &at), true},
        {"warning", ps_text_str(&r->verdict.text), 0, false},
        {"weights_crc32c", r->computed ? ps_ledger_weights(r->ledger) : ps_weights_sums(r->weights), 0, false},
    };
    const ps_publication p = {
        .brief = &r->brief, .history = ps_text_str(&r->history), .ledger = r->ledger, .watch = &r->watch,
        .quiet = r->options->quiet, .run = attrs, .n_run = sizeof attrs / sizeof *attrs, .busy = table->busy,
        .idle = table->idle, .peak = table->peak, .size = r->size, .start = r->start,
        .load_seconds = r->load_seconds, .sweep_seconds = r->sweep_seconds};

    return ps_publish(&p, err);
}

/* Collective. */
static int gather_ranks(run *r, ps_err *err)
{
    rank_report mine = {.busy = r->busy, .idle = r->idle, .peak = (double)ps_host_peak()};
    rank_table table = {ps_malloc((size_t)r->size, sizeof(double), err),
                        ps_malloc((size_t)r->size, sizeof(double), err),
                        ps_malloc((size_t)r->size, sizeof(double), err), {0}};
    int rc = -1;

    snprintf(mine.host, sizeof mine.host, "%s", ps_comm_host(r->comm));
    if (table.busy && table.idle && table.peak)
        rc = ps_comm_gather(r->comm, &mine, sizeof mine, take_rank, &table, err);
    if (rc == 0 && r->rank == 0)
        rc = ps_verdict_reach(&r->verdict, r->brief.grid, r->brief.pairs, r->ledger, err) < 0 ? -1 : write_result(r, &table, err);
    ps_free(table.busy);
    ps_free(table.idle);
    ps_free(table.peak);
    ps_text_release(&table.hosts);
    return rc;
}

/* Rank 0: the result is there; what led to it is not needed any more. */
static void clear(const run *r)
{
    ps_journal_remove(r->brief.journal);
    ps_rows_dir_remove(r->brief.rows_dir);
}

/* ---- the whole ---- */

static void release(run *r)
{
    ps_wave_close(r->wave);
    ps_plan_free(r->plan);
    ps_snapshot_close(r->snapshot);
    ps_cellset_close(r->flight);
    if (r->rank != 0)
        ps_cellset_close(r->done);
    ps_ledger_close(r->ledger);
    ps_backend_close(r->backend);
    ps_weights_close(r->weights);
    ps_text_release(&r->history);
    ps_text_release(&r->verdict.text);
    ps_brief_release(&r->brief);
}

/* Rank 0: read the job, and what an earlier run has done of it. */
static int prepare(run *r, ps_err *err)
{
    const ps_brief *b = &r->brief;

    if (ps_brief_read(&r->brief, r->options, err) < 0)
        return -1;
    if (b->complete)
        return 0;
    if (ps_ledger_open(&r->ledger, b->journal, ps_text_str(&b->identity), b->grid, (size_t)b->config->d_model,
                       b->job->activation_dtype, r->options->force, err) == 0)
        return 0;
    return ps_err_prefix(err, "cannot resume '%s'", b->output);
}

/* Collective.  Everything that may fail without anyone waiting. */
static int start(run *r, ps_err *err)
{
    if (ps_cores_take(&r->cores, r->comm, err) < 0)
        return -1;
    if (r->rank == 0)
        prepare(r, err);
    if (ps_comm_agree(r->comm, err) < 0)
        return -1;
    ps_comm_bcast(r->comm, &r->brief.complete, sizeof r->brief.complete, 0);
    if (r->brief.complete)
        return 0;
    if (share(r, err) < 0)
        return -1;
    open_backend(r, err);
    if (ps_comm_agree(r->comm, err) < 0 || make_plan(r, err) < 0)
        return -1;
    r->computed = r->plan->n_waves == 0;
    if (r->rank == 0)
        advise_ranks(r, err);
    if (ps_comm_agree(r->comm, err) < 0)
        return -1;
    if (!r->computed)
        load_model(r, err);
    if (ps_comm_agree(r->comm, err) < 0 ||
        (!r->computed && ps_same_weights(r->comm, r->brief.model_dir, ps_weights_sums(r->weights), err) < 0))
        return -1;
    compare_machines(r);
    if ((r->computed || make_room(r, err) == 0) && r->rank == 0)
        begin_ledger(r, err);
    return ps_comm_agree(r->comm, err);
}

/* Free what only the waves needed, so that writing the result can use the memory. */
static void let_go(run *r)
{
    ps_wave_close(r->wave);
    r->wave = NULL;
    if (r->weights)
        ps_weights_drop(r->weights);
    ps_mem_trim();
}

/* Collective.  Past the start: a failure here ends all ranks. */
static int work(run *r, ps_err *err)
{
    r->load_seconds = ps_seconds() - r->start;
    if (r->rank == 0) {
        describe(r);
        ps_watch_begin(&r->watch, 60 * r->options->save_minutes, r->start, 3600 * r->options->max_hours);
        ps_progress_begin(&r->progress, "sweep", "token-layers", r->plan->work / r->size, r->size,
                          (int64_t)(r->plan->n_cells - r->plan->n_checks), r->options->quiet);
    }
    if (sweep(r, err) < 0)
        return -1;
    if (r->rank == 0)
        ps_progress_end(&r->progress);
    let_go(r);
    if (gather_ranks(r, err) < 0 && err->code != PS_ESTOPPED)
        return -1;
    if (ps_comm_agree(r->comm, err) < 0) /* rank 0 was told to stop */
        return -1;
    if (r->rank == 0)
        ps_info("wrote '%s'", r->brief.output);
    return 0;
}

/* Collective.  The result is there: remove what led to it, and say what is wrong with it. */
static int conclude(run *r, ps_err *err)
{
    if (r->rank == 0) {
        if (r->brief.complete && r->brief.other_journal)
            ps_warn("'%s' is another job's, and is left as it is", r->brief.journal);
        else
            clear(r); /* of a complete one too: who published it may have been killed before */
        ps_verdict_tell(r->brief.complete ? &r->brief.verdict : &r->verdict, r->brief.output, err);
    }
    return ps_comm_agree(r->comm, err);
}

/* A failure in the sweep: this rank says so and ends the others, which wait for it. */
static void fail_all(run *r, const ps_err *err)
{
    ps_error("%s", err->text);
    ps_brief_let_go(&r->brief);
    ps_comm_abort(r->comm, err->code);
}

int ps_run(const ps_run_options *options, ps_comm *comm, ps_err *err)
{
    run r = {.options = options, .comm = comm, .rank = ps_comm_rank(comm),
             .size = ps_comm_size(comm), .start = ps_seconds()};

    ps_stop_catch();
    int rc = start(&r, err);
    if (rc == 0 && r.brief.complete) {
        if (r.rank == 0)
            ps_info("'%s' holds this job's result already; --force to run it again", r.brief.output);
    } else if (rc == 0) {
        rc = work(&r, err);
        if (rc < 0 && err->code != PS_ESTOPPED)
            fail_all(&r, err);
    }
    if (rc == 0)
        rc = conclude(&r, err);
    release(&r);
    return rc;
}
