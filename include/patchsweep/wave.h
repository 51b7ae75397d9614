/*
 * wave.h - the engine: all cells of a wave go through the layers together.
 *
 * In a causal model, patching (l, t) changes nothing below layer l and nothing before t.  So a cell enters at its layer,
 * carries at most rows t .. T - 1, and reads the base run's values elsewhere.  A wave walks through the layers once.  In each
 * layer the weights multiply the live rows of all cells in tall products, a panel at a time.  No row is approximated.
 */
#ifndef PATCHSWEEP_WAVE_H
#define PATCHSWEEP_WAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/backend.h"
#include "patchsweep/comm.h"
#include "patchsweep/config.h"
#include "patchsweep/grid.h"
#include "patchsweep/metric.h"
#include "patchsweep/plan.h"
#include "patchsweep/weights.h"

/* The most rows of one matrix product, unless the caller chooses. */
#define PS_WAVE_PANEL_ROWS 1024

typedef struct ps_wave ps_wave;

/* What rank 0 commands all ranks to do before a layer: bits. */
enum ps_command { PS_GO_ON = 0, PS_SAVE = 1, PS_STOP = 2 };

/* The rows of one strand between two layers, for a snapshot. */
enum ps_rows_kind { PS_ROWS_CELL, PS_ROWS_BASE, PS_N_ROWS_KINDS };
typedef struct ps_rows {
    enum ps_rows_kind kind;
    int64_t key;          /* ps_grid_key() of a cell, ps_rows_run() of a base run */
    int32_t first, n;     /* positions first .. first + n - 1; n = 0: a cell that has not entered yet */
    float *rows;          /* [n, d_model] in host memory */
} ps_rows;
static inline int64_t ps_rows_run(int32_t pair, enum ps_which which)
{
    return (int64_t)pair * PS_N_WHICH + which;
}

/* States of a base run to keep: X after `layer` at positions first .. first + n - 1. */
typedef struct ps_activations {
    int32_t pair;
    enum ps_which which;
    int32_t layer, first, n;
    const float *rows; /* [n, d_model] in host memory; borrowed */
} ps_activations;

/*
 * What a wave calls while it runs, always from the thread that called ps_wave_run().  A negative return with *err set
 * ends the wave on that rank.  A member that is NULL is not called.  `save` is required if `command` may return PS_SAVE,
 * `restore` if a wave of the plan starts above layer 0.
 */
typedef struct ps_wave_sink {
    void *context;
    /* On rank 0 alone, after each layer: take states of a base run.  They are valid during the call. */
    int (*activations)(void *context, const ps_activations *states, ps_err *err);
    /* On every rank, after each panel: this rank has finished `token_layers` more rows of a layer. */
    void (*progress)(void *context, int64_t token_layers);
    /* On rank 0 alone, before each layer: return the enum ps_command bits that all ranks obey before `layer`. */
    unsigned (*command)(void *context, int32_t layer);
    /* Collective.  On every rank, after `command` returned PS_SAVE: save rows[n], the state of this rank's cells before
     * `layer`, and on rank 0 that of the base runs too. */
    int (*save)(void *context, int32_t layer, const ps_rows *rows, size_t n, ps_err *err);
    /* On every rank, before a wave that starts above layer 0: fill rows[n] with what an earlier run saved. */
    int (*restore)(void *context, ps_rows *rows, size_t n, ps_err *err);
} ps_wave_sink;

/* A wave's outcome on one rank; borrowed from the wave until the next run. */
typedef struct ps_wave_values {
    bool stopped;                         /* by PS_STOP; the other members are 0 */
    size_t n_cells;                       /* cells of this rank, in the plan's order */
    const double (*cells)[PS_N_METRICS];  /* [n_cells] */
    const float *finals;                  /* [n_cells, d_model] the last row of each cell, before the final norm */
    /* [n_pairs * 2] clean and corrupt of each pair; every metric on rank 0, the grid's metrics elsewhere */
    const double (*base)[PS_N_METRICS];
    const ps_readout *base_readouts;      /* [n_pairs * 2] */
    const double *shared;                 /* [PS_N_METRICS] of shared_cell, which every rank computes; NULL on one rank */
    ps_cell shared_cell;
    const float *base_finals;             /* [n_pairs * 2, d_model] */
    double busy_seconds, idle_seconds;    /* time computing, and time in broadcasts */
} ps_wave_values;

/* A model, ready to compute.  All borrowed. */
typedef struct ps_wave_model {
    const ps_config *config;
    ps_weights *weights;
    const ps_backend *backend;
} ps_wave_model;

/*
 * Open an engine for the waves of `plan` on this rank, with room for the largest.  All arguments are borrowed; `model` only
 * for the call.  `panel_rows` is the most rows that one matrix product takes (0: the default).  A panel holds whole cells, so
 * it has room for at least T rows.
 */
int ps_wave_open(ps_wave **out, const ps_grid *grid, const ps_plan *plan, const ps_wave_model *model, ps_comm *comm,
                 size_t panel_rows, ps_err *err);
void ps_wave_close(ps_wave *wave);

/* Bytes that ps_wave_open() allocates, by purpose. */
typedef struct ps_wave_bytes {
    uint64_t panel; /* the rows of one product, and the base runs' keys and values */
    uint64_t base;  /* other rows of base runs that cells read, on every rank */
    uint64_t rows;  /* this rank's rows in flight, their final rows and their metrics */
    uint64_t head;  /* final rows on their way through the LM head */
} ps_wave_bytes;
/* Measure what ps_wave_open() with the same arguments would allocate on `rank`.  `backend` is NULL if stores lie in host
 * memory. */
int ps_wave_measure(ps_wave_bytes *bytes, const ps_grid *grid, const ps_plan *plan, const ps_config *config,
                    const ps_backend *backend, int rank, size_t panel_rows, ps_err *err);
/* Rows of the largest panel on `rank`: `asked` or the default, but at least T, and no more than its largest wave has. */
size_t ps_wave_panel_rows(const ps_grid *grid, const ps_plan *plan, int rank, size_t asked);

/*
 * Collective.  Run wave `index` of the plan.  If a rank fails, the others do not learn of it and wait in a broadcast: the
 * caller must end the job (ps_comm_abort).
 */
int ps_wave_run(ps_wave *wave, size_t index, const ps_wave_sink *sink, ps_wave_values *values,
                ps_err *err);

#endif
