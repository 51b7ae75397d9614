/*
 * cpu.c - everything but matrix products, with OpenMP and the compiler's vectors.
 *
 * Every reduction runs over one row, in an order that depends on the row's length alone.  A row's result therefore
 * does not depend on the rows beside it.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "patchsweep/backend.h"
#include "patchsweep/vexp.h"

/* Fewer rows than this are not worth waking threads for. */
#define FEW_ROWS 16
/* Rows of one run that a thread takes at once in attention: enough to reuse a head's keys while they are in cache. */
#define ATTEND_ROWS 32

static void norm(float *out, const float *x, const float *w, float eps, size_t rows, size_t d)
{
#pragma omp parallel for if (rows > FEW_ROWS)
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * d;
        float *to = out + r * d, sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = 0; i < d; i++)
            sum += in[i] * in[i];
        float scale = 1.0f / sqrtf(sum / (float)d + eps);
#pragma omp simd
        for (size_t i = 0; i < d; i++)
            to[i] = in[i] * scale * w[i];
    }
}

static void rope(float *x, const int32_t *positions, const float *cos, const float *sin,
                 size_t rows, size_t heads, size_t head_dim)
{
    size_t half = head_dim / 2;

#pragma omp parallel for if (rows > FEW_ROWS)
    for (size_t r = 0; r < rows; r++) {
        const float *c = cos + (size_t)positions[r] * half, *s = sin + (size_t)positions[r] * half;
        for (size_t h = 0; h < heads; h++) {
            float *a = x + (r * heads + h) * head_dim, *b = a + half;
#pragma omp simd
            for (size_t i = 0; i < half; i++) {
                float was = a[i];
                a[i] = was * c[i] - b[i] * s[i];
                b[i] = b[i] * c[i] + was * s[i];
            }
        }
    }
}

static inline float dot(const float *restrict a, const float *restrict b, size_t n)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Scores of one query against its first n_keys keys, softmaxed; returns their sum. */
static float weigh(float *score, const float *q, const float *keys, const ps_key_span *span, int32_t n_keys,
                   size_t width, ps_heads heads)
{
    float largest = -INFINITY, sum = 0;
    int32_t j = 0;

    for (; j < n_keys; span++) {
        const float *k = keys + (size_t)span->row * width;
        for (int32_t i = 0; i < span->n && j < n_keys; i++, j++, k += width) {
            score[j] = dot(q, k, (size_t)heads.head_dim) * heads.scale;
            largest = score[j] > largest ? score[j] : largest;
        }
    }
#pragma omp simd reduction(+ : sum)
    for (j = 0; j < n_keys; j++) {
        score[j] = ps_vexp(score[j] - largest);
        sum += score[j];
    }
    return sum;
}

/* out = sum_j score[j] v[j] / sum */
static void mix(float *restrict out, const float *score, float sum, const float *values, const ps_key_span *span,
                int32_t n_keys, size_t width, size_t head_dim)
{
    int32_t j = 0;

    memset(out, 0, head_dim * sizeof *out);
    for (; j < n_keys; span++) {
        const float *v = values + (size_t)span->row * width;
        for (int32_t n = 0; n < span->n && j < n_keys; n++, j++, v += width) {
            float weight = score[j];
#pragma omp simd
            for (size_t i = 0; i < head_dim; i++)
                out[i] += weight * v[i];
        }
    }
#pragma omp simd
    for (size_t i = 0; i < head_dim; i++)
        out[i] /= sum;
}

/* Queries first .. end of a run. */
static void attend_rows(const ps_attention *w, const ps_query *query, int32_t first, int32_t end, float *score,
                        ps_heads heads)
{
    size_t hd = (size_t)heads.head_dim, q_width = (size_t)heads.n_heads * hd;
    size_t width = (size_t)heads.n_kv_heads * hd;
    size_t share = (size_t)(heads.n_heads / heads.n_kv_heads);

    for (size_t h = 0; h < (size_t)heads.n_heads; h++) {
        size_t kv_at = h / share * hd;
        for (int32_t r = first; r < end; r++) {
            size_t at = (size_t)(query->q + r) * q_width + h * hd;
            int32_t n_keys = query->first + r + 1;
            float sum = weigh(score, w->q + at, w->k + kv_at, w->spans + query->k, n_keys, width, heads);
            mix(w->out + at, score, sum, w->v + kv_at, w->spans + query->v, n_keys, width, hd);
        }
    }
}

/*
 * A task is a block of rows of one run, so that one long prompt occupies all threads.  A row's result does not
 * depend on the block that it is in.
 */
static void attend(const ps_backend *backend, const ps_attention *w, ps_heads heads)
{
#pragma omp parallel num_threads(backend->n_threads)
#pragma omp single
    for (const ps_query *query = w->queries; query < w->queries + w->n_queries; query++)
        for (int32_t first = 0; first < query->n; first += ATTEND_ROWS) {
            int32_t end = first + ATTEND_ROWS < query->n ? first + ATTEND_ROWS : query->n;
#pragma omp task
            attend_rows(w, query, first, end,
                        backend->scores + (size_t)omp_get_thread_num() * backend->max_positions, heads);
        }
}

static void swiglu(float *gate, const float *up, size_t n)
{
#pragma omp parallel for simd if (n > 4096)
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + ps_vexp(-gate[i])) * up[i];
}

static void add(float *out, const float *x, const float *y, size_t n)
{
#pragma omp parallel for simd if (n > 4096)
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] + y[i];
}

static void move(float *out, const int32_t *to, const float *x, const int32_t *from, size_t rows, size_t d)
{
#pragma omp parallel for if (rows > FEW_ROWS)
    for (size_t r = 0; r < rows; r++)
        memcpy(out + (to ? (size_t)to[r] : r) * d, x + (from ? (size_t)from[r] : r) * d, d * sizeof *out);
}

void ps_backend_cpu(ps_backend_ops *ops)
{
    ops->name = "cpu";
    ops->norm = norm;
    ops->rope = rope;
    ops->attend = attend;
    ops->swiglu = swiglu;
    ops->add = add;
    ops->move = move;
}
