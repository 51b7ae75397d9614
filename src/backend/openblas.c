/*
 * openblas.c - matrix products by OpenBLAS, to check ours against and to compare their speed with.
 * The only file that includes cblas.h.
 */
#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "patchsweep/backend.h"
#include "patchsweep/host.h"

/* The elements of w as float32: w itself, or a widened copy in the scratch. */
static const float *widened(const ps_backend *backend, const ps_matrix *w)
{
    float *wide = backend->scratch;

    if (w->dtype == PS_DTYPE_F32)
        return w->data;
#pragma omp parallel for
    for (size_t j = 0; j < w->n; j++)
        ps_widen(wide + j * w->k, (const char *)w->data + j * w->k * ps_dtype_bytes(w->dtype), w->dtype, w->k);
    return wide;
}

static void matmul(const ps_backend *backend, float *out, const float *x, const ps_matrix *w,
                   const float *bias, size_t rows)
{
    blasint n = (blasint)w->n, k = (blasint)w->k;

    if (rows == 0)
        return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, n, k, 1, x, k,
                widened(backend, w), k, 0, out, n);
    if (!bias)
        return;
#pragma omp parallel for
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < w->n; j++)
            out[r * w->n + j] += bias[j];
}

void ps_backend_openblas(ps_backend_ops *ops, int n_threads)
{
    openblas_set_num_threads(n_threads); /* its pthread build does not follow OpenMP */
    ops->name = "openblas";
    ops->matmul = matmul;
}

size_t ps_backend_openblas_scratch(const ps_backend_needs *needs)
{
    return needs->max_matrix * sizeof(float);
}

void ps_backend_openblas_describe(char *text, size_t bytes)
{
    snprintf(text, bytes, "%s, kernel %s, %d threads", openblas_get_config(),
             openblas_get_corename(), omp_get_max_threads());
}

/* Bytes of the vectors that a kernel computes with. */
static int vector_bytes(const char *kernel)
{
    static const char *const avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    static const char *const avx2[] = {"Haswell", "Zen", "Excavator"};

    for (size_t i = 0; i < sizeof avx512 / sizeof *avx512; i++)
        if (!strcasecmp(kernel, avx512[i]))
            return 64;
    for (size_t i = 0; i < sizeof avx2 / sizeof *avx2; i++)
        if (!strcasecmp(kernel, avx2[i]))
            return 32;
    return 16;
}

void ps_backend_openblas_advise(char *text, size_t bytes)
{
    const char *kernel = openblas_get_corename();
    int widest = ps_host_vector_bytes();

    text[0] = '\0';
    if (vector_bytes(kernel) < widest)
        snprintf(text, bytes, "OpenBLAS uses its %s kernels on a processor with vectors of %d bytes, which may cost a "
                 "factor of two; %s", kernel, widest,
                 getenv("OPENBLAS_CORETYPE") ? "unset OPENBLAS_CORETYPE" : "a newer OpenBLAS may know it");
}
