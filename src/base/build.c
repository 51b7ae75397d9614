/* build.c - the version from the Makefile, and what the compiler says of itself.  Compiled with the -march of the rest. */
#include "patchsweep/build.h"

#include <stdio.h>

#include "patchsweep/processor.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "an unknown compiler"
#endif

/* NEED(__AVX2__, "avx2") is " avx2" where __AVX2__ is defined as 1, and "" where it is not defined. */
#define NEED(macro, name) NEED_VALUE(macro, name)
#define NEED_VALUE(value, name) NEED_PICK(NEED_COMMA_##value, name)
#define NEED_PICK(comma_or_junk, name) NEED_SECOND(comma_or_junk " " name, "", )
#define NEED_COMMA_1 ,
#define NEED_SECOND(first, second, ...) second

const char ps_build_version[] = PS_VERSION;

/* The instruction sets that a compiler uses by itself, without intrinsics.  processor.c has a row for each name. */
const char ps_build_needs[] = ""
#if defined(__x86_64__)
    NEED(__SSE3__, "sse3")
    NEED(__SSSE3__, "ssse3")
    NEED(__SSE4_1__, "sse4.1")
    NEED(__SSE4_2__, "sse4.2")
    NEED(__POPCNT__, "popcnt")
    NEED(__AVX__, "avx")
    NEED(__AVX2__, "avx2")
    NEED(__BMI__, "bmi1")
    NEED(__BMI2__, "bmi2")
    NEED(__F16C__, "f16c")
    NEED(__FMA__, "fma")
    NEED(__LZCNT__, "lzcnt")
    NEED(__MOVBE__, "movbe")
    NEED(__AVX512F__, "avx512f")
    NEED(__AVX512BW__, "avx512bw")
    NEED(__AVX512CD__, "avx512cd")
    NEED(__AVX512DQ__, "avx512dq")
    NEED(__AVX512VL__, "avx512vl")
    NEED(__AVX512IFMA__, "avx512ifma")
    NEED(__AVX512VBMI__, "avx512vbmi")
    NEED(__AVX512VBMI2__, "avx512vbmi2")
    NEED(__AVX512VNNI__, "avx512vnni")
    NEED(__AVX512BITALG__, "avx512bitalg")
    NEED(__AVX512VPOPCNTDQ__, "avx512vpopcntdq")
    NEED(__AVX512BF16__, "avx512bf16")
    NEED(__AVX512FP16__, "avx512fp16")
    NEED(__AVXVNNI__, "avxvnni")
    NEED(__GFNI__, "gfni")
    NEED(__SSE4A__, "sse4a")
    NEED(__FMA4__, "fma4")
    NEED(__XOP__, "xop")
    NEED(__TBM__, "tbm")
#endif
    ;

const char *ps_build_describe(void)
{
    static char text[512];
    char set[320];

    if (!text[0])
        snprintf(text, sizeof text, "patchsweep %s, " COMPILER ", ARCH=%s: %s", ps_build_version,
                 PS_ARCH[0] ? PS_ARCH : "\"\"", ps_processor_set(set, sizeof set));
    return text;
}
