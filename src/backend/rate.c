/* rate.c - timing the parts of a sweep: matrix products, memory, files. */
#include "patchsweep/rate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/host.h"
#include "patchsweep/mem.h"
#include "patchsweep/store.h"

/* ---- products ---- */

enum { REPEATS = 3 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median_seconds(const ps_backend *b, float *out, const float *x, const ps_matrix *w, size_t rows)
{
    double seconds[REPEATS];

    for (int i = -1; i < REPEATS; i++) { /* once to warm up */
        double start = ps_seconds();
        b->ops.matmul(b, out, x, w, NULL, rows);
        if (i >= 0)
            seconds[i] = ps_seconds() - start;
    }
    qsort(seconds, REPEATS, sizeof *seconds, by_size);
    return seconds[REPEATS / 2];
}

static void fill(float *x, size_t n)
{
#pragma omp parallel for
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(i * 2654435761u % 2003) / 2003.0f - 0.5f;
}

/* A timed product: stores for its rows, and its weights in float32, in the type of the backend, and laid out. */
typedef struct product {
    float *x, *out;
    float *wide, *typed;
    void *weights;
} product;

static void time_product(const ps_backend *b, const product *p, size_t rows, size_t n, size_t k, double *flops)
{
    enum ps_dtype held = b->ops.held[b->operand];

    fill(p->wide, n * k);
    b->ops.put(b, p->x, p->wide, rows * k);
    ps_narrow(p->typed, p->wide, held, n * k);
    ps_matrix_lay_out(&b->ops, p->weights, p->typed, held, n, k);
    const ps_matrix matrix = {p->weights, held, n, k};
    *flops = 2.0 * (double)(rows * n * k) / median_seconds(b, p->out, p->x, &matrix, rows);
}

int ps_rate_product(const char *name, enum ps_dtype operand, int n_threads, bool quick, double *flops,
                    char *description, ps_err *err)
{
    const size_t rows = quick ? 512 : 2048, n = 4 * rows, k = rows;
    const ps_backend_needs needs = {.n_threads = n_threads, .operand = operand, .max_positions = 1,
                                    .max_rows = rows, .max_depth = k, .max_matrix = n * k};
    ps_backend *b = NULL;
    product p = {0};

    if (ps_backend_open(&b, name, &needs, err) < 0)
        return -1;
    const ps_store stores[] = {{&p.x, rows * k}, {&p.out, rows * n}};
    const ps_block blocks[] = {{&p.wide, n * k, sizeof *p.wide}, {&p.typed, n * k, sizeof *p.typed},
                               {&p.weights, ps_matrix_bytes(&b->ops, b->ops.held[operand], n, k), 1}};
    int rc = ps_stores_open(b, stores, 2, err) < 0 || ps_blocks_alloc(blocks, 3, err) < 0 ? -1 : 0;
    if (rc == 0) {
        time_product(b, &p, rows, n, k, flops);
        snprintf(description, 256, "%s", ps_backend_describe(b));
    }
    ps_stores_close(b, stores, 2);
    ps_blocks_free(blocks, 3);
    ps_backend_close(b);
    return rc;
}

/* ---- memory ---- */

int ps_rate_memory(int n_threads, double *bytes, ps_err *err)
{
    const size_t n = (size_t)256 << 20; /* past any cache */
    uint64_t *block = ps_malloc_aligned(n, 1, err), sum = 0;
    double best = 0;

    if (!block)
        return -1;
#pragma omp parallel for num_threads(n_threads)
    for (size_t i = 0; i < n / 8; i++)
        block[i] = i;
    for (int repeat = 0; repeat < 3; repeat++) {
        double start = ps_seconds();
#pragma omp parallel for simd reduction(+ : sum) num_threads(n_threads)
        for (size_t i = 0; i < n / 8; i++)
            sum += block[i];
        double rate = (double)n / (ps_seconds() - start);
        best = rate > best ? rate : best;
    }
    block[0] = sum; /* so that the compiler keeps the reads */
    *(volatile uint64_t *)block;
    ps_free(block);
    *bytes = best;
    return 0;
}

/* ---- files ---- */

#define PIECE ((size_t)16 << 20)
#define MADE ((size_t)256 << 20)
#define MOST ((uint64_t)1 << 30)

static int fail_file(ps_err *err, const char *path, const char *what)
{
    return ps_err_set(err, PS_EFAIL, "'%s': %s: %s", path, what, strerror(errno));
}

/* Create a file without a name, and flush its bytes to the disk. */
static int make_file(char *buf, ps_err *err)
{
    char name[] = ".patchsweep-bench-XXXXXX";
    int fd = mkstemp(name);

    if (fd < 0)
        return fail_file(err, ".", "cannot make a file to read back (--read FILE names another)");
    unlink(name);
    memset(buf, 1, PIECE);
    for (size_t at = 0; at < MADE; at += PIECE)
        if (pwrite(fd, buf, PIECE, (off_t)at) != (ssize_t)PIECE) {
            fail_file(err, name, "cannot write");
            close(fd);
            return -1;
        }
    fsync(fd);
    return fd;
}

static int time_reading(int fd, const char *path, char *buf, double *bytes, ps_err *err)
{
    struct stat st;
    uint64_t done = 0;

    if (fstat(fd, &st) < 0)
        return fail_file(err, path, "cannot read");
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return ps_err_set(err, PS_EINPUT, "'%s' is not a regular file; name one of the model's weights", path);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    double start = ps_seconds();
    for (ssize_t n; done < MOST; done += (uint64_t)n) {
        n = pread(fd, buf, PIECE, (off_t)done);
        if (n < 0)
            return fail_file(err, path, "cannot read");
        if (n == 0)
            break;
    }
    *bytes = (double)done / (ps_seconds() - start);
    return 0;
}

int ps_rate_file(const char *path, double *bytes, ps_err *err)
{
    char *buf = ps_malloc_aligned(PIECE, 1, err);

    if (!buf)
        return -1;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : make_file(buf, err);
    int rc = fd < 0 ? -1 : time_reading(fd, path ? path : "the file made for it", buf, bytes, err);
    if (fd < 0 && path)
        ps_err_set(err, PS_EINPUT, "'%s': %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    ps_free(buf);
    return rc;
}
