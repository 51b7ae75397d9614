/* programs.h - the programs of the families' layers; each ends with PS_OP_END. */
#ifndef PATCHSWEEP_PROGRAMS_H
#define PATCHSWEEP_PROGRAMS_H

#include "patchsweep/program.h"

extern const ps_step ps_program_pre_norm_glu[];   /* norms in front of both blocks, gated MLP: Llama, Mistral, Qwen2 */
extern const ps_step ps_program_head_norm_glu[];  /* the same, and norms of every head's query and key: Qwen3 */
extern const ps_step ps_program_both_norms_glu[]; /* norms in front of and behind both blocks: Gemma 2 */
extern const ps_step ps_program_pre_norm_mlp[];   /* norms in front, no rotation, MLP without a gate: GPT-2 */
extern const ps_step ps_program_parallel_mlp[];   /* attention and MLP side by side: GPT-NeoX */

#endif
