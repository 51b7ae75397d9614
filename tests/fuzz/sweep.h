/* sweep.h - a sweep for targets that read what one has left: two pairs of four tokens, three layers of width 4. */
#ifndef PATCHSWEEP_TESTS_FUZZ_SWEEP_H
#define PATCHSWEEP_TESTS_FUZZ_SWEEP_H

#include "fuzz.h"
#include "patchsweep/grid.h"

enum { FUZZ_PAIRS = 2, FUZZ_T = 4, FUZZ_L = 3, FUZZ_D = 4 };

static inline const ps_grid *fuzz_grid(void)
{
    static ps_grid *grid;
    static int32_t ids[FUZZ_PAIRS][PS_N_WHICH][FUZZ_T] = {{{1, 2, 3, 4}, {1, 2, 5, 4}}, {{1, 2, 6, 7}, {8, 2, 6, 7}}};
    ps_job_pair job_pairs[FUZZ_PAIRS] = {{.where = (char[]){"a"}}, {.where = (char[]){"b"}}};
    ps_job job = {.n_pairs = FUZZ_PAIRS, .pairs = job_pairs, .layers = {.all = true}, .positions = {.all = true},
                  .sites = 1u << PS_RESID_POST | 1u << PS_MLP_OUT, .directions = 3, .metrics = 1u << PS_LOGIT_ANSWER,
                  .activations = 3, .patched_final = true};
    ps_pair pairs[FUZZ_PAIRS];
    ps_err err = PS_ERR_INIT;

    for (int p = 0; p < FUZZ_PAIRS; p++)
        pairs[p] = (ps_pair){.job = &job_pairs[p], .n_positions = FUZZ_T, .first_difference = p ? 0 : 2,
                             .ids = {ids[p][0], ids[p][1]}, .answer_id = 1, .foil_id = -1};
    if (!grid)
        CLAIM(ps_grid_build(&grid, &job, pairs, FUZZ_L, &err) == 0);
    return grid;
}

#endif
