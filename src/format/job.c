/*
 * job.c - a job: its file, the overrides of the command line, and the defaults.
 *
 *     file + --set  --a row of job_keys.c at a time-->  ps_job  --pairs-->  job_pairs.c
 *
 * A value is read in the same way from the file, from the command line, and from the row's default.  The job is then
 * printed again with all keys: that text is the job as it runs.
 */
#include "patchsweep/job.h"

#include <string.h>

#include "job_keys.h"
#include "job_pairs.h"
#include "patchsweep/file.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define MAX_JOB_BYTES ((size_t)256 << 20)

/* One `--set key=value`. */
typedef struct override {
    const ps_job_key *key;
    ps_json *value;
} override;

/* Where values come from: the last override of a key, else the file. */
typedef struct source {
    ps_json *file;
    override *overrides; /* [n] */
    size_t n;
} source;

/* ---- where values come from ---- */

static const ps_node *value_of(const source *from, const ps_job_key *key, bool *overridden)
{
    *overridden = false;
    for (size_t i = from->n; i-- > 0;)
        if (from->overrides[i].key == key) {
            *overridden = true;
            return ps_json_root(from->overrides[i].value);
        }
    return ps_json_get(ps_json_root(from->file), key->name);
}

static const ps_node *value_named(const source *from, const char *name)
{
    bool overridden;

    return value_of(from, ps_job_key_find(ps_job_keys, name), &overridden);
}

/* Read an override's value.  A string may be written without quotes, whatever it looks like.  Where values are
 * names, other words may be too.  A value that begins like JSON and is not valid JSON is an error. */
static int parse_override(const ps_job_key *key, const char *text, ps_json **out, ps_err *err)
{
    ps_err not_json = PS_ERR_INIT;
    ps_text quoted = {0};

    if (ps_json_parse(out, text, strlen(text), &not_json) == 0) {
        if (key->type != PS_KEY_STRING || ps_json_is(ps_json_root(*out), PS_JSON_STRING))
            return 0;
        ps_json_free(*out);
        *out = NULL;
    } else if (not_json.code != PS_EINPUT || ps_utf8_check(text, strlen(text)) < strlen(text) ||
               (key->type != PS_KEY_STRING && text[0] && strchr("[{\"", text[0]))) {
        *err = not_json;
        return ps_err_prefix(err, "--set %s", key->name);
    }
    ps_text_json(&quoted, text, strlen(text));
    int rc = ps_text_ok(&quoted, err);
    if (rc == 0 && ps_json_parse(out, quoted.bytes, quoted.n, err) < 0)
        rc = ps_err_prefix(err, "--set %s", key->name);
    ps_text_release(&quoted);
    return rc;
}

static int read_override(override *out, const char *text, ps_err *err)
{
    const char *equals = strchr(text, '=');
    char shown[80];

    if (!equals) {
        ps_printable(shown, sizeof shown, text);
        return ps_err_set(err, PS_EINPUT, "--set '%s': has no '='; write key=value", shown);
    }
    char *name = ps_strndup(text, (size_t)(equals - text), err);
    if (!name)
        return -1;
    out->key = ps_job_key_find(ps_job_keys, name);
    int rc = out->key ? parse_override(out->key, equals + 1, &out->value, err)
                      : (ps_job_key_unknown(ps_job_keys, name, err), ps_err_prefix(err, "--set"));
    ps_free(name);
    return rc;
}

static int read_overrides(source *from, const char *const *texts, size_t n, ps_err *err)
{
    from->overrides = ps_calloc(n, sizeof *from->overrides, err);
    if (!from->overrides)
        return -1;
    for (; from->n < n; from->n++)
        if (read_override(&from->overrides[from->n], texts[from->n], err) < 0)
            return -1;
    return 0;
}

static int check_keys(const ps_node *root, ps_err *err)
{
    if (!ps_json_is(root, PS_JSON_OBJECT))
        return ps_err_set(err, PS_EINPUT,
                          "is %s, not an object; write {\"model\": ..., \"pairs\": [...]}",
                          ps_json_type_name(ps_json_type(root)));
    for (const ps_node *v = ps_json_first(root); v; v = ps_json_next(v)) {
        const char *name = ps_json_key(v);
        if (!ps_job_key_find(ps_job_keys, name) && !ps_job_key_ignored(ps_job_keys, name))
            return ps_job_key_unknown(ps_job_keys, name, err);
    }
    return 0;
}

/* Whether the first line is an object with a pair's keys. */
static bool looks_like_pairs(const char *text, size_t n)
{
    const char *end = memchr(text, '\n', n);
    ps_json *json = NULL;
    ps_err ignored = PS_ERR_INIT;
    size_t of_pair = 0, of_job = 0;

    if (ps_json_parse(&json, text, end ? (size_t)(end - text) : n, &ignored) < 0)
        return false;
    for (const ps_node *v = ps_json_first(ps_json_root(json)); v; v = ps_json_next(v)) {
        of_pair += ps_job_key_find(ps_pair_keys, ps_json_key(v)) != NULL;
        of_job += ps_job_key_find(ps_job_keys, ps_json_key(v)) != NULL;
    }
    ps_json_free(json);
    return of_pair > 0 && of_job == 0;
}

static int read_file(source *from, const char *path, ps_err *err)
{
    char *bytes = NULL;
    size_t n = 0;

    if (ps_file_read(path, MAX_JOB_BYTES, &bytes, &n, err) < 0)
        return ps_err_prefix(err, "job");
    int rc = ps_json_parse(&from->file, bytes, n, err);
    if (rc < 0 || !ps_json_get(ps_json_root(from->file), "model"))
        if (looks_like_pairs(bytes, n))
            rc = ps_err_set(err, PS_EINPUT, "looks like a file of pairs, one a line; name it as \"pairs_file\" in a job");
    ps_free(bytes);
    if (rc < 0 || check_keys(ps_json_root(from->file), err) < 0)
        return ps_err_prefix(err, "job '%s'", path);
    return 0;
}

static void release_source(source *from)
{
    for (size_t i = 0; i < from->n; i++)
        ps_json_free(from->overrides[i].value);
    ps_free(from->overrides);
    ps_json_free(from->file);
}

/* ---- from values to a job ---- */

static int set_default(ps_job *job, const ps_job_key *key, ps_err *err)
{
    ps_json *json = NULL;

    if (key->required)
        return ps_err_set(err, PS_EINPUT, "%s: is missing; write it as in %s", key->name,
                          key->example);
    if (!key->deflt)
        return 0;
    if (ps_json_parse(&json, key->deflt, strlen(key->deflt), err) < 0)
        return -1;
    int rc = ps_job_value_set(key, job, ps_json_root(json), err);
    ps_json_free(json);
    return rc;
}

static int set_values(ps_job *job, const source *from, ps_err *err)
{
    for (const ps_job_key *key = ps_job_keys; key->name; key++) {
        bool overridden;
        const ps_node *value = value_of(from, key, &overridden);
        int rc = value ? ps_job_value_set(key, job, value, err) : set_default(job, key, err);
        if (rc < 0 && overridden) {
            ps_err inner = *err;
            return ps_err_set(err, inner.code, "--set %s", inner.text);
        }
        if (rc < 0)
            return ps_err_prefix(err, "job '%s'", job->path);
    }
    return 0;
}

/* Choose the metrics to keep.  The score's metric is always kept.  "all" keeps the metrics that every pair can have.
 * A metric of the foil that is asked for by name needs a foil in every pair. */
static int settle_metrics(ps_job *job, bool all, ps_err *err)
{
    const ps_job_pair *bare = NULL;
    unsigned foil_metrics = 0;

    for (int m = 0; m < PS_N_METRICS; m++)
        if (ps_metric_needs_foil(m))
            foil_metrics |= 1u << m;
    for (size_t i = job->n_pairs; i-- > 0;)
        if (!job->pairs[i].foil && job->pairs[i].foil_id < 0)
            bare = &job->pairs[i];
    if (bare && all)
        job->metrics &= ~foil_metrics;
    if (bare && ps_metric_needs_foil(job->score))
        return ps_err_set(err, PS_EINPUT,
                          "score: '%s' needs a foil and %s has none; add 'foil' there",
                          ps_metrics[job->score].name, bare->where);
    for (int m = 0; bare && m < PS_N_METRICS; m++)
        if (job->metrics & foil_metrics & 1u << m)
            return ps_err_set(err, PS_EINPUT,
                              "metrics: '%s' needs a foil and %s has none; add 'foil' there",
                              ps_metrics[m].name, bare->where);
    job->metrics |= 1u << job->score;
    return 0;
}

static bool all_metrics(const source *from)
{
    const ps_node *metrics = value_named(from, "metrics");

    return !metrics || ps_json_is(metrics, PS_JSON_STRING);
}

/* Print a key and its value as the job runs.  A key that was not given and has no default is left out. */
static void print_value(const ps_job *job, const source *from, const ps_job_key *key,
                        const ps_text *pairs, ps_text *out)
{
    const ps_node *given = value_named(from, key->name);
    ps_err ignored;

    if (key->offset != PS_NO_TARGET)
        ps_job_value_print(key, job, out);
    else if (key->type == PS_KEY_PAIRS)
        ps_text_add(out, ps_text_str(pairs), pairs->n);
    else if (given && strcmp(key->name, "pairs_file")) { /* its pairs are printed under `pairs` */
        char *json = ps_json_print(given, &ignored);
        if (json)
            ps_text_puts(out, json);
        else
            out->failed = true;
        ps_free(json);
    }
}

/* Print the job as it runs: keys in the table's order with defaults filled in, the file's pairs under `pairs`, no
 * comments. */
static int print_job(ps_job *job, const source *from, const ps_text *pairs, ps_err *err)
{
    ps_text out = {0};

    for (const ps_job_key *key = ps_job_keys; key->name; key++) {
        ps_text value = {0};
        print_value(job, from, key, pairs, &value);
        if (value.n)
            ps_text_printf(&out, "%s\"%s\":%s", out.n ? "," : "{", key->name, value.bytes);
        out.failed |= value.failed;
        ps_text_release(&value);
    }
    ps_text_puts(&out, "}");
    if (ps_text_ok(&out, err) < 0) {
        ps_text_release(&out);
        return -1;
    }
    job->text = out.bytes;
    return 0;
}

static int read_pairs(ps_job *job, const source *from, ps_err *err)
{
    const ps_pair_source sources = {
        .template = value_named(from, "template"),
        .fill = value_named(from, "fill"),
        .pairs = value_named(from, "pairs"),
        .pairs_file = value_named(from, "pairs_file"),
    };
    ps_text text = {0};
    int rc = -1;

    if (ps_job_pairs_read(job, &sources, &text, err) == 0 &&
        settle_metrics(job, all_metrics(from), err) == 0 && ps_text_ok(&text, err) == 0)
        rc = print_job(job, from, &text, err);
    ps_text_release(&text);
    return rc < 0 ? ps_err_prefix(err, "job '%s'", job->path) : 0;
}

int ps_job_read(ps_job **out, const char *path, const char *const *overrides, size_t n_overrides,
                ps_err *err)
{
    source from = {0};
    int rc = -1;

    ps_job *job = ps_calloc(1, sizeof *job, err);
    if (!job || !(job->path = ps_strdup(path, err)) || !(job->dir = ps_path_dir(path, err)))
        goto out;
    if (read_file(&from, path, err) < 0 || read_overrides(&from, overrides, n_overrides, err) < 0 ||
        set_values(job, &from, err) < 0 || read_pairs(job, &from, err) < 0)
        goto out;
    *out = job;
    job = NULL;
    rc = 0;
out:
    release_source(&from);
    ps_job_free(job);
    return rc;
}

void ps_job_free(ps_job *job)
{
    if (!job)
        return;
    ps_job_pairs_free(job->pairs, job->n_pairs);
    ps_free(job->path);
    ps_free(job->dir);
    ps_free(job->text);
    ps_free(job->model);
    ps_free(job->output);
    ps_free(job->backend);
    ps_free(job->layers.at);
    ps_free(job->heads.at);
    ps_free(job->positions.at);
    ps_free(job);
}

/* ---- lists of indices ---- */

static int out_of_range(int64_t at, int64_t n, const char *what, ps_err *err)
{
    return ps_err_set(err, PS_EINPUT, "%s: %lld is past the %s (%lld); there are %lld", what,
                      (long long)at, at < 0 ? "first" : "last", (long long)(at < 0 ? -n : n - 1),
                      (long long)n);
}

int ps_index_list_resolve(const ps_index_list *list, int64_t n, const char *what, int32_t **out,
                          size_t *n_out, ps_err *err)
{
    size_t used = 0;
    bool *wanted = ps_calloc((size_t)n, sizeof *wanted, err);
    int32_t *at = ps_malloc((size_t)n, sizeof *at, err);

    if (!wanted || !at)
        goto failed;
    for (size_t i = 0; i < list->n && !list->all; i++) {
        int64_t k = list->at[i];
        if (k < -n || k >= n) {
            out_of_range(k, n, what, err);
            goto failed;
        }
        wanted[k < 0 ? k + n : k] = true;
    }
    for (int64_t i = 0; i < n; i++)
        if (list->all || wanted[i])
            at[used++] = (int32_t)i;
    ps_free(wanted);
    *out = at;
    *n_out = used;
    return 0;
failed:
    ps_free(wanted);
    ps_free(at);
    return -1;
}
