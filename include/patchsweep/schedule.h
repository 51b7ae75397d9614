/*
 * schedule.h - the work of a wave as integers: which rows each step computes, and where its inputs lie.
 *
 * A strand is a block of rows that advances through the layers: a cell's own rows, or those rows of a base run that no
 * earlier run of the wave has.  In each layer the live strands go through the program in panels, one panel after the other.
 * The outputs of a step of a panel are compact: rows 0, 1, ... of its register.  An input that the panel does not compute is a
 * base row: the same value in a base run, kept for the layer.  Base rows are numbered by prefixes of tokens, so runs that
 * begin alike share them.
 *
 * A schedule knows no floats, and of the model only the program.  It is built for one rank and one wave.  All ranks number
 * base rows alike.
 */
#ifndef PATCHSWEEP_SCHEDULE_H
#define PATCHSWEEP_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/backend.h"
#include "patchsweep/base_rows.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "patchsweep/path.h"

/* A cell that this rank carries. */
typedef struct ps_carried {
    const ps_path *path;          /* borrowed */
    int32_t pair, layer;          /* offsets of `path` count from `layer` */
    enum ps_which base, source;
    int32_t head;                 /* the head that is edited, if the path's edits are of one head */
} ps_carried;

/* One step of a panel.  Lists are borrowed until the next panel. */
typedef struct ps_step_work {
    int32_t n;                            /* the step computes rows 0 .. n - 1 of its register */
    const int32_t *in[PS_MAX_INPUTS];     /* [n] where each row of an input lies: i >= 0 is row i of the register (of X's
                                             store, until a step has written X), i < 0 is base row ~i.  NULL: rows
                                             0 .. n - 1 of the register.  Attention has spans in place of K's and V's lists */
    const int32_t *positions;             /* [n] of ROPE, which depends on them */
    int32_t n_put_rows;                   /* rows n .. n + n_put_rows - 1: copies of base rows put_rows[], before the puts */
    const int32_t *put_rows;
    const ps_put *puts;                   /* from base row `from` to compact row `to` */
    int32_t n_puts;
} ps_step_work;

/* Queries of edited patterns: a head attends with the queries and keys of the source run and with the values of the cell. */
typedef struct ps_pattern_work {
    const int32_t *q; /* [n] base rows of Q, gathered as rows 0 .. n - 1 */
    int32_t n;
    const ps_query *queries; /* of the gathered rows */
    const ps_one_head *heads; /* [n_queries] */
    int32_t n_queries;
} ps_pattern_work;

/* A panel in a layer. */
typedef struct ps_work {
    ps_step_work step[PS_MAX_STEPS];
    const ps_query *queries;
    int32_t n_queries;
    ps_pattern_work pattern;  /* to be done after attention and its puts */
    const ps_key_span *spans;
    int32_t base_row, n_base; /* rows 0 .. n_base - 1 of every step are base rows base_row ...  Keep them as soon as they
                                 are computed: this panel's puts and later steps may read them */
    int32_t kv_row;           /* row 0 of this panel is row kv_row of K's and V's stores */
    const int32_t *out;       /* [n_out] row i of the last step goes to row out[i] of X's store */
    int32_t n_out;
    int64_t rows;             /* own rows that advance by a layer: for progress */
} ps_work;

typedef struct ps_schedule ps_schedule;

/* The largest waves that a schedule has room for. */
typedef struct ps_schedule_needs {
    const ps_step *program;
    ps_base_rows *base;  /* borrowed; numbered anew for every wave */
    int32_t n_layers;
    size_t most_strands; /* of a wave: this rank's cells, and if it leads, two runs for each pair */
    int32_t most_pieces; /* of a base run of any wave */
    int32_t panel_rows;  /* rows of a step's output at most */
    bool leads;          /* this rank computes the base runs */
    bool alone;          /* no other rank waits for the base runs: they share panels with cells */
    bool patterns;       /* some cells have edits of PS_TAP_OF_WEIGHTS: at most one in each layer */
} ps_schedule_needs;

int ps_schedule_open(ps_schedule **out, const ps_schedule_needs *needs, ps_err *err);
void ps_schedule_close(ps_schedule *schedule);
uint64_t ps_schedule_bytes(const ps_schedule_needs *needs); /* that ps_schedule_open() allocates */

/* Begin a wave over the base runs of n_pairs pairs.  cells[n_cells] are this rank's, borrowed until the next wave begins. */
void ps_schedule_begin(ps_schedule *schedule, int32_t first_pair, int32_t n_pairs, const ps_carried *cells, size_t n_cells);

/* Consecutive own rows of X's store: of a cell, or of a base run. */
typedef struct ps_strand_rows {
    const ps_carried *cell;  /* NULL: of a base run */
    int32_t pair;
    enum ps_which which;     /* of a base run */
    int32_t first, n, row;   /* positions first .. first + n - 1 are rows row .. row + n - 1 of X's store */
    int32_t entry;           /* the first layer that changes them; INT32_MAX: none */
} ps_strand_rows;
/* Strands of base runs come first, in the order of base rows, then those of cells. */
size_t ps_schedule_n_strands(const ps_schedule *schedule);
ps_strand_rows ps_schedule_strand(const ps_schedule *schedule, size_t i);

/* Whether a cell's phase reads base values of this layer that are computed after attention (step `attend`). */
static inline bool ps_schedule_is_late(const ps_phase *phase, size_t attend)
{
    return phase->looked_up >> (attend + 1);
}

/* Make the panels of `layer`: n_base panels of base runs alone (0 if needs.alone), then n others.  The last n_late of these
 * read base values of this layer that are computed after attention. */
typedef struct ps_panels {
    size_t n_base, n, n_late;
} ps_panels;
ps_panels ps_schedule_layer(ps_schedule *schedule, int32_t layer);

/* The work of steps from .. to - 1 of panel `i` of the current layer.  A base panel may be done in two calls.  The second call
 * reads outputs of the first call's steps as base rows. */
const ps_work *ps_schedule_panel(ps_schedule *schedule, size_t i, size_t from, size_t to);

/* The last row of cell `i` after the last layer: >= 0 is a row of X's store, row < 0 is base row ~row. */
int32_t ps_schedule_last_row(const ps_schedule *schedule, size_t i);

#endif
