/* backend.c - the registry of backends, and the scratch memory of their operations. */
#include "patchsweep/backend.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/minmax.h"
#include "patchsweep/store.h"

/* ---- matrices ---- */

size_t ps_matrix_bytes(const ps_backend_ops *ops, enum ps_dtype held, size_t n, size_t k)
{
    return (n + ops->strip - 1) / ops->strip * ops->strip * k * ps_dtype_bytes(held);
}

void ps_matrix_lay_out(const ps_backend_ops *ops, void *out, const void *rows, enum ps_dtype held, size_t n,
                       size_t k)
{
    size_t row_bytes = k * ps_dtype_bytes(held);

#pragma omp parallel for
    for (size_t first = 0; first < n; first += ops->strip)
        ops->lay_out((char *)out + first * row_bytes, (const char *)rows + first * row_bytes, held,
                     n - first < ops->strip ? n - first : ops->strip, k);
}

void ps_matrix_row(const ps_backend_ops *ops, const ps_matrix *m, size_t i, float *out)
{
    size_t in_strip = i % ops->strip;

    ops->row(out, (const char *)m->data + (i - in_strip) * m->k * ps_dtype_bytes(m->dtype), m->dtype,
             in_strip, m->k);
}

/* ---- same bits ---- */

enum { PROBE_N = 96, PROBE_K = 160, PROBE_ROWS = 100 };

/* The stores that are probed, and host memory in which their rows are made and compared. */
typedef struct probe {
    float *x, *out, *alone; /* [PROBE_ROWS, PROBE_K], [PROBE_ROWS, PROBE_N], [1, PROBE_N] */
    float *host;            /* [PROBE_HOST] a weight matrix twice, or rows of x, or rows of out and alone */
    void *weights;          /* as the backend lays them out */
} probe;

enum { PROBE_W = PROBE_N * PROBE_K, PROBE_HOST = 2 * PROBE_W };
_Static_assert(PROBE_HOST >= PROBE_ROWS * PROBE_K && PROBE_HOST >= (PROBE_ROWS + 1) * PROBE_N, "room for rows");

/* Whether equal rows have equal products, for any number of rows and in any place. */
static bool equal_rows(const ps_backend *b, const ps_matrix *w, const probe *p, size_t rows)
{
    float *alone = p->host + rows * PROBE_N;

    for (size_t i = 0; i < rows * PROBE_K; i++)
        p->host[i] = (float)(i % PROBE_K * 104729 % 997) / 997.0f - 0.5f;
    b->ops.put(b, p->x, p->host, rows * PROBE_K);
    b->ops.matmul(b, p->out, p->x, w, NULL, rows);
    b->ops.matmul(b, p->alone, p->x, w, NULL, 1);
    b->ops.get(b, p->host, p->out, rows * PROBE_N);
    b->ops.get(b, alone, p->alone, PROBE_N);
    for (size_t r = 0; r < rows; r++)
        if (memcmp(p->host + r * PROBE_N, alone, PROBE_N * sizeof *alone))
            return false;
    return true;
}

static void probe_products(ps_backend *b, const probe *p)
{
    static const size_t rows[] = {2, 5, 17, 36, PROBE_ROWS};
    enum ps_dtype held = b->ops.held[PS_DTYPE_F32];

    for (size_t i = 0; i < PROBE_W; i++)
        p->host[i] = (float)(i * 7919 % 1009) / 1009.0f - 0.5f;
    ps_narrow(p->host + PROBE_W, p->host, held, PROBE_W);
    ps_matrix_lay_out(&b->ops, p->weights, p->host + PROBE_W, held, PROBE_N, PROBE_K);
    const ps_matrix matrix = {p->weights, held, PROBE_N, PROBE_K};
    b->same_bits = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        b->same_bits = b->same_bits && equal_rows(b, &matrix, p, rows[i]);
}

/* Measure b->same_bits: kernels differ from processor to processor. */
static int measure_bits(ps_backend *b, ps_err *err)
{
    probe p = {0};
    const ps_store stores[] = {{&p.x, PROBE_ROWS * PROBE_K}, {&p.out, PROBE_ROWS * PROBE_N}, {&p.alone, PROBE_N}};
    const ps_block blocks[] = {
        {&p.host, PROBE_HOST, sizeof *p.host},
        {&p.weights, ps_matrix_bytes(&b->ops, b->ops.held[PS_DTYPE_F32], PROBE_N, PROBE_K), 1},
    };

    int rc = ps_stores_open(b, stores, 3, err) < 0 || ps_blocks_alloc(blocks, 2, err) < 0 ? -1 : 0;
    if (rc == 0)
        probe_products(b, &p);
    ps_stores_close(b, stores, 3);
    ps_blocks_free(blocks, 2);
    return rc;
}

/* ---- opening ---- */

/* A thread's scores begin a cache line. */
static size_t whole_lines(size_t positions)
{
    return (positions + 15) / 16 * 16;
}

/* Choose the matrix-product implementation: fill its slots, record what scratch it needs and its description. */
static int choose_products(ps_backend *b, const char *name, ps_err *err)
{
    bool openblas = !strcmp(name, "openblas");

    if (b->operand == PS_DTYPE_BF16) {
        if (openblas)
            return ps_err_set(err, PS_EINPUT, "backend 'openblas' has no matrix products of precision bf16; use cpu");
        b->scratch_bytes = ps_backend_onednn_scratch;
        b->describe = ps_backend_onednn_describe;
        return ps_backend_onednn(&b->ops, err);
    }
    if (openblas || (!strcmp(name, "auto") && !ps_backend_gemm_suits())) {
        b->scratch_bytes = ps_backend_openblas_scratch;
        b->describe = ps_backend_openblas_describe;
        ps_backend_openblas(&b->ops, b->n_threads);
        ps_backend_openblas_advise(b->advice, sizeof b->advice);
        return 0;
    }
    b->scratch_bytes = ps_backend_gemm_scratch;
    b->describe = ps_backend_gemm_describe;
    ps_backend_gemm(&b->ops);
    ps_backend_gemm_advise(b->advice, sizeof b->advice);
    return 0;
}

static void describe_ref(char *text, size_t bytes)
{
    snprintf(text, bytes, "plain C");
}

/* Fill the slots. */
static int choose(ps_backend *b, const char *name, ps_err *err)
{
    static const char *const names[] = {"auto", "cpu", "openblas"};

    b->ops = ps_backend_ref;
    b->describe = describe_ref;
    if (!strcmp(name, "ref"))
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            ps_backend_cpu(&b->ops);
            return choose_products(b, name, err);
        }
    return ps_err_set(err, PS_EINPUT, "backend '%s' is not known; use auto, cpu, openblas or ref", name);
}

enum { N_BLOCKS = 2 };

static void list_blocks(const ps_backend *b, const ps_backend_needs *needs, void *scores, void *scratch,
                        ps_block blocks[N_BLOCKS])
{
    ps_backend_needs probed = *needs; /* the probe's products go through it as well */

    probed.max_depth = ps_max(needs->max_depth, PROBE_K);
    probed.max_matrix = ps_max(needs->max_matrix, (size_t)PROBE_N * PROBE_K);
    blocks[0] = (ps_block){scores, (size_t)b->n_threads * whole_lines(needs->max_positions), sizeof *b->scores};
    blocks[1] = (ps_block){scratch, b->scratch_bytes ? b->scratch_bytes(&probed) : 0, 1};
}

uint64_t ps_backend_bytes(const ps_backend *b, const ps_backend_needs *needs)
{
    ps_block blocks[N_BLOCKS];

    list_blocks(b, needs, NULL, NULL, blocks);
    return ps_blocks_bytes(blocks, N_BLOCKS);
}

int ps_backend_fit(ps_backend *b, const ps_backend_needs *needs, ps_err *err)
{
    ps_block blocks[N_BLOCKS];

    list_blocks(b, needs, &b->scores, &b->scratch, blocks);
    ps_blocks_free(blocks, N_BLOCKS);
    b->scores = NULL;
    b->scratch = NULL;
    b->max_rows = needs->max_rows;
    b->max_positions = whole_lines(needs->max_positions);
    return ps_blocks_alloc(blocks, N_BLOCKS, err);
}

int ps_backend_open(ps_backend **out, const char *name, const ps_backend_needs *needs, ps_err *err)
{
    ps_backend *b = ps_calloc(1, sizeof *b, err);

    if (!b)
        return -1;
    b->n_threads = needs->n_threads;
    b->operand = needs->operand;
    omp_set_num_threads(b->n_threads);
    if (choose(b, name, err) < 0 || ps_backend_fit(b, needs, err) < 0 || measure_bits(b, err) < 0) {
        ps_backend_close(b);
        return -1;
    }
    b->describe(b->description, sizeof b->description);
    *out = b;
    return 0;
}

void ps_backend_close(ps_backend *backend)
{
    if (!backend)
        return;
    ps_free(backend->scores);
    ps_free(backend->scratch);
    ps_free(backend);
}

const char *ps_backend_describe(const ps_backend *backend)
{
    return backend->description;
}

const char *ps_backend_advice(const ps_backend *backend)
{
    return backend->advice[0] ? backend->advice : NULL;
}
