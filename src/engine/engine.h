/*
 * engine.h - the state of the engine: wave.c walks through the layers, panel.c computes, room.c allocates.
 *
 * Package-private.
 */
#ifndef PATCHSWEEP_ENGINE_ENGINE_H
#define PATCHSWEEP_ENGINE_ENGINE_H

#include "lm_head.h"
#include "base_values.h"
#include "patchsweep/base_rows.h"
#include "patchsweep/forward.h"
#include "patchsweep/schedule.h"
#include "patchsweep/wave.h"

/* The sizes of the largest wave on this rank. */
typedef struct largest {
    size_t x_rows, cells, strands, finals;
    int32_t pieces; /* of a base run, in any wave */
} largest;

struct ps_wave {
    const ps_grid *grid;
    const ps_plan *plan;
    const ps_plan_wave *now; /* the current wave */
    const ps_config *config;
    const ps_step *program;
    ps_program_inputs in;
    ps_forward *forward;
    const ps_backend *backend;
    ps_comm *comm;
    int rank, size;
    int32_t L;
    size_t d, panel_rows;
    largest most;
    ps_base_rows base;
    ps_schedule *schedule;
    ps_base_values kept;
    ps_lm_head *head;
    const ps_cell **cells;  /* [most.cells] this rank's, as they are carried */
    ps_carried *carried;    /* [most.cells] */
    size_t n_cells;
    bool *late;             /* [L] do cells of some rank read base values of the layer that are computed after attention? */
    ps_cell shared;         /* the cell that every rank computes if there are several; it is not in the plan */
    /* stores */
    float *x;               /* [most.x_rows, d] own rows of X; on rank 0 the base rows first */
    float *reg[PS_N_REGS];  /* [panel_rows, width] one panel's; K and V have the base rows in front */
    float *scratch[2];      /* [panel_rows, scratch_width] inputs gathered from several places */
    size_t scratch_width;
    float *final;           /* [most.finals, d] at the end: 2 n_pairs of base runs, then the cells' */
    /* in host memory */
    ps_mirror mirror;       /* of x or of final; broadcasts use it too */
    ps_rows *rows_at;       /* [most.strands] what is saved or restored, and where it lies */
    int32_t *final_row;     /* [most.finals] row i of final is row final_row[i] of x, or base row ~final_row[i] if negative */
    int32_t *final_pair;
    double (*values)[PS_N_METRICS];
    double idle;
};

/* Compute steps from .. to - 1 of a panel.  Keep its base rows and apply its edits.  After the last step, write its rows of X to
 * X's store. */
void ps_panel_run(ps_wave *wave, const ps_work *work, size_t from, size_t to);
/* The kept base rows of value `v`. */
float *ps_panel_base(ps_wave *wave, size_t v);

#endif
