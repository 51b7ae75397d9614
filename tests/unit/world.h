/*
 * world.h - a made-up sweep from a few numbers: the grid, plan and ledger that unit tests and fuzz targets work on.
 *
 *     static const world_pair pairs[] = {{.T = 9, .D = 4}, {.T = 10, .D = 7, .shared = 7, .of = PS_CORRUPT}};
 *     ps_grid *grid = world_grid(&(world_shape){.L = 4, .n_pairs = 2, .pairs = pairs});
 *
 * What cannot be built ends the program: a test could not go on without it.
 */
#ifndef PATCHSWEEP_TESTS_WORLD_H
#define PATCHSWEEP_TESTS_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "patchsweep/family.h"
#include "patchsweep/grid.h"
#include "patchsweep/plan.h"

/*
 * Two prompts of T tokens that differ at D, and at `also` where that is not 0.  No pair begins like another, except
 * where its first `shared` tokens are those of the first pair's run `of`.
 */
typedef struct world_pair {
    int32_t T, D, also, shared;
    enum ps_which of;
} world_pair;

/* Sites of heads: bits. */
static inline unsigned world_head_sites(void)
{
    unsigned sites = 0;

    for (int site = 0; site < PS_N_SITES; site++)
        sites |= ps_site_shapes[site].axis[PS_AXIS_HEAD] ? 1u << site : 0;
    return sites;
}

/* All layers, heads and positions are swept; of what stands as bits, 0 means all, of sites all but those of heads. */
typedef struct world_shape {
    int32_t L;
    const ps_step *program;  /* of a layer; NULL: that of the first family */
    int32_t n_heads, n_kv_heads; /* 0: 4 and 2 */
    int n_pairs;
    const world_pair *pairs; /* [n_pairs] */
    unsigned sites, directions, metrics;
    unsigned activations;    /* 0: none */
    bool patched_final;
    int32_t vocab;           /* 0: large enough; else even, and more than twice the pairs */
    bool with_foil;          /* the answer is token 3 and the foil 5; else the answer is token 1 */
} world_shape;

static inline void world_must(int rc, const ps_err *err)
{
    if (rc == 0)
        return;
    printf("# %s\n", err->text);
    exit(1);
}

/* A token of the lower half; 97 keeps pairs apart at every position. */
static inline int32_t world_token(int32_t p, int32_t t, int32_t half)
{
    return (int32_t)((97 * (int64_t)p + 7 * (int64_t)t + 1) % half);
}

static inline void world_fill(int32_t *ids[PS_N_WHICH], const world_pair *w, int32_t p, const ps_pair *first, int32_t half)
{
    for (int which = 0; which < PS_N_WHICH; which++)
        for (int32_t t = 0; t < w->T; t++) {
            bool differs = which == PS_CORRUPT && (t == w->D || (w->also && t == w->also));
            ids[which][t] = t < w->shared && p > 0 ? first->ids[w->of][t] : world_token(p, t, half);
            ids[which][t] += differs ? half : 0;
        }
}

/* The grid of that shape, the caller's to free. */
static inline ps_grid *world_grid(const world_shape *s)
{
    const unsigned all_metrics = (1u << PS_N_METRICS) - 1, all_sites = ((1u << PS_N_SITES) - 1) & ~world_head_sites();
    ps_job_pair named = {.where = (char[]){"a made-up pair"}};
    ps_job job = {.n_pairs = (size_t)s->n_pairs, .layers = {.all = true}, .heads = {.all = true}, .positions = {.all = true},
                  .sites = s->sites ? s->sites : all_sites, .directions = s->directions ? s->directions : 3,
                  .metrics = s->metrics ? s->metrics : all_metrics, .activations = s->activations,
                  .patched_final = s->patched_final};
    ps_pair *pairs = calloc((size_t)s->n_pairs, sizeof *pairs);
    const ps_grid_model model = {.program = s->program ? s->program : ps_families[0].layer, .n_layers = s->L,
                                 .n_heads = s->n_heads ? s->n_heads : 4,
                                 .n_kv_heads = s->n_kv_heads ? s->n_kv_heads : 2};
    int32_t half = s->vocab ? s->vocab / 2 : 1 << 20;
    ps_err err = PS_ERR_INIT;
    ps_grid *grid = NULL;

    for (int p = 0; p < s->n_pairs; p++) {
        const world_pair *w = &s->pairs[p];
        int32_t *ids[PS_N_WHICH];
        for (int which = 0; which < PS_N_WHICH; which++)
            ids[which] = malloc((size_t)w->T * sizeof **ids);
        world_fill(ids, w, p, pairs, half);
        pairs[p] = (ps_pair){.job = &named, .n_positions = w->T, .first_difference = w->D, .ids = {ids[0], ids[1]},
                             .answer_id = s->with_foil ? 3 : 1, .foil_id = s->with_foil ? 5 : -1};
    }
    world_must(ps_grid_build(&grid, &job, pairs, &model, &err), &err);
    for (int p = 0; p < s->n_pairs; p++)
        for (int which = 0; which < PS_N_WHICH; which++)
            free(pairs[p].ids[which]);
    free(pairs);
    return grid;
}

/* The plan of `grid` for `size` ranks, the caller's to free; max_rows 0: one wave; options may be NULL. */
static inline ps_plan *world_plan(const ps_grid *grid, int size, int64_t max_rows, const ps_plan_options *options)
{
    ps_err err = PS_ERR_INIT;
    ps_plan *plan = NULL;

    world_must(ps_plan_build(&plan, grid, size, max_rows ? max_rows : 1 << 30, options, &err), &err);
    return plan;
}

#endif
