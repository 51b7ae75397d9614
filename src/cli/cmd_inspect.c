/*
 * cmd_inspect.c - what a model directory or a result file holds, without running anything.
 *
 * Both answers are rows of a key and a value, said once here and printed either as
 * aligned text or as one JSON object, so that the two cannot drift apart.  A regular file is taken
 * for a result, anything else for a model; what either says is a stranger's, so text
 * goes to the terminal through ps_printable only.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opt.h"
#include "patchsweep/config.h"
#include "patchsweep/family.h"
#include "patchsweep/file.h"
#include "patchsweep/hub.h"
#include "patchsweep/mem.h"
#include "patchsweep/results.h"
#include "patchsweep/safetensors.h"
#include "patchsweep/text.h"

#define MAX_TYPES 32

typedef struct answer {
    ps_text text;
    bool json;
    bool tensors; /* list them too */
    bool verify;  /* a result: compare checksums */
    size_t n;     /* rows so far */
} answer;

/* ---- rows ---- */

static void add_key(answer *a, const char *key)
{
    if (a->json)
        ps_text_printf(&a->text, "%s  \"%s\": ", a->n++ ? ",\n" : "{\n", key);
    else
        ps_text_printf(&a->text, "%s%-16s ", a->n++ ? "\n" : "", key);
}

/* A JSON string or text fit for a terminal; bytes that are not UTF-8 are shown escaped in both. */
static void add_value(answer *a, const char *value)
{
    ps_err err = PS_ERR_INIT;
    size_t n = strlen(value), room = 4 * n + 1; /* one byte becomes four at most: \xNN */

    if (a->json && ps_utf8_check(value, n) == n) {
        ps_text_json(&a->text, value, n);
        return;
    }
    char *shown = ps_malloc(room, 1, &err);
    if (!shown) {
        a->text.failed = true;
        return;
    }
    ps_printable(shown, room, value);
    if (a->json)
        ps_text_json(&a->text, shown, strlen(shown));
    else
        ps_text_puts(&a->text, shown);
    ps_free(shown);
}

static void row_text(answer *a, const char *key, const char *value)
{
    add_key(a, key);
    add_value(a, value);
}

static void row_count(answer *a, const char *key, uint64_t value)
{
    add_key(a, key);
    ps_text_printf(&a->text, "%" PRIu64, value);
}

/* JSON has no word for what is not finite. */
static void add_number(answer *a, double value)
{
    if (a->json && !isfinite(value))
        ps_text_puts(&a->text, "null");
    else
        ps_text_printf(&a->text, "%.15g", value);
}

static void row_number(answer *a, const char *key, double value)
{
    add_key(a, key);
    add_number(a, value);
}

static void row_flag(answer *a, const char *key, bool value)
{
    add_key(a, key);
    ps_text_puts(&a->text, a->json ? (value ? "true" : "false") : value ? "yes" : "no");
}

/* What stands in front of the i-th element of a list of objects, and of a plain one. */
static void next_line(answer *a, size_t i)
{
    ps_text_puts(&a->text, !a->json ? "\n  " : i ? ",\n    " : "\n    ");
}

static void next_word(answer *a, size_t i)
{
    if (i)
        ps_text_puts(&a->text, ", ");
}

static void bracket(answer *a, const char *which)
{
    if (a->json)
        ps_text_puts(&a->text, which);
}

/* ---- a model ---- */

static void row_rope(answer *a, const ps_config *config)
{
    static const char *const types[] = {
        [PS_ROPE_DEFAULT] = "default", [PS_ROPE_LINEAR] = "linear", [PS_ROPE_LLAMA3] = "llama3"};
    const struct {
        const char *name;
        double value;
        bool shown;
    } rows[] = {
        {"rope_theta", config->rope.theta, true},
        {"factor", config->rope.factor, config->rope.type != PS_ROPE_DEFAULT},
        {"low_freq_factor", config->rope.low_freq_factor, config->rope.type == PS_ROPE_LLAMA3},
        {"high_freq_factor", config->rope.high_freq_factor, config->rope.type == PS_ROPE_LLAMA3},
        {"original_max_position_embeddings", config->rope.original_max_positions,
         config->rope.type == PS_ROPE_LLAMA3},
    };

    add_key(a, "rope");
    ps_text_printf(&a->text, a->json ? "{\"rope_type\": \"%s\"" : "%s", types[config->rope.type]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].shown)
            continue;
        ps_text_printf(&a->text, a->json ? ", \"%s\": " : ", %s ", rows[i].name);
        add_number(a, rows[i].value);
    }
    bracket(a, "}");
}

static void rows_config(answer *a, const ps_config *config)
{
    const struct {
        const char *name;
        int32_t value;
    } rows[] = {
        {"n_layers", config->n_layers}, {"d_model", config->d_model},
        {"n_heads", config->n_heads},   {"n_kv_heads", config->n_kv_heads},
        {"head_dim", config->head_dim}, {"d_mlp", config->d_mlp},
        {"vocab", config->vocab},       {"max_positions", config->max_positions},
    };

    row_text(a, "architecture", config->family->architecture);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        row_count(a, rows[i].name, (uint64_t)rows[i].value);
    row_flag(a, "tied", config->tied);
    row_flag(a, "attention_bias", config->attention_bias);
    row_flag(a, "mlp_bias", config->mlp_bias);
    row_number(a, "norm_eps", config->norm_eps);
    row_rope(a, config);
}

static uint64_t n_elements(const ps_tensor *tensor)
{
    uint64_t n = 1;

    for (int d = 0; d < tensor->n_dims; d++)
        n *= (uint64_t)tensor->dims[d]; /* fits: checked when the file was opened */
    return n;
}

/* Tensors of each dtype, in the order in which they are first met. */
static void row_dtypes(answer *a, const ps_safetensors *st)
{
    const char *names[MAX_TYPES];
    int counts[MAX_TYPES], n = 0;

    for (int i = 0; i < ps_safetensors_n(st); i++) {
        const char *name = ps_safetensors_at(st, i)->type_name;
        int k = 0;
        while (k < n && strcmp(names[k], name))
            k++;
        if (k == MAX_TYPES)
            continue; /* the format has fewer */
        if (k == n) {
            names[n] = name;
            counts[n++] = 0;
        }
        counts[k]++;
    }
    add_key(a, "dtypes");
    bracket(a, "{");
    for (int k = 0; k < n; k++) {
        next_word(a, (size_t)k);
        ps_text_printf(&a->text, a->json ? "\"%s\": %d" : "%s %d", names[k], counts[k]);
    }
    bracket(a, "}");
}

static void rows_weights(answer *a, const ps_safetensors *st)
{
    uint64_t parameters = 0;

    for (int i = 0; i < ps_safetensors_n(st); i++)
        parameters += n_elements(ps_safetensors_at(st, i));
    row_count(a, "n_tensors", (uint64_t)ps_safetensors_n(st));
    row_count(a, "parameters", parameters);
    row_count(a, "bytes", ps_safetensors_bytes(st));
    row_dtypes(a, st);
    add_key(a, "shards");
    bracket(a, "[");
    for (int i = 0; i < ps_safetensors_n_shards(st); i++) {
        const char *path = ps_safetensors_shard_path(st, i), *slash = strrchr(path, '/');
        next_word(a, (size_t)i);
        add_value(a, slash ? slash + 1 : path);
    }
    bracket(a, "]");
}

static void rows_tensors(answer *a, const ps_safetensors *st)
{
    add_key(a, "tensors");
    bracket(a, "[");
    for (int i = 0; i < ps_safetensors_n(st); i++) {
        const ps_tensor *tensor = ps_safetensors_at(st, i);
        next_line(a, (size_t)i);
        bracket(a, "{\"name\": ");
        add_value(a, tensor->name);
        ps_text_printf(&a->text, a->json ? ", \"dtype\": \"%s\", \"shape\": [" : "  %s [", tensor->type_name);
        for (int d = 0; d < tensor->n_dims; d++) {
            next_word(a, (size_t)d);
            ps_text_printf(&a->text, "%" PRId64, tensor->dims[d]);
        }
        ps_text_puts(&a->text, a->json ? "]}" : "]");
    }
    bracket(a, "]");
}

static int inspect_model(answer *a, const char *name, ps_err *err)
{
    char *dir = NULL, *revision = NULL, *tokenizer = NULL;
    ps_config *config = NULL;
    ps_safetensors *st = NULL;
    int rc = -1;

    if (ps_hub_resolve(&dir, &revision, name, "", err) < 0 || ps_config_read(&config, dir, err) < 0 ||
        ps_safetensors_open(&st, dir, err) < 0)
        goto out;
    tokenizer = ps_path_join(dir, "tokenizer.json", err);
    if (!tokenizer)
        goto out;
    row_text(a, "model", dir);
    if (*revision || a->json)
        row_text(a, "revision", revision);
    rows_config(a, config);
    rows_weights(a, st);
    row_flag(a, "tokenizer", ps_file_kind(tokenizer) == 1);
    if (a->tensors)
        rows_tensors(a, st);
    rc = 0;
out:
    ps_free(tokenizer);
    ps_safetensors_close(st);
    ps_config_free(config);
    ps_free(revision);
    ps_free(dir);
    return rc;
}

/* ---- a result ---- */

/* Attributes of the file and of its run, those that are there. */
static void rows_attrs(answer *a, const ps_result_file *file)
{
    static const struct {
        const char *path, *name;
        bool number;
    } attrs[] = {
        {"/", "format", false},           {"/", "format_version", false}, {"/", "program_version", false},
        {"/", "model", false},            {"/", "model_revision", false}, {"/", "precision", false},
        {"/", "score", false},            {"/", "history", false},        {"/", "load_seconds", true},
        {"/", "sweep_seconds", true},     {"/", "total_seconds", true},   {"/run", "ranks", true},
        {"/run", "threads", true},        {"/run", "processor", false},   {"/run", "backend", false},
        {"/run", "cells_computed", true}, {"/run", "cells_free", true},
    };

    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++) {
        char *value = ps_result_attr(file, attrs[i].path, attrs[i].name), *end = value;
        if (!value || (!*value && !a->json)) {
            ps_free(value);
            continue;
        }
        double number = attrs[i].number ? strtod(value, &end) : NAN;
        if (attrs[i].number && end != value && !*end)
            row_number(a, attrs[i].name, number);
        else
            row_text(a, attrs[i].name, value);
        ps_free(value);
    }
}

/* The grids come pair by pair, in the file's order. */
static void row_pairs(answer *a, const ps_result_file *file)
{
    const char *last = NULL, *pair, *site, *direction;
    size_t n = 0;

    add_key(a, "pairs");
    bracket(a, "[");
    for (size_t i = 0; i < ps_result_n_grids(file); i++) {
        ps_result_grid_name(file, i, &pair, &site, &direction);
        if (last && !strcmp(last, pair))
            continue;
        next_word(a, n++);
        add_value(a, pair);
        last = pair;
    }
    bracket(a, "]");
}

/* The cells of a grid that are done, and the range of their scores. */
typedef struct range {
    double least, most;
    size_t done, cells;
} range;

static range score_range(const ps_result_grid *grid)
{
    range r = {NAN, NAN, 0, (size_t)grid->n_layers * (size_t)grid->n_positions};

    for (size_t i = 0; i < r.cells; i++) {
        double score = grid->score[i];
        if (isnan(score)) /* not done, or no denominator */
            continue;
        r.least = r.done && r.least < score ? r.least : score;
        r.most = r.done && r.most > score ? r.most : score;
        r.done++;
    }
    return r;
}

static void add_grid(answer *a, const ps_result_grid *grid)
{
    range r = score_range(grid);

    bracket(a, "{\"pair\": ");
    add_value(a, grid->pair);
    ps_text_puts(&a->text, a->json ? ", \"site\": " : "  ");
    add_value(a, grid->site);
    ps_text_puts(&a->text, a->json ? ", \"direction\": " : "  ");
    add_value(a, grid->direction);
    ps_text_printf(&a->text, a->json ? ", \"n_layers\": %d, \"n_positions\": %d" : "  %d layers x %d positions",
                   grid->n_layers, grid->n_positions);
    if (a->json) {
        ps_text_puts(&a->text, ", \"score_min\": ");
        add_number(a, r.least);
        ps_text_puts(&a->text, ", \"score_max\": ");
        add_number(a, r.most);
        ps_text_printf(&a->text, ", \"scores\": %zu}", r.done);
    } else if (r.done)
        ps_text_printf(&a->text, "  score %.6g to %.6g", r.least, r.most);
    if (!a->json && r.done < r.cells)
        ps_text_printf(&a->text, "  %zu of %zu cells have a score", r.done, r.cells);
}

static int inspect_result(answer *a, const char *path, ps_err *err)
{
    ps_result_file *file = NULL;

    if (ps_result_open(&file, path, err) < 0)
        return -1;
    int rc = 0;
    row_text(a, "result", path);
    rows_attrs(a, file);
    row_pairs(a, file);
    add_key(a, "grids");
    ps_text_printf(&a->text, a->json ? "[" : "%zu", ps_result_n_grids(file));
    for (size_t i = 0; i < ps_result_n_grids(file) && rc == 0; i++) {
        ps_result_grid grid;
        rc = ps_result_grid_read(file, i, &grid, err);
        if (rc < 0)
            break;
        next_line(a, i);
        add_grid(a, &grid);
        ps_result_grid_release(&grid);
    }
    bracket(a, "]");
    if (rc == 0 && a->verify) {
        size_t n = 0;
        rc = ps_result_verify(file, &n, err);
        row_number(a, "verified", (double)n);
    }
    ps_result_close(file);
    return rc < 0 ? ps_err_prefix(err, "result file '%s'", path) : 0;
}

/* ---- the command ---- */

static int inspect(answer *a, const char *path)
{
    ps_err err = PS_ERR_INIT;
    bool result = ps_file_kind(path) == 1;
    int rc = result ? inspect_result(a, path, &err) : inspect_model(a, path, &err);

    ps_text_puts(&a->text, a->json ? "\n}\n" : "\n");
    if (rc == 0)
        rc = ps_text_ok(&a->text, &err);
    if (rc == 0 && (fputs(ps_text_str(&a->text), stdout) < 0 || fflush(stdout) < 0))
        rc = ps_err_errno(&err, "cannot write the answer");
    return rc < 0 ? ps_fail(&err) : 0;
}

int cmd_inspect(int argc, char **argv)
{
    ps_err err = PS_ERR_INIT;
    answer a = {.json = false};
    int n_args = 0;
    const ps_opt opts[] = {
        {0, "tensors", PS_OPT_FLAG, &a.tensors, NULL, "list a model's tensors: name, dtype, shape"},
        {0, "verify", PS_OPT_FLAG, &a.verify, NULL,
         "read a result's datasets and compare each with its checksum"},
        {0, "json", PS_OPT_FLAG, &a.json, NULL, "one JSON object instead of text"},
        {0, NULL, PS_OPT_FLAG, NULL, NULL, NULL},
    };
    const ps_usage usage = {
        "patchsweep inspect [options] PATH",
        "Describe a model - a directory, or a hub name that is in the local cache - or\n"
        "the result file of a sweep.  Checks config.json and every header as 'run' does.",
        opts,
        "examples:\n"
        "  patchsweep inspect HuggingFaceTB/SmolLM2-135M --tensors\n"
        "  patchsweep inspect sweep.h5 --json\n"
        "  patchsweep inspect sweep.h5 --verify\n\n"
        "exit status: 0 described, 1 failed, 2 bad usage, model or result"};

    int rc = ps_opt_parse(&usage, argc, argv, &n_args, &err);
    if (rc == 0 && n_args != 1)
        rc = ps_err_set(&err, PS_EINPUT, "inspect wants one model or result, not %d; see 'patchsweep inspect --help'",
                        n_args);
    rc = rc == 0 ? inspect(&a, argv[0]) : rc > 0 ? 0 : ps_fail(&err);
    ps_text_release(&a.text);
    return rc;
}
