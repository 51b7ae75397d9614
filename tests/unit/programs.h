/*
 * programs.h - layers of several families, as tests of the plan need them: steps without weights.
 */
#ifndef PATCHSWEEP_TESTS_PROGRAMS_H
#define PATCHSWEEP_TESTS_PROGRAMS_H

#include "patchsweep/program.h"

static const ps_step llama[] = {
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_Q, PS_H, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_K, PS_H, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_V, PS_H, PS_NO_REG, 0, 0, PS_TAP_V},
    {PS_OP_ROPE, PS_Q, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Q}, {PS_OP_ROPE, PS_K, PS_K, PS_NO_REG, 0, 0, PS_TAP_K},
    {PS_OP_ATTEND, PS_A, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Z}, {PS_OP_LINEAR, PS_Y, PS_A, PS_NO_REG, 0, 0, PS_TAP_ATTN_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_MID}, {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_G, PS_H, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_U, PS_H, PS_NO_REG, 0, 0, 0},
    {PS_OP_GLU, PS_G, PS_G, PS_U, 0, 0, 0}, {PS_OP_LINEAR, PS_Y, PS_G, PS_NO_REG, 0, 0, PS_TAP_MLP_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_POST}, {0},
};
/* Attention and MLP side by side, both of the layer's entrance. */
static const ps_step parallel[] = {
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_Q, PS_H, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_K, PS_H, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_V, PS_H, PS_NO_REG, 0, 0, PS_TAP_V},
    {PS_OP_ROPE, PS_Q, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Q}, {PS_OP_ROPE, PS_K, PS_K, PS_NO_REG, 0, 0, PS_TAP_K},
    {PS_OP_ATTEND, PS_A, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Z}, {PS_OP_LINEAR, PS_Z, PS_A, PS_NO_REG, 0, 0, PS_TAP_ATTN_OUT},
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_G, PS_H, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_Y, PS_G, PS_NO_REG, 0, 0, PS_TAP_MLP_OUT}, {PS_OP_ADD, PS_X, PS_X, PS_Z, 0, 0, 0},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_POST}, {0},
};
/* Norms behind the blocks and of q and k, none in front. */
static const ps_step post_norms[] = {
    {PS_OP_LINEAR, PS_Q, PS_X, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_K, PS_X, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_V, PS_X, PS_NO_REG, 0, 0, PS_TAP_V}, {PS_OP_NORM, PS_Q, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Q},
    {PS_OP_NORM, PS_K, PS_K, PS_NO_REG, 0, 0, PS_TAP_K}, {PS_OP_ATTEND, PS_A, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Z},
    {PS_OP_LINEAR, PS_Y, PS_A, PS_NO_REG, 0, 0, 0}, {PS_OP_NORM, PS_Y, PS_Y, PS_NO_REG, 0, 0, PS_TAP_ATTN_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_MID}, {PS_OP_LINEAR, PS_G, PS_X, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_Y, PS_G, PS_NO_REG, 0, 0, 0}, {PS_OP_NORM, PS_Y, PS_Y, PS_NO_REG, 0, 0, PS_TAP_MLP_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_POST}, {0},
};
static const ps_step *const programs[] = {llama, parallel, post_norms};
enum { N_PROGRAMS = sizeof programs / sizeof *programs };

#endif
