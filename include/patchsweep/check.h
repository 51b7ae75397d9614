/*
 * check.h - cells that a run checks itself by.
 *
 * What is filled in cannot check itself.  So of each pair a few cells go through the engine although their
 * score is known, and what comes out is compared with the base run that it must be.
 */
#ifndef PATCHSWEEP_CHECK_H
#define PATCHSWEEP_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "patchsweep/cell.h"
#include "patchsweep/grid.h"

#define PS_MAX_CHECKS (PS_N_CHECKS - 1)

/* The checks of a pair: one before D (where D > 0), one behind the last layer, one that patches the base run's own
 * state.  Which layer, position, site and direction: by the pair's number.  Returns how many. */
size_t ps_check_cells(const ps_grid *grid, int32_t pair, ps_cell cells[PS_MAX_CHECKS]);
/* The run that a check scores as. */
enum ps_which ps_check_expects(const ps_cell *check);

/* How the checks of a run came out. */
typedef struct ps_checks {
    size_t n, n_failed;
    double worst;     /* largest difference of a metric */
    ps_cell failed;   /* the first that did */
} ps_checks;

/*
 * How far two ways to compute one logit may lie apart, as a part of the run's largest logit.  float32: its rounding
 * over the layers.  Operands of bfloat16: 8 bits each, whose errors walk randomly over the layers.
 */
#define PS_TOLERANCE 1e-5
#define PS_TOLERANCE_BF16 0.03

/*
 * Compare a check's metrics with those of the run that it must score as, within the tolerance of the grid's precision.
 * `largest` is that run's largest logit.  (One kind of processor gives the same bits.)
 */
void ps_check_compare(ps_checks *checks, const ps_grid *grid, const ps_cell *check,
                      const double seen[PS_N_METRICS], const double wanted[PS_N_METRICS], double largest);

#endif
