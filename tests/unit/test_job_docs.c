/*
 * test_job_docs.c - the key tables, the schema and the reference say the same.
 *
 * And every job in jobs/ is one: it is read, with its pairs.
 */
#include "../../src/format/job_keys.h"

#include <dirent.h>
#include <stdlib.h>

#include "../check.h"
#include "patchsweep/dtype.h"
#include "patchsweep/file.h"
#include "patchsweep/job.h"
#include "patchsweep/mem.h"

#define SCHEMA "jobs/job.schema.json"
#define README "jobs/README.md"

static ps_json *schema;
static char *readme;

static size_t count_keys(const ps_job_key *keys)
{
    size_t n = 0;

    while (keys[n].name)
        n++;
    return n;
}

/* ---- the schema ---- */

/* Whether two values are the same JSON. */
static bool same(const ps_node *node, const char *json)
{
    ps_err err = PS_ERR_INIT;
    ps_json *wanted = NULL;

    if (!node || ps_json_parse(&wanted, json, strlen(json), &err) < 0)
        return !node && !json[0];
    char *a = ps_json_print(node, &err), *b = ps_json_print(ps_json_root(wanted), &err);
    bool equal = a && b && !strcmp(a, b);
    ps_free(a);
    ps_free(b);
    ps_json_free(wanted);
    return equal;
}

/* The first "enum" at or below `node`, or NULL. */
static const ps_node *find_enum(const ps_node *node)
{
    const ps_node *found = ps_json_get(node, "enum");

    for (const ps_node *v = ps_json_first(node); v && !found; v = ps_json_next(v))
        found = find_enum(v);
    return found;
}

static void check_words(const ps_job_key *key, const ps_node *property)
{
    int n = key->n_terms, i = 0;
    const ps_node *words = find_enum(property);

    CHECK_INT(ps_json_count(words), n);
    for (const ps_node *v = ps_json_first(words); v && i < n; v = ps_json_next(v), i++)
        CHECK_STR(ps_json_string(v), key->terms[i].name);
}

static const char *schema_type(const ps_job_key *key)
{
    switch (key->type) {
    case PS_KEY_STRING:
    case PS_KEY_NAME:
    case PS_KEY_WORD:
        return "string";
    case PS_KEY_BOOL:
        return "boolean";
    case PS_KEY_ID:
        return "integer";
    case PS_KEY_STRINGS:
        return "object";
    case PS_KEY_WORDS:
    case PS_KEY_INDICES:
    case PS_KEY_IDS:
    case PS_KEY_PAIRS:
        break;
    }
    return "array";
}

static void check_property(const ps_job_key *key, const ps_node *property)
{
    const ps_node *shape = property;

    if (!property) {
        CHECK_STR(NULL, key->name);
        return;
    }
    if (key->all) { /* {"anyOf": [{"const": "all"}, {"type": "array", ...}]} */
        shape = ps_json_first(ps_json_get(property, "anyOf"));
        CHECK_STR(ps_json_string(ps_json_get(shape, "const")), "all");
        shape = shape ? ps_json_next(shape) : NULL;
    }
    CHECK_STR(ps_json_string(ps_json_get(shape, "type")), schema_type(key));
    CHECK_STR(ps_json_string(ps_json_get(property, "description")), key->help);
    CHECK(same(ps_json_get(property, "default"), key->deflt ? key->deflt : ""));
    CHECK(same(ps_json_first(ps_json_get(property, "examples")), key->example));
    if (!strcmp(schema_type(key), "array") && key->type != PS_KEY_PAIRS)
        CHECK_INT(ps_json_get(shape, "minItems") != NULL, !key->may_be_empty);
    check_words(key, property);
}

/* `extra`: properties of the schema that are not in the table. */
static void check_object(const ps_job_key *keys, const ps_node *object, size_t extra)
{
    const ps_node *properties = ps_json_get(object, "properties");
    const ps_node *closed = ps_json_get(object, "additionalProperties");

    CHECK_INT(ps_json_count(properties), count_keys(keys) + extra);
    CHECK(ps_json_is(closed, PS_JSON_BOOL) && !ps_json_bool(closed));
    CHECK(ps_json_get(ps_json_get(object, "patternProperties"), "^(//|_comment)") != NULL);
    for (const ps_job_key *key = keys; key->name; key++)
        if (key->type != PS_KEY_PAIRS) /* its enums are the pairs' own */
            check_property(key, ps_json_get(properties, key->name));
        else
            CHECK_STR(
                ps_json_string(ps_json_get(ps_json_get(properties, key->name), "description")),
                key->help);
}

static void test_schema(void)
{
    const ps_node *root = ps_json_root(schema);

    check_object(ps_job_keys, root, 1); /* $schema */
    check_object(ps_pair_keys, ps_json_get(ps_json_get(root, "definitions"), "pair"), 0);
    for (const ps_job_key *key = ps_job_keys; key->name; key++) {
        bool listed = false;
        for (const ps_node *v = ps_json_first(ps_json_get(root, "required")); v;
             v = ps_json_next(v))
            listed |= !strcmp(ps_json_string(v), key->name);
        CHECK_INT(listed, key->required);
    }
}

/* ---- the reference ---- */

static void check_row(const ps_job_key *key)
{
    ps_text row = {0};

    ps_text_printf(&row, "| `%s` | ", key->name);
    ps_job_key_kind(key, &row);
    if (key->required)
        ps_text_puts(&row, " | required");
    else if (key->deflt)
        ps_text_printf(&row, " | `%s`", key->deflt);
    else
        ps_text_puts(&row, " | none");
    ps_text_printf(&row, " | %s | `%s` |\n", key->help, key->example);
    if (!strstr(readme, ps_text_str(&row))) {
        printf("# " README " wants: %s", ps_text_str(&row));
        check_failed_here++;
    }
    ps_text_release(&row);
}

static void test_readme(void)
{
    size_t rows = 0;

    for (const ps_job_key *key = ps_job_keys; key->name; key++)
        check_row(key);
    for (const ps_job_key *key = ps_pair_keys; key->name; key++)
        check_row(key);
    for (const char *at = readme; (at = strstr(at, "\n| `")); at++)
        rows++;
    CHECK_INT(rows, count_keys(ps_job_keys) + count_keys(ps_pair_keys));
}

/* ---- the tables themselves ---- */

static void check_example(const ps_job_key *key, void *base)
{
    ps_err err = PS_ERR_INIT;
    ps_json *json = NULL;

    CHECK_INT(ps_json_parse(&json, key->example, strlen(key->example), &err), 0);
    if (json)
        CHECK_INT(ps_job_value_set(key, base, ps_json_root(json), &err), 0);
    CHECK_STR(err.text, "");
    ps_json_free(json);
}

/* Examples are values that their rows take. */
static void test_examples(void)
{
    ps_err err = PS_ERR_INIT;
    ps_job *job = ps_calloc(1, sizeof *job, &err);
    ps_job_pair *pair = ps_calloc(1, sizeof *pair, &err);

    for (const ps_job_key *key = ps_job_keys; key->name; key++)
        check_example(key, job);
    for (const ps_job_key *key = ps_pair_keys; key->name; key++)
        check_example(key, pair);
    job->pairs = pair;
    job->n_pairs = 1;
    ps_job_free(job);
}

/* Element types are named as everywhere else. */
static void test_dtypes(void)
{
    const ps_job_key *key = ps_job_key_find(ps_job_keys, "activation_dtype");

    CHECK_INT(key->n_terms, PS_N_DTYPES);
    for (int i = 0; i < PS_N_DTYPES; i++)
        CHECK_STR(key->terms[i].name, ps_dtype_names[i]);
}

/* ---- the jobs ---- */

static void test_jobs(void)
{
    DIR *jobs = opendir("jobs");
    int n = 0;

    for (struct dirent *entry; jobs && (entry = readdir(jobs));) {
        const char *dot = strrchr(entry->d_name, '.');
        char path[300];
        ps_err err = PS_ERR_INIT;
        ps_job *job = NULL;
        if (!dot || strcmp(dot, ".json") || !strcmp(entry->d_name, "job.schema.json"))
            continue;
        snprintf(path, sizeof path, "jobs/%s", entry->d_name);
        CHECK_INT(ps_job_read(&job, path, NULL, 0, &err), 0);
        CHECK_STR(err.text, "");
        CHECK(strstr(readme, entry->d_name) != NULL);
        ps_job_free(job);
        n++;
    }
    CHECK(n >= 2);
    if (jobs)
        closedir(jobs);
}

int main(void)
{
    ps_err err = PS_ERR_INIT;
    size_t n;

    if (ps_json_read(&schema, SCHEMA, 1 << 20, &err) < 0 ||
        ps_file_read(README, 1 << 20, &readme, &n, &err) < 0) {
        printf("# %s; run from the repository's root\n", err.text);
        return 1;
    }
    RUN(test_schema);
    RUN(test_readme);
    RUN(test_examples);
    RUN(test_dtypes);
    RUN(test_jobs);
    ps_json_free(schema);
    ps_free(readme);
    return check_done();
}
