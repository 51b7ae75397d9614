/*
 * schedule.h - what a wave asks of a backend, as integers: which rows each step computes, and where its inputs lie.
 *
 * What advances is a strand: the own rows of one cell, or the rows of a base run that no run before had. In each layer
 * the live strands go through the program in panels, one after the other. The outputs of a step of a panel are compact:
 * row 0, 1, ... of its register. What a step reads and the panel does not compute is a base row: an output of the same step
 * in the base runs, kept for the layer (or X at the entrance). Base rows are numbered by prefixes of tokens, so that runs that
 * begin alike share them.
 *
 * A schedule knows no model and no floats. It is built for one rank and one wave; every rank numbers base rows alike.
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
    int32_t pair, layer;          /* path's offsets count from `layer` */
    enum ps_which base, source;
    int32_t head;                 /* of the edits of one head, whichever the path was made with */
} ps_carried;

/* One step of a panel.  Lists are borrowed until the next panel. */
typedef struct ps_step_work {
    int32_t n;                            /* rows that it computes: 0 .. n - 1 of its register */
    const int32_t *in[PS_MAX_INPUTS];     /* [n] where they are read; NULL: rows 0 .. n - 1 of the register.  i >= 0 is row
                                             i of the register (of X's store, before X is written), i < 0 base row ~i.
                                             K and V of an attention have none: spans say it */
    const int32_t *positions;             /* [n] of a step that depends on them, ROPE */
    int32_t n_put_rows;                   /* rows n .. n + n_put_rows - 1: copies of base rows put_rows[], before the puts */
    const int32_t *put_rows;
    const ps_put *puts;                   /* from base row `from` to compact row `to` */
    int32_t n_puts;
} ps_step_work;

/* Heads that attend as the source run does: to the keys of that run, and to the values of the cell. */
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
    ps_pattern_work pattern;  /* to be done once attention and its puts are */
    const ps_key_span *spans;
    int32_t base_row, n_base; /* rows 0 .. n_base - 1 of every step are base rows base_row ...: to be kept as soon as
                                 they are computed, for this panel's puts and later steps may read them */
    int32_t kv_row;           /* the row of K's and V's stores that is row 0 of this panel's */
    const int32_t *out;       /* [n_out] X's rows of the last step, as it writes them: their rows in X's store */
    int32_t n_out;
    int64_t rows;             /* own rows that advance: for progress */
} ps_work;

typedef struct ps_schedule ps_schedule;

/* What a schedule must be ready for. */
typedef struct ps_schedule_needs {
    const ps_step *program;
    ps_base_rows *base;  /* borrowed; numbered anew for every wave */
    int32_t n_layers;
    size_t most_strands; /* of a wave: cells of this rank, and where it leads two runs for each pair */
    int32_t most_pieces; /* of a base run of any wave */
    int32_t panel_rows;  /* rows of a step's output at most */
    bool leads;          /* this rank computes the base runs */
    bool alone;          /* nobody waits for them: they share panels with cells */
    bool patterns;       /* some cells have edits of PS_TAP_OF_WEIGHTS, one in a layer at most */
} ps_schedule_needs;

int ps_schedule_open(ps_schedule **out, const ps_schedule_needs *needs, ps_err *err);
void ps_schedule_close(ps_schedule *schedule);
uint64_t ps_schedule_bytes(const ps_schedule_needs *needs); /* that ps_schedule_open() allocates */

/* Begin a wave over the base runs of n_pairs pairs, with cells[n_cells] of this rank, borrowed until the next one. */
void ps_schedule_begin(ps_schedule *schedule, int32_t first_pair, int32_t n_pairs, const ps_carried *cells, size_t n_cells);

/* Consecutive own rows of X's store: of a cell, or of a base run. */
typedef struct ps_strand_rows {
    const ps_carried *cell;  /* NULL: of a base run */
    int32_t pair;
    enum ps_which which;     /* of a base run */
    int32_t first, n, row;   /* positions first .. first + n - 1, in X's store from `row` on */
    int32_t entry;           /* the first layer that changes them; INT32_MAX: none */
} ps_strand_rows;
size_t ps_schedule_n_strands(const ps_schedule *schedule); /* base runs' first, in the order of base rows, then the cells' */
ps_strand_rows ps_schedule_strand(const ps_schedule *schedule, size_t i);

/* Whether a layer's phase reads base values behind attention, the step `attend`, of the very layer. */
static inline bool ps_schedule_is_late(const ps_phase *phase, size_t attend)
{
    return phase->looked_up >> (attend + 1);
}

/* Make the panels of `layer`: those of base runs alone (none where `alone`), then all others, of which the last n_late
 * read base values behind the attention of this very layer. */
typedef struct ps_panels {
    size_t n_base, n, n_late;
} ps_panels;
ps_panels ps_schedule_layer(ps_schedule *schedule, int32_t layer);

/* The steps [from, to) of panel `i` of the layer in hand.  A base panel may be done in two parts: what the second reads of
 * the first's steps are base rows. */
const ps_work *ps_schedule_panel(ps_schedule *schedule, size_t i, size_t from, size_t to);

/* The last row of cell `i` behind the last layer: >= 0 its row of X's store, < 0 base row ~row. */
int32_t ps_schedule_last_row(const ps_schedule *schedule, size_t i);

#endif
