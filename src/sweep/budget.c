/* budget.c - add up needs by owner and phase, then search for the largest waves by secants. */
#include "budget.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "harvest.h"
#include "patchsweep/forward.h"
#include "patchsweep/host.h"
#include "patchsweep/mem.h"
#include "patchsweep/minmax.h"
#include "patchsweep/text.h"
#include "patchsweep/wave.h"
#include "patchsweep/weights.h"
#include "publish.h"
#include "scores.h"

#define MiB ((uint64_t)1 << 20)

/* Memory of a rank that none of our code allocates, mostly MPI's message buffers and the stacks of threads.
 * Measured with Open MPI 4.1 and glibc 2.36. */
#define OTHERS_BYTES (6 * MiB)
/* The share of the available memory that a run takes without --memory. */
#define DEFAULT_SHARE 0.8
/* The fewest rows of a wave, in prompts of the longest pair: the two base runs and as many rows of cells.  Smaller
 * waves would carry more base rows than cells. */
#define LEAST_PROMPTS 4
/* The search ends when this share of the memory is left, or after this many plans. */
#define CLOSE (1.0 / 32)
#define MOST_PLANS 12
#define NO_BOUND ((int64_t)1000000000)

/* ---- what a plan needs ---- */

/* Phases of a run.  A rank must have memory for the phase that needs most. */
enum phase { READ = 1, LOAD = 2, SWEEP = 4, PUBLISH = 8, ALWAYS = READ | LOAD | SWEEP | PUBLISH };

enum owner { HELD, SCORES, READING, OTHERS, PLAN, LOADING, WEIGHTS, PRODUCTS, PANEL, BASE, ROWS, HEAD, COLLECT, WRITING, N_OWNERS };

static const struct {
    const char *name;
    unsigned phases;
} owners[N_OWNERS] = {
    [HELD] = {"program and job", ALWAYS},
    [SCORES] = {"score tables", ALWAYS},
    [READING] = {"reading and planning", READ},
    [OTHERS] = {"MPI and threads", LOAD | SWEEP | PUBLISH},
    [PLAN] = {"plan", LOAD | SWEEP | PUBLISH},
    [LOADING] = {"loading", LOAD},
    [WEIGHTS] = {"weights", LOAD | SWEEP},
    [PRODUCTS] = {"matrix products", LOAD | SWEEP},
    [PANEL] = {"a panel of rows", SWEEP},
    [BASE] = {"base runs", SWEEP},
    [ROWS] = {"rows of a wave", SWEEP},
    [HEAD] = {"LM head", SWEEP},
    [COLLECT] = {"saving and collecting", SWEEP},
    [WRITING] = {"writing the result", PUBLISH},
};

/* A search for the largest waves: what is known before any plan, then the latest plan and its needs. */
typedef struct search {
    const ps_budget *budget;
    uint64_t held, weights, loading; /* of this rank */
    double limit;                    /* of this node */
    double close;                    /* bytes that may be left unused */
    ps_plan *plan;
    int64_t rows;             /* most rows of a wave of that plan */
    uint64_t needs[N_OWNERS]; /* of this node, at the ranks' peaks */
    uint64_t peak;            /* their sum */
    double left;              /* bytes unused on the node with the least left; negative: bytes missing there */
} search;

/* Bytes that rank 0 needs to write the result: those of the writer, and a record of the journal. */
static uint64_t writing_bytes(const ps_grid *grid, const ps_config *config)
{
    return ps_publish_bytes(grid, config) + ps_records_bytes(grid, 1, (size_t)config->d_model);
}

/* Compute what the latest plan needs of this rank, by owner. */
static int own_needs(const search *s, uint64_t of[N_OWNERS], ps_err *err)
{
    const ps_budget *b = s->budget;
    int rank = ps_comm_rank(b->comm);
    size_t d = (size_t)b->config->d_model, T = (size_t)ps_grid_max_positions(b->grid);
    const ps_backend_needs products =
        ps_forward_needs(b->config, b->backend->operand, b->backend->n_threads,
                         ps_wave_panel_rows(b->grid, s->plan, rank, b->panel_rows), T);
    ps_wave_bytes wave;

    if (ps_wave_measure(&wave, b->grid, s->plan, b->config, b->backend, rank, b->panel_rows, err) < 0)
        return -1;
    of[SCORES] = rank == 0 ? ps_min(ps_scores_bytes(b->grid), s->held) : 0; /* rank 0 has allocated them with the ledger */
    of[HELD] = s->held - of[SCORES];
    of[READING] = ps_host_peak() - ps_min(s->held, ps_host_peak());
    of[OTHERS] = OTHERS_BYTES;
    of[PLAN] = ps_plan_bytes(s->plan);
    of[LOADING] = s->loading;
    of[WEIGHTS] = s->weights;
    of[PRODUCTS] = ps_backend_bytes(b->backend, &products);
    of[PANEL] = wave.panel;
    of[BASE] = wave.base;
    of[ROWS] = wave.rows;
    of[HEAD] = wave.head;
    of[COLLECT] = ps_max(ps_harvest_bytes(b->grid, s->plan, d, rank), ps_snapshot_save_bytes());
    of[WRITING] = rank == 0 ? writing_bytes(b->grid, b->config) : 0;
    return 0;
}

/* Keep the needs of the phase that needs most, and set the others to 0.  Returns their sum. */
static uint64_t keep_peak(uint64_t of[N_OWNERS])
{
    uint64_t most = 0;
    unsigned peak = READ;

    for (unsigned phase = READ; phase <= PUBLISH; phase *= 2) {
        uint64_t sum = 0;
        for (int i = 0; i < N_OWNERS; i++)
            sum += owners[i].phases & phase ? of[i] : 0;
        if (sum > most) {
            most = sum;
            peak = phase;
        }
    }
    for (int i = 0; i < N_OWNERS; i++)
        if (!(owners[i].phases & peak))
            of[i] = 0;
    return most;
}

/* ---- searching ---- */

/* Collective.  Measure what does not depend on the plan. */
static int begin(search *s, const ps_budget *b, ps_err *err)
{
    ps_mem_trim(); /* return memory that was freed after reading the job */
    uint64_t held = ps_host_resident();

    *s = (search){.budget = b, .held = held};
    ps_weights_measure(&s->weights, &s->loading, b->config, b->model_dir, b->backend, err);
    if (ps_comm_agree(b->comm, err) < 0)
        return -1;
    ps_comm_node_sum(b->comm, &held, 1);
    s->limit = b->memory ? (double)b->memory : (double)held + DEFAULT_SHARE * (double)ps_host_memory();
    s->close = CLOSE * ps_comm_min(b->comm, s->limit);
    return 0;
}

/* Collective.  Plan waves of at most `rows` rows, and compute how much of the memory is left. */
static int try_rows(search *s, int64_t rows, ps_err *err)
{
    const ps_budget *b = s->budget;

    ps_plan_free(s->plan);
    s->plan = NULL;
    s->rows = rows;
    if (ps_plan_build(&s->plan, b->grid, ps_comm_size(b->comm), rows, &b->plan, err) == 0)
        own_needs(s, s->needs, err);
    if (ps_comm_agree(b->comm, err) < 0)
        return -1;
    s->peak = keep_peak(s->needs);
    ps_comm_node_sum(b->comm, &s->peak, 1);
    ps_comm_node_sum(b->comm, s->needs, N_OWNERS);
    s->left = ps_comm_min(b->comm, s->limit - (double)s->peak);
    return 0;
}

/* Print "12.5 MiB", or KiB below 1 MiB, rounded up where `at_least`, else down. */
static const char *size_text(char text[32], double bytes, bool at_least)
{
    double shown = bytes < MiB ? bytes / 1024 : bytes * 10 / MiB;

    shown = at_least ? ceil(shown) : floor(shown);
    if (bytes < MiB)
        snprintf(text, 32, "%.0f KiB", shown);
    else
        snprintf(text, 32, "%.1f MiB", shown / 10);
    return text;
}

/* Collective.  Fail, with a list of what the smallest waves need on a node that has too little memory. */
static int refuse(const search *s, ps_err *err)
{
    int ranks = ps_comm_node_size(s->budget->comm);
    char limit[32], peak[32], size[32];
    ps_text parts = {0};

    for (int i = 0; i < N_OWNERS; i++)
        if (s->needs[i] > s->peak / 50)
            ps_text_printf(&parts, "%s%s %s", parts.n ? ", " : "", owners[i].name, size_text(size, (double)s->needs[i], true));
    if (s->limit < (double)s->peak)
        ps_err_set(err, PS_EINPUT, "%s of memory is too little for %d rank%s on a node: the smallest waves need %s (%s); "
                   "give more with --memory, start fewer ranks a node, or sweep fewer pairs",
                   size_text(limit, s->limit, false), ranks, ranks > 1 ? "s" : "",
                   size_text(peak, (double)s->peak, true), ps_text_str(&parts));
    ps_text_release(&parts);
    return ps_comm_agree(s->budget->comm, err);
}

/*
 * Collective.  Find the largest waves that fit.  Waves of `low` rows fit, and leave s->left bytes.  Waves of `high`
 * rows do not: `lack` bytes are missing.
 */
static int narrow(search *s, int64_t low, int64_t high, double lack, ps_err *err)
{
    double left = s->left;

    for (int n = 0; n < MOST_PLANS && left > s->close && high - low > low / 32; n++) {
        int64_t margin = (high - low) / 16 + 1;
        int64_t middle = low + (int64_t)((double)(high - low) * (left - s->close / 2) / (left + lack));
        middle = middle < low + margin ? low + margin : middle > high - margin ? high - margin : middle;
        if (try_rows(s, middle, err) < 0)
            return -1;
        if (s->left >= 0) {
            low = middle;
            left = s->left;
        } else {
            high = middle;
            lack = -s->left;
        }
    }
    return s->rows == low ? 0 : try_rows(s, low, err);
}

/* Collective. */
static int find(search *s, ps_err *err)
{
    const ps_budget *b = s->budget;
    int64_t low = LEAST_PROMPTS * (int64_t)ps_grid_max_positions(b->grid), high;

    if (try_rows(s, b->wave_rows ? b->wave_rows : NO_BOUND, err) < 0)
        return -1;
    if (s->left >= 0)
        return 0;
    double lack = -s->left;
    high = ps_plan_max_rows(s->plan, b->grid);
    high = b->wave_rows && b->wave_rows < high ? b->wave_rows : high;
    low = low < high ? low : high;
    if (try_rows(s, low, err) < 0)
        return -1;
    return s->left < 0 ? refuse(s, err) : narrow(s, low, high, lack, err);
}

int ps_budget_plan(ps_plan **plan, int64_t *max_rows, const ps_budget *budget, ps_err *err)
{
    search s;

    if (begin(&s, budget, err) < 0)
        return -1;
    if (find(&s, err) < 0) {
        ps_plan_free(s.plan);
        return -1;
    }
    *plan = s.plan;
    *max_rows = s.rows;
    return 0;
}
