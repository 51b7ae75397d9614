/*
 * run.c - the story of a run.
 *
 *     prepare  rank 0 reads the job, the tokenizer and the config, checks every pair, and reads an earlier run's
 * journal
 *     share    the other ranks learn where the model is, what is swept, and which cells are done
 *     load     every rank plans waves that fit into memory, reads the weights, and allocates the engine
 *     sweep    wave by wave; rank 0 collects the values and writes the journal (run_waves.c)
 *     publish  weights and waves are freed; rank 0 computes the scores and writes the result (run_record.c)
 *
 * Until load ends, a failure of one rank becomes a failure of all (ps_comm_agree).  During the sweep, a failing rank
 * prints its line and aborts the job, because the other ranks wait in a broadcast.  The journal has what was finished
 * by then, and the same command line resumes from there.
 */
#include "patchsweep/run.h"

#include <stdio.h>
#include <string.h>

#include "budget.h"
#include "patchsweep/build.h"
#include "patchsweep/family.h"
#include "patchsweep/forward.h"
#include "patchsweep/host.h"
#include "patchsweep/journal.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/stop.h"
#include "report.h"
#include "rows_dir.h"
#include "run_state.h"
#include "same.h"
#include "session.h"

/* ---- share and load: every rank ---- */

/* Collective. */
static void share_string(ps_run_state *r, char **s)
{
    size_t bytes = *s ? strlen(*s) + 1 : 0;
    void *block = *s;

    ps_comm_bcast_block(r->comm, &block, &bytes, 0);
    *s = block;
}

/* Collective.  Share which cells are done; rank 0 knows from the ledger. */
static int share_done(ps_run_state *r, ps_err *err)
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

/* Collective.  Open the last snapshot that all ranks can read.  Finding none is no failure. */
static int find_snapshot(ps_run_state *r, ps_err *err)
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
static int share(ps_run_state *r, ps_err *err)
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

static size_t max_positions(const ps_run_state *r)
{
    return (size_t)ps_grid_max_positions(r->brief.grid);
}

/* Open the backend, without room for panels.  Their size depends on the plan. */
static int open_backend(ps_run_state *r, ps_err *err)
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

/* Collective.  Plan waves that fit into memory, before anything large is allocated or read. */
static int make_plan(ps_run_state *r, ps_err *err)
{
    const ps_budget budget = {
        .grid = r->brief.grid, .config = r->brief.config, .model_dir = r->brief.model_dir, .backend = r->backend,
        .comm = r->comm, .memory = r->options->memory, .wave_rows = r->options->wave_rows,
        .panel_rows = (size_t)r->options->panel_rows,
        .plan = {.checks = true, .done = r->done, .flight = r->flight,
                 .layer = r->snapshot ? ps_snapshot_layer(r->snapshot) : 0}};

    return ps_budget_plan(&r->plan, &r->max_rows, &budget, err);
}

static int load_model(ps_run_state *r, ps_err *err)
{
    size_t rows = ps_wave_panel_rows(r->brief.grid, r->plan, r->rank, (size_t)r->options->panel_rows);
    const ps_backend_needs needs = ps_forward_needs(r->brief.config, r->backend->operand, r->backend->n_threads, rows,
                                                    max_positions(r));

    if (ps_backend_fit(r->backend, &needs, err) < 0)
        return -1;
    return ps_weights_open(&r->weights, r->brief.config, r->brief.model_dir, r->backend, err);
}

static int make_room(ps_run_state *r, ps_err *err)
{
    const ps_wave_model model = {r->brief.config, r->weights, r->backend};

    return ps_wave_open(&r->wave, r->brief.grid, r->plan, &model, r->comm, (size_t)r->options->panel_rows, err);
}

/* Collective.  Find out whether all ranks compute the same bits: the processors are of one kind, and the products
 * promise it. */
static void compare_machines(ps_run_state *r)
{
    char machine[512];

    snprintf(machine, sizeof machine, "%d %s, %s", r->backend->same_bits, ps_host_cpu(), ps_backend_describe(r->backend));
    r->same_bits = ps_same_text(r->comm, machine) && r->backend->same_bits;
}

/* Rank 0: begin or resume the journal, and make the folder for rows in flight. */
static int begin_ledger(ps_run_state *r, ps_err *err)
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
static void describe_resumed(const ps_run_state *r)
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

static void describe(const ps_run_state *r)
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

/* Warn if there are more ranks than work, and say how many ranks the work is enough for. */
static int advise_ranks(const ps_run_state *r, ps_err *err)
{
    int useful;

    if (r->plan->efficiency >= PS_PLAN_USEFUL || r->size == 1)
        return 0;
    if (ps_plan_useful_ranks(r->brief.grid, r->max_rows, r->size, &useful, err) < 0)
        return -1;
    ps_warn("%d ranks wait for each other more than they work; this job has enough work for %d", r->size, useful);
    return 0;
}

/* Rank 0: remove the journal and the rows, which a complete result does not need. */
static void clear(const ps_run_state *r)
{
    ps_journal_remove(r->brief.journal);
    ps_rows_dir_remove(r->brief.rows_dir);
}

/* ---- the whole ---- */

static void release(ps_run_state *r)
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

/* Rank 0: read the job, and the journal of an earlier run. */
static int prepare(ps_run_state *r, ps_err *err)
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

/* Collective.  Do all that can fail before a rank waits for another. */
static int start(ps_run_state *r, ps_err *err)
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
static void let_go(ps_run_state *r)
{
    ps_wave_close(r->wave);
    r->wave = NULL;
    if (r->weights)
        ps_weights_drop(r->weights);
    ps_mem_trim();
}

/* Collective.  Sweep and publish.  A failure here ends all ranks. */
static int work(ps_run_state *r, ps_err *err)
{
    r->load_seconds = ps_seconds() - r->start;
    if (r->rank == 0) {
        describe(r);
        ps_watch_begin(&r->watch, 60 * r->options->save_minutes, r->start, 3600 * r->options->max_hours);
        ps_progress_begin(&r->progress, "sweep", "token-layers", r->plan->work / r->size, r->size,
                          (int64_t)(r->plan->n_cells - r->plan->n_checks), r->options->quiet);
    }
    if (ps_run_waves(r, err) < 0)
        return -1;
    if (r->rank == 0)
        ps_progress_end(&r->progress);
    let_go(r);
    if (ps_run_record(r, err) < 0 && err->code != PS_ESTOPPED)
        return -1;
    if (ps_comm_agree(r->comm, err) < 0) /* rank 0 was told to stop */
        return -1;
    if (r->rank == 0)
        ps_info("wrote '%s'", r->brief.output);
    return 0;
}

/* Collective.  Once the result is complete: remove the journal and the rows, and report what is wrong with the
 * result. */
static int conclude(ps_run_state *r, ps_err *err)
{
    if (r->rank == 0) {
        if (r->brief.complete && r->brief.other_journal)
            ps_warn("'%s' is another job's journal, and is left as it is", r->brief.journal);
        else
            clear(r); /* also if the result was complete before: the run that published it may have been killed */
        ps_verdict_tell(r->brief.complete ? &r->brief.verdict : &r->verdict, r->brief.output, err);
    }
    return ps_comm_agree(r->comm, err);
}

/* Print this rank's failure, and end the other ranks, which wait for this one. */
static void fail_all(ps_run_state *r, const ps_err *err)
{
    ps_error("%s", err->text);
    ps_brief_let_go(&r->brief);
    ps_comm_abort(r->comm, err->code);
}

int ps_run(const ps_run_options *options, ps_comm *comm, ps_err *err)
{
    ps_run_state r = {.options = options, .comm = comm, .rank = ps_comm_rank(comm),
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
