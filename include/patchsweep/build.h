/*
 * build.h - which code this is, and what it was compiled by and for.
 *
 * The one object that knows the git revision (build.c): a commit recompiles nothing else.
 */
#ifndef PATCHSWEEP_BUILD_H
#define PATCHSWEEP_BUILD_H

/* "0.1.0-92-g04fbfba", with "-dirty" behind where the tree had changes; "0.1.0" where git was not there. */
extern const char ps_build_version[];
/*
 * The instruction sets beyond the plain x86-64 that the compiler was allowed to use, each with a space in
 * front: " avx2 fma"; "" for other architectures.  Plain data: it can be read on any processor.
 */
extern const char ps_build_needs[];
/* "patchsweep 0.1.0-92-g04fbfba, gcc 12.2.0, ARCH=native: x86-64-v3".  A static string. */
const char *ps_build_describe(void);

#endif
