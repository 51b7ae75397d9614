/*
 * onednn.c - matrix products of bfloat16 operands with float32 sums.  The only file that includes dnnl.h.
 *
 * The library is opened when a run asks for it, so a program built with oneDNN also runs where the library is
 * not installed.  A program built without its header refuses bf16.  Primitives are created for every product,
 * because the library caches them by shape (measured with 2.6: 0.4 ms the first time, 12 us after
 * that).  A row's result does not depend on the rows beside it (measured; backend.c measures it at open).
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/backend.h"

#if __has_include(<oneapi/dnnl/dnnl.h>)
#include <oneapi/dnnl/dnnl.h>

/* Versions 2 and 3 have the same matmul behind two interfaces. */
#if DNNL_VERSION_MAJOR < 3
#define LIBRARY "libdnnl.so.2"
#define PACKAGE "libdnnl2"
#define OF_VERSION(X) \
    X(dnnl_memory_desc_init_by_tag) X(dnnl_matmul_desc_init) X(dnnl_primitive_desc_create)
#else
#define LIBRARY "libdnnl.so.3"
#define PACKAGE "libdnnl3"
#define OF_VERSION(X) \
    X(dnnl_memory_desc_create_with_tag) X(dnnl_memory_desc_destroy) X(dnnl_matmul_primitive_desc_create)
#endif

#define FUNCTIONS(X)                                                                               \
    X(dnnl_version) X(dnnl_get_effective_cpu_isa) X(dnnl_engine_create) X(dnnl_stream_create)      \
    X(dnnl_stream_wait) X(dnnl_memory_create) X(dnnl_memory_destroy) X(dnnl_primitive_create)      \
    X(dnnl_primitive_destroy) X(dnnl_primitive_desc_destroy) X(dnnl_primitive_execute)             \
    OF_VERSION(X)

/* The library's functions by their own names.  There is one table in a process, as there is one library. */
static struct {
#define FIELD(name) __typeof__(&(name)) name;
    FUNCTIONS(FIELD)
    dnnl_engine_t engine;
    dnnl_stream_t stream;
} lib;

static int find_functions(void *handle, ps_err *err)
{
    static const struct { const char *name; size_t at; } wanted[] = {
#define ENTRY(name) {#name, __builtin_offsetof(__typeof__(lib), name)},
        FUNCTIONS(ENTRY)};

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *at = dlsym(handle, wanted[i].name);
        if (!at)
            return ps_err_set(err, PS_EINPUT, "precision bf16: %s has no %s; use fp32", LIBRARY, wanted[i].name);
        memcpy((char *)&lib + wanted[i].at, &at, sizeof at); /* an object's pointer to a function's */
    }
    return 0;
}

/* For calls that fail only when memory runs out, in the middle of a layer. */
static void must(dnnl_status_t status)
{
    if (status != dnnl_success)
        PS_BUG("oneDNN: status %d%s", (int)status, status == dnnl_out_of_memory ? ", out of memory" : "");
}

/* ---- a product ---- */

enum { SRC, WEIGHTS, BIAS, DST, N_SIDES };

typedef struct side {
    dnnl_memory_desc_t layout;
    dnnl_memory_t memory;
} side;

static void open_side(side *s, size_t rows, size_t cols, dnnl_data_type_t type, dnnl_format_tag_t tag,
                      const void *data)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)cols};
    void *at = (void *)(uintptr_t)data; /* inputs are not written to */

#if DNNL_VERSION_MAJOR < 3
    must(lib.dnnl_memory_desc_init_by_tag(&s->layout, 2, dims, type, tag));
    must(lib.dnnl_memory_create(&s->memory, &s->layout, lib.engine, at));
#else
    must(lib.dnnl_memory_desc_create_with_tag(&s->layout, 2, dims, type, tag));
    must(lib.dnnl_memory_create(&s->memory, s->layout, lib.engine, at));
#endif
}

static void close_side(side *s)
{
    must(lib.dnnl_memory_destroy(s->memory));
#if DNNL_VERSION_MAJOR >= 3
    must(lib.dnnl_memory_desc_destroy(s->layout));
#endif
}

static dnnl_primitive_t create_matmul(side sides[N_SIDES], bool bias)
{
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;

#if DNNL_VERSION_MAJOR < 3
    dnnl_matmul_desc_t matmul;
    must(lib.dnnl_matmul_desc_init(&matmul, &sides[SRC].layout, &sides[WEIGHTS].layout,
                                   bias ? &sides[BIAS].layout : NULL, &sides[DST].layout));
    must(lib.dnnl_primitive_desc_create(&description, &matmul, NULL, lib.engine, NULL));
#else
    must(lib.dnnl_matmul_primitive_desc_create(&description, lib.engine, sides[SRC].layout,
                                               sides[WEIGHTS].layout, bias ? sides[BIAS].layout : NULL,
                                               sides[DST].layout, NULL));
#endif
    must(lib.dnnl_primitive_create(&primitive, description));
    must(lib.dnnl_primitive_desc_destroy(description));
    return primitive;
}

static void product(float *out, const void *x, const void *w, const float *bias, size_t rows,
                    size_t n, size_t k)
{
    side sides[N_SIDES];

    open_side(&sides[SRC], rows, k, dnnl_bf16, dnnl_ab, x);
    open_side(&sides[WEIGHTS], k, n, dnnl_bf16, dnnl_ba, w);
    open_side(&sides[BIAS], 1, n, dnnl_f32, dnnl_ab, bias);
    open_side(&sides[DST], rows, n, dnnl_f32, dnnl_ab, out);
    dnnl_primitive_t matmul = create_matmul(sides, bias != NULL);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, sides[SRC].memory},
                                    {DNNL_ARG_WEIGHTS, sides[WEIGHTS].memory},
                                    {DNNL_ARG_DST, sides[DST].memory},
                                    {DNNL_ARG_BIAS, sides[BIAS].memory}};
    must(lib.dnnl_primitive_execute(matmul, lib.stream, bias ? 4 : 3, args));
    must(lib.dnnl_stream_wait(lib.stream));
    must(lib.dnnl_primitive_destroy(matmul));
    for (int i = 0; i < N_SIDES; i++)
        close_side(&sides[i]);
}

/* ---- the slot ---- */

static void narrow_rows(uint16_t *out, const float *x, size_t rows, size_t k)
{
#pragma omp parallel for
    for (size_t r = 0; r < rows; r++)
        ps_narrow(out + r * k, x + r * k, PS_DTYPE_BF16, k);
}

static void matmul(const ps_backend *backend, float *out, const float *x, const ps_matrix *w,
                   const float *bias, size_t rows)
{
    for (size_t at = 0; at < rows;) {
        size_t some = rows - at < backend->max_rows ? rows - at : backend->max_rows;
        narrow_rows(backend->scratch, x + at * w->k, some, w->k);
        product(out + at * w->n, backend->scratch, w->data, bias, some, w->n, w->k);
        at += some;
    }
}

size_t ps_backend_onednn_scratch(const ps_backend_needs *needs)
{
    return needs->max_rows * needs->max_depth * sizeof(uint16_t);
}

int ps_backend_onednn(ps_backend_ops *ops, ps_err *err)
{
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL); /* stays for the life of the process */

    if (!handle)
        return ps_err_set(err, PS_EINPUT, "precision bf16 needs oneDNN, and %s is not installed here; install it "
                          "(Debian: %s) or use fp32", LIBRARY, PACKAGE);
    if (find_functions(handle, err) < 0)
        return -1;
    int isa = (int)lib.dnnl_get_effective_cpu_isa();
    if ((isa & dnnl_cpu_isa_avx512_core_bf16) != dnnl_cpu_isa_avx512_core_bf16)
        return ps_err_set(err, PS_EINPUT, "precision bf16 needs a processor with AVX512_BF16 or AMX, and this one "
                          "has neither; use fp32");
    if (!lib.engine && (lib.dnnl_engine_create(&lib.engine, dnnl_cpu, 0) != dnnl_success ||
                        lib.dnnl_stream_create(&lib.stream, lib.engine, dnnl_stream_default_flags) != dnnl_success))
        return ps_err_set(err, PS_EFAIL, "oneDNN does not start");
    ops->matmul = matmul;
    for (int type = 0; type < PS_N_DTYPES; type++)
        ops->held[type] = PS_DTYPE_BF16;
    return 0;
}

void ps_backend_onednn_describe(char *text, size_t bytes)
{
    const dnnl_version_t *v = lib.dnnl_version();
    int isa = (int)lib.dnnl_get_effective_cpu_isa();

    snprintf(text, bytes, "oneDNN %d.%d.%d, %s", v->major, v->minor, v->patch,
             isa > dnnl_cpu_isa_avx512_core_bf16 ? "AMX" : "AVX512_BF16");
}

#else

size_t ps_backend_onednn_scratch(const ps_backend_needs *needs)
{
    (void)needs;
    return 0;
}

int ps_backend_onednn(ps_backend_ops *ops, ps_err *err)
{
    (void)ops;
    return ps_err_set(err, PS_EINPUT, "precision bf16 needs oneDNN, and this program was built without it; rebuild it "
                      "where oneapi/dnnl/dnnl.h is installed (Debian: libdnnl-dev), or use fp32");
}

void ps_backend_onednn_describe(char *text, size_t bytes)
{
    snprintf(text, bytes, "no oneDNN");
}

#endif
