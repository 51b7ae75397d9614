/*
 * processor.c - look up instruction sets by cpuid.
 *
 * The Makefile compiles this file and main.c without -march.  Nothing here may call a function of another source file:
 * those are compiled for the processor that this file has yet to check.
 */
#include "patchsweep/processor.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/build.h"

/* Whether `name` is in `list`, separated by spaces or commas. */
static bool lists(const char *list, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = list; at && (at = strstr(at, name)) != NULL; at += n)
        if ((at == list || strchr(" ,", at[-1])) && strchr(" ,", at[n])) /* strchr finds the final '\0' too */
            return true;
    return false;
}

static void append(char *out, size_t bytes, const char *word)
{
    size_t n = strlen(out);

    snprintf(out + n, bytes - n, "%s%s", n ? " " : "", word);
}

#if defined(__x86_64__)
#include <cpuid.h>

enum { EAX, EBX, ECX, EDX };
enum state { NO_STATE, YMM, ZMM }; /* registers that the operating system must save */
enum { BASE_LEVEL = 1, TOP_LEVEL = 4, NO_LEVEL };

static const struct feature {
    const char *name;
    unsigned leaf, subleaf;
    int reg, bit;
    enum state state;
    int level; /* the lowest x86-64 level with this feature: 2, 3 or 4 for v2, v3, v4 */
} features[] = {
    {"sse3", 1, 0, ECX, 0, NO_STATE, 2},
    {"ssse3", 1, 0, ECX, 9, NO_STATE, 2},
    {"sse4.1", 1, 0, ECX, 19, NO_STATE, 2},
    {"sse4.2", 1, 0, ECX, 20, NO_STATE, 2},
    {"popcnt", 1, 0, ECX, 23, NO_STATE, 2},
    {"avx", 1, 0, ECX, 28, YMM, 3},
    {"avx2", 7, 0, EBX, 5, YMM, 3},
    {"bmi1", 7, 0, EBX, 3, NO_STATE, 3},
    {"bmi2", 7, 0, EBX, 8, NO_STATE, 3},
    {"f16c", 1, 0, ECX, 29, YMM, 3},
    {"fma", 1, 0, ECX, 12, YMM, 3},
    {"lzcnt", 0x80000001, 0, ECX, 5, NO_STATE, 3},
    {"movbe", 1, 0, ECX, 22, NO_STATE, 3},
    {"avx512f", 7, 0, EBX, 16, ZMM, 4},
    {"avx512bw", 7, 0, EBX, 30, ZMM, 4},
    {"avx512cd", 7, 0, EBX, 28, ZMM, 4},
    {"avx512dq", 7, 0, EBX, 17, ZMM, 4},
    {"avx512vl", 7, 0, EBX, 31, ZMM, 4},
    {"avx512ifma", 7, 0, EBX, 21, ZMM, NO_LEVEL},
    {"avx512vbmi", 7, 0, ECX, 1, ZMM, NO_LEVEL},
    {"avx512vbmi2", 7, 0, ECX, 6, ZMM, NO_LEVEL},
    {"avx512vnni", 7, 0, ECX, 11, ZMM, NO_LEVEL},
    {"avx512bitalg", 7, 0, ECX, 12, ZMM, NO_LEVEL},
    {"avx512vpopcntdq", 7, 0, ECX, 14, ZMM, NO_LEVEL},
    {"avx512bf16", 7, 1, EAX, 5, ZMM, NO_LEVEL},
    {"avx512fp16", 7, 0, EDX, 23, ZMM, NO_LEVEL},
    {"avxvnni", 7, 1, EAX, 4, YMM, NO_LEVEL},
    {"gfni", 7, 0, ECX, 8, NO_STATE, NO_LEVEL},
    {"sse4a", 0x80000001, 0, ECX, 6, NO_STATE, NO_LEVEL},
    {"fma4", 0x80000001, 0, ECX, 16, YMM, NO_LEVEL},
    {"xop", 0x80000001, 0, ECX, 11, YMM, NO_LEVEL},
    {"tbm", 0x80000001, 0, ECX, 21, NO_STATE, NO_LEVEL},
};

#define N_FEATURES (sizeof features / sizeof *features)

static const char *const level_names[] = {[1] = "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};

/* Whether the operating system saves these registers.  Bits of XCR0: 1 xmm, 2 ymm, 5 to 7 zmm and masks. */
static bool saved(enum state state)
{
    static const unsigned bits[] = {[YMM] = 0x6, [ZMM] = 0xe6};
    unsigned a, b, c, d, low, high;

    if (state == NO_STATE)
        return true;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) /* OSXSAVE: xgetbv may be used */
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & bits[state]) == bits[state];
}

static bool has(const struct feature *f)
{
    unsigned r[4];

    if (lists(getenv("PS_CPU_LACKS"), f->name) ||
        !__get_cpuid_count(f->leaf, f->subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX]))
        return false;
    return (r[f->reg] >> f->bit & 1) && saved(f->state);
}

/* The highest x86-64 level of which this processor has every instruction set. */
static int level_here(void)
{
    int level = TOP_LEVEL;

    for (size_t i = 0; i < N_FEATURES; i++)
        if (features[i].level <= level && !has(&features[i]))
            level = features[i].level - 1;
    return level;
}

const char *ps_processor_set(char *out, size_t bytes)
{
    int level = TOP_LEVEL;

    for (size_t i = 0; i < N_FEATURES; i++)
        if (features[i].level <= level && !lists(ps_build_needs, features[i].name))
            level = features[i].level - 1;
    snprintf(out, bytes, "%s", level_names[level]);
    for (size_t i = 0; i < N_FEATURES; i++)
        if (features[i].level > level && lists(ps_build_needs, features[i].name))
            append(out, bytes, features[i].name);
    return out;
}

int ps_processor_check(void)
{
    enum { SHOWN = 4 };
    char missing[128] = "", set[320], more[32] = "";
    int n = 0;

    for (size_t i = 0; i < N_FEATURES; i++)
        if (lists(ps_build_needs, features[i].name) && !has(&features[i]) && n++ < SHOWN)
            append(missing, sizeof missing, features[i].name);
    if (!n)
        return 0;
    if (n > SHOWN)
        snprintf(more, sizeof more, " and %d more", n - SHOWN);
    fprintf(stderr, "patchsweep: error: this program was built for a processor with %s; this one lacks %s%s: build it with "
            "'make ARCH=%s'\n", ps_processor_set(set, sizeof set), missing, more, level_names[level_here()]);
    return 2;
}

#else

const char *ps_processor_set(char *out, size_t bytes)
{
#if defined(__aarch64__)
    snprintf(out, bytes, "aarch64");
#else
    snprintf(out, bytes, "not x86-64");
#endif
    return out;
}

int ps_processor_check(void)
{
    return 0;
}

#endif
