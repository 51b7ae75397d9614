/*
 * records.h - the journal's records as bytes, checked when they are read.
 *
 * Package-private.  Numbers are stored as in memory.  A record begins with a header that implies the record's size.
 */
#ifndef PATCHSWEEP_SWEEP_RECORDS_H
#define PATCHSWEEP_SWEEP_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/check.h"
#include "patchsweep/dtype.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/journal.h"
#include "patchsweep/terms.h"
#include "patchsweep/wave.h"
#include "scores.h"
#include "snapshot.h"

/* The type of a frame.  Never renumber: a record with another layout gets another number. */
enum ps_record {
    PS_RECORD_IDENTITY = 1, /* text: "field: value" lines that identify the run (identity.h) */
    PS_RECORD_SESSION,      /* text: time, command line, build and machine, a line each */
    PS_RECORD_BASELINE,     /* metrics, predictions and final rows of a pair's base runs */
    PS_RECORD_OLD_CELLS,    /* cells by their coordinates, as older versions wrote them; replaced by 11 */
    PS_RECORD_ACTIVATIONS,  /* rows of a base run after a layer */
    PS_RECORD_SNAPSHOT,     /* of a wave: size and checksum of every rank's file */
    PS_RECORD_WEIGHTS,      /* text: a checksum for each tensor (ps_weights_sums) */
    PS_RECORD_OLD_RANKS,    /* likewise; replaced by 12 */
    PS_RECORD_UNFINISHED,   /* size and checksum of a result file whose writing was stopped */
    PS_RECORD_REPLACES,     /* empty: the run was begun with --force, and may replace the file at the output's name */
    PS_RECORD_CELLS,        /* cells' keys (ps_grid_key) and metrics; their final rows where the grid keeps them */
    PS_RECORD_RANKS         /* the outcome of comparing the ranks' values of one cell */
};

/* A result file that was closed before it was complete. */
typedef struct ps_unfinished {
    uint32_t layout; /* number of the sequence of steps that wrote the file; no other sequence resumes it */
    uint32_t crc;    /* CRC32C of the file */
    uint64_t bytes;  /* size of the file; 0: there is none */
    int32_t step;    /* the step to resume at */
    int32_t pad;
} ps_unfinished;

/* A record that was read.  Its pointers point into the frame. */
typedef struct ps_record_view {
    enum ps_record type;
    const void *payload;
    uint64_t at; /* the journal's byte where the payload begins; 0 where that is not known */
    /* BASELINE, ACTIVATIONS */
    int32_t pair;
    ps_baseline base[PS_N_WHICH];
    /* CELLS */
    size_t n_cells, n_checks;             /* n_checks of the n_cells are checks */
    const int64_t *keys;                  /* [n_cells]; keys of cells of the grid, if a grid is given */
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
    /* RANKS */
    ps_agreement agreement;               /* its cell is unknown if no grid is given */
    /* UNFINISHED */
    const ps_unfinished *unfinished;
} ps_record_view;

/*
 * Check a record against `grid` and `d_model`, and fill in its view.  If grid is NULL, check only the record's size.
 * PS_EINPUT where the record does not fit.  Records of text or of unknown type do not fit.
 */
int ps_record_view_of(ps_record_view *view, uint32_t type, const void *payload, size_t bytes, const ps_grid *grid,
                      size_t d_model, ps_err *err);

int ps_record_baseline(ps_journal *journal, int32_t pair, const ps_baseline base[PS_N_WHICH], const float *finals,
                       size_t d_model, ps_err *err);
/* n cells of a grid. */
typedef struct ps_cells {
    const ps_cell *at;
    const double (*values)[PS_N_METRICS];
    const float *finals; /* [n, d_model], or NULL */
    size_t n;
} ps_cells;
/* Append the cells, in as many records as needed. */
int ps_record_cells(ps_journal *journal, const ps_grid *grid, const ps_cells *cells, size_t d_model, ps_err *err);
/* Append rows of a base run, narrowed to dtype. */
int ps_record_activations(ps_journal *journal, const ps_activations *states, enum ps_dtype dtype, size_t d_model,
                          ps_err *err);
/* Most bytes of a record that a journal holds in memory, for waves of at most `most_cells` cells on one rank. */
uint64_t ps_records_bytes(const ps_grid *grid, size_t most_cells, size_t d_model);
int ps_record_snapshot(ps_journal *journal, const ps_snapshot_id *id, const ps_snapshot_part *parts, ps_err *err);
int ps_record_agreement(ps_journal *journal, const ps_grid *grid, const ps_agreement *agreement, ps_err *err);
int ps_record_unfinished(ps_journal *journal, const ps_unfinished *unfinished, ps_err *err);

#endif
