/*
 * test_tensors.c - tensors that a file holds in another form: fused, transposed, alternating head by head, less one, absent.
 *
 * Each case is a model that the test writes with known numbers.  Where each role's numbers lie in the files is said a second
 * time here, by a formula an element.
 */
#include <stdlib.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/crc.h"
#include "patchsweep/weights.h"

enum { MAX_TENSORS = 40, LAYERS = 2 };

static char folder[] = "/tmp/patchsweep-tensors-XXXXXX";

/* ---- files ---- */

typedef struct tensor {
    char name[100];
    size_t rows, cols; /* cols 0: a vector */
    uint32_t crc;      /* of its bytes */
} tensor;

typedef struct model {
    const char *config;
    enum ps_dtype dtype;
    size_t n;
    tensor tensors[MAX_TENSORS];
} model;

static size_t seed_of(const char *name)
{
    size_t seed = 0;

    while (*name)
        seed = seed * 31 + (unsigned char)*name++;
    return seed % 1000;
}

/* The number at `at` of a tensor: with 7 bits, which all types hold exactly. */
static float of_seed(size_t seed, size_t at)
{
    return (float)((int)((seed + at * 7919) % 251) - 125) / 64;
}

static float number(const char *name, size_t at)
{
    return of_seed(seed_of(name), at);
}

/* `name` may have a %d: then a tensor a layer. */
static void add(model *m, const char *name, size_t rows, size_t cols)
{
    const char *hole = strstr(name, "%d");

    for (int layer = 0; layer < (hole ? LAYERS : 1); layer++) {
        tensor *t = &m->tensors[m->n++];
        *t = (tensor){.rows = rows, .cols = cols};
        if (hole)
            snprintf(t->name, sizeof t->name, "%.*s%d%s", (int)(hole - name), name, layer, hole + 2);
        else
            snprintf(t->name, sizeof t->name, "%s", name);
    }
}

static void write_data(FILE *file, tensor *t, enum ps_dtype dtype)
{
    size_t n = t->rows * (t->cols ? t->cols : 1), seed = seed_of(t->name);

    t->crc = 0;
    for (size_t at = 0; at < n; at += 64) {
        float wide[64];
        char typed[64 * sizeof(float)];
        size_t some = n - at < 64 ? n - at : 64;
        for (size_t i = 0; i < some; i++)
            wide[i] = of_seed(seed, at + i);
        ps_narrow(typed, wide, dtype, some);
        t->crc = ps_crc32c(t->crc, typed, some * ps_dtype_bytes(dtype));
        fwrite(typed, ps_dtype_bytes(dtype), some, file);
    }
}

static void write_model(model *m)
{
    static const char *const types[] = {"F32", "F16", "BF16"};
    char path[128], header[16384] = "{";
    size_t used = 1, at = 0;

    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "w");
    fputs(m->config, file);
    fclose(file);
    for (size_t i = 0; i < m->n; i++) {
        const tensor *t = &m->tensors[i];
        char shape[40];
        size_t bytes = t->rows * (t->cols ? t->cols : 1) * ps_dtype_bytes(m->dtype);
        snprintf(shape, sizeof shape, t->cols ? "%zu,%zu" : "%zu", t->rows, t->cols);
        used += (size_t)snprintf(header + used, sizeof header - used, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],"
                                 "\"data_offsets\":[%zu,%zu]}", i ? "," : "", t->name, types[m->dtype], shape, at, at + bytes);
        at += bytes;
    }
    used += (size_t)snprintf(header + used, sizeof header - used, "}");
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    file = fopen(path, "wb");
    uint64_t size = used;
    fwrite(&size, sizeof size, 1, file);
    fwrite(header, 1, used, file);
    for (size_t i = 0; i < m->n; i++)
        write_data(file, &m->tensors[i], m->dtype);
    fclose(file);
}

/* ---- what is loaded ---- */

typedef struct loaded {
    ps_config *config;
    ps_backend *backend;
    ps_weights *weights;
    uint64_t resident; /* as measured */
} loaded;

static void release(loaded *l)
{
    ps_weights_close(l->weights);
    ps_backend_close(l->backend);
    ps_config_free(l->config);
}

/* Load the folder's model, as of `family` where that is not NULL. */
static bool load(loaded *l, const char *backend, const ps_family *family, ps_err *err)
{
    const ps_backend_needs needs = {.n_threads = 2, .operand = PS_DTYPE_F32, .max_positions = 16, .max_rows = 16,
                                    .max_depth = 4096, .max_matrix = 1 << 22};
    uint64_t loading;

    *l = (loaded){NULL};
    if (ps_config_read(&l->config, folder, err) < 0 || ps_backend_open(&l->backend, backend, &needs, err) < 0)
        return false;
    l->config->family = family ? family : l->config->family;
    return ps_weights_open(&l->weights, l->config, folder, l->backend, err) == 0 &&
           ps_weights_measure(&l->resident, &loading, l->config, folder, l->backend, err) == 0;
}

/* Where the file has the numbers of a role. */
typedef struct wanted {
    int role;
    const char *name; /* %d: the layer */
    enum { ROWS, COLUMNS, HEADS } kind;
    size_t n, k;      /* of the role; k 1: a vector */
    size_t first;     /* ROWS and COLUMNS: outputs in front of it; HEADS: slices of each head in front of it */
    size_t all;       /* COLUMNS: outputs of the tensor; HEADS: slices */
    size_t head_dim;
    float plus;
} wanted;

static size_t place(const wanted *w, size_t output, size_t input)
{
    switch (w->kind) {
    case ROWS:
        return (w->first + output) * w->k + input;
    case COLUMNS:
        return input * w->all + w->first + output;
    case HEADS:
        return ((output / w->head_dim * w->all + w->first) * w->head_dim + output % w->head_dim) * w->k + input;
    }
    return 0;
}

/* Differing numbers of the role in layer `layer`. */
static size_t differing(const loaded *l, const wanted *w, int layer)
{
    ps_matrix part[PS_N_ROLES];
    ps_err err = PS_ERR_INIT;
    char name[128];
    size_t n_differing = 0;
    const char *hole = strstr(w->name, "%d");
    float *row = malloc(w->k * sizeof *row);

    ps_weights_layer(l->weights, layer, part, &err);
    const ps_matrix *m = &part[w->role];
    snprintf(name, sizeof name, "%.*s%d%s", (int)(hole - w->name), w->name, layer, hole + 2);
    size_t seed = seed_of(name);
    CHECK(m->data && m->n == w->n && m->k == w->k && row);
    for (size_t o = 0; m->data && m->n == w->n && m->k == w->k && o < w->n; o++) {
        ps_matrix_row(w->k == 1 ? &ps_backend_ref : &l->backend->ops, m, o, row);
        for (size_t i = 0; i < w->k; i++)
            n_differing += row[i] != of_seed(seed, place(w, o, i)) + w->plus;
    }
    free(row);
    return n_differing;
}

/* Each tensor of the file once, in the order in which tensors stand in `m`, with its bytes' checksum. */
static void check_sums(const loaded *l, const model *m)
{
    const char *line = ps_weights_sums(l->weights);

    for (size_t i = 0; i < m->n; i++) {
        char want[200];
        int n = snprintf(want, sizeof want, "%08x %s model.safetensors\n", (unsigned)m->tensors[i].crc, m->tensors[i].name);
        bool same = !strncmp(line, want, (size_t)n);
        if (!same)
            printf("# %.60s, not %s", line, want);
        CHECK(same);
        line = strchr(line, '\n') ? strchr(line, '\n') + 1 : "";
    }
    CHECK_STR(line, "");
}

/* Load `m`, written in each type, with each backend, and compare. */
static void compare(model *m, const ps_family *family, const wanted *roles, size_t n)
{
    static const char *const backends[] = {"ref", "cpu", "openblas"};

    for (m->dtype = PS_DTYPE_F32; m->dtype < PS_N_DTYPES; m->dtype++) {
        write_model(m);
        for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
            ps_err err = PS_ERR_INIT;
            loaded l;
            bool ok = load(&l, backends[b], family, &err);
            CHECK_STR(ok ? "" : err.text, "");
            for (size_t i = 0; ok && i < n; i++)
                for (int layer = 0; layer < LAYERS; layer++)
                    CHECK_INT(differing(&l, &roles[i], layer), 0);
            if (ok) {
                check_sums(&l, m);
                CHECK_INT(l.resident, ps_weights_bytes(l.weights));
            }
            release(&l);
        }
    }
}

/* ---- GPT-2 ---- */

#define GPT2(d, mlp) "{\"architectures\": [\"GPT2LMHeadModel\"], \"n_layer\": 2, \"n_head\": 2, \"vocab_size\": 10, " \
    "\"n_positions\": 6, \"n_embd\": " #d ", \"n_inner\": " #mlp "}"

/* The tensors of a GPT-2 of width d, in the order of loading; `prefix` as in the file. */
static void add_gpt2(model *m, size_t d, size_t mlp)
{
    add(m, "transformer.ln_f.weight", d, 0);
    add(m, "transformer.ln_f.bias", d, 0);
    add(m, "transformer.wte.weight", 10, d);
    add(m, "transformer.wpe.weight", 6, d);
    for (int layer = 0; layer < LAYERS; layer++) {
        static const char *const names[] = {"ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
                                            "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias",
                                            "mlp.c_proj.weight", "mlp.c_proj.bias"};
        const size_t shapes[][2] = {{d, 0}, {d, 0}, {d, 3 * d}, {3 * d, 0}, {d, d}, {d, 0}, {d, 0}, {d, 0},
                                    {d, mlp}, {mlp, 0}, {mlp, d}, {d, 0}};
        for (size_t i = 0; i < 12; i++) {
            char name[100];
            snprintf(name, sizeof name, "transformer.h.%d.%s", layer, names[i]);
            add(m, name, shapes[i][0], shapes[i][1]);
        }
    }
}

#define H "transformer.h.%d."

static void compare_gpt2(const char *config, size_t d, size_t mlp)
{
    const wanted roles[] = {
        {.role = PS_W_ATTN_NORM, .name = H "ln_1.weight", .n = d, .k = 1},
        {.role = PS_B_ATTN_NORM, .name = H "ln_1.bias", .n = d, .k = 1},
        {.role = PS_W_Q, .name = H "attn.c_attn.weight", .kind = COLUMNS, .n = d, .k = d, .first = 0, .all = 3 * d},
        {.role = PS_W_K, .name = H "attn.c_attn.weight", .kind = COLUMNS, .n = d, .k = d, .first = d, .all = 3 * d},
        {.role = PS_W_V, .name = H "attn.c_attn.weight", .kind = COLUMNS, .n = d, .k = d, .first = 2 * d, .all = 3 * d},
        {.role = PS_B_Q, .name = H "attn.c_attn.bias", .n = d, .k = 1, .first = 0},
        {.role = PS_B_K, .name = H "attn.c_attn.bias", .n = d, .k = 1, .first = d},
        {.role = PS_B_V, .name = H "attn.c_attn.bias", .n = d, .k = 1, .first = 2 * d},
        {.role = PS_W_O, .name = H "attn.c_proj.weight", .kind = COLUMNS, .n = d, .k = d, .all = d},
        {.role = PS_W_UP, .name = H "mlp.c_fc.weight", .kind = COLUMNS, .n = mlp, .k = d, .all = mlp},
        {.role = PS_B_UP, .name = H "mlp.c_fc.bias", .n = mlp, .k = 1},
        {.role = PS_W_DOWN, .name = H "mlp.c_proj.weight", .kind = COLUMNS, .n = d, .k = mlp, .all = d},
        {.role = PS_B_DOWN, .name = H "mlp.c_proj.bias", .n = d, .k = 1},
    };
    model m = {.config = config};

    add_gpt2(&m, d, mlp);
    compare(&m, NULL, roles, sizeof roles / sizeof *roles);
}

static void transposed_and_fused(void)
{
    compare_gpt2(GPT2(8, 12), 8, 12);
    compare_gpt2(GPT2(70, 131), 70, 131); /* no multiple of any strip or tile */
}

/* Tensors of 13 MB, which are read in two blocks. */
static void in_several_blocks(void)
{
    compare_gpt2(GPT2(1044, 66), 1044, 66);
}

static void ends_of_the_model(void)
{
    model m = {.config = GPT2(8, 12), .dtype = PS_DTYPE_F16};
    ps_err err = PS_ERR_INIT;
    loaded l;
    float out[3 * 8];

    add_gpt2(&m, 8, 12);
    write_model(&m);
    if (!load(&l, "cpu", NULL, &err)) {
        CHECK_STR(err.text, "");
        return;
    }
    for (size_t i = 0; i < 8; i++) {
        CHECK(ps_weights_final_norm(l.weights)[i] == number("transformer.ln_f.weight", i));
        CHECK(ps_weights_final_norm_bias(l.weights)[i] == number("transformer.ln_f.bias", i));
    }
    ps_weights_position_rows(l.weights, 2, 3, out);
    for (size_t i = 0; i < 24; i++)
        CHECK(out[i] == number("transformer.wpe.weight", 16 + i));
    ps_weights_embed_rows(l.weights, (const int32_t[]){9}, 1, out);
    ps_weights_lm_head_row(l.weights, 3, out + 8);
    for (size_t i = 0; i < 8; i++)
        CHECK(out[i] == number("transformer.wte.weight", 72 + i) && out[8 + i] == number("transformer.wte.weight", 24 + i));
    release(&l);
}

/* As GPT-2's own files are: no prefix, and masks that older versions saved. */
static void leftovers_and_prefixes(void)
{
    model m = {.config = GPT2(8, 12)};
    ps_err err = PS_ERR_INIT;
    loaded l;

    add_gpt2(&m, 8, 12);
    for (size_t i = 0; i < m.n; i++)
        memmove(m.tensors[i].name, m.tensors[i].name + 12, strlen(m.tensors[i].name) - 11);
    size_t n = m.n;
    add(&m, "h.%d.attn.bias", 16, 16);
    add(&m, "h.%d.attn.masked_bias", 1, 0);
    add(&m, "lm_head.weight", 10, 8);
    write_model(&m);
    CHECK(load(&l, "ref", NULL, &err));
    m.n = n;
    if (l.weights)
        check_sums(&l, &m); /* only of what is read */
    release(&l);
    add(&m, "h.%d.attn.bia", 16, 16);
    write_model(&m);
    CHECK(!load(&l, "ref", NULL, &err) && strstr(err.text, "tensor 'h.0.attn.bia' is not part of a GPT2LMHeadModel"));
    release(&l);
}

/* ---- GPT-NeoX ---- */

static void head_by_head(void)
{
    static const struct {
        const char *config;
        size_t d, hd;
    } sizes[] = {
        {"{\"architectures\": [\"GPTNeoXForCausalLM\"], \"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"vocab_size\": 10, "
         "\"hidden_size\": 16, \"intermediate_size\": 12}", 16, 8},
        {"{\"architectures\": [\"GPTNeoXForCausalLM\"], \"num_hidden_layers\": 2, \"num_attention_heads\": 9, \"vocab_size\": 10, "
         "\"hidden_size\": 1044, \"intermediate_size\": 12, \"rotary_pct\": 0.5}", 1044, 116},
    };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t d = sizes[i].d, hd = sizes[i].hd;
        model m = {.config = sizes[i].config};
        add(&m, "gpt_neox.final_layer_norm.weight", d, 0);
        add(&m, "gpt_neox.final_layer_norm.bias", d, 0);
        add(&m, "gpt_neox.embed_in.weight", 10, d);
        add(&m, "embed_out.weight", 10, d);
        for (int layer = 0; layer < LAYERS; layer++) {
            static const char *const names[] = {
                "input_layernorm.weight", "input_layernorm.bias", "attention.query_key_value.weight", "attention.query_key_value.bias",
                "attention.dense.weight", "attention.dense.bias", "post_attention_layernorm.weight", "post_attention_layernorm.bias",
                "mlp.dense_h_to_4h.weight", "mlp.dense_h_to_4h.bias", "mlp.dense_4h_to_h.weight", "mlp.dense_4h_to_h.bias"};
            const size_t shapes[][2] = {{d, 0}, {d, 0}, {3 * d, d}, {3 * d, 0}, {d, d}, {d, 0}, {d, 0}, {d, 0}, {12, d}, {12, 0},
                                        {d, 12}, {d, 0}};
            for (size_t k = 0; k < 12; k++) {
                char name[100];
                snprintf(name, sizeof name, "gpt_neox.layers.%d.%s", layer, names[k]);
                add(&m, name, shapes[k][0], shapes[k][1]);
            }
        }
#define QKV "gpt_neox.layers.%d.attention.query_key_value."
        const wanted roles[] = {
            {.role = PS_W_Q, .name = QKV "weight", .kind = HEADS, .n = d, .k = d, .first = 0, .all = 3, .head_dim = hd},
            {.role = PS_W_K, .name = QKV "weight", .kind = HEADS, .n = d, .k = d, .first = 1, .all = 3, .head_dim = hd},
            {.role = PS_W_V, .name = QKV "weight", .kind = HEADS, .n = d, .k = d, .first = 2, .all = 3, .head_dim = hd},
            {.role = PS_B_Q, .name = QKV "bias", .kind = HEADS, .n = d, .k = 1, .first = 0, .all = 3, .head_dim = hd},
            {.role = PS_B_K, .name = QKV "bias", .kind = HEADS, .n = d, .k = 1, .first = 1, .all = 3, .head_dim = hd},
            {.role = PS_B_V, .name = QKV "bias", .kind = HEADS, .n = d, .k = 1, .first = 2, .all = 3, .head_dim = hd},
            {.role = PS_W_O, .name = "gpt_neox.layers.%d.attention.dense.weight", .n = d, .k = d},
            {.role = PS_W_DOWN, .name = "gpt_neox.layers.%d.mlp.dense_4h_to_h.weight", .n = d, .k = 12},
        };
        compare(&m, NULL, roles, sizeof roles / sizeof *roles);
    }
}

/* ---- a family of the test's own ---- */

#define OWN "model.layers.%d."
#define QUERIES 24 /* 3 heads of 8, and one of keys */

static const char own_config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"num_hidden_layers\": 2, \"num_attention_heads\": 3, \"num_key_value_heads\": 1, "
    "\"head_dim\": 8, \"vocab_size\": 10, \"hidden_size\": 20, \"intermediate_size\": 12}";

static const ps_tensor_source own_tensors[] = {
    {.role = PS_W_FINAL_NORM, .rows = PS_DIM_D, .name = "model.norm.weight", .plus_one = true},
    {.role = PS_W_EMBED, .rows = PS_DIM_VOCAB, .cols = PS_DIM_D, .name = "model.embed.weight"},
    {.role = PS_W_LM_HEAD, .rows = PS_DIM_VOCAB, .cols = PS_DIM_D, .name = "lm_head.weight"},
    {.role = PS_W_ATTN_NORM, .rows = PS_DIM_D, .name = OWN "norm.weight", .plus_one = true},
    {.role = PS_W_Q, .rows = PS_DIM_Q, .cols = PS_DIM_D, .name = OWN "qkv.weight"},
    {.role = PS_W_K, .rows = PS_DIM_KV, .cols = PS_DIM_D, .name = OWN "qkv.weight"},
    {.role = PS_W_V, .rows = PS_DIM_KV, .cols = PS_DIM_D, .name = OWN "qkv.weight"},
    {.role = PS_W_O, .rows = PS_DIM_D, .cols = PS_DIM_Q, .name = OWN "o.weight"},
    {.role = PS_B_O, .rows = PS_DIM_D, .name = OWN "o.bias", .optional = true},
    {.role = PS_W_GATE, .rows = PS_DIM_MLP, .cols = PS_DIM_D, .name = OWN "gate_up.weight", .transposed = true},
    {.role = PS_W_UP, .rows = PS_DIM_MLP, .cols = PS_DIM_D, .name = OWN "gate_up.weight", .transposed = true},
    {.role = PS_W_DOWN, .rows = PS_DIM_D, .cols = PS_DIM_MLP, .name = OWN "down.weight"},
    {.name = NULL},
};

/* Slices of unequal widths, as in Phi-3, and in one layer's file alone a bias that is optional. */
static void unequal_slices(void)
{
    const wanted roles[] = {
        {.role = PS_W_ATTN_NORM, .name = OWN "norm.weight", .n = 20, .k = 1, .plus = 1},
        {.role = PS_W_Q, .name = OWN "qkv.weight", .n = QUERIES, .k = 20, .first = 0},
        {.role = PS_W_K, .name = OWN "qkv.weight", .n = 8, .k = 20, .first = QUERIES},
        {.role = PS_W_V, .name = OWN "qkv.weight", .n = 8, .k = 20, .first = QUERIES + 8},
        {.role = PS_W_O, .name = OWN "o.weight", .n = 20, .k = QUERIES},
        {.role = PS_W_GATE, .name = OWN "gate_up.weight", .kind = COLUMNS, .n = 12, .k = 20, .first = 0, .all = 24},
        {.role = PS_W_UP, .name = OWN "gate_up.weight", .kind = COLUMNS, .n = 12, .k = 20, .first = 12, .all = 24},
        {.role = PS_W_DOWN, .name = OWN "down.weight", .n = 20, .k = 12},
    };
    ps_family family = *ps_family_find("LlamaForCausalLM");
    ps_matrix part[PS_N_ROLES];
    ps_err err = PS_ERR_INIT;
    loaded l;
    model m = {.config = own_config};

    family.tensors = own_tensors;
    add(&m, "model.norm.weight", 20, 0);
    add(&m, "model.embed.weight", 10, 20);
    add(&m, "lm_head.weight", 10, 20);
    for (int layer = 0; layer < LAYERS; layer++) {
        static const char *const names[] = {"norm.weight", "qkv.weight", "o.weight", "o.bias", "gate_up.weight", "down.weight"};
        static const size_t shapes[][2] = {{20, 0}, {QUERIES + 16, 20}, {20, QUERIES}, {20, 0}, {20, 24}, {20, 12}};
        for (size_t i = 0; i < 6; i++) {
            char name[100];
            snprintf(name, sizeof name, "model.layers.%d.%s", layer, names[i]);
            if (layer == 1 || strcmp(names[i], "o.bias"))
                add(&m, name, shapes[i][0], shapes[i][1]);
        }
    }
    compare(&m, &family, roles, sizeof roles / sizeof *roles);
    CHECK(load(&l, "ref", &family, &err));
    CHECK(ps_weights_final_norm(l.weights)[3] == number("model.norm.weight", 3) + 1);
    ps_weights_layer(l.weights, 0, part, &err);
    CHECK(!part[PS_B_O].data);
    ps_weights_layer(l.weights, 1, part, &err);
    CHECK(part[PS_B_O].data && ((const float *)part[PS_B_O].data)[19] == number("model.layers.1.o.bias", 19));
    release(&l);
}

/* The shape of the whole tensor is checked, and said as the file must have it. */
static void shapes_of_shared_tensors(void)
{
    model m = {.config = GPT2(8, 12)};
    ps_err err = PS_ERR_INIT;
    loaded l;

    add_gpt2(&m, 8, 12);
    m.tensors[6].rows = 24; /* c_attn the other way round */
    m.tensors[6].cols = 8;
    write_model(&m);
    CHECK(!load(&l, "ref", NULL, &err) && strstr(err.text, "'transformer.h.0.attn.c_attn.weight' has shape [24, 8], "
                                                           "config.json implies [8, 24]"));
    release(&l);
}

/* ---- made up ---- */

/* Every family's synthetic weights have what its layer's program reads, in the shapes of its registers. */
static void synthetic_weights_of_every_family(void)
{
    for (const ps_family *family = ps_families; family->architecture; family++) {
        ps_layer_kind kinds[LAYERS] = {{0}};
        ps_config c = {.family = family, .n_layers = LAYERS, .d_model = 24, .n_heads = 4, .n_kv_heads = 2, .head_dim = 10,
                       .d_mlp = 36, .vocab = 50, .max_positions = 16, .layers = kinds};
        const ps_backend_needs needs = {.n_threads = 2, .operand = PS_DTYPE_F32, .max_positions = 16, .max_rows = 16,
                                        .max_depth = 64, .max_matrix = 4096};
        ps_matrix part[PS_N_ROLES], panel;
        ps_backend *backend = NULL;
        ps_weights *weights = NULL;
        ps_err err = PS_ERR_INIT;
        float x[24];
        CHECK(ps_backend_open(&backend, "cpu", &needs, &err) == 0);
        CHECK(ps_weights_synthetic(&weights, &c, PS_DTYPE_BF16, backend, &err) == 0);
        ps_weights_layer(weights, 1, part, &err);
        for (const ps_step *step = family->layer; step->op != PS_OP_END; step++) {
            const ps_matrix *w = &part[step->weight];
            if (step->op == PS_OP_LINEAR)
                CHECK(w->data && w->n == ps_program_width(&c, (enum ps_reg)step->out) &&
                      w->k == ps_program_width(&c, (enum ps_reg)step->in));
            else if (step->op == PS_OP_NORM || step->op == PS_OP_HEAD_NORM)
                CHECK(w->data && w->n == (step->op == PS_OP_NORM ? 24 : 10) && ((const float *)w->data)[w->n - 1] == 1);
            if (step->bias && part[step->bias].data)
                CHECK(((const float *)part[step->bias].data)[0] == 0);
        }
        CHECK(ps_weights_final_norm(weights)[23] == 1 && ps_weights_lm_head(weights, 0, 50, &panel, &err) == 0);
        CHECK((family->norm == PS_NORM_LAYER) == (ps_weights_final_norm_bias(weights) != NULL));
        ps_weights_embed_rows(weights, (const int32_t[]){49}, 1, x);
        CHECK(x[0] != 0 && x[23] != 0);
        if (ps_family_tensor(&c, PS_W_POSITIONS)) {
            ps_weights_position_rows(weights, 15, 1, x);
            CHECK(x[0] != 0 && x[23] != 0);
        }
        ps_weights_close(weights);
        ps_backend_close(backend);
    }
}

/* ---- the tables ---- */

/* Rows that share a tensor are neighbours and alike; rows of the whole model come first; every name is in one place. */
static void tables_of_tensors(void)
{
    for (const ps_family *family = ps_families; family->architecture; family++)
        for (const ps_tensor_source *a = family->tensors; a->name; a++) {
            CHECK(a->rows != PS_DIM_NONE && a->role < PS_N_ROLES);
            CHECK(!a->plus_one || a->cols == PS_DIM_NONE);
            CHECK(!a[1].name || ps_tensor_in_layer(&a[1]) || !ps_tensor_in_layer(a));
            for (const ps_tensor_source *b = a + 1; b->name; b++) {
                CHECK(a->role != b->role);
                if (strcmp(a->name, b->name))
                    continue;
                CHECK(!strcmp(b[-1].name, b->name) && a->cols == b->cols && a->when == b->when && a->by_head == b->by_head);
                CHECK(a->transposed == b->transposed && a->optional == b->optional);
            }
        }
}

int main(void)
{
    char path[128];

    if (!mkdtemp(folder))
        return 1;
    RUN(transposed_and_fused);
    RUN(in_several_blocks);
    RUN(ends_of_the_model);
    RUN(leftovers_and_prefixes);
    RUN(head_by_head);
    RUN(unequal_slices);
    RUN(shapes_of_shared_tensors);
    RUN(synthetic_weights_of_every_family);
    RUN(tables_of_tensors);
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    unlink(path);
    rmdir(folder);
    return check_done();
}
