/*
 * records.h - the journal's records as bytes: checked on the way in.
 *
 * Package-private.  Numbers are as in memory; a record begins with what tells its size.
 */
#ifndef PATCHSWEEP_SWEEP_RECORDS_H
#define PATCHSWEEP_SWEEP_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/dtype.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/journal.h"
#include "patchsweep/terms.h"
#include "patchsweep/wave.h"
#include "scores.h"
#include "snapshot.h"

/* Each is a frame's type.  Never renumber. */
enum ps_record {
    PS_RECORD_IDENTITY = 1, /* text: "field: value" lines, whose journal it is */
    PS_RECORD_SESSION,      /* text: when, by what command, on what machine, a line each */
    PS_RECORD_BASELINE,     /* what the base runs of a pair came to */
    PS_RECORD_CELLS,        /* some cells, their values, their final rows where those are kept */
    PS_RECORD_ACTIVATIONS,  /* some rows of a base run at a layer */
    PS_RECORD_SNAPSHOT      /* of a wave: which files, how large, with what checksums */
};

/* A record in hand; what it points to is the frame's. */
typedef struct ps_record_view {
    enum ps_record type;
    /* BASELINE, ACTIVATIONS */
    int32_t pair;
    ps_baseline base[PS_N_WHICH];
    /* CELLS */
    size_t n_cells;
    const ps_cell *cells;                 /* [n_cells] */
    const double (*values)[PS_N_METRICS]; /* [n_cells] */
    const float *finals;                  /* [n_cells, d_model], or a pair's [2, d_model]; NULL where not kept */
    /* ACTIVATIONS */
    enum ps_which which;
    int32_t layer, first, n;
    enum ps_dtype dtype;
    const void *rows;                     /* [n, d_model] of dtype */
    /* SNAPSHOT */
    const ps_snapshot_id *snapshot;
    const ps_snapshot_part *parts;
} ps_record_view;

/*
 * Check a record against `grid` and `d_model` (grid NULL: its own size only) and point into it.  PS_EINPUT where it does
 * not fit; records of text, and of types that are not known, are PS_EINPUT too.
 */
int ps_record_view_of(ps_record_view *view, uint32_t type, const void *payload, size_t bytes, const ps_grid *grid,
                      size_t d_model, ps_err *err);

int ps_record_baseline(ps_journal *journal, int32_t pair, const ps_baseline base[PS_N_WHICH], const float *finals,
                       size_t d_model, ps_err *err);
/* In as many records as it takes. */
int ps_record_cells(ps_journal *journal, const ps_cell *cells, const double (*values)[PS_N_METRICS],
                    const float *finals, size_t n, size_t d_model, ps_err *err);
/* The rows are narrowed to dtype. */
int ps_record_activations(ps_journal *journal, const ps_activations *states, enum ps_dtype dtype, size_t d_model,
                          ps_err *err);
int ps_record_snapshot(ps_journal *journal, const ps_snapshot_id *id, const ps_snapshot_part *parts, ps_err *err);

#endif
