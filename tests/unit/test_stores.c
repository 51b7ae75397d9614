/*
 * test_stores.c - stores that only operations can access (see unmapped.c), their mirrors and their broadcasts.
 *
 * Under mpirun, broadcasts go to all ranks.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/engine/broadcast.h"
#include "../check.h"
#include "patchsweep/backend.h"
#include "patchsweep/mem.h"
#include "patchsweep/store.h"

static ps_comm *comm;
static ps_backend *backend;

/* Whether a child process that calls touch(store) dies. */
static bool dies_of(void (*touch)(float *store), float *store)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), 2); /* discard the sanitizer's report */
        touch(store);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return status != 0;
}

enum { N = 1000 };

static void read_first(float *store)
{
    *(volatile float *)store;
}

static void write_last(float *store)
{
    ((volatile float *)store)[N - 1] = 1;
}

static void operate(float *store)
{
    backend->ops.add(store, store, store, N);
}

static void operate_past_the_end(float *store)
{
    backend->ops.zero(backend, store, N + 16); /* a cache line */
}

static void only_operations_reach_stores(void)
{
    ps_err err = PS_ERR_INIT;
    float *store = NULL;
    const ps_store table[] = {{&store, N}};

    CHECK(ps_stores_open(backend, table, 1, &err) == 0);
    CHECK(dies_of(read_first, store));
    CHECK(dies_of(write_last, store));
    CHECK(!dies_of(operate, store));
    CHECK(dies_of(operate_past_the_end, store));
    ps_stores_close(backend, table, 1);
}

static void mirrors_bring_and_take(void)
{
    ps_err err = PS_ERR_INIT;
    float *store = NULL;
    ps_mirror mirror = {.backend = backend};
    const ps_store table[] = {{&store, N}};
    const ps_block block = {&mirror.host, ps_mirror_floats(backend, N), sizeof(float)};

    CHECK_INT(block.n, N);
    CHECK(ps_stores_open(backend, table, 1, &err) == 0 && ps_blocks_alloc(&block, 1, &err) == 0);
    for (int i = 0; i < N; i++)
        ps_mirror_at(&mirror, store, 0)[i] = (float)i;
    ps_mirror_put(&mirror, store, 0, N);
    backend->ops.zero(backend, store + 10, 20);
    CHECK(mirror.host[10] == 10); /* not yet */
    const float *seen = ps_mirror_get(&mirror, store, 9, 22);
    CHECK(seen == mirror.host + 9 && seen[0] == 9 && seen[1] == 0 && seen[20] == 0 && seen[21] == 30);
    ps_stores_close(backend, table, 1);
    ps_blocks_free(&block, 1);
}

/* Broadcast n floats between stores of `b`. */
static void check_broadcast(const ps_backend *b, size_t n)
{
    ps_err err = PS_ERR_INIT;
    float *store = NULL, *seen = ps_malloc(n + 1, sizeof *seen, &err);
    ps_mirror mirror = {.backend = b};
    const ps_store table[] = {{&store, n + 1}};
    const ps_block block = {&mirror.host, ps_mirror_floats(b, PS_BROADCAST_FLOATS), sizeof(float)};
    size_t wrong = 0;

    CHECK(ps_stores_open(b, table, 1, &err) == 0 && ps_blocks_alloc(&block, 1, &err) == 0);
    for (size_t i = 0; i <= n; i++)
        seen[i] = ps_comm_rank(comm) == 0 ? (float)(i % 100003) : -1;
    b->ops.put(b, store, seen, n + 1);
    ps_broadcast(comm, &mirror, store, n);
    b->ops.get(b, seen, store, n + 1);
    for (size_t i = 0; i < n; i++)
        wrong += seen[i] != (float)(i % 100003);
    CHECK_INT(wrong, 0);
    CHECK(ps_comm_rank(comm) == 0 || seen[n] == -1);
    ps_stores_close(b, table, 1);
    ps_blocks_free(&block, 1);
    ps_free(seen);
}

static void broadcasts_reach_every_rank(void)
{
    static const size_t sizes[] = {0, 1, PS_BROADCAST_FLOATS, 3 * PS_BROADCAST_FLOATS + 5};
    ps_backend in_host = {.ops = ps_backend_ref};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_broadcast(backend, sizes[i]);
        check_broadcast(&in_host, sizes[i]);
    }
}

int main(void)
{
    const ps_backend_needs needs = {.n_threads = 2, .max_positions = 1, .max_rows = 1, .max_depth = 1, .max_matrix = 1};
    ps_err err = PS_ERR_INIT;

    if (ps_comm_open(&comm, &err) < 0 || ps_backend_open(&backend, "cpu", &needs, &err) < 0)
        return 1;
    CHECK(!backend->ops.in_host);
    RUN(only_operations_reach_stores);
    RUN(mirrors_bring_and_take);
    RUN(broadcasts_reach_every_rank);
    ps_backend_close(backend);
    ps_comm_close(comm);
    return check_done();
}
