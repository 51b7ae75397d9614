/*
 * lm_head.h - from final rows to every metric, through the LM head in panels.
 *
 * Package-private.  The last rows of the base runs go through the LM head with those of the cells, and before them: KL needs
 * the clean run's logits as its reference.
 */
#ifndef PATCHSWEEP_ENGINE_LM_HEAD_H
#define PATCHSWEEP_ENGINE_LM_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/forward.h"
#include "patchsweep/grid.h"
#include "patchsweep/metric.h"
#include "patchsweep/plan.h"

typedef struct ps_lm_head ps_lm_head;

/* Allocate for `max_rows` final rows of at most `max_pairs` pairs. */
int ps_lm_head_open(ps_lm_head **out, const ps_grid *grid, const ps_config *config, ps_weights *weights,
                    ps_forward *forward, size_t max_rows, int32_t max_pairs, ps_err *err);
void ps_lm_head_close(ps_lm_head *head);
/* Bytes that ps_lm_head_open() allocates.  `backend` as for ps_wave_measure(). */
uint64_t ps_lm_head_bytes(const ps_config *config, const ps_backend *backend, size_t max_rows, int32_t max_pairs);

/*
 * Final rows of a wave.  The first 2 * n_pairs belong to base runs: clean and corrupt of pair first_pair, then of the
 * next pair.  The others belong to cells.
 */
typedef struct ps_lm_head_rows {
    const float *x;         /* [n, d_model] in a store, before the final norm; borrowed, as pair_of is */
    const int32_t *pair_of; /* [n] the pair of each row */
    size_t n;
    int32_t first_pair, n_pairs;
    bool baselines;         /* compute every metric of the base runs, not only what the grid asks for */
} ps_lm_head_rows;

/*
 * Compute the metrics of `rows`: the grid's of each cell, and of the base runs (see `baselines`).  Fills values[n];
 * *readouts gets n readouts, borrowed from `head` until the next call.
 */
int ps_lm_head_read(ps_lm_head *head, const ps_lm_head_rows *rows, double (*values)[PS_N_METRICS],
                    const ps_readout **readouts, ps_err *err);

#endif
