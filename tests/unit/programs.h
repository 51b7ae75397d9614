/*
 * programs.h - the layers that tests of the plan go through: those of all families, and others that no family has.
 */
#ifndef PATCHSWEEP_TESTS_PROGRAMS_H
#define PATCHSWEEP_TESTS_PROGRAMS_H

#include "../../src/model/programs.h"

/* Q before K and V. */
static const ps_step queries_first[] = {
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_Q, PS_H, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_K, PS_H, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_V, PS_H, PS_NO_REG, 0, 0, PS_TAP_V},
    {PS_OP_ROPE, PS_Q, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Q}, {PS_OP_ROPE, PS_K, PS_K, PS_NO_REG, 0, 0, PS_TAP_K},
    {PS_OP_ATTEND, PS_A, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Z}, {PS_OP_LINEAR, PS_Y, PS_A, PS_NO_REG, 0, 0, PS_TAP_ATTN_OUT},
    {PS_OP_ADD, PS_X, PS_X, PS_Y, 0, 0, PS_TAP_RESID_MID}, {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, 0, 0, 0},
    {PS_OP_LINEAR, PS_G, PS_H, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_U, PS_H, PS_NO_REG, 0, 0, 0},
    {PS_OP_GLU, PS_G, PS_G, PS_U, 0, 0, 0}, {PS_OP_LINEAR, PS_Y, PS_G, PS_NO_REG, 0, 0, PS_TAP_MLP_OUT},
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
/* The MLP in front of attention: its output is an early value that is read behind. */
static const ps_step mlp_first[] = {
    {PS_OP_NORM, PS_H, PS_X, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_U, PS_H, PS_NO_REG, 0, 0, 0},
    {PS_OP_ACT, PS_U, PS_U, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_Z, PS_U, PS_NO_REG, 0, 0, PS_TAP_MLP_OUT},
    {PS_OP_LINEAR, PS_K, PS_H, PS_NO_REG, 0, 0, 0}, {PS_OP_LINEAR, PS_V, PS_H, PS_NO_REG, 0, 0, PS_TAP_V},
    {PS_OP_ROPE, PS_K, PS_K, PS_NO_REG, 0, 0, PS_TAP_K}, {PS_OP_LINEAR, PS_Q, PS_H, PS_NO_REG, 0, 0, 0},
    {PS_OP_ROPE, PS_Q, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Q}, {PS_OP_ATTEND, PS_A, PS_Q, PS_NO_REG, 0, 0, PS_TAP_Z},
    {PS_OP_LINEAR, PS_Y, PS_A, PS_NO_REG, 0, 0, PS_TAP_ATTN_OUT}, {PS_OP_ADD, PS_Z, PS_Z, PS_Y, 0, 0, 0},
    {PS_OP_ADD, PS_X, PS_Z, PS_X, 0, 0, PS_TAP_RESID_POST}, {0},
};
static const ps_step *const programs[] = {ps_program_pre_norm_glu, ps_program_head_norm_glu, ps_program_both_norms_glu,
                                          ps_program_pre_norm_mlp, ps_program_parallel_mlp, queries_first, post_norms,
                                          mlp_first};
enum { N_PROGRAMS = sizeof programs / sizeof *programs };

#endif
