/*
 * job_value.c - check a key's value, store it, and print it again.
 *
 * There is one function for each type of row.  None knows which key it serves.  Every message starts with the key's
 * name and the place within the value.  Callers add only the file and the pair.
 */
#include "job_keys.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/job.h"
#include "patchsweep/mem.h"

static int mistyped(const ps_job_key *key, const ps_node *value, ps_err *err)
{
    ps_text kind = {0};

    ps_job_key_kind(key, &kind);
    int rc = ps_err_set(err, PS_EINPUT, "%s: is %s; write %s, such as %s", key->name,
                        ps_json_type_name(ps_json_type(value)), ps_text_str(&kind), key->example);
    ps_text_release(&kind);
    return rc;
}

static int empty(const ps_job_key *key, ps_err *err)
{
    return ps_err_set(err, PS_EINPUT, "%s: is empty; write it as in %s", key->name, key->example);
}

static enum ps_json_type json_type(const ps_job_key *key)
{
    switch (key->type) {
    case PS_KEY_STRING:
    case PS_KEY_NAME:
    case PS_KEY_WORD:
        return PS_JSON_STRING;
    case PS_KEY_BOOL:
        return PS_JSON_BOOL;
    case PS_KEY_ID:
        return PS_JSON_NUMBER;
    case PS_KEY_STRINGS:
        return PS_JSON_OBJECT;
    case PS_KEY_WORDS:
    case PS_KEY_INDICES:
    case PS_KEY_IDS:
    case PS_KEY_PAIRS:
        break;
    }
    return PS_JSON_ARRAY;
}

static bool is_all(const ps_job_key *key, const ps_node *value)
{
    return key->all && ps_json_is(value, PS_JSON_STRING) && !strcmp(ps_json_string(value), "all");
}

/* ---- words ---- */

/* List the terms that other tools call `word`: "'z' or 'z_by_pos'".  Appends nothing if there is none, or too many. */
static void called(const ps_job_key *key, const char *word, ps_text *out)
{
    enum { MOST = 3 };
    int found[MOST], n = 0;

    for (int i = 0; i < key->n_terms; i++)
        if (ps_term_is_called(&key->terms[i], word)) {
            if (n == MOST)
                return;
            found[n++] = i;
        }
    for (int i = 0; i < n; i++)
        ps_text_printf(out, "%s'%s'", i ? " or " : "", key->terms[found[i]].name);
}

static int unknown_word(const ps_job_key *key, const char *where, const char *word, ps_err *err)
{
    const char *names[32];
    int n = key->n_terms;
    char shown[80];
    ps_text kind = {0};

    for (int i = 0; i < n; i++)
        names[i] = key->terms[i].name;
    ps_printable(shown, sizeof shown, word);
    const char *near = ps_nearest(word, names, (size_t)n);
    if (near)
        ps_text_printf(&kind, "'%s'", near);
    else
        called(key, word, &kind);
    bool guessed = kind.n > 0;
    if (!guessed)
        ps_job_key_kind(key, &kind);
    int rc = ps_err_set(err, PS_EINPUT, guessed ? "%s: unknown '%s'; did you mean %s?" : "%s: unknown '%s'; write %s", where,
                        shown, ps_text_str(&kind));
    ps_text_release(&kind);
    return rc;
}

/* The index of `value` among the terms, or -1 with *err set. */
static int term_of(const ps_job_key *key, const char *where, const ps_node *value, ps_err *err)
{
    const char *word = ps_json_string(value);
    int i = ps_term_find(key->terms, key->n_terms, word);

    if (!ps_json_is(value, PS_JSON_STRING))
        return ps_err_set(err, PS_EINPUT, "%s: is %s, not a name; write it as in %s", where,
                          ps_json_type_name(ps_json_type(value)), key->example);
    if (i < 0)
        return unknown_word(key, where, word, err);
    return i;
}

static int set_words(const ps_job_key *key, unsigned *target, const ps_node *value, ps_err *err)
{
    unsigned mask = 0;
    size_t at = 0;

    if (is_all(key, value))
        mask = (1u << key->n_terms) - 1;
    for (const ps_node *v = ps_json_first(value); v; v = ps_json_next(v), at++) {
        char where[80];
        snprintf(where, sizeof where, "%s[%zu]", key->name, at);
        int i = term_of(key, where, v, err);
        if (i < 0)
            return -1;
        mask |= 1u << i;
    }
    *target = mask;
    return 0;
}

static int set_word(const ps_job_key *key, void *target, const ps_node *value, ps_err *err)
{
    int i = term_of(key, key->name, value, err);

    if (i < 0)
        return -1;
    if (key->type == PS_KEY_WORD) {
        *(unsigned *)target = (unsigned)(key->numbers ? key->numbers[i] : i); /* an enum */
        return 0;
    }
    char *name = ps_strdup(key->terms[i].name, err);
    if (!name)
        return -1;
    ps_free(*(char **)target);
    *(char **)target = name;
    return 0;
}

/* ---- numbers ---- */

static int set_indices(const ps_job_key *key, ps_index_list *list, const ps_node *value,
                       ps_err *err)
{
    bool all = is_all(key, value);
    size_t n = 0;
    int64_t *at = ps_malloc(ps_json_count(value), sizeof *at, err);

    if (!at)
        return -1;
    for (const ps_node *v = ps_json_first(value); v; v = ps_json_next(v), n++) {
        if (ps_json_int(v, &at[n]))
            continue;
        ps_free(at);
        return ps_err_set(err, PS_EINPUT,
                          "%s[%zu]: is not an integer; write whole numbers, such as %s", key->name,
                          n, key->example);
    }
    ps_free(list->at);
    *list = (ps_index_list){.all = all, .at = at, .n = n};
    return 0;
}

static int check_id(const char *where, const ps_node *value, int64_t *id, ps_err *err)
{
    if (!ps_json_int(value, id) || *id < 0 || *id > INT32_MAX)
        return ps_err_set(err, PS_EINPUT, "%s: is not a token id; write a whole number from 0 on",
                          where);
    return 0;
}

static int check_ids(const ps_job_key *key, const ps_node *value, ps_err *err)
{
    size_t at = 0;

    for (const ps_node *v = ps_json_first(value); v; v = ps_json_next(v), at++) {
        char where[80];
        int64_t id;
        snprintf(where, sizeof where, "%s[%zu]", key->name, at);
        if (check_id(where, v, &id, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- text ---- */

static int set_string(char **target, const ps_node *value, ps_err *err)
{
    char *copy = ps_strdup(ps_json_string(value), err);

    if (!copy)
        return -1;
    ps_free(*target);
    *target = copy;
    return 0;
}

static int check_strings(const ps_job_key *key, const ps_node *value, ps_err *err)
{
    for (const ps_node *v = ps_json_first(value); v; v = ps_json_next(v)) {
        char shown[80];
        if (ps_json_is(v, PS_JSON_STRING))
            continue;
        ps_printable(shown, sizeof shown, ps_json_key(v));
        return ps_err_set(err, PS_EINPUT, "%s.%s: is %s; write a string", key->name, shown,
                          ps_json_type_name(ps_json_type(v)));
    }
    return 0;
}

/* ---- all of them ---- */

static int check(const ps_job_key *key, const ps_node *value, ps_err *err)
{
    if (is_all(key, value))
        return 0;
    if (ps_json_type(value) != json_type(key))
        return mistyped(key, value, err);
    if (ps_json_is(value, PS_JSON_STRING) && !ps_json_string(value)[0])
        return empty(key, err);
    if (ps_json_is(value, PS_JSON_ARRAY) && !ps_json_first(value) && !key->may_be_empty &&
        key->type != PS_KEY_PAIRS) /* `pairs` may be empty if there is a pairs_file */
        return empty(key, err);
    if (key->type == PS_KEY_IDS)
        return check_ids(key, value, err);
    return key->type == PS_KEY_STRINGS ? check_strings(key, value, err) : 0;
}

int ps_job_value_set(const ps_job_key *key, void *base, const ps_node *value, ps_err *err)
{
    if (check(key, value, err) < 0)
        return -1;
    if (key->offset == PS_NO_TARGET)
        return 0;
    void *target = (char *)base + key->offset;
    switch (key->type) {
    case PS_KEY_STRING:
        return set_string(target, value, err);
    case PS_KEY_NAME:
    case PS_KEY_WORD:
        return set_word(key, target, value, err);
    case PS_KEY_WORDS:
        return set_words(key, target, value, err);
    case PS_KEY_INDICES:
        return set_indices(key, target, value, err);
    case PS_KEY_BOOL:
        *(bool *)target = ps_json_bool(value);
        return 0;
    case PS_KEY_ID:
        return check_id(key->name, value, target, err);
    case PS_KEY_IDS:
    case PS_KEY_STRINGS:
    case PS_KEY_PAIRS:
        break;
    }
    PS_BUG("key '%s' has a target its type does not fill", key->name);
}

/* ---- printing ---- */

static void print_words(const ps_job_key *key, unsigned mask, ps_text *out)
{
    const char *comma = "";

    ps_text_puts(out, "[");
    for (int i = 0; i < key->n_terms; i++)
        if (mask >> i & 1) {
            ps_text_printf(out, "%s\"%s\"", comma, key->terms[i].name);
            comma = ",";
        }
    ps_text_puts(out, "]");
}

static void print_indices(const ps_index_list *list, ps_text *out)
{
    if (list->all) {
        ps_text_puts(out, "\"all\"");
        return;
    }
    ps_text_puts(out, "[");
    for (size_t i = 0; i < list->n; i++)
        ps_text_printf(out, "%s%lld", i ? "," : "", (long long)list->at[i]);
    ps_text_puts(out, "]");
}

static const char *word_of(const ps_job_key *key, unsigned number)
{
    for (int i = 0; i < key->n_terms; i++)
        if ((unsigned)(key->numbers ? key->numbers[i] : i) == number)
            return key->terms[i].name;
    PS_BUG("key '%s' has no word for %u", key->name, number);
}

void ps_job_value_print(const ps_job_key *key, const void *base, ps_text *out)
{
    const void *target = (const char *)base + key->offset;

    if (key->offset == PS_NO_TARGET)
        return;
    if (key->type == PS_KEY_STRING || key->type == PS_KEY_NAME) {
        const char *text = *(char *const *)target;
        if (text)
            ps_text_json(out, text, strlen(text));
    } else if (key->type == PS_KEY_WORD)
        ps_text_printf(out, "\"%s\"", word_of(key, *(const unsigned *)target));
    else if (key->type == PS_KEY_WORDS)
        print_words(key, *(const unsigned *)target, out);
    else if (key->type == PS_KEY_INDICES)
        print_indices(target, out);
    else if (key->type == PS_KEY_BOOL)
        ps_text_puts(out, *(const bool *)target ? "true" : "false");
    else if (key->type == PS_KEY_ID)
        ps_text_printf(out, "%lld", (long long)*(const int64_t *)target);
}
