/* sweep.h - a sweep for targets that read what one has left: two pairs of four tokens, three layers of width 4. */
#ifndef PATCHSWEEP_TESTS_FUZZ_SWEEP_H
#define PATCHSWEEP_TESTS_FUZZ_SWEEP_H

#include "../unit/world.h"
#include "fuzz.h"

enum { FUZZ_PAIRS = 2, FUZZ_T = 4, FUZZ_L = 3, FUZZ_D = 4 };

static inline const ps_grid *fuzz_grid(void)
{
    static const world_pair pairs[] = {{.T = FUZZ_T, .D = 2}, {.T = FUZZ_T, .D = 0, .shared = 2}};
    static ps_grid *grid;

    if (!grid)
        grid = world_grid(&(world_shape){.L = FUZZ_L, .n_pairs = FUZZ_PAIRS, .pairs = pairs,
                                         .sites = 1u << PS_RESID_POST | 1u << PS_MLP_OUT,
                                         .metrics = 1u << PS_LOGIT_ANSWER, .activations = 3, .patched_final = true});
    return grid;
}

#endif
