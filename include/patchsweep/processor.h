/*
 * processor.h - does this processor have what the program was compiled for?
 *
 * Compiled, like main.c, for the plainest processor: it runs before anything that could meet an instruction the
 * processor does not have.
 */
#ifndef PATCHSWEEP_PROCESSOR_H
#define PATCHSWEEP_PROCESSOR_H

#include <stddef.h>

/*
 * 0 where the processor and the operating system have every instruction set of ps_build_needs.  Otherwise 2, after
 * one line on stderr that names the build's set, what is missing, and the remedy.  For tests, PS_CPU_LACKS=avx2,fma in
 * the environment makes those sets missing.
 */
int ps_processor_check(void);
/* The build's set in few words: "x86-64-v4 avx512bf16"; the architecture's name where it is not x86-64.  Returns `out`. */
const char *ps_processor_set(char *out, size_t bytes);

#endif
