/*
 * test_path.c - the phases of a path against the label rule over whole networks, node by node.
 *
 * `walk` knows nothing of phases: it labels every value of every layer as sets of runs, follows every reader back
 * from the last row, and says which nodes are computed and whose the last row is.
 */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "patchsweep/family.h"
#include "patchsweep/path.h"
#include "programs.h"

enum { MAX_L = 5, MAX_T = 7, N_VALUES = PS_MAX_STEPS + 1 };

/* A network's nodes: before[..] the label of the step's own output, after[..] with the edits. */
typedef struct net {
    unsigned before[MAX_L][N_VALUES][MAX_T], after[MAX_L][N_VALUES][MAX_T];
    bool whole[MAX_L][N_VALUES][MAX_T], columns[MAX_L][N_VALUES][MAX_T]; /* what is replaced */
    bool mixed[MAX_L][N_VALUES][MAX_T];                                  /* columns are made of the cell's own v */
    bool computed[MAX_L][N_VALUES][MAX_T], read[MAX_L][N_VALUES][MAX_T];
    int in[N_VALUES][PS_MAX_INPUTS];
    size_t n_in[N_VALUES], n;
    const ps_step *program;
    int32_t L, T, D;
} net;

/* `step`: the one whose output it is; NULL: X at the entrance. */
static bool is_edit_of(const ps_edit *e, const ps_step *step)
{
    if (!step)
        return e->tap == PS_TAP_RESID_PRE || e->tap == PS_TAP_RESID_POST;
    return (step->tap && step->tap != PS_TAP_RESID_POST && e->tap == step->tap) ||
           (e->tap == PS_TAP_PATTERN && step->op == PS_OP_ATTEND);
}

static void lay_edits(net *w, int32_t l, size_t v, const ps_step *step, const ps_edit *edits, size_t n, int32_t layer)
{
    for (int32_t r = 0; r < w->T; r++) {
        w->after[l][v][r] = w->before[l][v][r];
        for (size_t i = 0; i < n; i++) {
            bool post = edits[i].tap == PS_TAP_RESID_POST, pattern = edits[i].tap == PS_TAP_PATTERN;
            bool whole = edits[i].head < 0 && !pattern;
            if (!is_edit_of(&edits[i], step) || layer + edits[i].offset + post != l || r < edits[i].first ||
                r >= edits[i].first + edits[i].n)
                continue;
            unsigned source = r < w->D ? PS_BOTH : PS_SOURCE;
            w->after[l][v][r] = whole ? source : w->after[l][v][r] & source;
            w->whole[l][v][r] = w->whole[l][v][r] || whole;
            w->columns[l][v][r] = w->columns[l][v][r] || !whole;
            w->mixed[l][v][r] = w->mixed[l][v][r] || pattern;
        }
    }
}

static void label_layer(net *w, int32_t l, const ps_edit *edits, size_t n_edits, int32_t layer)
{
    int now[PS_N_REGS] = {0};

    for (int32_t r = 0; r < w->T; r++)
        w->before[l][0][r] = l ? w->after[l - 1][w->n - 1][r] : r < w->D ? PS_BOTH : PS_BASE;
    lay_edits(w, l, 0, NULL, edits, n_edits, layer);
    for (size_t v = 1; v < w->n; v++) {
        const ps_step *s = &w->program[v - 1];
        uint8_t in[PS_MAX_INPUTS];
        w->n_in[v] = ps_step_inputs(s, in);
        for (size_t k = 0; k < w->n_in[v]; k++)
            w->in[v][k] = now[in[k]];
        for (int32_t r = 0; r < w->T; r++) {
            unsigned label = PS_BOTH;
            for (size_t k = 0; k < w->n_in[v]; k++)
                for (int32_t j = s->op == PS_OP_ATTEND && k ? 0 : r; j <= r; j++)
                    label &= w->after[l][w->in[v][k]][j];
            w->before[l][v][r] = label;
        }
        now[s->out] = (int)v;
        lay_edits(w, l, v, s, edits, n_edits, layer);
    }
}

/* Compute a node that somebody reads, and what it reads. */
static void visit(net *w, int32_t l, size_t v, int32_t r)
{
    if (w->read[l][v][r])
        return;
    w->read[l][v][r] = true;
    if (w->after[l][v][r] != PS_OWN || w->whole[l][v][r])
        return;
    if (v == 0) {
        if (l)
            visit(w, l - 1, w->n - 1, r);
        return;
    }
    for (int32_t j = 0; w->mixed[l][v][r] && j <= r; j++)
        visit(w, l, (size_t)w->in[v][2], j);
    if (w->before[l][v][r] != PS_OWN)
        return;
    w->computed[l][v][r] = true;
    for (size_t k = 0; k < w->n_in[v]; k++)
        for (int32_t j = w->program[v - 1].op == PS_OP_ATTEND && k ? 0 : r; j <= r; j++)
            visit(w, l, (size_t)w->in[v][k], j);
}

/* Layer L has an entrance and nothing else: what is behind the last layer. */
static unsigned walk(net *w, const ps_edit *edits, size_t n_edits, int32_t layer)
{
    for (int32_t l = 0; l <= w->L; l++)
        label_layer(w, l, edits, n_edits, layer);
    visit(w, w->L, 0, w->T - 1);
    return w->after[w->L][0][w->T - 1];
}

/* Where a value lies that somebody reads. */
static enum ps_place place_of(const net *w, int32_t l, size_t v, int32_t r)
{
    unsigned after = w->after[l][v][r], before = w->before[l][v][r];

    if (!w->read[l][v][r])
        return PS_NOWHERE;
    if (w->whole[l][v][r])
        return PS_AT_SOURCE;
    if (after != PS_OWN)
        return after & PS_BASE ? PS_AT_BASE : PS_AT_SOURCE;
    if (before != PS_OWN)
        return PS_AT_PUT;
    return v == 0 ? PS_AT_X : w->columns[l][v][r] ? PS_AT_STEP_PUT : PS_AT_STEP;
}

/* Rows of a live cell's layer that are not as the network has them. */
static int wrong_rows(const net *w, int32_t l, const ps_path *path, const ps_phase *phase)
{
    int wrong = 0;

    for (size_t v = 0; v < w->n; v++) {
        const ps_stretch *s = ps_path_stretches(path, phase, v);
        int32_t n = 0;
        for (int32_t r = 0; r < w->T; r++) {
            s += r == s->end;
            /* values that nobody reads may be told to be somewhere: X behind the layer before the last */
            wrong += v + 1 < w->n ? s->place != place_of(w, l, v, r)
                                  : w->computed[l][v][r] != (s->place == PS_AT_STEP || s->place == PS_AT_STEP_PUT);
            n += w->computed[l][v][r];
        }
        wrong += n != phase->n_step[v];
    }
    return wrong;
}

static void check_cell(const ps_step *program, int32_t L, int32_t T, int32_t D, int32_t layer, const ps_edit *edits,
                       size_t n_edits, int *n, int *wrong)
{
    net *w = calloc(1, sizeof *w);
    ps_path *path = NULL;
    ps_err err = PS_ERR_INIT;

    *w = (net){.program = program, .L = L, .T = T, .D = D, .n = ps_program_n(program) + 1};
    unsigned whose = walk(w, edits, n_edits, layer);
    CHECK(ps_path_build(&path, program, T, D, edits, n_edits, false, &err) == 0);
    ++*n;
    *wrong += ps_path_end(path, L - 1 - layer) != whose;
    for (int32_t l = layer; whose == PS_OWN && l < L; l++)
        *wrong += wrong_rows(w, l, path, ps_path_phase(path, l - layer, l == L - 1));
    ps_path_free(path);
    free(w);
}

static void one_row_at_every_tap(void)
{
    int n = 0, wrong = 0;

    for (size_t p = 0; p < N_PROGRAMS; p++)
        for (int32_t L = 1; L < MAX_L; L++)
            for (int32_t T = 1; T <= 6; T++)
                for (int32_t D = 0; D < T; D++)
                    for (int tap = 1; tap < PS_N_TAPS; tap++)
                        for (int32_t layer = 0; layer < L; layer++)
                            for (int32_t t = 0; t < T; t++)
                                for (int32_t head = -1; head < 1; head++) {
                                    const ps_edit edit = {(uint8_t)tap, 0, t, 1, head};
                                    bool of_x = tap == PS_TAP_RESID_PRE || tap == PS_TAP_RESID_POST;
                                    if ((head >= 0 && of_x) || (tap != PS_TAP_RESID_PRE && ps_program_tap(programs[p], (enum ps_tap)tap) < 0))
                                        continue;
                                    check_cell(programs[p], L, T, D, layer, &edit, 1, &n, &wrong);
                                }
    CHECK(n > 30000);
    CHECK_INT(wrong, 0);
}

/* A head's columns at all positions; two edits in one layer; the same edit in three layers. */
static void several_edits(void)
{
    int n = 0, wrong = 0;

    for (size_t p = 0; p < N_PROGRAMS; p++)
        for (int32_t T = 2; T <= 5; T++)
            for (int32_t D = 0; D < T; D++)
                for (int32_t layer = 0; layer < MAX_L - 1; layer++) {
                    const ps_edit all[] = {{PS_TAP_Z, 0, 0, T, 2}};
                    const ps_edit pattern[] = {{PS_TAP_Q, 0, 0, T, 0}, {PS_TAP_K, 0, 0, T, 0}};
                    const ps_edit window[] = {{PS_TAP_MLP_OUT, 0, T - 2, 1, -1}, {PS_TAP_MLP_OUT, 1, T - 2, 1, -1},
                                              {PS_TAP_MLP_OUT, 2, T - 2, 1, -1}};
                    const ps_edit far[] = {{PS_TAP_RESID_POST, 0, D, 1, -1}, {PS_TAP_RESID_PRE, 2, T - 1, 1, -1}};
                    check_cell(programs[p], MAX_L - 1, T, D, layer, all, 1, &n, &wrong);
                    check_cell(programs[p], MAX_L - 1, T, D, layer, pattern, 2, &n, &wrong);
                    check_cell(programs[p], MAX_L - 1, T, D, layer, window, 3, &n, &wrong);
                    check_cell(programs[p], MAX_L - 1, T, D, layer, far, 2, &n, &wrong);
                }
    CHECK(n > 500);
    CHECK_INT(wrong, 0);
}

/* What the sites of heads replace, wherever the runs part; in two layers as well, where the second sees the first's rows. */
static void heads_at_all_positions(void)
{
    static const uint8_t taps[] = {PS_TAP_Q, PS_TAP_K, PS_TAP_V, PS_TAP_Z, PS_TAP_PATTERN};
    int n = 0, wrong = 0;

    for (size_t p = 0; p < N_PROGRAMS; p++)
        for (size_t i = 0; i < sizeof taps; i++)
            for (int32_t L = 1; L < MAX_L; L++)
                for (int32_t T = 1; T <= 6; T++)
                    for (int32_t D = 0; D < T; D++)
                        for (int32_t layer = 0; layer < L; layer++) {
                            const ps_edit all = {taps[i], 0, 0, T, 0};
                            const ps_edit window[] = {all, {taps[i], 1, 0, T, 0}};
                            const ps_edit late[] = {{PS_TAP_MLP_OUT, 0, T - 1, 1, -1}, {taps[i], 1, 0, T, 0}};
                            const ps_edit both[] = {{PS_TAP_V, 0, T / 2, 1, 0}, all};
                            check_cell(programs[p], L, T, D, layer, &all, 1, &n, &wrong);
                            check_cell(programs[p], L, T, D, layer, window, 2, &n, &wrong);
                            check_cell(programs[p], L, T, D, layer, late, 2, &n, &wrong);
                            check_cell(programs[p], L, T, D, layer, both, taps[i] == PS_TAP_V ? 1 : 2, &n, &wrong);
                        }
    CHECK(n > 10000);
    CHECK_INT(wrong, 0);
}

static void programs_are_checked(void)
{
    static const ps_step unread[] = {{PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, 0}, {0}};
    static const ps_step elsewhere[] = {{PS_OP_NORM, PS_H, PS_X, PS_NO_REG, 0, 0, 0}, {0}};
    static const ps_step twice[] = {{PS_OP_NORM, PS_X, PS_X, PS_NO_REG, 0, 0, PS_TAP_MLP_OUT},
                                    {PS_OP_NORM, PS_X, PS_X, PS_NO_REG, 0, 0, PS_TAP_MLP_OUT}, {0}};
    static const ps_step no_heads[] = {{PS_OP_NORM, PS_X, PS_X, PS_NO_REG, 0, 0, PS_TAP_V}, {0}};
    static const ps_step wider[] = {{PS_OP_NORM, PS_Q, PS_X, PS_NO_REG, 0, 0, 0}, {PS_OP_ADD, PS_X, PS_X, PS_X, 0, 0, 0}, {0}};
    static const ps_step headless[] = {{PS_OP_HEAD_NORM, PS_H, PS_X, PS_NO_REG, 0, 0, 0}, {PS_OP_ADD, PS_X, PS_X, PS_H, 0, 0, 0}, {0}};
    static const ps_step early_post[] = {{PS_OP_NORM, PS_X, PS_X, PS_NO_REG, 0, 0, PS_TAP_RESID_POST},
                                         {PS_OP_NORM, PS_X, PS_X, PS_NO_REG, 0, 0, 0}, {0}};
    static const ps_step no_role[] = {{PS_OP_NORM, PS_X, PS_X, PS_NO_REG, PS_N_ROLES, 0, 0}, {0}};
    static const ps_step in_place[] = {{PS_OP_LINEAR, PS_X, PS_X, PS_NO_REG, 0, 0, 0}, {0}};
    ps_err err = PS_ERR_INIT;

    for (const ps_family *f = ps_families; f->architecture; f++)
        CHECK(ps_program_check(f->layer, &err) == 0);
    CHECK_ERR(ps_program_check(in_place, &err), err, PS_EINPUT, "still reads");
    CHECK_ERR(ps_program_check((const ps_step[]){{PS_OP_NORM, PS_X, PS_X, PS_NO_REG, 0, 0, 0}, {0}}, &err), err, PS_EINPUT,
              "0 attentions");
    for (size_t p = 0; p < N_PROGRAMS; p++)
        CHECK(ps_program_check(programs[p], &err) == 0);
    CHECK_ERR(ps_program_check(unread, &err), err, PS_EINPUT, "step 0");
    CHECK_ERR(ps_program_check(elsewhere, &err), err, PS_EINPUT, "does not end");
    CHECK_ERR(ps_program_check(twice, &err), err, PS_EINPUT, "step 1");
    CHECK_ERR(ps_program_check(no_heads, &err), err, PS_EINPUT, "a value of another width");
    CHECK_ERR(ps_program_check(wider, &err), err, PS_EINPUT, "other widths");
    CHECK_ERR(ps_program_check(headless, &err), err, PS_EINPUT, "other widths");
    CHECK_ERR(ps_program_check(early_post, &err), err, PS_EINPUT, "step 0 of a layer's program names");
    CHECK_ERR(ps_program_check(no_role, &err), err, PS_EINPUT, "no step");
}

int main(void)
{
    RUN(programs_are_checked);
    RUN(one_row_at_every_tap);
    RUN(several_edits);
    RUN(heads_at_all_positions);
    return check_done();
}
