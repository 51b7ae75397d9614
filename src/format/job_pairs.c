/*
 * job_pairs.c - from JSON objects to prompts with names.
 *
 * A pair gives its two prompts in one of three ways: texts for the template's placeholders, whole texts, or token ids.
 * Pairs come from an array in the job and from the lines of a file.  Each records its place, for later messages.
 */
#include "job_pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job_keys.h"
#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "template.h"

#define MAX_PAIRS_BYTES ((size_t)1 << 30)

/* The context of reading a pair, and where it is stored. */
typedef struct reader {
    ps_job *job;
    size_t cap; /* of job->pairs */
    ps_template *template;
    const ps_node *fill;
    ps_text *text; /* the pairs as they will run */
} reader;

/* ---- one pair ---- */

/* The three ways to give a pair's prompts: a key for each prompt. */
enum { BY_FILL, BY_PROMPT, BY_IDS, N_FORMS };
static const char *const forms[N_FORMS][PS_N_WHICH] = {
    [BY_FILL] = {"clean", "corrupt"},
    [BY_PROMPT] = {"clean_prompt", "corrupt_prompt"},
    [BY_IDS] = {"clean_ids", "corrupt_ids"},
};

/* Find which form `object` has.  Returns -1 with *err set if it has none, half of one, or several. */
static int form_of(const ps_node *object, ps_err *err)
{
    const char *seen = NULL;
    int form = -1;

    for (int f = 0; f < N_FORMS; f++)
        for (int w = 0; w < PS_N_WHICH; w++) {
            if (!ps_json_get(object, forms[f][w]))
                continue;
            if (seen && form != f)
                return ps_err_set(err, PS_EINPUT,
                                  "has both '%s' and '%s'; give both prompts in one way", seen,
                                  forms[f][w]);
            seen = forms[f][w];
            form = f;
        }
    if (form < 0)
        return ps_err_set(err, PS_EINPUT,
                          "has no prompts; give 'clean' and 'corrupt', 'clean_prompt' and "
                          "'corrupt_prompt', or 'clean_ids' and 'corrupt_ids'");
    for (int w = 0; w < PS_N_WHICH; w++)
        if (!ps_json_get(object, forms[form][w]))
            return ps_err_set(err, PS_EINPUT, "has '%s' without '%s'; give both", seen,
                              forms[form][w]);
    return form;
}

static int copy_ids(ps_prompt *prompt, const ps_node *ids, ps_err *err)
{
    prompt->ids = ps_malloc(ps_json_count(ids), sizeof *prompt->ids, err);
    if (!prompt->ids)
        return -1;
    for (const ps_node *v = ps_json_first(ids); v; v = ps_json_next(v)) {
        int64_t id = 0;
        ps_json_int(v, &id); /* cannot fail: the key's row has checked it */
        prompt->ids[prompt->n_ids++] = (int32_t)id;
    }
    return 0;
}

static int copy_text(ps_prompt *prompt, const ps_node *text, ps_err *err)
{
    prompt->text = ps_strdup(ps_json_string(text), err);
    prompt->n_bytes = strlen(ps_json_string(text));
    return prompt->text ? 0 : -1;
}

static int fill_template(const reader *r, ps_prompt *prompt, const ps_node *own, ps_err *err)
{
    if (!r->template)
        return ps_err_set(err, PS_EINPUT,
                          "the job has no template to fill; add 'template', or write "
                          "'clean_prompt' and 'corrupt_prompt'");
    if (ps_template_check(r->template, own, err) < 0 ||
        ps_template_fill(r->template, own, r->fill, prompt, err) < 0)
        return -1;
    if (prompt->n_bytes == 0)
        return ps_err_set(err, PS_EINPUT, "leaves the prompt empty; write its text");
    return 0;
}

static int read_prompts(const reader *r, ps_job_pair *pair, const ps_node *object, int form,
                        ps_err *err)
{
    for (int w = 0; w < PS_N_WHICH; w++) {
        const char *key = forms[form][w];
        const ps_node *value = ps_json_get(object, key);
        ps_prompt *prompt = &pair->prompt[w];
        int rc = form == BY_IDS      ? copy_ids(prompt, value, err)
                 : form == BY_PROMPT ? copy_text(prompt, value, err)
                                     : fill_template(r, prompt, value, err);
        if (rc < 0)
            return ps_err_prefix(err, "%s", key);
    }
    return 0;
}

/* Whether the result file uses this name for a group of its own. */
static bool is_reserved(const char *id)
{
    return !strcmp(id, "run");
}

static int check_id(const char *id, ps_err *err)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    char shown[80];

    if (is_reserved(id))
        return ps_err_set(err, PS_EINPUT,
                          "id: '%s' is a name that the result file uses itself; choose another",
                          id);
    if (id[0] != '.' && id[0] != '-' && strlen(id) <= 64 && !id[strspn(id, letters)])
        return 0;
    ps_printable(shown, sizeof shown, id);
    return ps_err_set(err, PS_EINPUT,
                      "id: '%s' is not a valid pair id; use letters, digits, _ . and -, 64 at most, "
                      "not beginning with . or -",
                      shown);
}

/* Check that there is an answer, and that answer and foil are each a text or an id, not both. */
static int check_targets(const ps_job_pair *pair, ps_err *err)
{
    if (pair->answer && pair->answer_id >= 0)
        return ps_err_set(err, PS_EINPUT, "has both 'answer' and 'answer_id'; keep one");
    if (pair->foil && pair->foil_id >= 0)
        return ps_err_set(err, PS_EINPUT, "has both 'foil' and 'foil_id'; keep one");
    if (!pair->answer && pair->answer_id < 0)
        return ps_err_set(err, PS_EINPUT, "answer: is missing; give 'answer' or 'answer_id'");
    return 0;
}

static int read_keys(ps_job_pair *pair, const ps_node *object, ps_err *err)
{
    for (const ps_node *v = ps_json_first(object); v; v = ps_json_next(v)) {
        const char *name = ps_json_key(v);
        const ps_job_key *key = ps_job_key_find(ps_pair_keys, name);
        if (!key && ps_job_key_ignored(ps_pair_keys, name))
            continue;
        if (!key)
            return ps_job_key_unknown(ps_pair_keys, name, err);
        if (ps_job_value_set(key, pair, v, err) < 0)
            return -1;
    }
    return pair->id ? check_id(pair->id, err) : 0;
}

/* Append the pair's keys, in the table's order and without comments, after the earlier pairs. */
static int print_pair(const reader *r, const ps_node *object, ps_err *err)
{
    const char *comma = "";

    ps_text_puts(r->text, r->job->n_pairs > 1 ? ",{" : "{");
    for (const ps_job_key *key = ps_pair_keys; key->name; key++) {
        const ps_node *value = ps_json_get(object, key->name);
        if (!value)
            continue;
        char *json = ps_json_print(value, err);
        if (!json)
            return -1;
        ps_text_printf(r->text, "%s\"%s\":%s", comma, key->name, json);
        ps_free(json);
        comma = ",";
    }
    ps_text_puts(r->text, "}");
    return 0;
}

/* Put the pair's place in front: "pairs[3].answer: ..." or "pairs[3]: has both ...". */
static int at_pair(const char *where, bool in_job, ps_err *err)
{
    ps_err inner = *err;
    size_t n = strcspn(inner.text, ":[. ");
    bool key = inner.text[n] && inner.text[n] != ' ';

    return ps_err_set(err, inner.code, "%s%s%s", where, in_job && key ? "." : ": ", inner.text);
}

/* Append the pair that `object` describes; `where` is its place, in the job's array or a file. */
static int add_pair(reader *r, const ps_node *object, const char *where, bool in_job, ps_err *err)
{
    ps_job *job = r->job;

    if (!ps_json_is(object, PS_JSON_OBJECT))
        return ps_err_set(err, PS_EINPUT, "%s: is %s, not an object; write {\"clean_prompt\": ...}",
                          where, ps_json_type_name(ps_json_type(object)));
    if (ps_grow(&job->pairs, job->n_pairs, &r->cap, sizeof *job->pairs, err) < 0)
        return -1;
    ps_job_pair *pair = &job->pairs[job->n_pairs++];
    *pair = (ps_job_pair){.answer_id = -1, .foil_id = -1};
    pair->where = ps_strdup(where, err);
    if (!pair->where)
        return -1;
    if (read_keys(pair, object, err) < 0)
        return at_pair(where, in_job, err);
    int form = form_of(object, err);
    if (form < 0 || read_prompts(r, pair, object, form, err) < 0 || check_targets(pair, err) < 0)
        return at_pair(where, in_job, err);
    return print_pair(r, object, err);
}

/* ---- many pairs ---- */

static int read_array(reader *r, const ps_node *pairs, ps_err *err)
{
    size_t i = 0;

    for (const ps_node *v = ps_json_first(pairs); v; v = ps_json_next(v), i++) {
        char where[40];
        snprintf(where, sizeof where, "pairs[%zu]", i);
        if (add_pair(r, v, where, true, err) < 0)
            return -1;
    }
    return 0;
}

static int read_line(reader *r, const char *line, size_t n, const char *where, ps_err *err)
{
    ps_json *json = NULL;

    if (ps_json_parse(&json, line, n, err) < 0) {
        ps_err inner = *err; /* "1:<column>: ...": the line number is replaced */
        bool placed = !strncmp(inner.text, "1:", 2);
        return ps_err_set(err, inner.code, "%s:%s%s", where, placed ? "" : " ",
                          inner.text + (placed ? 2 : 0));
    }
    int rc = add_pair(r, ps_json_root(json), where, false, err);
    ps_json_free(json);
    return rc;
}

static int read_lines(reader *r, const char *bytes, size_t n, const char *name, ps_err *err)
{
    size_t number = 1;
    ps_text where = {0};
    int rc = 0;

    for (size_t at = 0; at < n && !rc; number++) {
        const char *line = bytes + at, *end = memchr(line, '\n', n - at);
        size_t len = end ? (size_t)(end - line) : n - at;
        at += len + 1;
        while (len && strchr(" \t\r", line[len - 1]) && line[len - 1])
            len--;
        if (len == 0)
            continue;
        where.n = 0;
        ps_text_printf(&where, "%s:%zu", name, number);
        rc = ps_text_ok(&where, err);
        if (!rc)
            rc = read_line(r, line, len, where.bytes, err);
    }
    ps_text_release(&where);
    return rc;
}

static int read_file(reader *r, const char *name, ps_err *err)
{
    size_t n = 0, before = r->job->n_pairs;
    char *bytes = NULL;
    int rc = -1;

    char *path = ps_path_join(r->job->dir, name, err);
    if (!path || ps_file_read(path, MAX_PAIRS_BYTES, &bytes, &n, err) < 0) {
        ps_err_prefix(err, "pairs_file");
        goto out;
    }
    if (read_lines(r, bytes, n, name, err) < 0)
        goto out;
    if (r->job->n_pairs == before) {
        ps_err_set(err, PS_EINPUT, "pairs_file: '%s' holds no pairs; write one object a line",
                   name);
        goto out;
    }
    rc = 0;
out:
    ps_free(bytes);
    ps_free(path);
    return rc;
}

/* ---- names ---- */

static int by_id(const void *a, const void *b)
{
    return strcmp((*(ps_job_pair *const *)a)->id, (*(ps_job_pair *const *)b)->id);
}

static int id_is(const void *id, const void *pair)
{
    return strcmp(id, (*(ps_job_pair *const *)pair)->id);
}

/* Name pairs without an id: pair0007 for the eighth.  If an explicit id has taken that name, try 7 + n_pairs, and so
 * on: no other pair uses these numbers. */
static char *default_id(size_t i, size_t n_pairs, ps_job_pair **named, size_t n_named, ps_err *err)
{
    char id[40];

    do {
        snprintf(id, sizeof id, "pair%04zu", i);
        i += n_pairs;
    } while (bsearch(id, named, n_named, sizeof *named, id_is));
    return ps_strdup(id, err);
}

static int name_pairs(ps_job *job, ps_err *err)
{
    ps_job_pair **named = ps_malloc(job->n_pairs, sizeof *named, err);
    size_t n = 0;
    int rc = -1;

    if (!named)
        return -1;
    for (size_t i = 0; i < job->n_pairs; i++)
        if (job->pairs[i].id)
            named[n++] = &job->pairs[i];
    qsort(named, n, sizeof *named, by_id);
    for (size_t i = 1; i < n; i++)
        if (!by_id(&named[i - 1], &named[i])) {
            ps_err_set(err, PS_EINPUT, "%s and %s are both called '%s'; give each its own id",
                       named[i - 1]->where, named[i]->where, named[i]->id);
            goto out;
        }
    for (size_t i = 0; i < job->n_pairs; i++) {
        ps_job_pair *pair = &job->pairs[i];
        if (!pair->id && !(pair->id = default_id(i, job->n_pairs, named, n, err)))
            goto out;
    }
    rc = 0;
out:
    ps_free(named);
    return rc;
}

/* ---- all of them ---- */

static int begin(reader *r, const ps_pair_source *source, ps_err *err)
{
    if (source->template &&
        ps_template_parse(&r->template, ps_json_string(source->template), err) < 0)
        return ps_err_prefix(err, "template");
    if (source->fill && !r->template)
        return ps_err_set(err, PS_EINPUT,
                          "fill: there is no template to fill; add 'template' or leave 'fill' out");
    if (source->fill && ps_template_check(r->template, source->fill, err) < 0)
        return ps_err_prefix(err, "fill");
    return 0;
}

int ps_job_pairs_read(ps_job *job, const ps_pair_source *source, ps_text *text, ps_err *err)
{
    reader r = {.job = job, .fill = source->fill, .text = text};
    int rc = -1;

    if (begin(&r, source, err) < 0)
        goto out;
    ps_text_puts(text, "[");
    if (read_array(&r, source->pairs, err) < 0)
        goto out;
    if (source->pairs_file && read_file(&r, ps_json_string(source->pairs_file), err) < 0)
        goto out;
    if (job->n_pairs == 0) {
        ps_err_set(err, PS_EINPUT, "pairs: %s; give at least one pair, here or in 'pairs_file'",
                   source->pairs ? "is empty" : "is missing");
        goto out;
    }
    ps_text_puts(text, "]");
    rc = name_pairs(job, err);
out:
    ps_template_free(r.template);
    return rc;
}

static void release_prompt(ps_prompt *prompt)
{
    for (size_t i = 0; i < prompt->n_spans; i++)
        ps_free(prompt->spans[i].name);
    ps_free(prompt->spans);
    ps_free(prompt->text);
    ps_free(prompt->ids);
}

void ps_job_pairs_free(ps_job_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (int w = 0; w < PS_N_WHICH; w++)
            release_prompt(&pairs[i].prompt[w]);
        ps_free(pairs[i].id);
        ps_free(pairs[i].where);
        ps_free(pairs[i].answer);
        ps_free(pairs[i].foil);
    }
    ps_free(pairs);
}
