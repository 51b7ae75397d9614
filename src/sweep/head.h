/*
 * head.h - from final rows to every metric, through the LM head in panels.
 *
 * Package-private.  The base runs' last rows go through the head beside the cells', in front of them, so
 * that KL has its reference and each rank computes with the same panel.
 */
#ifndef PATCHSWEEP_SWEEP_HEAD_H
#define PATCHSWEEP_SWEEP_HEAD_H

#include "patchsweep/forward.h"
#include "patchsweep/grid.h"
#include "patchsweep/metric.h"
#include "patchsweep/plan.h"

typedef struct ps_head ps_head;

/* Room for `max_rows` final rows of at most `max_pairs` pairs. */
int ps_head_open(ps_head **out, const ps_grid *grid, const ps_config *config, ps_weights *weights,
                 ps_forward *forward, size_t max_rows, int32_t max_pairs, ps_err *err);
void ps_head_close(ps_head *head);

/*
 * Read out x[n, d_model], rows before the final norm; pair_of[n] the pair of each.  The first
 * 2 * n_pairs are the base runs': clean and corrupt of pair first_pair, then of the next; the
 * others are cells'.  values[n] and *readouts (n of them, borrowed from head) are filled:
 * of a cell's, what `metrics` asks for; of the base runs', all where `baselines`.
 */
int ps_head_read(ps_head *head, const float *x, const int32_t *pair_of, size_t n,
                 int32_t first_pair, int32_t n_pairs, unsigned metrics, bool baselines,
                 double (*values)[PS_N_METRICS], const ps_readout **readouts, ps_err *err);

#endif
