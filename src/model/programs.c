/*
 * programs.c - the layers of the families, a table each.
 *
 * A row: operation, output, inputs, weight, bias, tap.
 */
#include "programs.h"

#include "patchsweep/family.h"

/* Norms in front of both blocks; transformers' modeling_llama.py. */
const ps_step ps_program_pre_norm_glu[] = {
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, PS_W_ATTN_NORM, 0, 0},
    {PS_OP_LINEAR, PS_K, PS_H, PS_NO_REG, PS_W_K, PS_B_K, 0},
    {PS_OP_LINEAR, PS_V, PS_H, PS_NO_REG, PS_W_V, PS_B_V, PS_TAP_V},
    {PS_OP_ROPE, PS_K, PS_K, PS_NO_REG, 0, 0, PS_TAP_K},
    {PS_OP_LINEAR, PS_Q, PS_H, PS_NO_REG, PS_W_Q, PS_B_Q, 0},
    {PS_OP_ROPE, PS_Q, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Q},
    {PS_OP_ATTEND, PS_A, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Z},
    {PS_OP_LINEAR, PS_Y, PS_A, PS_NO_REG, PS_W_O, PS_B_O, PS_TAP_ATTN_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_MID},
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, PS_W_MLP_NORM, 0, 0},
    {PS_OP_LINEAR, PS_G, PS_H, PS_NO_REG, PS_W_GATE, PS_B_GATE, 0},
    {PS_OP_LINEAR, PS_U, PS_H, PS_NO_REG, PS_W_UP, PS_B_UP, 0},
    {PS_OP_GLU, PS_G, PS_G, PS_U, 0, 0, 0},
    {PS_OP_LINEAR, PS_Y, PS_G, PS_NO_REG, PS_W_DOWN, PS_B_DOWN, PS_TAP_MLP_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_POST},
    {PS_OP_END, 0, 0, 0, 0, 0, 0},
};
