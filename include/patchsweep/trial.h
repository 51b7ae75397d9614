/*
 * trial.h - sweep made-up prompts over random weights, to count or measure what a job of that shape takes.
 */
#ifndef PATCHSWEEP_TRIAL_H
#define PATCHSWEEP_TRIAL_H

#include "patchsweep/comm.h"
#include "patchsweep/config.h"
#include "patchsweep/dtype.h"
#include "patchsweep/grid.h"

/*
 * Build the grid of `n_pairs` pairs of `T` tokens that differ from position `D` on: PS_SITE_AFTER, denoise, all layers
 * and positions, the answer's logit.  PS_EINPUT unless 0 <= D < T.
 */
int ps_trial_grid(ps_grid **out, const ps_config *config, int32_t n_pairs, int32_t T, int32_t D, ps_err *err);

/* Collective.  Sweep `grid` with random bfloat16 weights.  *seconds gets the time of its waves, as sweep_seconds of
 * a result does.  PS_EINPUT if this machine has too little memory. */
int ps_trial_run(const ps_config *config, const ps_grid *grid, ps_comm *comm, enum ps_dtype operand,
                 int n_threads, double *seconds, ps_err *err);

#endif
