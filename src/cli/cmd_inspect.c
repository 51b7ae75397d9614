/*
 * cmd_inspect.c - describe a model directory, a result file or a journal.
 *
 * A journal is recognised by its first bytes.  Any other regular file is read as a result, anything else as a model.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "doubt.h"
#include "opt.h"
#include "patchsweep/claim.h"
#include "patchsweep/config.h"
#include "patchsweep/family.h"
#include "patchsweep/file.h"
#include "patchsweep/hub.h"
#include "patchsweep/mem.h"
#include "patchsweep/place.h"
#include "patchsweep/results.h"
#include "patchsweep/safetensors.h"
#include "patchsweep/summary.h"
#include "patchsweep/text.h"

#define MAX_TYPES 32

typedef struct options {
    bool tensors;  /* model: list the tensors */
    bool verify;   /* result: compare checksums */
    bool repair;   /* journal: cut it at the first bad frame */
    bool identity; /* result: print that attribute alone */
} options;

/* ---- a model ---- */

static void row_rope(ps_answer *a, const ps_config *config)
{
    const char *name;
    double value;

    if (config->rotary_dim == 0)
        return;
    if (config->rotary_dim != config->head_dim)
        ps_answer_count(a, "rotary_dim", (uint64_t)config->rotary_dim);
    ps_answer_key(a, "rope");
    ps_text_printf(&a->text, a->json ? "{\"rope_type\": \"%s\"" : "%s", ps_rope_types[config->rope.type]);
    for (size_t i = 0; (name = ps_config_rope_setting(config, i, &value)); i++) {
        ps_text_printf(&a->text, a->json ? ", \"%s\": " : ", %s ", name);
        ps_answer_bare_number(a, value);
    }
    ps_answer_bracket(a, "}");
}

/* The keys that each layer's rows see, where that is not all; 0 is all. */
static void row_windows(ps_answer *a, const ps_config *config)
{
    int32_t largest = 0, n = 0;

    for (int32_t layer = 0; layer < config->n_layers; layer++) {
        int32_t window = config->layers[layer].window;
        largest = window > largest ? window : largest;
        n += window > 0;
    }
    if (n == 0)
        return;
    ps_answer_key(a, "windows");
    if (!a->json) {
        ps_text_printf(&a->text, "%d keys in %d of %d layers", (int)largest, (int)n, (int)config->n_layers);
        return;
    }
    ps_answer_bracket(a, "[");
    for (int32_t layer = 0; layer < config->n_layers; layer++) {
        ps_answer_next_word(a, (size_t)layer);
        ps_text_printf(&a->text, "%d", (int)config->layers[layer].window);
    }
    ps_answer_bracket(a, "]");
}

/* Numbers that only some families have. */
static void rows_scales(ps_answer *a, const ps_config *config)
{
    if (config->embed_scale != 1)
        ps_answer_number(a, "embed_scale", config->embed_scale);
    if (config->attention_scale != 1 / sqrt(config->head_dim))
        ps_answer_number(a, "attention_scale", config->attention_scale);
    if (config->attention_softcap > 0)
        ps_answer_number(a, "attn_softcap", config->attention_softcap);
    if (config->logit_softcap > 0)
        ps_answer_number(a, "logit_softcap", config->logit_softcap);
}

static void rows_config(ps_answer *a, const ps_config *config)
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

    ps_answer_text(a, "architecture", config->family->architecture);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ps_answer_count(a, rows[i].name, (uint64_t)rows[i].value);
    ps_answer_flag(a, "tied", config->tied);
    ps_answer_flag(a, "attention_bias", ps_family_tensor(config, PS_B_Q) != NULL);
    ps_answer_flag(a, "mlp_bias", ps_family_tensor(config, PS_B_UP) != NULL);
    ps_answer_number(a, "norm_eps", config->norm_eps);
    ps_answer_text(a, "positions", config->learned_positions ? "learned" : "rotary");
    row_rope(a, config);
    row_windows(a, config);
    rows_scales(a, config);
}

static uint64_t n_elements(const ps_tensor *tensor)
{
    uint64_t n = 1;

    for (int d = 0; d < tensor->n_dims; d++)
        n *= (uint64_t)tensor->dims[d]; /* fits: checked when the file was opened */
    return n;
}

/* Tensors of each dtype, in the order in which they are first met. */
static void row_dtypes(ps_answer *a, const ps_safetensors *st)
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
    ps_answer_key(a, "dtypes");
    ps_answer_bracket(a, "{");
    for (int k = 0; k < n; k++) {
        ps_answer_next_word(a, (size_t)k);
        ps_text_printf(&a->text, a->json ? "\"%s\": %d" : "%s %d", names[k], counts[k]);
    }
    ps_answer_bracket(a, "}");
}

static void rows_weights(ps_answer *a, const ps_safetensors *st)
{
    uint64_t parameters = 0;

    for (int i = 0; i < ps_safetensors_n(st); i++)
        parameters += n_elements(ps_safetensors_at(st, i));
    ps_answer_count(a, "n_tensors", (uint64_t)ps_safetensors_n(st));
    ps_answer_count(a, "parameters", parameters);
    ps_answer_count(a, "bytes", ps_safetensors_bytes(st));
    row_dtypes(a, st);
    ps_answer_key(a, "shards");
    ps_answer_bracket(a, "[");
    for (int i = 0; i < ps_safetensors_n_shards(st); i++) {
        const char *path = ps_safetensors_shard_path(st, i), *slash = strrchr(path, '/');
        ps_answer_next_word(a, (size_t)i);
        ps_answer_value(a, slash ? slash + 1 : path);
    }
    ps_answer_bracket(a, "]");
}

static void rows_tensors(ps_answer *a, const ps_safetensors *st)
{
    ps_answer_key(a, "tensors");
    ps_answer_bracket(a, "[");
    for (int i = 0; i < ps_safetensors_n(st); i++) {
        const ps_tensor *tensor = ps_safetensors_at(st, i);
        ps_answer_next_line(a, (size_t)i);
        ps_answer_bracket(a, "{\"name\": ");
        ps_answer_value(a, tensor->name);
        ps_text_printf(&a->text, a->json ? ", \"dtype\": \"%s\", \"shape\": [" : "  %s [", tensor->type_name);
        for (int d = 0; d < tensor->n_dims; d++) {
            ps_answer_next_word(a, (size_t)d);
            ps_text_printf(&a->text, "%" PRId64, tensor->dims[d]);
        }
        ps_text_puts(&a->text, a->json ? "]}" : "]");
    }
    ps_answer_bracket(a, "]");
}

static int inspect_model(ps_answer *a, const options *o, const char *name, ps_err *err)
{
    char *dir = NULL, *revision = NULL, *tokenizer = NULL;
    ps_config *config = NULL;
    ps_safetensors *st = NULL;
    int rc = -1;

    if (ps_hub_resolve(&dir, &revision, name, "", ps_family_architectures(), err) < 0 || ps_config_read(&config, dir, err) < 0 ||
        ps_safetensors_open(&st, dir, err) < 0)
        goto out;
    tokenizer = ps_path_join(dir, "tokenizer.json", err);
    if (!tokenizer)
        goto out;
    ps_answer_text(a, "model", dir);
    if (*revision || a->json)
        ps_answer_text(a, "revision", revision);
    rows_config(a, config);
    rows_weights(a, st);
    ps_answer_flag(a, "tokenizer", ps_file_kind(tokenizer) == 1);
    if (o->tensors)
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

/* The attributes of the file and of its run that are present. */
static void rows_attrs(ps_answer *a, const ps_result_file *file)
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
            ps_answer_number(a, attrs[i].name, number);
        else
            ps_answer_text(a, attrs[i].name, value);
        ps_free(value);
    }
}

/* The grids come pair by pair, in the file's order. */
static void row_pairs(ps_answer *a, const ps_result_file *file)
{
    const char *last = NULL, *pair, *site, *direction;
    size_t n = 0;

    ps_answer_key(a, "pairs");
    ps_answer_bracket(a, "[");
    for (size_t i = 0; i < ps_result_n_grids(file); i++) {
        ps_result_grid_name(file, i, &pair, &site, &direction);
        if (last && !strcmp(last, pair))
            continue;
        ps_answer_next_word(a, n++);
        ps_answer_value(a, pair);
        last = pair;
    }
    ps_answer_bracket(a, "]");
}

/* The cells of a grid that are done, and the range of their scores. */
typedef struct range {
    double least, most;
    size_t done, cells;
} range;

static range score_range(const ps_result_grid *grid)
{
    range r = {NAN, NAN, 0, ps_axes_cells(&grid->axes)};

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

/* "8 layers x 4 heads x 28 positions" */
static void add_axes(ps_answer *a, const ps_result_grid *grid)
{
    const char *times = "  ";

    for (int axis = 0; axis < PS_N_AXES; axis++) {
        bool kv = axis == PS_AXIS_HEAD && grid->kv_heads;
        if (!grid->axes.has[axis])
            continue;
        if (a->json)
            ps_text_printf(&a->text, ", \"n_%s%ss\": %d", kv ? "kv_" : "", ps_axis_names[axis], grid->axes.size[axis]);
        else
            ps_text_printf(&a->text, "%s%d %s%ss", times, grid->axes.size[axis], kv ? "key/value " : "", ps_axis_names[axis]);
        times = " x ";
    }
}

static void add_grid(ps_answer *a, const ps_result_grid *grid)
{
    range r = score_range(grid);

    ps_answer_bracket(a, "{\"pair\": ");
    ps_answer_value(a, grid->pair);
    ps_text_puts(&a->text, a->json ? ", \"site\": " : "  ");
    ps_answer_value(a, grid->site);
    ps_text_puts(&a->text, a->json ? ", \"direction\": " : "  ");
    ps_answer_value(a, grid->direction);
    add_axes(a, grid);
    if (a->json) {
        ps_text_puts(&a->text, ", \"score_min\": ");
        ps_answer_bare_number(a, r.least);
        ps_text_puts(&a->text, ", \"score_max\": ");
        ps_answer_bare_number(a, r.most);
        ps_text_printf(&a->text, ", \"scores\": %zu}", r.done);
    } else if (r.done)
        ps_text_printf(&a->text, "  score %.6g to %.6g", r.least, r.most);
    if (!a->json && r.done < r.cells)
        ps_text_printf(&a->text, "  %zu of %zu cells have a score", r.done, r.cells);
}

static int inspect_result(ps_answer *a, const options *o, const char *path, ps_err *err)
{
    ps_result_file *file = NULL;

    if (ps_result_open(&file, path, err) < 0)
        return -1;
    int rc = 0;
    warn_of_doubt(file, path);
    ps_answer_text(a, "result", path);
    rows_attrs(a, file);
    row_pairs(a, file);
    ps_answer_key(a, "grids");
    ps_text_printf(&a->text, a->json ? "[" : "%zu", ps_result_n_grids(file));
    for (size_t i = 0; i < ps_result_n_grids(file) && rc == 0; i++) {
        ps_result_grid grid;
        rc = ps_result_grid_read(file, i, &grid, err);
        if (rc < 0)
            break;
        ps_answer_next_line(a, i);
        add_grid(a, &grid);
        ps_result_grid_release(&grid);
    }
    ps_answer_bracket(a, "]");
    if (rc == 0 && o->verify) {
        size_t n = 0;
        bool attributes = false;
        rc = ps_result_verify(file, &n, &attributes, err);
        ps_answer_count(a, "verified", n);
        ps_answer_flag(a, "attributes_verified", attributes); /* false: an older patchsweep left no checksums of them */
    }
    ps_result_close(file);
    return rc < 0 ? ps_err_prefix(err, "result file '%s'", path) : 0;
}

/* What the result was made from, as it stands in the file: no answer for people. */
static int print_identity(const char *path, ps_err *err)
{
    ps_result_file *file;

    if (ps_result_open(&file, path, err) < 0)
        return -1;
    char *text = ps_result_attr(file, "/", "identity");
    printf("%s", text ? text : "");
    ps_free(text);
    ps_result_close(file);
    return fflush(stdout) < 0 ? ps_err_errno(err, "cannot write the answer") : 0;
}

/* ---- a journal ---- */

/* The first n bytes of a text as a value. */
static void row_piece(ps_answer *a, const char *key, const char *text, size_t n)
{
    ps_err err = PS_ERR_INIT;
    char *piece = ps_strndup(text, n, &err);

    if (piece)
        ps_answer_text(a, key, piece);
    else
        a->text.failed = true;
    ps_free(piece);
}

/* Time, command line and machine of the last session. */
static void rows_session(ps_answer *a, const char *session)
{
    static const char build[] = "build: "; /* sessions of earlier versions have no such line */
    const char *line = session + strcspn(session, "\n");

    row_piece(a, "last_session", session, (size_t)(line - session));
    if (*line && !strncmp(line + 1, build, sizeof build - 1)) {
        line += sizeof build;
        size_t n = strcspn(line, "\n");
        row_piece(a, "build", line, n);
        line += n;
    }
    if (*line)
        row_piece(a, "machine", line + 1, strcspn(line + 1, "\n"));
}

/* "field: value" lines; the name of a field becomes a key where it is a valid one. */
static void rows_identity(ps_answer *a, const char *line)
{
    static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    for (size_t n; *line; line += n + (line[n] == '\n')) {
        char key[128];
        size_t colon = strcspn(line, ":\n");
        n = strcspn(line, "\n");
        snprintf(key, sizeof key, "%.*s", (int)colon, line);
        for (char *c = key; *c; c++)
            *c = strchr(fit, *c) ? *c : '_';
        if (n >= colon + 2)
            row_piece(a, key, line + colon + 2, n - colon - 2);
    }
}

static void rows_summary(ps_answer *a, const ps_summary *s)
{
    static const char *const states[] = {[PS_JOURNAL_WHOLE] = "whole", [PS_JOURNAL_TORN] = "torn tail",
                                         [PS_JOURNAL_DAMAGED] = "damaged"};
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {
        {"bytes", s->journal.size},   {"good_bytes", s->journal.good}, {"records", s->journal.frames},
        {"sessions", s->n_sessions},  {"pairs_done", s->n_pairs},      {"cells_done", s->n_cells},
        {"checks_done", s->n_checks}, {"activations", s->n_activations}, {"snapshots", s->n_snapshots},
    };

    ps_answer_text(a, "state", states[s->journal.state]);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        ps_answer_count(a, counts[i].name, counts[i].n);
    if (s->n_snapshots)
        ps_answer_count(a, "before_layer", (uint64_t)s->layer);
    if (s->session)
        rows_session(a, s->session);
    if (s->identity)
        rows_identity(a, s->identity);
}

/* Length of `path` without `suffix`, or 0 where it does not end so. */
static size_t stem(const char *path, const char *suffix)
{
    size_t n = strlen(path), tail = strlen(suffix);

    return n > tail && !strcmp(path + n - tail, suffix) ? n - tail : 0;
}

/* Take the lock of the journal's output: no run may be writing it while it is scanned and cut. */
static int take_output_of(ps_lock **lock, const char *path, ps_err *err)
{
    size_t n = stem(path, ps_beside_suffix[PS_JOURNAL]);
    char *output = n ? ps_strndup(path, n, err) : ps_strdup(path, err);
    int rc = output ? ps_claim_output(lock, output, 0, err) : -1;

    ps_free(output);
    return rc;
}

/* Cut off the bad end. */
static int repair(ps_answer *a, const char *path, const ps_summary *s, ps_err *err)
{
    if (s->journal.state == PS_JOURNAL_WHOLE)
        return 0;
    if (ps_journal_cut(path, s->journal.good, err) < 0)
        return -1;
    ps_answer_count(a, "cut_bytes", s->journal.size - s->journal.good);
    return 0;
}

/* Damage is reported in the answer, and is a failure too unless it was repaired. */
static int describe_journal(ps_answer *a, const options *o, const char *path, ps_err *err)
{
    ps_summary s;

    if (ps_summary_read(&s, path, err) < 0)
        return ps_err_prefix(err, "journal '%s'", path);
    ps_answer_text(a, "journal", path);
    rows_summary(a, &s);
    int rc = o->repair ? repair(a, path, &s, err) : 0;
    if (!o->repair && s.journal.state == PS_JOURNAL_DAMAGED)
        rc = ps_err_set(err, PS_EINPUT, "journal '%s' is damaged at byte %" PRIu64 ", before its end; --repair cuts it there, "
                        "and the run that resumes from it computes the rest again", path, s.journal.good);
    ps_summary_release(&s);
    return rc;
}

static int inspect_journal(ps_answer *a, const options *o, const char *path, ps_err *err)
{
    ps_lock *lock = NULL;

    if (o->repair && take_output_of(&lock, path, err) < 0)
        return -1;
    int rc = describe_journal(a, o, path, err);
    ps_lock_release(lock);
    return rc;
}

/* ---- the command ---- */

/* There is no `path`, whose name is a journal's or a result's. */
static int refuse_missing(const char *path, ps_err *err)
{
    size_t n = stem(path, ps_beside_suffix[PS_JOURNAL]);
    char *output = n ? ps_strndup(path, n, err) : NULL;

    if (n && !output)
        return -1;
    if (output && ps_file_kind(output) == 1)
        ps_err_set(err, PS_EINPUT, "there is no file '%s': the run has finished, and its result is '%s'", path, output);
    else if (output)
        ps_err_set(err, PS_EINPUT, "there is no file '%s'; a journal lies beside the output until the run has finished",
                   path);
    else
        ps_err_set(err, PS_EINPUT, "there is no file '%s'", path);
    ps_free(output);
    return -1;
}

static int inspect(ps_answer *a, const options *o, const char *path)
{
    ps_err err = PS_ERR_INIT;
    int rc, kind = ps_file_kind(path);

    if (o->identity)
        return print_identity(path, &err) < 0 ? ps_fail(&err) : 0;
    if (ps_journal_is(path))
        rc = inspect_journal(a, o, path, &err);
    else if (kind == 1)
        rc = inspect_result(a, o, path, &err);
    else if (kind == 0 && (stem(path, ps_beside_suffix[PS_JOURNAL]) || stem(path, ".h5")))
        rc = refuse_missing(path, &err);
    else
        rc = inspect_model(a, o, path, &err);

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
    ps_answer a = {.json = false};
    options o = {.verify = false};
    int n_args = 0;
    const ps_opt opts[] = {
        {0, "tensors", PS_OPT_FLAG, &o.tensors, NULL, "list a model's tensors: name, dtype, shape"},
        {0, "verify", PS_OPT_FLAG, &o.verify, NULL,
         "compare a result's datasets and attributes with their\n"
         "checksums"},
        {0, "repair", PS_OPT_FLAG, &o.repair, NULL,
         "cut a torn or damaged journal at its first bad record; a\n"
         "resumed run computes the rest again"},
        {0, "identity", PS_OPT_FLAG, &o.identity, NULL,
         "print what a result was made from - job, model, tokens -,\n"
         "and nothing else"},
        {0, "json", PS_OPT_FLAG, &a.json, NULL, "one JSON object instead of text"},
        {0, NULL, PS_OPT_FLAG, NULL, NULL, NULL},
    };
    const ps_usage usage = {
        "patchsweep inspect [options] PATH",
        "Describe a model (a directory, or a hub name in the local cache), the result file of\n"
        "a sweep, or the journal of an unfinished sweep.  Checks config.json and every header\n"
        "as 'run' does, and every record of a journal.",
        opts,
        "examples:\n"
        "  patchsweep inspect HuggingFaceTB/SmolLM2-135M --tensors\n"
        "  patchsweep inspect sweep.h5 --json\n"
        "  patchsweep inspect sweep.h5 --verify\n"
        "  patchsweep inspect sweep.h5.journal --repair\n\n"
        "exit status: 0 described, 1 failed, 2 bad usage, model, result or journal"};

    int rc = ps_opt_parse(&usage, argc, argv, &n_args, &err);
    if (rc == 0 && n_args != 1)
        rc = ps_err_set(&err, PS_EINPUT, "inspect takes one model, result or journal, not %d; see 'patchsweep inspect --help'",
                        n_args);
    rc = rc == 0 ? inspect(&a, &o, argv[0]) : rc > 0 ? 0 : ps_fail(&err);
    ps_text_release(&a.text);
    return rc;
}
