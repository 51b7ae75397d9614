/*
 * keys.h - the numbers of a grid's cells.
 *
 * Package-private; grid.h has the public functions.
 */
#ifndef PATCHSWEEP_PLAN_KEYS_H
#define PATCHSWEEP_PLAN_KEYS_H

#include "patchsweep/grid.h"

/* Number the keys of a grid whose sites, directions, axes and pairs are there: set n_keys, the pairs' first_key, keys_of_row and
 * keys_of_position. */
void ps_keys_number(ps_grid *grid);

#endif
