/*
 * gemm.c - out = x w^T + bias in float32, with weights in whatever type the file has.
 *
 * OpenBLAS packs a weight matrix again in every call, and bfloat16 weights would have to be widened first.  A sweep
 * multiplies many panels by the same weights, so both cost much.  Here a matrix is laid out once, when it is loaded,
 * in the order in which the innermost loop reads it and in the file's type; it is widened in registers.
 *
 * The blocking is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34,
 * 2008); one side is packed once and for all.
 *
 *     tile    TILE_ROWS rows of x times a strip of 2 vectors of outputs, in registers
 *     strip   2 vectors of rows of w, interleaved: [k][2 vectors]; 16-bit types hold output j in the low and
 *             output j + VECTOR in the high half of a word (bfloat16), or one after the other (float16)
 *     depth   how much of k a tile goes through before it puts its sums down
 *
 * An output is bias + sum over k, depth by depth, each depth summed from zero by fused multiply-adds in
 * the order of k.  Its bits depend on nothing else: not on the row's place, the rows beside it, the number of threads
 * or the width of the vectors.
 */
#include <stdio.h>
#include <string.h>

#include "patchsweep/backend.h"
#include "patchsweep/host.h"
#include "patchsweep/minmax.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VECTOR 16
#define TILE_ROWS 14 /* 28 sums, 2 vectors of w and one of x: of 32 registers */
#elif defined(__AVX2__)
#define VECTOR 8
#define TILE_ROWS 6 /* 12 sums: of 16 registers */
#else
#define VECTOR 4
#define TILE_ROWS 6
#endif
#define STRIP (2 * VECTOR)
#define DEPTH 512
#define GROUP (256 / STRIP) /* strips that a thread takes at once: [DEPTH, 256] of w stay in its cache */
#define BLOCK_ROWS 336      /* rows of x that it takes them for */
#define ITEMS 16            /* pieces of work per thread, at least, where there is enough work */

typedef float vec __attribute__((vector_size(VECTOR * sizeof(float))));
typedef uint32_t words __attribute__((vector_size(VECTOR * sizeof(uint32_t))));

/* ---- layout ---- */

/* Where output j of a strip stands at one k, in elements. */
static size_t place(enum ps_dtype dtype, size_t j)
{
    return dtype == PS_DTYPE_BF16 ? 2 * (j % VECTOR) + j / VECTOR : j;
}

/* In patches that a thread's cache holds: both sides are walked with a stride. */
#define PATCH 64

static void lay_out(void *out, const void *rows, enum ps_dtype dtype, size_t n, size_t k)
{
    if (n < STRIP)
        memset(out, 0, STRIP * k * ps_dtype_bytes(dtype));
    for (size_t from = 0; from < k; from += PATCH) {
        size_t end = from + PATCH < k ? from + PATCH : k;
        for (size_t j = 0; j < n; j++) {
            size_t at = place(dtype, j);
            if (dtype == PS_DTYPE_F32)
                for (size_t i = from; i < end; i++)
                    ((float *)out)[i * STRIP + at] = ((const float *)rows)[j * k + i];
            else
                for (size_t i = from; i < end; i++)
                    ((uint16_t *)out)[i * STRIP + at] = ((const uint16_t *)rows)[j * k + i];
        }
    }
}

static void row(float *out, const void *strip, enum ps_dtype dtype, size_t j, size_t k)
{
    const char *at = (const char *)strip + place(dtype, j) * ps_dtype_bytes(dtype);

    for (size_t i = 0; i < k; i++)
        ps_widen(&out[i], at + i * STRIP * ps_dtype_bytes(dtype), dtype, 1);
}

/* x as tiles walk over it: depth by depth, tile by tile, [k of the depth][TILE_ROWS]. */
static float *tile_of(float *packed, size_t tiles, size_t from, size_t tile, size_t depth)
{
    return packed + (from * tiles + tile * depth) * TILE_ROWS;
}

static void pack_tile(float *out, const float *x, size_t rows, size_t k, size_t depth)
{
    for (size_t r = 0; r < TILE_ROWS; r++)
        for (size_t i = 0; i < depth; i++)
            out[i * TILE_ROWS + r] = r < rows ? x[r * k + i] : 0;
}

/* ---- the innermost loop ---- */

/* Both vectors of a strip at one k. */
static inline __attribute__((always_inline)) void load_strip(vec w[2], const void *at, enum ps_dtype dtype)
{
    if (dtype == PS_DTYPE_BF16) {
        words both, low, high;
        memcpy(&both, at, sizeof both);
        low = both << 16;
        high = both & 0xffff0000u;
        memcpy(&w[0], &low, sizeof low);
        memcpy(&w[1], &high, sizeof high);
    } else if (dtype == PS_DTYPE_F32) {
        memcpy(&w[0], at, sizeof *w);
        memcpy(&w[1], (const float *)at + VECTOR, sizeof *w);
    }
#if defined(__AVX512F__)
    else
        for (int v = 0; v < 2; v++)
            w[v] = (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)at + v));
#elif defined(__F16C__)
    else
        for (int v = 0; v < 2; v++)
            w[v] = (vec)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at + v));
#else
    else
        __builtin_unreachable(); /* ps_backend_gemm() has float16 held as float32 */
#endif
}

/* Sums of a whole tile over `depth`: sums[r][v]. */
static inline __attribute__((always_inline)) void sum_tile(vec sums[TILE_ROWS][2], const float *x, const char *w,
                                                           enum ps_dtype dtype, size_t depth)
{
    const vec zero = {0};
    vec s[TILE_ROWS][2];

#pragma GCC unroll 16 /* all three loops, or the sums would not stay in registers */
    for (int r = 0; r < TILE_ROWS; r++)
        s[r][0] = s[r][1] = zero;
    for (size_t i = 0; i < depth; i++, x += TILE_ROWS, w += STRIP * (dtype == PS_DTYPE_F32 ? 4 : 2)) {
        vec both[2];
        load_strip(both, w, dtype);
#pragma GCC unroll 16
        for (int r = 0; r < TILE_ROWS; r++) {
            vec one = x[r] - zero; /* in every lane */
            s[r][0] += one * both[0];
            s[r][1] += one * both[1];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < TILE_ROWS; r++)
        for (int v = 0; v < 2; v++)
            sums[r][v] = s[r][v];
}

static void sum_f32(vec sums[TILE_ROWS][2], const float *x, const void *w, size_t depth)
{
    sum_tile(sums, x, w, PS_DTYPE_F32, depth);
}

static void sum_f16(vec sums[TILE_ROWS][2], const float *x, const void *w, size_t depth)
{
    sum_tile(sums, x, w, PS_DTYPE_F16, depth);
}

static void sum_bf16(vec sums[TILE_ROWS][2], const float *x, const void *w, size_t depth)
{
    sum_tile(sums, x, w, PS_DTYPE_BF16, depth);
}

static void (*const sum_of[PS_N_DTYPES])(vec sums[TILE_ROWS][2], const float *x, const void *w, size_t depth) = {
    [PS_DTYPE_F32] = sum_f32, [PS_DTYPE_F16] = sum_f16, [PS_DTYPE_BF16] = sum_bf16};

/* ---- a product ---- */

typedef struct product {
    float *out, *packed;
    const char *w;
    const float *bias;
    enum ps_dtype dtype;
    size_t rows, n, k, tiles, strips;
} product;

/* Sums of one depth added to what is there, of which the first finds the bias. */
static inline __attribute__((always_inline)) void put_row(float *out, const float *sum, const float *bias,
                                                          bool first, size_t cols)
{
    for (size_t j = 0; j < cols; j++)
        out[j] = (first ? bias ? bias[j] : 0 : out[j]) + sum[j];
}

static void put(const product *p, size_t tile, size_t strip, bool first, vec sums[TILE_ROWS][2])
{
    size_t rows = p->rows - tile * TILE_ROWS, cols = p->n - strip * STRIP;
    float *out = p->out + tile * TILE_ROWS * p->n + strip * STRIP;
    const float *bias = p->bias ? p->bias + strip * STRIP : NULL, *sum = (const float *)sums;

    rows = rows < TILE_ROWS ? rows : TILE_ROWS;
    for (size_t r = 0; r < rows; r++, out += p->n, sum += STRIP) {
        if (cols < STRIP)
            put_row(out, sum, bias, first, cols);
        else if (first && !bias)
            memcpy(out, sum, STRIP * sizeof *out);
        else
            put_row(out, sum, bias, first, STRIP);
    }
}

/* A group of strips for a block of tiles, over all of k. */
static void take(const product *p, size_t first_tile, size_t end_tile, size_t first_strip, size_t end_strip)
{
    size_t bytes = ps_dtype_bytes(p->dtype);
    vec sums[TILE_ROWS][2];

    for (size_t from = 0; from < p->k; from += DEPTH) {
        size_t depth = p->k - from < DEPTH ? p->k - from : DEPTH;
        for (size_t tile = first_tile; tile < end_tile; tile++) {
            const float *x = tile_of(p->packed, p->tiles, from, tile, depth);
            for (size_t strip = first_strip; strip < end_strip; strip++) {
                sum_of[p->dtype](sums, x, p->w + (strip * p->k + from) * STRIP * bytes, depth);
                put(p, tile, strip, from == 0, sums);
            }
        }
    }
}

/* The work as items that threads take in turn: enough of them that none waits long for the last. */
static void multiply(const product *p, const float *x, int n_threads)
{
    size_t blocks = (p->tiles * TILE_ROWS + BLOCK_ROWS - 1) / BLOCK_ROWS, block = (p->tiles + blocks - 1) / blocks;
    size_t group = GROUP;

    while (group > 2 && (p->strips + group - 1) / group * blocks < ITEMS * (size_t)n_threads)
        group /= 2;
    size_t items = (p->strips + group - 1) / group * blocks;
#pragma omp parallel
    {
#pragma omp for
        for (size_t tile = 0; tile < p->tiles; tile++)
            for (size_t from = 0; from < p->k; from += DEPTH) {
                size_t depth = ps_min(p->k - from, DEPTH), first = tile * TILE_ROWS;
                pack_tile(tile_of(p->packed, p->tiles, from, tile, depth), x + first * p->k + from,
                          p->rows - first, p->k, depth);
            }
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < items; i++) {
            size_t strip = i / blocks * group, tile = i % blocks * block;
            take(p, tile, ps_min(tile + block, p->tiles), strip, ps_min(strip + group, p->strips));
        }
    }
}

static void matmul(const ps_backend *backend, float *out, const float *x, const ps_matrix *w,
                   const float *bias, size_t rows)
{
    for (size_t at = 0, some; at < rows; at += some) {
        some = ps_min(rows - at, backend->max_rows);
        product p = {.out = out + at * w->n, .packed = backend->scratch, .w = w->data, .bias = bias,
                     .dtype = w->dtype, .rows = some, .n = w->n, .k = w->k,
                     .tiles = (some + TILE_ROWS - 1) / TILE_ROWS, .strips = (w->n + STRIP - 1) / STRIP};
        multiply(&p, x + at * w->k, backend->n_threads);
    }
}

void ps_backend_gemm(ps_backend_ops *ops)
{
    ops->matmul = matmul;
    ops->strip = STRIP;
    ops->lay_out = lay_out;
    ops->row = row;
#if !defined(__F16C__)
    ops->held[PS_DTYPE_F16] = PS_DTYPE_F32;
#endif
}

bool ps_backend_gemm_suits(void)
{
    return VECTOR >= 8;
}

size_t ps_backend_gemm_scratch(const ps_backend_needs *needs)
{
    return (needs->max_rows + TILE_ROWS) * needs->max_depth * sizeof(float);
}

void ps_backend_gemm_describe(char *text, size_t bytes)
{
    snprintf(text, bytes, "own kernels, vectors of %d bytes, tiles of %d x %d", VECTOR * 4, TILE_ROWS, STRIP);
}

void ps_backend_gemm_advise(char *text, size_t bytes)
{
    int widest = ps_host_vector_bytes();

    text[0] = '\0';
    if (VECTOR * 4 < widest)
        snprintf(text, bytes, "built for vectors of %d bytes on a processor with %d, which may cost a factor of two; "
                 "build it here, or with ARCH= naming this processor", VECTOR * 4, widest);
}
