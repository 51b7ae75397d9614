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

/* Every head of Q and K is normed before it is rotated; transformers' modeling_qwen3.py. */
const ps_step ps_program_head_norm_glu[] = {
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, PS_W_ATTN_NORM, 0, 0},
    {PS_OP_LINEAR, PS_K, PS_H, PS_NO_REG, PS_W_K, PS_B_K, 0},
    {PS_OP_HEAD_NORM, PS_K, PS_K, PS_NO_REG, PS_W_K_NORM, 0, 0},
    {PS_OP_LINEAR, PS_V, PS_H, PS_NO_REG, PS_W_V, PS_B_V, PS_TAP_V},
    {PS_OP_ROPE, PS_K, PS_K, PS_NO_REG, 0, 0, PS_TAP_K},
    {PS_OP_LINEAR, PS_Q, PS_H, PS_NO_REG, PS_W_Q, PS_B_Q, 0},
    {PS_OP_HEAD_NORM, PS_Q, PS_Q, PS_NO_REG, PS_W_Q_NORM, 0, 0},
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

/* What a block adds is normed first, and the tap is after this norm; transformers' modeling_gemma2.py. */
const ps_step ps_program_both_norms_glu[] = {
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, PS_W_ATTN_NORM, 0, 0},
    {PS_OP_LINEAR, PS_K, PS_H, PS_NO_REG, PS_W_K, PS_B_K, 0},
    {PS_OP_LINEAR, PS_V, PS_H, PS_NO_REG, PS_W_V, PS_B_V, PS_TAP_V},
    {PS_OP_ROPE, PS_K, PS_K, PS_NO_REG, 0, 0, PS_TAP_K},
    {PS_OP_LINEAR, PS_Q, PS_H, PS_NO_REG, PS_W_Q, PS_B_Q, 0},
    {PS_OP_ROPE, PS_Q, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Q},
    {PS_OP_ATTEND, PS_A, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Z},
    {PS_OP_LINEAR, PS_Z, PS_A, PS_NO_REG, PS_W_O, PS_B_O, 0},
    {PS_OP_NORM, PS_Y, PS_Z, PS_NO_REG, PS_W_ATTN_POST_NORM, 0, PS_TAP_ATTN_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_MID},
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, PS_W_MLP_NORM, 0, 0},
    {PS_OP_LINEAR, PS_G, PS_H, PS_NO_REG, PS_W_GATE, PS_B_GATE, 0},
    {PS_OP_LINEAR, PS_U, PS_H, PS_NO_REG, PS_W_UP, PS_B_UP, 0},
    {PS_OP_GLU, PS_G, PS_G, PS_U, 0, 0, 0},
    {PS_OP_LINEAR, PS_Z, PS_G, PS_NO_REG, PS_W_DOWN, PS_B_DOWN, 0},
    {PS_OP_NORM, PS_Y, PS_Z, PS_NO_REG, PS_W_MLP_POST_NORM, 0, PS_TAP_MLP_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_POST},
    {PS_OP_END, 0, 0, 0, 0, 0, 0},
};

/* Positions are in the embedding, so nothing is rotated; transformers' modeling_gpt2.py. */
const ps_step ps_program_pre_norm_mlp[] = {
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, PS_W_ATTN_NORM, PS_B_ATTN_NORM, 0},
    {PS_OP_LINEAR, PS_K, PS_H, PS_NO_REG, PS_W_K, PS_B_K, PS_TAP_K},
    {PS_OP_LINEAR, PS_V, PS_H, PS_NO_REG, PS_W_V, PS_B_V, PS_TAP_V},
    {PS_OP_LINEAR, PS_Q, PS_H, PS_NO_REG, PS_W_Q, PS_B_Q, PS_TAP_Q},
    {PS_OP_ATTEND, PS_A, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Z},
    {PS_OP_LINEAR, PS_Y, PS_A, PS_NO_REG, PS_W_O, PS_B_O, PS_TAP_ATTN_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_MID},
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, PS_W_MLP_NORM, PS_B_MLP_NORM, 0},
    {PS_OP_LINEAR, PS_U, PS_H, PS_NO_REG, PS_W_UP, PS_B_UP, 0},
    {PS_OP_ACT, PS_U, PS_U, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_Y, PS_U, PS_NO_REG, PS_W_DOWN, PS_B_DOWN, PS_TAP_MLP_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_POST},
    {PS_OP_END, 0, 0, 0, 0, 0, 0},
};

/*
 * Both blocks read the layer's entrance: x = (mlp + attn) + x; transformers' modeling_gpt_neox.py.  The MLP comes after
 * attention, so that rank 0 can send K and V of the base runs before it computes the MLP.
 */
const ps_step ps_program_parallel_mlp[] = {
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, PS_W_ATTN_NORM, PS_B_ATTN_NORM, 0},
    {PS_OP_LINEAR, PS_K, PS_H, PS_NO_REG, PS_W_K, PS_B_K, 0},
    {PS_OP_LINEAR, PS_V, PS_H, PS_NO_REG, PS_W_V, PS_B_V, PS_TAP_V},
    {PS_OP_ROPE, PS_K, PS_K, PS_NO_REG, 0, 0, PS_TAP_K},
    {PS_OP_LINEAR, PS_Q, PS_H, PS_NO_REG, PS_W_Q, PS_B_Q, 0},
    {PS_OP_ROPE, PS_Q, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Q},
    {PS_OP_ATTEND, PS_A, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Z},
    {PS_OP_LINEAR, PS_Y, PS_A, PS_NO_REG, PS_W_O, PS_B_O, PS_TAP_ATTN_OUT},
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, PS_W_MLP_NORM, PS_B_MLP_NORM, 0},
    {PS_OP_LINEAR, PS_U, PS_H, PS_NO_REG, PS_W_UP, PS_B_UP, 0},
    {PS_OP_ACT, PS_U, PS_U, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_Z, PS_U, PS_NO_REG, PS_W_DOWN, PS_B_DOWN, PS_TAP_MLP_OUT},
    {PS_OP_ADD, PS_Z, PS_Z, PS_Y, 0, 0, 0},
    {PS_OP_ADD, PS_X, PS_Z, PS_X, 0, 0, PS_TAP_RESID_POST},
    {PS_OP_END, 0, 0, 0, 0, 0, 0},
};
