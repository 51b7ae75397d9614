/*
 * backend.h - the operations on rows that a forward pass is made of, and the stores that rows live in.
 *
 * All matrices are row-major and float32, except the weights of matrix products.  A row is one hidden
 * state.  Rows live in stores.  A store is a block of floats that the backend owns, in host memory or on a device.
 * Other code may add to the address of a store and pass it to operations.  Only operations read and write a store:
 * `put` and `get` copy floats from host memory to a store and back.  Every `float *` argument of an operation
 * is an address in a store, except weights, tables of angles and arguments named `host`.  store.h has tables of stores.
 *
 * `ref` fills every slot in plain C with double sums.  The other backends are tested against `ref`, and inherit the slots
 * that they do not override.  `cpu` overrides the slots that vectors and threads make faster.  Its matrix products are our
 * own, OpenBLAS's or oneDNN's.
 *
 * For every operation:
 *   - It cannot fail: the backend takes its memory when it is opened.
 *   - rows == 0, n == 0 or n_queries == 0 is fine and does nothing.
 *   - An output overlaps no input, except where it says "in place".  Inputs may overlap each other.
 *   - Arguments are borrowed for the call.  Weights, tables of angles, lists of integers and structs are in host memory.
 *   - Call it from one thread at a time: a backend has one scratch memory.  It starts threads of its own.
 */
#ifndef PATCHSWEEP_BACKEND_H
#define PATCHSWEEP_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/dtype.h"
#include "patchsweep/err.h"
#include "patchsweep/readout.h"

typedef struct ps_backend ps_backend;

/*
 * A weight matrix [n, k] as a backend holds it: strips of ops.strip rows (the last one padded), each of
 * strip * k elements in an order of the backend's own.
 */
typedef struct ps_matrix {
    const void *data;
    enum ps_dtype dtype;
    size_t n, k;
} ps_matrix;

/* Activations: x / (1 + exp(-x)); x (1 + erf(x / sqrt(2))) / 2; and its approximation
 * x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. */
enum ps_act { PS_ACT_SILU, PS_ACT_GELU, PS_ACT_GELU_TANH };

/* The shape of attention: query head h reads key/value head h / (n_heads / n_kv_heads). */
typedef struct ps_heads {
    int32_t n_heads, n_kv_heads, head_dim;
    float scale;    /* of q.k */
    int32_t window; /* a query sees the last `window` keys up to its position; 0: all of them */
    float softcap;  /* c: a scaled score s becomes c tanh(s / c) in front of the softmax; 0: s stays */
} ps_heads;

/* Consecutive rows of a store of keys, or of values. */
typedef struct ps_key_span {
    int32_t row, n;
} ps_key_span;

/*
 * Consecutive queries of one run.  Query i is row q + i of ps_attention.q, stands at position first + i, and sees the keys
 * at positions 0 .. first + i (with a window, only the last `window` of them).  The keys of a run are a list of spans, because
 * runs share rows.  So are its values.
 */
typedef struct ps_query {
    int32_t q, first, n;
    int32_t k, v; /* index of the first span of keys, of values; the spans from there hold at least first + n rows */
} ps_query;

/* Restrict a ps_query to one head, and write its results elsewhere: query i writes row out + i, not row q + i. */
typedef struct ps_one_head {
    int32_t head; /* of queries; -1: every head */
    int32_t out;
} ps_one_head;

/* What one call of attention works on.  `out` overlaps nothing else. */
typedef struct ps_attention {
    float *out;     /* [.., n_heads * head_dim] */
    const float *q; /* the same shape */
    const float *k, *v; /* [.., n_kv_heads * head_dim] */
    const ps_query *queries;
    size_t n_queries;
    const ps_key_span *spans;
    const ps_one_head *only; /* [n_queries]; NULL: every head of all queries, query i into row q + i */
} ps_attention;

/* Copy the columns of head `head` from row `from` to row `to`. */
typedef struct ps_put {
    int32_t to, from, head;
} ps_put;

typedef struct ps_backend_ops {
    const char *name;
    /* Open a store of n floats, aligned to a cache line at least; NULL with *err set if there is no memory.  Closing NULL
     * does nothing. */
    float *(*store_open)(const ps_backend *backend, size_t n, ps_err *err);
    void (*store_close)(const ps_backend *backend, float *store);
    /* Stores lie in host memory: code outside the backend may read and write them in place. */
    bool in_host;
    /* Copy n floats from host memory to a store, or back.  Both return when the copy is complete. */
    void (*put)(const ps_backend *backend, float *to, const float *host, size_t n);
    void (*get)(const ps_backend *backend, float *host, const float *from, size_t n);
    void (*zero)(const ps_backend *backend, float *x, size_t n); /* x[n] = 0 */
    /* out[r] = x[r] / sqrt(mean(x[r]^2) + eps) * w        (RMSNorm; x, out [rows, d], w [d]; out may be x) */
    void (*norm)(float *out, const float *x, const float *w, float eps, size_t rows, size_t d);
    /* out[r] = (x[r] - m) / sqrt(mean((x[r] - m)^2) + eps) * w + b, m = mean(x[r])
     * (LayerNorm; x, out [rows, d], w [d], b [d] or NULL; out may be x) */
    void (*layer_norm)(float *out, const float *x, const float *w, const float *b, float eps, size_t rows, size_t d);
    /* out = x w^T + bias           (x [rows, k], w [n, k], bias [n] or NULL, out [rows, n])
     * x is rounded to backend->operand; sums are kept in float32 or better. */
    void (*matmul)(const ps_backend *backend, float *out, const float *x, const ps_matrix *w,
                   const float *bias, size_t rows);
    /* How weight matrices are held: rows of a strip, and the type in memory for each type in a file. */
    size_t strip;
    enum ps_dtype held[PS_N_DTYPES];
    /* Lay out one strip: out[strip * k] from rows [n, k], n <= strip. */
    void (*lay_out)(void *out, const void *rows, enum ps_dtype dtype, size_t n, size_t k);
    /* out[k] = row j of a strip, widened. */
    void (*row)(float *out, const void *strip, enum ps_dtype dtype, size_t j, size_t k);
    /* Rotate halves of a head's first `rotary` dimensions: (a, b) -> (a cos - b sin, b cos + a sin), a = x[i],
     * b = x[i + rotary / 2]; the other dimensions stay
     * (x [rows, heads * head_dim], in place; positions [rows]; cos, sin [position, rotary / 2]) */
    void (*rope)(float *x, const int32_t *positions, const float *cos, const float *sin,
                 size_t rows, size_t heads, size_t head_dim, size_t rotary);
    /* out = softmax(softcap(q k^T scale)) v, causal, for each query.  first + n <= backend->max_positions.
     * Keys and values outside all windows are not read. */
    void (*attend)(const ps_backend *backend, const ps_attention *work, ps_heads heads);
    /* x = act(x), elementwise over n, in place */
    void (*act)(float *x, enum ps_act act, size_t n);
    /* gate = act(gate) * up, elementwise over n, in place */
    void (*glu)(float *gate, const float *up, enum ps_act act, size_t n);
    /* x = cap tanh(x / cap), elementwise over n, in place; cap > 0 */
    void (*softcap)(float *x, float cap, size_t n);
    /* out = x + y, elementwise over n; out may be x or y */
    void (*add)(float *out, const float *x, const float *y, size_t n);
    /* out[to ? to[r] : r] = x[from ? from[r] : r], or base[~from[r]] if from[r] < 0
     * (rows of width d; no row is in `to` twice; base may be NULL if no from[r] is negative) */
    void (*move)(float *out, const int32_t *to, const float *x, const float *base, const int32_t *from, size_t rows,
                 size_t d);
    /* For each of n puts, copy the columns of one head from row x[from] to row out[to].  Head h has the columns
     * h * head_dim .. (h + 1) * head_dim - 1.  Rows have width d.  No two puts write the same head of the same row. */
    void (*put_heads)(float *out, const float *x, const ps_put *puts, size_t n, size_t head_dim, size_t d);
    /* Round x[n] to backend->operand, in place. */
    void (*round)(const ps_backend *backend, float *x, size_t n);
    /* Readouts, see ps_reading in readout.h: pick() starts every row's readout, refer() updates the references by a panel of
     * logits, read() then updates every row's readout by the same panel. */
    void (*pick)(const ps_backend *backend, const ps_reading *reading);
    void (*refer)(const ps_backend *backend, const ps_reading *reading);
    void (*read)(const ps_backend *backend, const ps_reading *reading);
} ps_backend_ops;

typedef struct ps_backend_needs ps_backend_needs;

struct ps_backend {
    ps_backend_ops ops; /* by value: a backend may take another's slots */
    size_t (*scratch_bytes)(const ps_backend_needs *needs); /* what matmul needs; NULL: nothing */
    int n_threads;
    enum ps_dtype operand; /* of matrix products: PS_DTYPE_F32 or PS_DTYPE_BF16 */
    float *scores;      /* [n_threads, max_positions] scratch of attention */
    size_t max_positions, max_rows;
    void *scratch;      /* of matmul */
    bool same_bits;     /* a row's product does not depend on the rows beside it; measured at open */
    void (*describe)(char *text, size_t bytes); /* name the implementation of matrix products */
    char description[256], advice[256];
};

/* The largest operations for which a backend allocates memory. */
struct ps_backend_needs {
    int n_threads;
    enum ps_dtype operand;
    size_t max_positions; /* keys that a query can see */
    size_t max_rows;      /* rows that a matrix product takes at once; larger products are done in pieces */
    size_t max_depth;     /* k of a matrix product */
    size_t max_matrix;    /* n * k of a weight matrix */
};

/* Bytes that a matrix [n, k] takes as `ops` hold it. */
size_t ps_matrix_bytes(const ps_backend_ops *ops, enum ps_dtype held, size_t n, size_t k);
/* Lay out rows [n, k] of type `held` into `out`, which has room for ps_matrix_bytes(). */
void ps_matrix_lay_out(const ps_backend_ops *ops, void *out, const void *rows, enum ps_dtype held, size_t n,
                       size_t k);
/* out[k] = row i of `matrix`, widened. */
void ps_matrix_row(const ps_backend_ops *ops, const ps_matrix *matrix, size_t i, float *out);

/*
 * Open backend `name`: "cpu" (our own matrix products), "openblas", "ref", or "auto" for the fastest available.  PS_EINPUT
 * if the name is unknown, or if this machine or build has no matrix products of type needs->operand.
 */
int ps_backend_open(ps_backend **out, const char *name, const ps_backend_needs *needs, ps_err *err);
/* Reallocate an open backend's memory for `needs`.  Its threads and its operand type stay. */
int ps_backend_fit(ps_backend *backend, const ps_backend_needs *needs, ps_err *err);
/* Bytes that ps_backend_fit() would allocate. */
uint64_t ps_backend_bytes(const ps_backend *backend, const ps_backend_needs *needs);
void ps_backend_close(ps_backend *backend); /* NULL is fine */

/* The implementation of matrix products: "OpenBLAS 0.3.21 ... Cooperlake, 2 threads"; for the result file. Borrowed. */
const char *ps_backend_describe(const ps_backend *backend);

/* Advice on faster matrix products on this machine: one line without a full stop.  NULL: none.  Borrowed. */
const char *ps_backend_advice(const ps_backend *backend);

/* The tables of operations, for the registry. */
extern const ps_backend_ops ps_backend_ref;
void ps_backend_cpu(ps_backend_ops *ops); /* override slots of ref, except the matrix products */

/* Matrix products.  Each implementation overrides matmul and the layout of matrices, and says how much scratch it
 * needs. */
void ps_backend_gemm(ps_backend_ops *ops);
bool ps_backend_gemm_suits(void); /* is it built for AVX2 or AVX-512, and so as fast as the others? */
size_t ps_backend_gemm_scratch(const ps_backend_needs *needs); /* bytes of ps_backend.scratch */
void ps_backend_gemm_describe(char *text, size_t bytes);
void ps_backend_gemm_advise(char *text, size_t bytes); /* "" where there is no advice */

void ps_backend_openblas(ps_backend_ops *ops, int n_threads);
size_t ps_backend_openblas_scratch(const ps_backend_needs *needs);
void ps_backend_openblas_describe(char *text, size_t bytes);
void ps_backend_openblas_advise(char *text, size_t bytes);

/* Products of bfloat16 operands.  PS_EINPUT if this build or this processor has none. */
int ps_backend_onednn(ps_backend_ops *ops, ps_err *err);
size_t ps_backend_onednn_scratch(const ps_backend_needs *needs);
void ps_backend_onednn_describe(char *text, size_t bytes);

#endif
