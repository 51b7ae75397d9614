/* run_record.c - record the run in its result: the attributes of /run, and each rank's times and memory. */
#include <stdio.h>
#include <string.h>

#include "patchsweep/host.h"
#include "patchsweep/mem.h"
#include "publish.h"
#include "run_state.h"

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

static int write_result(ps_run_state *r, rank_table *table, ps_err *err)
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

int ps_run_record(ps_run_state *r, ps_err *err)
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
