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
 * The cell of a wave that every rank computes for itself: the last row of `pair`'s corrupt run, patched before `layer`.
 * It is one row, and goes through all weights that the rank holds for its own cells of that wave.
 */
ps_cell ps_check_of_ranks(int32_t pair, int32_t layer, const ps_grid *grid);

/* What the ranks of a run made of the same cell. */
typedef struct ps_agreement {
    ps_cell cell;
    int32_t n_ranks;
    int32_t odd;       /* the rank whose values are not the others', or -1 */
    double difference; /* its largest */
    char host[63];     /* the odd rank's */
    uint8_t blind;     /* 1: a metric is finite neither on rank 0 nor on another, of which nothing can be said */
} ps_agreement;

/* How the checks of a run came out. */
typedef struct ps_checks {
    size_t n, n_failed;
    size_t n_blind;    /* not failed, but neither of the two values was finite: nothing can be said */
    double worst;      /* largest difference of a metric; infinite where one value was finite and the other was not */
    ps_cell failed;    /* the first that did */
    ps_agreement odd;  /* the first in which ranks differed; n_ranks is 0 where none did */
} ps_checks;

/* The largest difference of the metrics that are compared: those of the grid and the answer's logit, but not its rank,
 * which may jump where two logits are near.  Sets *blind where neither value of a metric is finite; never clears it. */
double ps_check_difference(const ps_grid *grid, int32_t pair, const double a[PS_N_METRICS], const double b[PS_N_METRICS],
                           bool *blind);

/*
 * How far two ways to compute one logit may lie apart, as a part of the run's largest logit.  float32: its rounding
 * over the layers.  Operands of bfloat16: 8 bits each, whose errors walk randomly over the layers.
 */
#define PS_TOLERANCE 1e-5
#define PS_TOLERANCE_BF16 0.03

/* How far a check may lie apart from a run whose largest logit is `largest`, in the grid's precision.  (One kind of
 * processor gives the same bits.) */
double ps_check_limit(const ps_grid *grid, double largest);

/* Compare a check's metrics with those of the run that it must score as, whose largest logit is `largest`. */
void ps_check_compare(ps_checks *checks, const ps_grid *grid, const ps_cell *check,
                      const double seen[PS_N_METRICS], const double wanted[PS_N_METRICS], double largest);
/* Count what the ranks made of the same cell. */
void ps_check_count(ps_checks *checks, const ps_agreement *agreement);

#endif
