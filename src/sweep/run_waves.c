/* run_waves.c - run the waves; write their outcome to the journal, and rows in flight to snapshots. */
#include <stdio.h>
#include <string.h>

#include "harvest.h"
#include "patchsweep/check.h"
#include "patchsweep/host.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/stop.h"
#include "report.h"
#include "run_state.h"
#include "same.h"

/* Add a base run's states to the journal, unless an earlier session did. */
static int take_activations(void *context, const ps_activations *states, ps_err *err)
{
    ps_run_state *r = context;

    if (ps_cellset_has_pair(r->done, states->pair))
        return 0;
    return ps_ledger_add_activations(r->ledger, states, err);
}

static void take_progress(void *context, int64_t token_layers)
{
    ps_run_state *r = context;

    if (r->rank != 0)
        return;
    ps_progress_add(&r->progress, token_layers);
    if (ps_stop_signal() && !r->heard)
        ps_info("%s: stopping before the next layer; another signal stops at once", ps_stop_name(ps_stop_signal()));
    r->heard = ps_stop_signal();
}

static unsigned say_word(void *context, int32_t layer)
{
    ps_run_state *r = context;

    const ps_plan_wave *wave = &r->plan->waves[r->at_wave];

    return ps_watch_word(&r->watch, wave->n_cells > 0 && layer > wave->start);
}

/* Choose the generation that the next snapshot overwrites.  It is not the last good one, nor one that a later wave
 * resumes from. */
static int next_generation(const ps_run_state *r)
{
    const ps_plan_wave *next = &r->plan->waves[r->at_wave + 1];
    bool needed = r->at_wave + 1 < r->plan->n_waves && next->start > 0;

    return !(needed ? ps_snapshot_generation(r->snapshot) : r->generation);
}

/*
 * Collective.  Save the rows in flight.  If the snapshot cannot be written, warn: the one before stays the last good
 * one.  If the journal cannot be written, fail.
 */
static int save(void *context, int32_t layer, const ps_rows *rows, size_t n, ps_err *err)
{
    ps_run_state *r = context;
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
    ps_run_state *r = context;

    return ps_snapshot_load(r->snapshot, rows, n, err);
}

/* Rank 0: record the baselines of pairs that this wave was the first to run. */
static int take_baselines(ps_run_state *r, const ps_plan_wave *wave, const ps_wave_values *v, ps_err *err)
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

/* Collective.  Compare the cell that every rank has computed.  Name a rank that differs at once, because a sweep may
 * take hours. */
static int compare_ranks(ps_run_state *r, const ps_wave_values *v, ps_err *err)
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

/* Collective.  Write a wave's outcome to the journal. */
static int keep(ps_run_state *r, const ps_plan_wave *wave, const ps_wave_values *v, ps_err *err)
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

/* Report what is done when the run was told to stop. */
static int stopped(const ps_run_state *r, ps_err *err)
{
    if (r->rank == 0)
        ps_info("stopped by %s in wave %zu of %zu: %zu cells are done%s; run the same command line again%s to resume",
                r->watch.why, r->at_wave + 1, r->plan->n_waves, ps_cellset_count(r->done),
                r->saved ? ", the rows in flight are saved" : "", r->options->force ? " without --force" : "");
    return ps_err_set(err, PS_ESTOPPED, "stopped");
}

int ps_run_waves(ps_run_state *r, ps_err *err)
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
