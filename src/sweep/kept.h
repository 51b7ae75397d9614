/*
 * kept.h - rows that are in the journal alone, found again by pair.
 *
 * The journal has them in the order of the waves, layer by layer through many pairs; the result is written pair by pair.  One
 * reading of the journal notes where each row stands.  Package-private; rank 0 only.
 */
#ifndef PATCHSWEEP_SWEEP_KEPT_H
#define PATCHSWEEP_SWEEP_KEPT_H

#include "ledger.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"

typedef struct ps_kept ps_kept;

/* Read the journal and note its rows; `stop`, asked record by record, ends that where it sets *err and returns -1.
 * ledger and grid are borrowed. */
int ps_kept_open(ps_kept **out, ps_ledger *ledger, const ps_grid *grid, size_t d_model,
                 int (*stop)(void *context, ps_err *err), void *context, ps_err *err);
void ps_kept_close(ps_kept *kept); /* NULL is fine */
/* Bytes that it takes. */
size_t ps_kept_bytes(const ps_grid *grid, size_t d_model);

/* Final rows of a pair's cells at a layer, of one site and direction: into rows[.., d_model], one for each head and position
 * that the site has, the last fastest, at their places.  1: there are some, 0: none, -1 with *err set. */
int ps_kept_finals(ps_kept *kept, int32_t pair, enum ps_site site, enum ps_direction direction, int32_t layer,
                   float *rows, ps_err *err);
/* Rows of a pair's base run at a layer, widened. */
int ps_kept_activations(ps_kept *kept, int32_t pair, enum ps_which which, int32_t layer, float *rows, ps_err *err);

#endif
