/*
 * ref.c - every operation in plain C, sums in double.  Slow, and the oracle.
 */
#include <math.h>
#include <string.h>

#include "patchsweep/backend.h"
#include "patchsweep/mem.h"

static void norm(float *out, const float *x, const float *w, float eps, size_t rows, size_t d)
{
    for (size_t r = 0; r < rows; r++, x += d, out += d) {
        double sum = 0;
        for (size_t i = 0; i < d; i++)
            sum += (double)x[i] * x[i];
        float scale = (float)(1.0 / sqrt(sum / (double)d + eps));
        for (size_t i = 0; i < d; i++)
            out[i] = x[i] * scale * w[i];
    }
}

static void layer_norm(float *out, const float *x, const float *w, const float *b, float eps, size_t rows, size_t d)
{
    for (size_t r = 0; r < rows; r++, x += d, out += d) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < d; i++)
            sum += x[i];
        double mean = sum / (double)d;
        for (size_t i = 0; i < d; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        double scale = 1.0 / sqrt(squares / (double)d + eps);
        for (size_t i = 0; i < d; i++)
            out[i] = (float)((x[i] - mean) * scale * w[i] + (b ? b[i] : 0));
    }
}

static void matmul(const ps_backend *backend, float *out, const float *x, const ps_matrix *w,
                   const float *bias, size_t rows)
{
    size_t k = w->k, bytes = ps_dtype_bytes(w->dtype);
    const char *weights = w->data;

    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < w->n; j++) {
            double sum = bias ? bias[j] : 0;
            for (size_t i = 0; i < k; i++) {
                float a, b;
                ps_narrow(&b, &x[r * k + i], backend->operand, 1);
                ps_widen(&a, &b, backend->operand, 1);
                ps_widen(&b, weights + (j * k + i) * bytes, w->dtype, 1);
                sum += (double)a * b;
            }
            out[r * w->n + j] = (float)sum;
        }
}

static void lay_out(void *out, const void *rows, enum ps_dtype dtype, size_t n, size_t k)
{
    memcpy(out, rows, n * k * ps_dtype_bytes(dtype));
}

static void row(float *out, const void *strip, enum ps_dtype dtype, size_t j, size_t k)
{
    ps_widen(out, (const char *)strip + j * k * ps_dtype_bytes(dtype), dtype, k);
}

static void rope(float *x, const int32_t *positions, const float *cos, const float *sin,
                 size_t rows, size_t heads, size_t head_dim, size_t rotary)
{
    size_t half = rotary / 2;

    for (size_t r = 0; r < rows; r++) {
        const float *c = cos + (size_t)positions[r] * half, *s = sin + (size_t)positions[r] * half;
        for (size_t h = 0; h < heads; h++, x += head_dim)
            for (size_t i = 0; i < half; i++) {
                float a = x[i], b = x[i + half];
                x[i] = a * c[i] - b * s[i];
                x[i + half] = b * c[i] + a * s[i];
            }
    }
}

static double capped(double x, double cap)
{
    return cap * tanh(x / cap);
}

/* The row of a store that holds `position` of the spans. */
static size_t row_at(const ps_key_span *span, int32_t position)
{
    for (; position >= span->n; span++)
        position -= span->n;
    return (size_t)(span->row + position);
}

static void attend_row(float *out, const float *q, const ps_attention *w, const ps_query *query, int32_t n_keys,
                       size_t kv_at, ps_heads heads, float *score)
{
    size_t width = (size_t)heads.n_kv_heads * (size_t)heads.head_dim;
    int32_t begin = heads.window && n_keys > heads.window ? n_keys - heads.window : 0;
    double largest = -INFINITY, sum = 0;

    for (int32_t j = begin; j < n_keys; j++) {
        const float *k = w->k + row_at(w->spans + query->k, j) * width + kv_at;
        double dot = 0;
        for (int32_t i = 0; i < heads.head_dim; i++)
            dot += (double)q[i] * k[i];
        score[j] = (float)(heads.softcap > 0 ? capped(dot * heads.scale, heads.softcap) : dot * heads.scale);
        largest = fmax(largest, score[j]);
    }
    for (int32_t j = begin; j < n_keys; j++) {
        score[j] = (float)exp(score[j] - largest);
        sum += score[j];
    }
    for (int32_t i = 0; i < heads.head_dim; i++) {
        double mix = 0;
        for (int32_t j = begin; j < n_keys; j++)
            mix += (double)score[j] * w->v[row_at(w->spans + query->v, j) * width + kv_at + (size_t)i];
        out[i] = (float)(mix / sum);
    }
}

static void attend(const ps_backend *backend, const ps_attention *w, ps_heads heads)
{
    size_t hd = (size_t)heads.head_dim, q_width = (size_t)heads.n_heads * hd;
    size_t share = (size_t)(heads.n_heads / heads.n_kv_heads);

    for (size_t i = 0; i < w->n_queries; i++) {
        const ps_query *query = &w->queries[i];
        const ps_one_head all = {-1, query->q}, *only = w->only ? &w->only[i] : &all;
        for (int32_t r = 0; r < query->n; r++)
            for (size_t h = 0; h < (size_t)heads.n_heads; h++)
                if (only->head < 0 || (size_t)only->head == h)
                    attend_row(w->out + (size_t)(only->out + r) * q_width + h * hd,
                               w->q + (size_t)(query->q + r) * q_width + h * hd, w, query, query->first + r + 1,
                               h / share * hd, heads, backend->scores);
    }
}

static double activation(double x, enum ps_act act)
{
    switch (act) {
    case PS_ACT_SILU:
        return x / (1.0 + exp(-x));
    case PS_ACT_GELU:
        return 0.5 * x * (1.0 + erf(x * M_SQRT1_2));
    case PS_ACT_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x)));
    }
    PS_BUG("activation %d", act);
}

static void act(float *x, enum ps_act kind, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)activation(x[i], kind);
}

static void glu(float *gate, const float *up, enum ps_act kind, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = (float)activation(gate[i], kind) * up[i];
}

static void softcap(float *x, float cap, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)capped(x[i], cap);
}

static void add(float *out, const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] + y[i];
}

static void move(float *out, const int32_t *to, const float *x, const float *base, const int32_t *from, size_t rows,
                 size_t d)
{
    for (size_t r = 0; r < rows; r++) {
        int32_t at = from ? from[r] : (int32_t)r;
        memcpy(out + (to ? (size_t)to[r] : r) * d, at < 0 ? base + (size_t)~at * d : x + (size_t)at * d, d * sizeof *out);
    }
}

static void put_heads(float *out, const float *x, const ps_put *puts, size_t n, size_t head_dim, size_t d)
{
    for (const ps_put *put = puts; put < puts + n; put++) {
        size_t column = (size_t)put->head * head_dim;
        memcpy(out + (size_t)put->to * d + column, x + (size_t)put->from * d + column, head_dim * sizeof *out);
    }
}

static void round_to_operand(const ps_backend *backend, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float narrow;
        ps_narrow(&narrow, &x[i], backend->operand, 1);
        ps_widen(&x[i], &narrow, backend->operand, 1);
    }
}

/* ---- readouts: the formulas are in readout.c ---- */

static void pick(const ps_backend *backend, const ps_reading *reading)
{
    (void)backend;
    for (size_t r = 0; r < reading->n; r++)
        ps_reading_pick(reading, r);
}

static void refer(const ps_backend *backend, const ps_reading *reading)
{
    (void)backend;
    for (int32_t i = 0; i < reading->n_references; i++)
        ps_reading_refer(reading, (size_t)i);
}

static void read_panel(const ps_backend *backend, const ps_reading *reading)
{
    (void)backend;
    for (size_t r = 0; r < reading->n; r++)
        ps_reading_read(reading, r);
}

/* ---- stores in host memory ---- */

static float *store_open(const ps_backend *backend, size_t n, ps_err *err)
{
    (void)backend;
    return ps_malloc_aligned(n, sizeof(float), err);
}

static void store_close(const ps_backend *backend, float *store)
{
    (void)backend;
    ps_free(store);
}

static void put(const ps_backend *backend, float *to, const float *host, size_t n)
{
    (void)backend;
    memcpy(to, host, n * sizeof *to);
}

static void get(const ps_backend *backend, float *host, const float *from, size_t n)
{
    (void)backend;
    memcpy(host, from, n * sizeof *host);
}

static void zero(const ps_backend *backend, float *x, size_t n)
{
    (void)backend;
    memset(x, 0, n * sizeof *x);
}

const ps_backend_ops ps_backend_ref = {
    .name = "ref",
    .store_open = store_open,
    .store_close = store_close,
    .in_host = true,
    .put = put,
    .get = get,
    .zero = zero,
    .norm = norm,
    .layer_norm = layer_norm,
    .matmul = matmul,
    .strip = 1,
    .held = {PS_DTYPE_F32, PS_DTYPE_F16, PS_DTYPE_BF16},
    .lay_out = lay_out,
    .row = row,
    .rope = rope,
    .attend = attend,
    .act = act,
    .glu = glu,
    .softcap = softcap,
    .add = add,
    .move = move,
    .put_heads = put_heads,
    .round = round_to_operand,
    .pick = pick,
    .refer = refer,
    .read = read_panel,
};
