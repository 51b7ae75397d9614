/*
 * engine.h - what the engine of waves holds: wave.c computes with it, room.c allocates it.
 *
 * Package-private.
 */
#ifndef PATCHSWEEP_SWEEP_ENGINE_H
#define PATCHSWEEP_SWEEP_ENGINE_H

#include "head.h"
#include "patchsweep/forward.h"
#include "patchsweep/wave.h"
#include "trunk.h"

typedef struct strand {
    const ps_cell *cell; /* NULL: of a base run */
    int32_t pair;
    enum ps_which base, source; /* of a base run's strand: base is the run itself */
    int32_t first, n;    /* its rows stand at positions first .. first + n - 1 */
    int32_t entry;       /* boundary at which it begins */
    size_t row;          /* of x */
    size_t at, q_at;     /* this layer: its first row in the panel's k and v, and in its q */
} strand;

typedef struct panel {
    strand *strands;
    size_t n, rows;
} panel;

/* What the largest wave has on this rank. */
typedef struct largest {
    size_t rows, strands, finals, places; /* places: of rows_at */
} largest;

struct ps_wave {
    const ps_grid *grid;
    const ps_plan *plan;
    ps_forward *forward;
    ps_comm *comm;
    int rank;
    int32_t L;
    size_t d, q_width, kv_width, panel_rows;
    largest most;
    ps_trunk trunk;
    ps_head *head;
    strand *strands;    /* the base runs' (rank 0), then this rank's cells */
    size_t n_trunk, n_strands, n_live;
    ps_cell shared;     /* the cell that all ranks compute, where there are several; kept apart from the plan's */
    panel *panels;      /* of the layer in hand */
    size_t n_panels, n_trunk_panels;
    float *x;           /* [rows, d] of all strands; on rank 0 the base rows first */
    /* one panel's */
    float *rows, *h, *q, *k, *v, *a; /* [panel_rows, d, d, q, kv, kv, q width] */
    float *mid, *mlp;                /* [panel_rows, d], where the trunk keeps branches */
    float *next_mid, *next_mlp;      /* [trunk rows, d] of this layer, the trunk's at the next */
    int32_t *index, *positions;      /* [panel_rows] */
    ps_queries *queries;             /* [panel_rows]: each has a row */
    ps_keys *keys;                   /* [strands of a panel at most, keys_per_strand] */
    size_t keys_per_strand;
    ps_rows *rows_at;   /* [most.places] what is saved or restored, and where it is */
    /* at the end */
    float *final;                    /* [most.finals, d]: 2 n_pairs of base runs, then the cells' */
    int32_t *final_pair;
    double (*values)[PS_N_METRICS];
    double idle;
};

#endif
