/* program.c - what follows from a layer's steps without running them. */
#include "patchsweep/program.h"

#include "patchsweep/family.h"

/* The width of a register's rows. */
enum width { OF_STREAM, OF_QUERIES, OF_KEYS, OF_MLP, N_WIDTHS };

static const uint8_t width_of[PS_N_REGS] = {
    [PS_X] = OF_STREAM, [PS_H] = OF_STREAM, [PS_Y] = OF_STREAM, [PS_Z] = OF_STREAM, [PS_Q] = OF_QUERIES, [PS_A] = OF_QUERIES,
    [PS_K] = OF_KEYS, [PS_V] = OF_KEYS, [PS_G] = OF_MLP, [PS_U] = OF_MLP};

/* The taps: the width of a value's rows, where the value is found, and its tap in the next layer. */
static const struct {
    uint8_t width, kind, next; /* enum width, enum ps_tap_kind, enum ps_tap */
} taps[PS_N_TAPS] = {
    [PS_NO_TAP] = {OF_STREAM, PS_TAP_OF_STEP, PS_NO_TAP},
    [PS_TAP_Q] = {OF_QUERIES, PS_TAP_OF_STEP, PS_NO_TAP},
    [PS_TAP_K] = {OF_KEYS, PS_TAP_OF_STEP, PS_NO_TAP},
    [PS_TAP_V] = {OF_KEYS, PS_TAP_OF_STEP, PS_NO_TAP},
    [PS_TAP_Z] = {OF_QUERIES, PS_TAP_OF_STEP, PS_NO_TAP},
    [PS_TAP_ATTN_OUT] = {OF_STREAM, PS_TAP_OF_STEP, PS_NO_TAP},
    [PS_TAP_RESID_MID] = {OF_STREAM, PS_TAP_OF_STEP, PS_NO_TAP},
    [PS_TAP_MLP_OUT] = {OF_STREAM, PS_TAP_OF_STEP, PS_NO_TAP},
    [PS_TAP_RESID_POST] = {OF_STREAM, PS_TAP_OF_STEP, PS_TAP_RESID_PRE},
    [PS_TAP_RESID_PRE] = {OF_STREAM, PS_TAP_OF_ENTRANCE, PS_NO_TAP},
    [PS_TAP_PATTERN] = {OF_STREAM, PS_TAP_OF_WEIGHTS, PS_NO_TAP},
};

enum ps_tap_kind ps_tap_kind(enum ps_tap tap)
{
    return (enum ps_tap_kind)taps[tap].kind;
}

enum ps_tap ps_tap_next(enum ps_tap tap)
{
    return (enum ps_tap)taps[tap].next;
}

size_t ps_program_n(const ps_step *program)
{
    size_t n = 0;

    while (program[n].op != PS_OP_END)
        n++;
    return n;
}

size_t ps_program_attend(const ps_step *program)
{
    size_t n = 0;

    while (program[n].op != PS_OP_END && program[n].op != PS_OP_ATTEND)
        n++;
    return n;
}

int ps_program_tap(const ps_step *program, enum ps_tap tap)
{
    for (int i = 0; program[i].op != PS_OP_END; i++)
        if (program[i].tap == tap || (taps[tap].kind == PS_TAP_OF_WEIGHTS && program[i].op == PS_OP_ATTEND))
            return i;
    return -1;
}

size_t ps_step_inputs(const ps_step *step, uint8_t in[PS_MAX_INPUTS])
{
    size_t n = 0;

    if (step->op == PS_OP_ATTEND) {
        in[0] = PS_Q;
        in[1] = PS_K;
        in[2] = PS_V;
        return 3;
    }
    in[n++] = step->in;
    if (step->op == PS_OP_ADD || step->op == PS_OP_GLU)
        in[n++] = step->in2;
    return n;
}

ps_program_inputs ps_program_resolve(const ps_step *program)
{
    ps_program_inputs inputs = {.n_steps = ps_program_n(program), .attend = ps_program_attend(program)};
    int now[PS_N_REGS] = {[PS_X] = 0};

    for (size_t i = 0; i < inputs.n_steps; i++) {
        uint8_t in[PS_MAX_INPUTS];
        inputs.n[i] = ps_step_inputs(&program[i], in);
        for (size_t k = 0; k < inputs.n[i]; k++)
            inputs.value[i][k] = now[in[k]];
        now[program[i].out] = (int)i + 1;
    }
    return inputs;
}

/* Matrix products and attention read their inputs while they write, so they cannot work in place.  GLU works in its first
 * input. */
static bool may_overwrite(const ps_step *step)
{
    switch (step->op) {
    case PS_OP_LINEAR:
        return step->out != step->in;
    case PS_OP_ATTEND:
        return step->out != PS_Q && step->out != PS_K && step->out != PS_V;
    case PS_OP_GLU:
        return step->out != step->in2;
    default:
        return true;
    }
}

/* Only a matrix product gives rows of another width; attention gives rows as wide as its queries. */
static bool fits(const ps_step *step, const uint8_t in[], size_t n)
{
    for (size_t k = 0; k < n && step->op != PS_OP_LINEAR && step->op != PS_OP_ATTEND; k++)
        if (width_of[in[k]] != width_of[step->out])
            return false;
    if (step->op == PS_OP_ATTEND)
        return width_of[step->out] == OF_QUERIES;
    return (step->op != PS_OP_HEAD_NORM && step->op != PS_OP_ROPE) || width_of[step->out] == OF_QUERIES ||
           width_of[step->out] == OF_KEYS;
}

/* Check the tap of a step. */
static int check_tap(const ps_step *step, size_t i, bool tapped[PS_N_TAPS], ps_err *err)
{
    if (!step->tap)
        return 0;
    if (tapped[step->tap])
        return ps_err_set(err, PS_EINPUT, "step %zu of a layer's program names its output as an earlier step does", i);
    if (taps[step->tap].kind == PS_TAP_OF_ENTRANCE || (taps[step->tap].next && step[1].op != PS_OP_END))
        return ps_err_set(err, PS_EINPUT, "step %zu of a layer's program names its output as what is in front of or behind the "
                          "layer", i);
    if (taps[step->tap].width != width_of[step->out])
        return ps_err_set(err, PS_EINPUT, "step %zu of a layer's program names its output as a value of another width", i);
    tapped[step->tap] = true;
    return 0;
}

/* `behind`: the step comes after attention. */
static int check_step(const ps_step *step, size_t i, bool behind, bool written[PS_N_REGS], bool tapped[PS_N_TAPS],
                      ps_err *err)
{
    uint8_t in[PS_MAX_INPUTS];
    size_t n = ps_step_inputs(step, in);

    if (step->op >= PS_N_OPS || step->out >= PS_N_REGS || step->tap >= PS_N_TAPS || step->weight >= PS_N_ROLES ||
        step->bias >= PS_N_ROLES)
        return ps_err_set(err, PS_EINPUT, "step %zu of a layer's program is no step", i);
    for (size_t k = 0; k < n; k++)
        if (in[k] >= PS_N_REGS || !written[in[k]])
            return ps_err_set(err, PS_EINPUT, "step %zu of a layer's program reads a register that no step wrote", i);
    if (!fits(step, in, n))
        return ps_err_set(err, PS_EINPUT, "step %zu of a layer's program has registers of other widths than its "
                          "operation takes", i);
    if (!may_overwrite(step))
        return ps_err_set(err, PS_EINPUT, "step %zu of a layer's program writes to a register that it still reads", i);
    if ((step->out == PS_K || step->out == PS_V) && (behind || step->op == PS_OP_ATTEND))
        return ps_err_set(err, PS_EINPUT, "step %zu of a layer's program writes keys or values that attention has read", i);
    written[step->out] = true;
    return check_tap(step, i, tapped, err);
}

int ps_program_check(const ps_step *program, ps_err *err)
{
    bool written[PS_N_REGS] = {[PS_X] = true}, tapped[PS_N_TAPS] = {false};
    size_t n = ps_program_n(program), attends = 0;

    if (n == 0 || n > PS_MAX_STEPS || program[n - 1].out != PS_X)
        return ps_err_set(err, PS_EINPUT, "a layer's program of %zu steps does not end with a step to X", n);
    for (size_t i = 0; i < n; i++) {
        if (check_step(&program[i], i, attends > 0, written, tapped, err) < 0)
            return -1;
        attends += program[i].op == PS_OP_ATTEND;
    }
    if (attends != 1)
        return ps_err_set(err, PS_EINPUT, "a layer's program has %zu attentions, and must have one", attends);
    return 0;
}

size_t ps_program_width(const ps_config *c, enum ps_reg reg)
{
    size_t hd = (size_t)c->head_dim;
    const size_t widths[N_WIDTHS] = {[OF_STREAM] = (size_t)c->d_model, [OF_QUERIES] = (size_t)c->n_heads * hd,
                                     [OF_KEYS] = (size_t)c->n_kv_heads * hd, [OF_MLP] = (size_t)c->d_mlp};

    return widths[width_of[reg]];
}

double ps_program_row_flops(const ps_config *config, const ps_step *step)
{
    if (step->op != PS_OP_LINEAR)
        return 0;
    return 2.0 * (double)ps_program_width(config, (enum ps_reg)step->in) *
           (double)ps_program_width(config, (enum ps_reg)step->out);
}

double ps_program_key_flops(const ps_config *config)
{
    return 4.0 * (double)ps_program_width(config, PS_Q);
}
