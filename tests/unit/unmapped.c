/*
 * unmapped.c - a backend whose stores can be accessed only by its own operations.
 *
 * Linked with -Wl,--wrap=ps_backend_open, so that every backend that the program opens is replaced by one of these.  The
 * operations are those of the backend that was asked for.  Every store has pages of its own between two pages that are never
 * accessible.  Its pages are accessible only while an operation runs that was passed an address in the store.  Any other
 * access ends the program with SIGSEGV.
 *
 * An operation that has no wrapper here is called on inaccessible stores: add one for every new operation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "patchsweep/backend.h"

int __real_ps_backend_open(ps_backend **out, const char *name, const ps_backend_needs *needs, ps_err *err);
int __wrap_ps_backend_open(ps_backend **out, const char *name, const ps_backend_needs *needs, ps_err *err);

enum { MOST_STORES = 1024, LINE = 64, MOST_ARGUMENTS = 6 };

static struct store {
    char *pages; /* between two pages that are never accessible */
    size_t bytes;
} stores[MOST_STORES];
static size_t n_stores;
static ps_backend_ops own; /* of the backend that was opened last */

static void must(int rc)
{
    if (rc == 0)
        return;
    perror("unmapped.c");
    abort();
}

static struct store *find(const void *at)
{
    for (size_t i = 0; i < n_stores; i++)
        if ((const char *)at >= stores[i].pages && (const char *)at < stores[i].pages + stores[i].bytes)
            return &stores[i];
    return NULL;
}

/* Set the protection of the stores in which the arguments lie. */
static void allow(const void *const *arguments, int how)
{
    for (size_t i = 0; i < MOST_ARGUMENTS; i++) {
        const struct store *store = find(arguments[i]);
        if (store)
            must(mprotect(store->pages, store->bytes, how));
    }
}

/* ---- stores ---- */

/* The store is filled with NaN.  It ends where its pages end, but for the rest of a cache line. */
static float *store_open(const ps_backend *backend, size_t n, ps_err *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), lines = (n * sizeof(float) + LINE - 1) / LINE * LINE;
    size_t bytes = lines ? (lines + page - 1) / page * page : page;

    (void)backend;
    char *at = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || n_stores == MOST_STORES) {
        ps_err_set(err, PS_EFAIL, "no memory for a store of %zu floats", n);
        return NULL;
    }
    stores[n_stores++] = (struct store){at + page, bytes};
    must(mprotect(at + page, bytes, PROT_READ | PROT_WRITE));
    memset(at + page, 0xff, bytes);
    must(mprotect(at + page, bytes, PROT_NONE));
    return (float *)(void *)(at + page + bytes - (lines ? lines : LINE));
}

static void store_close(const ps_backend *backend, float *store)
{
    struct store *found = find(store);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    (void)backend;
    if (!store)
        return;
    if (!found)
        abort(); /* not one of ours */
    must(munmap(found->pages - page, found->bytes + 2 * page));
    *found = stores[--n_stores];
}

/* ---- operations ---- */

/* Call `operation` while the stores are accessible in which the addresses behind `arguments` lie. */
#define UNMAPPED(operation, parameters, arguments, ...) \
    static void unmapped_##operation parameters \
    { \
        const void *const at[MOST_ARGUMENTS] = {__VA_ARGS__}; \
        allow(at, PROT_READ | PROT_WRITE); \
        own.operation arguments; \
        allow(at, PROT_NONE); \
    }

UNMAPPED(put, (const ps_backend *b, float *to, const float *host, size_t n), (b, to, host, n), to)
UNMAPPED(get, (const ps_backend *b, float *host, const float *from, size_t n), (b, host, from, n), from)
UNMAPPED(zero, (const ps_backend *b, float *x, size_t n), (b, x, n), x)
UNMAPPED(norm, (float *out, const float *x, const float *w, float eps, size_t rows, size_t d), (out, x, w, eps, rows, d), out, x)
UNMAPPED(layer_norm, (float *out, const float *x, const float *w, const float *b, float eps, size_t rows, size_t d),
         (out, x, w, b, eps, rows, d), out, x)
UNMAPPED(matmul, (const ps_backend *b, float *out, const float *x, const ps_matrix *w, const float *bias, size_t rows),
         (b, out, x, w, bias, rows), out, x)
UNMAPPED(rope, (float *x, const int32_t *positions, const float *cos, const float *sin, size_t rows, size_t heads,
                size_t head_dim, size_t rotary), (x, positions, cos, sin, rows, heads, head_dim, rotary), x)
UNMAPPED(attend, (const ps_backend *b, const ps_attention *work, ps_heads heads), (b, work, heads), work->out, work->q, work->k,
         work->v)
UNMAPPED(act, (float *x, enum ps_act act, size_t n), (x, act, n), x)
UNMAPPED(glu, (float *gate, const float *up, enum ps_act act, size_t n), (gate, up, act, n), gate, up)
UNMAPPED(softcap, (float *x, float cap, size_t n), (x, cap, n), x)
UNMAPPED(add, (float *out, const float *x, const float *y, size_t n), (out, x, y, n), out, x, y)
UNMAPPED(move, (float *out, const int32_t *to, const float *x, const float *base, const int32_t *from, size_t rows, size_t d),
         (out, to, x, base, from, rows, d), out, x, base)
UNMAPPED(put_heads, (float *out, const float *x, const ps_put *puts, size_t n, size_t head_dim, size_t d),
         (out, x, puts, n, head_dim, d), out, x)
UNMAPPED(round, (const ps_backend *b, float *x, size_t n), (b, x, n), x)
UNMAPPED(pick, (const ps_backend *b, const ps_reading *r), (b, r), r->h, r->target)
UNMAPPED(refer, (const ps_backend *b, const ps_reading *r), (b, r), r->logits, r->clean_z, r->clean_w)
UNMAPPED(read, (const ps_backend *b, const ps_reading *r), (b, r), r->logits, r->clean_z, r->clean_w)

int __wrap_ps_backend_open(ps_backend **out, const char *name, const ps_backend_needs *needs, ps_err *err)
{
    if (__real_ps_backend_open(out, name, needs, err) < 0)
        return -1;
    ps_backend *b = *out;
    size_t at = strlen(b->description);
    own = b->ops;
    b->ops.store_open = store_open;
    b->ops.store_close = store_close;
    b->ops.in_host = false;
    b->ops.put = unmapped_put;
    b->ops.get = unmapped_get;
    b->ops.zero = unmapped_zero;
    b->ops.norm = unmapped_norm;
    b->ops.layer_norm = unmapped_layer_norm;
    b->ops.matmul = unmapped_matmul;
    b->ops.rope = unmapped_rope;
    b->ops.attend = unmapped_attend;
    b->ops.act = unmapped_act;
    b->ops.glu = unmapped_glu;
    b->ops.softcap = unmapped_softcap;
    b->ops.add = unmapped_add;
    b->ops.move = unmapped_move;
    b->ops.put_heads = unmapped_put_heads;
    b->ops.round = unmapped_round;
    b->ops.pick = unmapped_pick;
    b->ops.refer = unmapped_refer;
    b->ops.read = unmapped_read;
    snprintf(b->description + at, sizeof b->description - at, ", unmapped stores");
    return 0;
}
