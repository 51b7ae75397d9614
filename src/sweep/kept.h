/*
 * kept.h - find the rows that are in the journal alone, by pair.
 *
 * The journal has rows in the order of the waves, layer by layer through many pairs.  The result is written pair by
 * pair.  So the journal is read once, and the place of each row is noted.  Package-private; rank 0 only.
 */
#ifndef PATCHSWEEP_SWEEP_KEPT_H
#define PATCHSWEEP_SWEEP_KEPT_H

#include "ledger.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"

typedef struct ps_kept ps_kept;

/* Read the journal and note where its rows are.  `stop` is called at each record; if it returns -1 with *err set,
 * the reading ends.  ledger and grid are borrowed. */
int ps_kept_open(ps_kept **out, ps_ledger *ledger, const ps_grid *grid, size_t d_model,
                 int (*stop)(void *context, ps_err *err), void *context, ps_err *err);
void ps_kept_close(ps_kept *kept); /* NULL is fine */
/* Bytes that ps_kept_open() allocates. */
size_t ps_kept_bytes(const ps_grid *grid, size_t d_model);

/* Read the final rows of a pair's cells at a layer, of one site and direction, to their places in rows[heads x
 * positions of the site, d_model], the last axis fastest.  Rows that do not exist stay as they are.  Returns 1, or 0
 * if there is no row, or -1 with *err set. */
int ps_kept_finals(ps_kept *kept, int32_t pair, enum ps_site site, enum ps_direction direction, int32_t layer,
                   float *rows, ps_err *err);
/* Read the rows of a pair's base run at a layer, widened to float.  Returns as ps_kept_finals() does. */
int ps_kept_activations(ps_kept *kept, int32_t pair, enum ps_which which, int32_t layer, float *rows, ps_err *err);

#endif
