/* test_one_head.c - a query of one head alone writes that head's columns, of whichever rows, and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "patchsweep/backend.h"
#include "rand.h"

enum { H = 6, KV = 2, HD = 20, KEYS = 60, N = 40, FIRST = KEYS - N, QW = H * HD, KVW = KV * HD, ROWS = 90, TO = 47 };

static float *numbers(size_t n)
{
    float *x = malloc(n * sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = rand_float();
    return x;
}

/* Some queries of every head, and the same of head `head` into rows TO ..: the same bits there, and what stood there elsewhere. */
static void check_head(const ps_backend *backend, int32_t head)
{
    const ps_heads heads = {.n_heads = H, .n_kv_heads = KV, .head_dim = HD, .scale = 0.2f};
    const ps_key_span spans[] = {{0, 25}, {25, KEYS - 25}, {0, KEYS}};
    const ps_query query = {.q = 3, .first = FIRST, .n = N, .k = 0, .v = 2};
    const ps_one_head only = {.head = head, .out = TO};
    float *q = numbers(ROWS * QW), *k = numbers(KEYS * KVW), *v = numbers(KEYS * KVW), *all = numbers(ROWS * QW);
    float *one = numbers(ROWS * QW), *was = malloc(ROWS * QW * sizeof *was);
    ps_attention work = {.out = all, .q = q, .k = k, .v = v, .queries = &query, .n_queries = 1, .spans = spans};
    size_t wrong = 0;

    memcpy(was, one, ROWS * QW * sizeof *was);
    backend->ops.attend(backend, &work, heads);
    work.out = one;
    work.only = &only;
    backend->ops.attend(backend, &work, heads);
    for (int32_t r = 0; r < ROWS; r++)
        for (int32_t i = 0; i < QW; i++) {
            bool here = r >= TO && r < TO + N && (head < 0 || i / HD == head);
            float wanted = here ? all[(3 + r - TO) * QW + i] : was[r * QW + i];
            wrong += memcmp(&one[r * QW + i], &wanted, sizeof wanted) != 0;
        }
    CHECK_INT(wrong, 0);
    free(q), free(k), free(v), free(all), free(one), free(was);
}

static void one_head_of_some_rows(void)
{
    static const char *const names[] = {"ref", "cpu"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const ps_backend_needs needs = {.n_threads = 2, .max_positions = KEYS, .max_rows = ROWS, .max_depth = QW, .max_matrix = QW};
        ps_backend *backend = NULL;
        ps_err err = PS_ERR_INIT;
        CHECK(ps_backend_open(&backend, names[i], &needs, &err) == 0);
        for (int32_t head = -1; head < H; head++)
            check_head(backend, head);
        ps_backend_close(backend);
    }
}

int main(void)
{
    RUN(one_head_of_some_rows);
    return check_done();
}
