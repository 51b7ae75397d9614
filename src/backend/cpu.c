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
#include "patchsweep/minmax.h"
#include "patchsweep/verf.h"
#include "patchsweep/vexp.h"
#include "patchsweep/vtanh.h"

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

/* Sum the mean twice: the second sum is of the differences from the first mean, so rows far from 0 stay exact. */
static void layer_norm(float *out, const float *x, const float *w, const float *b, float eps, size_t rows, size_t d)
{
#pragma omp parallel for if (rows > FEW_ROWS)
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * d;
        float *to = out + r * d, sum = 0, left = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = 0; i < d; i++)
            sum += in[i];
        float mean = sum / (float)d;
#pragma omp simd reduction(+ : left, squares)
        for (size_t i = 0; i < d; i++) {
            left += in[i] - mean;
            squares += (in[i] - mean) * (in[i] - mean);
        }
        float rest = left / (float)d, scale = 1.0f / sqrtf(squares / (float)d - rest * rest + eps);
#pragma omp simd
        for (size_t i = 0; i < d; i++)
            to[i] = (in[i] - mean - rest) * scale * w[i] + (b ? b[i] : 0);
    }
}

static void rope(float *x, const int32_t *positions, const float *cos, const float *sin,
                 size_t rows, size_t heads, size_t head_dim, size_t rotary)
{
    size_t half = rotary / 2;

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

/* n consecutive keys, or values, of a run: those after the first `skip` rows of the spans from `span` on. */
typedef struct reach {
    const ps_key_span *span;
    int32_t skip, n;
} reach;

/* The keys that a query sees of the n_keys rows up to its own. */
static reach within(const ps_key_span *span, int32_t n_keys, int32_t window)
{
    reach r = {span, 0, n_keys};

    if (window && n_keys > window)
        for (r.skip = n_keys - window, r.n = window; r.skip >= r.span->n; r.span++)
            r.skip -= r.span->n;
    return r;
}

/* Cap n scores.  Returns the largest. */
static float cap_scores(float *score, int32_t n, float cap)
{
    float largest = -INFINITY;

#pragma omp simd reduction(max : largest)
    for (int32_t j = 0; j < n; j++) {
        score[j] = cap * ps_vtanh(score[j] / cap);
        largest = score[j] > largest ? score[j] : largest;
    }
    return largest;
}

/* Scores of one query against its keys, softmaxed; returns their sum. */
static float weigh(float *score, const float *q, const float *keys, reach r, size_t width, ps_heads heads)
{
    float largest = -INFINITY, sum = 0;
    int32_t j = 0;

    for (; j < r.n; r.span++, r.skip = 0) {
        const float *k = keys + (size_t)(r.span->row + r.skip) * width;
        for (int32_t i = r.skip; i < r.span->n && j < r.n; i++, j++, k += width) {
            score[j] = dot(q, k, (size_t)heads.head_dim) * heads.scale;
            largest = score[j] > largest ? score[j] : largest;
        }
    }
    if (heads.softcap > 0)
        largest = cap_scores(score, r.n, heads.softcap);
#pragma omp simd reduction(+ : sum)
    for (j = 0; j < r.n; j++) {
        score[j] = ps_vexp(score[j] - largest);
        sum += score[j];
    }
    return sum;
}

/* out = sum_j score[j] v[j] / sum */
static void mix(float *restrict out, const float *score, float sum, const float *values, reach r, size_t width,
                size_t head_dim)
{
    int32_t j = 0;

    memset(out, 0, head_dim * sizeof *out);
    for (; j < r.n; r.span++, r.skip = 0) {
        const float *v = values + (size_t)(r.span->row + r.skip) * width;
        for (int32_t n = r.skip; n < r.span->n && j < r.n; n++, j++, v += width) {
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
static void attend_rows(const ps_attention *w, const ps_query *query, ps_one_head only, int32_t first, int32_t end, float *score,
                        ps_heads heads)
{
    size_t hd = (size_t)heads.head_dim, q_width = (size_t)heads.n_heads * hd;
    size_t width = (size_t)heads.n_kv_heads * hd;
    size_t share = (size_t)(heads.n_heads / heads.n_kv_heads);
    size_t head = only.head < 0 ? 0 : (size_t)only.head, end_head = only.head < 0 ? (size_t)heads.n_heads : head + 1;

    for (size_t h = head; h < end_head; h++) {
        size_t kv_at = h / share * hd;
        for (int32_t r = first; r < end; r++) {
            const float *q = w->q + (size_t)(query->q + r) * q_width + h * hd;
            float *out = w->out + (size_t)(only.out + r) * q_width + h * hd;
            int32_t n_keys = query->first + r + 1;
            reach k = within(w->spans + query->k, n_keys, heads.window), v = within(w->spans + query->v, n_keys, heads.window);
            float sum = weigh(score, q, w->k + kv_at, k, width, heads);
            mix(out, score, sum, w->v + kv_at, v, width, hd);
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
    for (size_t i = 0; i < w->n_queries; i++) {
        const ps_query *query = &w->queries[i];
        const ps_one_head only = w->only ? w->only[i] : (ps_one_head){-1, query->q};
        for (int32_t first = 0; first < query->n; first += ATTEND_ROWS) {
            int32_t end = first + ATTEND_ROWS < query->n ? first + ATTEND_ROWS : query->n;
#pragma omp task
            attend_rows(w, query, only, first, end,
                        backend->scores + (size_t)omp_get_thread_num() * backend->max_positions, heads);
        }
    }
}

static inline float silu(float x)
{
    return x / (1.0f + ps_vexp(-x));
}

static inline float gelu(float x)
{
    return 0.5f * x * (1.0f + ps_verf(x * (float)M_SQRT1_2));
}

static inline float gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + ps_vtanh((float)(M_2_SQRTPI * M_SQRT1_2) * (x + 0.044715f * (x * x * x))));
}

/* Numbers that a thread takes at once in elementwise operations. */
#define PIECE 4096

static void act_piece(float *x, enum ps_act kind, size_t n)
{
    switch (kind) {
    case PS_ACT_SILU:
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            x[i] = silu(x[i]);
        return;
    case PS_ACT_GELU:
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            x[i] = gelu(x[i]);
        return;
    case PS_ACT_GELU_TANH:
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            x[i] = gelu_tanh(x[i]);
        return;
    }
}

static void glu_piece(float *gate, const float *up, enum ps_act kind, size_t n)
{
    switch (kind) {
    case PS_ACT_SILU:
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            gate[i] = silu(gate[i]) * up[i];
        return;
    case PS_ACT_GELU:
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            gate[i] = gelu(gate[i]) * up[i];
        return;
    case PS_ACT_GELU_TANH:
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            gate[i] = gelu_tanh(gate[i]) * up[i];
        return;
    }
}

static void act(float *x, enum ps_act kind, size_t n)
{
#pragma omp parallel for if (n > PIECE)
    for (size_t at = 0; at < n; at += PIECE)
        act_piece(x + at, kind, ps_min(n - at, PIECE));
}

static void glu(float *gate, const float *up, enum ps_act kind, size_t n)
{
#pragma omp parallel for if (n > PIECE)
    for (size_t at = 0; at < n; at += PIECE)
        glu_piece(gate + at, up + at, kind, ps_min(n - at, PIECE));
}

static void softcap(float *x, float cap, size_t n)
{
#pragma omp parallel for simd if (n > 4096)
    for (size_t i = 0; i < n; i++)
        x[i] = cap * ps_vtanh(x[i] / cap);
}

static void add(float *out, const float *x, const float *y, size_t n)
{
#pragma omp parallel for simd if (n > 4096)
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] + y[i];
}

static void move(float *out, const int32_t *to, const float *x, const float *base, const int32_t *from, size_t rows,
                 size_t d)
{
#pragma omp parallel for if (rows > FEW_ROWS)
    for (size_t r = 0; r < rows; r++) {
        int32_t at = from ? from[r] : (int32_t)r;
        memcpy(out + (to ? (size_t)to[r] : r) * d, at < 0 ? base + (size_t)~at * d : x + (size_t)at * d, d * sizeof *out);
    }
}

static void round_to_operand(const ps_backend *backend, float *x, size_t n)
{
    enum { AT_ONCE = 256 };

    if (backend->operand == PS_DTYPE_F32)
        return;
#pragma omp parallel for if (n > FEW_ROWS * AT_ONCE)
    for (size_t at = 0; at < n; at += AT_ONCE) {
        uint16_t narrow[AT_ONCE];
        size_t some = n - at < AT_ONCE ? n - at : AT_ONCE;
        ps_narrow(narrow, x + at, backend->operand, some);
        ps_widen(x + at, narrow, backend->operand, some);
    }
}

static void pick(const ps_backend *backend, const ps_reading *reading)
{
    (void)backend;
#pragma omp parallel for
    for (size_t r = 0; r < reading->n; r++)
        ps_reading_pick(reading, r);
}

static void refer(const ps_backend *backend, const ps_reading *reading)
{
    (void)backend;
#pragma omp parallel for
    for (int32_t i = 0; i < reading->n_references; i++)
        ps_reading_refer(reading, (size_t)i);
}

static void read_panel(const ps_backend *backend, const ps_reading *reading)
{
    (void)backend;
#pragma omp parallel for schedule(dynamic, 4)
    for (size_t r = 0; r < reading->n; r++)
        ps_reading_read(reading, r);
}

void ps_backend_cpu(ps_backend_ops *ops)
{
    ops->name = "cpu";
    ops->norm = norm;
    ops->layer_norm = layer_norm;
    ops->rope = rope;
    ops->attend = attend;
    ops->act = act;
    ops->glu = glu;
    ops->softcap = softcap;
    ops->add = add;
    ops->move = move;
    ops->round = round_to_operand;
    ops->pick = pick;
    ops->refer = refer;
    ops->read = read_panel;
}
