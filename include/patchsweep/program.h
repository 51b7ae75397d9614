/*
 * program.h - a layer as a table of steps over registers.
 *
 * A register holds rows of one width: X is the residual stream, the others live for one layer.  A step reads one
 * or two registers and writes one.  The forward pass, the widths of rows, FLOPs, memory, the sites that can be
 * patched and the rows that a cell must compute are all derived from the table.
 *
 * The column `tap` gives the value that a step leaves in its register the name that interpretability tools use
 * (TransformerLens: hook_q, hook_z, hook_attn_out, hook_resid_mid ...).
 */
#ifndef PATCHSWEEP_PROGRAM_H
#define PATCHSWEEP_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/config.h"
#include "patchsweep/err.h"

enum ps_reg { PS_X, PS_H, PS_Q, PS_K, PS_V, PS_A, PS_Y, PS_Z, PS_G, PS_U, PS_N_REGS, PS_NO_REG = PS_N_REGS };

enum ps_op {
    PS_OP_END,
    PS_OP_NORM,      /* out = norm(in), of the family's kind */
    PS_OP_HEAD_NORM, /* out = norm(in), head by head */
    PS_OP_LINEAR,    /* out = in W^T + b */
    PS_OP_ROPE,      /* out = in, rotated by its position */
    PS_OP_ATTEND,    /* out = attention of row q over the rows of K and V up to its position */
    PS_OP_ACT,       /* out = act(in), the family's activation */
    PS_OP_GLU,       /* out = act(in) * in2 */
    PS_OP_ADD,       /* out = in + in2 */
    PS_N_OPS
};

enum ps_tap {
    PS_NO_TAP, PS_TAP_Q, PS_TAP_K, PS_TAP_V, PS_TAP_Z, PS_TAP_ATTN_OUT, PS_TAP_RESID_MID, PS_TAP_MLP_OUT,
    PS_TAP_RESID_POST,
    PS_TAP_RESID_PRE, PS_TAP_PATTERN,
    PS_N_TAPS
};

/* Where the value of a tap is found. */
enum ps_tap_kind {
    PS_TAP_OF_STEP,     /* the output of the step that has the tap */
    PS_TAP_OF_ENTRANCE, /* X at the entrance of the layer: no step has the tap */
    PS_TAP_OF_WEIGHTS   /* how a head weighs the values that attention sums: no step has the tap, and an edit is one of
                           attention's output */
};
enum ps_tap_kind ps_tap_kind(enum ps_tap tap);
/* The tap that names the same value in the next layer: X after a layer is X at the entrance of the next.  PS_NO_TAP: the
 * value belongs to one layer. */
enum ps_tap ps_tap_next(enum ps_tap tap);

typedef struct ps_step {
    uint8_t op;           /* enum ps_op */
    uint8_t out, in, in2; /* enum ps_reg; ATTEND reads Q, K and V */
    uint8_t weight, bias; /* enum ps_tensor_role of LINEAR and NORM */
    uint8_t tap;          /* enum ps_tap: the name of the step's output */
} ps_step;

/* The most steps of a program. */
#define PS_MAX_STEPS 24

/* The most registers that a step reads: ATTEND's Q, K and V. */
#define PS_MAX_INPUTS 3
/* The registers that a step reads.  Returns how many. */
size_t ps_step_inputs(const ps_step *step, uint8_t in[PS_MAX_INPUTS]);

/* The values that each step reads.  Value 0 is X at the layer's entrance, value i + 1 is the output of step i. */
typedef struct ps_program_inputs {
    size_t n_steps, attend; /* attend: the step that is attention */
    size_t n[PS_MAX_STEPS];
    int value[PS_MAX_STEPS][PS_MAX_INPUTS];
} ps_program_inputs;
ps_program_inputs ps_program_resolve(const ps_step *program);

/* Count the steps before PS_OP_END. */
size_t ps_program_n(const ps_step *program);
/* The index of attention's step; the number of steps if there is none. */
size_t ps_program_attend(const ps_step *program);
/* The step whose output is `tap`, attention for PS_TAP_OF_WEIGHTS.  -1 if no step has the tap. */
int ps_program_tap(const ps_step *program, enum ps_tap tap);
/*
 * Check a program; PS_EINPUT names the step that breaks a rule:
 *   - A register is written before it is read.  No step overwrites what it, or attention, still reads.
 *   - Only matrix products change the width of rows.  Head norms and rotations work on rows of heads.
 *   - There is one attention.  The last step writes X.
 *   - A tap stands at one step, whose rows have the width of what the tap names.  The tap of X after the layer
 *     (ps_tap_next) stands at the last step.
 *   - There are 1 to PS_MAX_STEPS steps.
 */
int ps_program_check(const ps_step *program, ps_err *err);

/* Floats of a row of `reg`. */
size_t ps_program_width(const ps_config *config, enum ps_reg reg);
/*
 * Floating-point operations of `step` at one row: 2 k n for a matrix [n, k], as a multiply-add counts as two.  0 for all
 * other steps: attention is counted by ps_program_key_flops(); norms, rotations and sums are not counted.
 */
double ps_program_row_flops(const ps_config *config, const ps_step *step);
/* Operations of attention for each key that a row sees: q.k and the weighted sum of v. */
double ps_program_key_flops(const ps_config *config);

#endif
