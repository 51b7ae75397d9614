/*
 * check.h - self-checks: cells that are computed although their score is known.
 *
 * Free cells are filled in from the base runs, so they cannot show a mistake of the engine.  Therefore a few cells of each
 * pair go through the engine although their score is known, and are compared with the run that they must equal.
 */
#ifndef PATCHSWEEP_CHECK_H
#define PATCHSWEEP_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/cell.h"
#include "patchsweep/grid.h"

#define PS_MAX_CHECKS (PS_CHECK_RANKS - 1) /* of a pair */

/*
 * Choose the checks of a pair: one before D (where D > 0), one that patches the base run's own state, one after the
 * last layer.  Layer, head, position, site and direction vary with the pair's number.  Returns how many there are.
 */
size_t ps_check_cells(const ps_grid *grid, int32_t pair, ps_cell cells[PS_MAX_CHECKS]);
/* The run that a check scores as. */
enum ps_which ps_check_expects(const ps_cell *check);

/*
 * The cell of a wave that every rank computes: the last row of `pair`'s corrupt run, patched before `layer`.  It has one
 * row, which meets the same weights as the rank's own cells of this wave.
 */
ps_cell ps_check_of_ranks(int32_t pair, int32_t layer, const ps_grid *grid);

/* Whether all ranks computed the same values for one cell. */
typedef struct ps_agreement {
    ps_cell cell;
    int32_t n_ranks;
    int32_t odd;       /* the rank whose values differ from the others'; -1: none */
    double difference; /* the largest of that rank */
    char host[63];     /* the odd rank's */
    uint8_t blind;     /* 1: some metric is finite neither on rank 0 nor on another rank, so it was not compared */
} ps_agreement;

/* How the checks of a run came out. */
typedef struct ps_checks {
    size_t n, n_failed;
    size_t n_blind;    /* did not fail, but some metric was finite on neither side, so it was not compared */
    double worst;      /* largest difference of a metric; infinite if one of two values was finite and the other was not */
    ps_cell failed;    /* the first check that failed */
    ps_agreement odd;  /* the first check in which ranks differed; n_ranks is 0 if there is none */
} ps_checks;

/* The largest difference of the metrics that are compared: the grid's and the answer's logit.  The answer's rank is left
 * out, because it may jump if two logits are close.  Sets *blind if a metric is finite in neither; never clears it. */
double ps_check_difference(const ps_grid *grid, int32_t pair, const double a[PS_N_METRICS], const double b[PS_N_METRICS],
                           bool *blind);

/*
 * The tolerance between two ways to compute one logit, relative to the run's largest logit.  In float32, rounding
 * accumulates over the layers.  Operands of bfloat16 have 8 bits each; their errors walk randomly over the layers.
 */
#define PS_TOLERANCE 1e-5
#define PS_TOLERANCE_BF16 0.03

/* The tolerance of a check against a run whose largest logit is `largest`, in the grid's precision.  (One kind of processor
 * gives the same bits.) */
double ps_check_limit(const ps_grid *grid, double largest);

/* Compare a check's metrics with those of the run that it must equal, whose largest logit is `largest`. */
void ps_check_compare(ps_checks *checks, const ps_grid *grid, const ps_cell *check,
                      const double seen[PS_N_METRICS], const double wanted[PS_N_METRICS], double largest);
/* Count an agreement of ranks as a check. */
void ps_check_count(ps_checks *checks, const ps_agreement *agreement);

#endif
