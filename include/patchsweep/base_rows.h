/*
 * base_rows.h - the rows of a wave's base runs, numbered: one row for every different prefix of tokens.
 *
 * The state of a position depends on the tokens up to it.  So runs that begin alike share their first rows: the two runs of
 * a pair share the rows before D, and pairs may share a few-shot header.  The rows of a run are several pieces of consecutive
 * base rows.
 */
#ifndef PATCHSWEEP_BASE_ROWS_H
#define PATCHSWEEP_BASE_ROWS_H

#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/grid.h"

typedef struct ps_base_rows {
    const ps_grid *grid;
    int32_t *row_of;     /* [n_nodes] base row of a prefix */
    int32_t first_pair, n_pairs;
    int32_t n;           /* base rows */
    int32_t most_pieces; /* of a run */
} ps_base_rows;

/* Allocate for any wave of `grid`, which is borrowed.  Call ps_base_rows_release() even after a failure. */
int ps_base_rows_init(ps_base_rows *rows, const ps_grid *grid, ps_err *err);
void ps_base_rows_release(ps_base_rows *rows);
/* Bytes that ps_base_rows_init() allocates. */
uint64_t ps_base_rows_bytes(const ps_grid *grid);

/*
 * Number the base rows of a wave's pairs, run by run.  Call `visit`, if not NULL, for every run that has rows of its own, in
 * the order of base rows.  The run's own rows are those from position `first` on.
 */
typedef void ps_base_rows_visit(void *context, int32_t pair, enum ps_which which, int32_t first);
void ps_base_rows_number(ps_base_rows *rows, int32_t first_pair, int32_t n_pairs, ps_base_rows_visit *visit, void *context);

/* The base row of a run at a position. */
int32_t ps_base_row(const ps_base_rows *rows, int32_t pair, enum ps_which which, int32_t position);
/* The number of consecutive base rows that the run has from `position` on, up to position `end`. */
int32_t ps_base_piece(const ps_base_rows *rows, int32_t pair, enum ps_which which, int32_t position, int32_t end);

#endif
