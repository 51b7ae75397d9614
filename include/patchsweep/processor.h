/*
 * processor.h - check that this processor has the instruction sets that the program was compiled for.
 *
 * Like main.c, compiled for the baseline processor: the check runs before any code that may use other instructions.
 */
#ifndef PATCHSWEEP_PROCESSOR_H
#define PATCHSWEEP_PROCESSOR_H

#include <stddef.h>

/*
 * Return 0 if the processor and the operating system support every instruction set of ps_build_needs.  Otherwise
 * print one line that names the build's set, what is missing and the remedy, and return 2.  For tests,
 * PS_CPU_LACKS=avx2,fma in the environment hides those sets.
 */
int ps_processor_check(void);
/* Describe the build's instruction sets: "x86-64-v4 avx512bf16", or the name of another architecture.  Returns `out`. */
const char *ps_processor_set(char *out, size_t bytes);

#endif
