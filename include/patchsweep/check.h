/*
 * check.h - self-checks: cells of known score that are computed all the same.
 *
 * Free cells are filled in from the base runs, so they cannot show a mistake of the engine.  A few cells of each
 * pair therefore go through the engine although their score is known, and are compared with the base run that
 * they must equal.
 */
#ifndef PATCHSWEEP_CHECK_H
#define PATCHSWEEP_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "patchsweep/cell.h"
#include "patchsweep/grid.h"

#define PS_MAX_CHECKS (PS_N_CHECKS - 1)

/*
 * Choose the checks of a pair: one before D (where D > 0), one that patches the base run's own state, one after the
 * last layer.  Layer, position, site and direction vary with the pair's number.  Returns how many there are.
 */
size_t ps_check_cells(const ps_grid *grid, int32_t pair, ps_cell cells[PS_MAX_CHECKS]);
/* The run that a check scores as. */
enum ps_which ps_check_expects(const ps_cell *check);

/* Outcome of the checks of a run. */
typedef struct ps_checks {
    size_t n, n_failed;
    double worst;     /* largest difference of a metric */
    ps_cell failed;   /* the first that failed */
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
