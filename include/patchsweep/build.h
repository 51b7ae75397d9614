/*
 * build.h - the program's version, its compiler, and the processor it was compiled for.
 *
 * Only build.c is compiled with the git revision, so a new commit recompiles nothing else.
 */
#ifndef PATCHSWEEP_BUILD_H
#define PATCHSWEEP_BUILD_H

/* "0.1.0-92-g04fbfba", and "-dirty-<hash>" if the tree had changes; "0.1.0" in a build without git. */
extern const char ps_build_version[];
/*
 * The instruction sets beyond plain x86-64 that the compiler was allowed to use, each after a space: " avx2 fma".
 * "" on other architectures.  Plain data, which can be read on any processor.
 */
extern const char ps_build_needs[];
/* "patchsweep 0.1.0-92-g04fbfba, gcc 12.2.0, ARCH=native: x86-64-v3".  A static string. */
const char *ps_build_describe(void);

#endif
