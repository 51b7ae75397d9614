/* programs.h - the layers that families have, by name; each ends with PS_OP_END. */
#ifndef PATCHSWEEP_PROGRAMS_H
#define PATCHSWEEP_PROGRAMS_H

#include "patchsweep/program.h"

extern const ps_step ps_program_pre_norm_glu[];

#endif
