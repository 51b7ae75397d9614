/* field.c - getters for a tokenizer.json whose messages name the path. */
#include "field.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/text.h"

/* How much longer all steps of one field together may make a text.  Real tokenizers need at most 6: a mark for a space
 * has three bytes, and a byte becomes a character of two. */
#define MAX_GROWTH 64

ps_field ps_field_get(const ps_field *parent, const char *key)
{
    ps_field field = {.node = ps_json_get(parent->node, key)};

    snprintf(field.path, sizeof field.path, "%.120s%s%s", parent->path, *parent->path ? "." : "", key);
    return field;
}

ps_field ps_field_at(const ps_field *parent, const ps_node *node, size_t i)
{
    ps_field field = {.node = node};

    snprintf(field.path, sizeof field.path, "%.120s[%zu]", parent->path, i);
    return field;
}

bool ps_field_empty(const ps_field *field)
{
    return !field->node || ps_json_is(field->node, PS_JSON_NULL);
}

int ps_field_refuse(const ps_field *field, ps_err *err, const char *fmt, ...)
{
    char what[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return ps_err_set(err, PS_EINPUT, "%s%s%s", field->path, *field->path ? ": " : "", what);
}

int ps_field_want(const ps_field *field, enum ps_json_type type, ps_err *err)
{
    if (ps_json_is(field->node, type))
        return 0;
    if (!field->node)
        return ps_field_refuse(field, err, "is missing");
    return ps_field_refuse(field, err, "is %s, not %s", ps_json_type_name(ps_json_type(field->node)),
                           ps_json_type_name(type));
}

static bool among(const char *word, const char *const *names, int *which)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(word, names[i])) {
            *which = i;
            return true;
        }
    return false;
}

int ps_field_keys(const ps_field *object, const char *const *names, ps_err *err)
{
    int ignored;

    if (ps_field_want(object, PS_JSON_OBJECT, err) < 0)
        return -1;
    for (const ps_node *n = ps_json_first(object->node); n; n = ps_json_next(n)) {
        char key[80];
        if (among(ps_json_key(n), names, &ignored))
            continue;
        ps_printable(key, sizeof key, ps_json_key(n));
        return ps_field_refuse(object, err, "the key '%s' is not supported; give token ids instead", key);
    }
    return 0;
}

int ps_field_type(const ps_field *object, const char *const *names, int *which, ps_err *err)
{
    const char *type;
    char shown[80];

    if (ps_field_want(object, PS_JSON_OBJECT, err) < 0 ||
        ps_field_string(object, "type", &type, err) < 0)
        return -1;
    if (among(type, names, which))
        return 0;
    ps_field at = ps_field_get(object, "type");
    ps_printable(shown, sizeof shown, type);
    return ps_field_refuse(&at, err, "'%s' is not supported; give token ids instead", shown);
}

int ps_field_bool(const ps_field *object, const char *key, bool *value, ps_err *err)
{
    ps_field field = ps_field_get(object, key);

    if (ps_field_want(&field, PS_JSON_BOOL, err) < 0)
        return -1;
    *value = ps_json_bool(field.node);
    return 0;
}

int ps_field_bool_or(const ps_field *object, const char *key, bool *value, ps_err *err)
{
    ps_field field = ps_field_get(object, key);

    return ps_field_empty(&field) ? 0 : ps_field_bool(object, key, value, err);
}

int ps_field_string(const ps_field *object, const char *key, const char **value, ps_err *err)
{
    ps_field field = ps_field_get(object, key);

    if (ps_field_want(&field, PS_JSON_STRING, err) < 0)
        return -1;
    *value = ps_json_string(field.node);
    return 0;
}

int ps_field_int(const ps_field *object, const char *key, int32_t max, int32_t *value, ps_err *err)
{
    ps_field field = ps_field_get(object, key);
    int64_t n;

    if (ps_field_want(&field, PS_JSON_NUMBER, err) < 0)
        return -1;
    if (!ps_json_int(field.node, &n) || n < 0 || n > max)
        return ps_field_refuse(&field, err, "is not a whole number from 0 to %d", (int)max);
    *value = (int32_t)n;
    return 0;
}

int ps_field_char(const ps_field *object, const char *key, char value[5], int *bytes, ps_err *err)
{
    const char *s;

    if (ps_field_string(object, key, &s, err) < 0)
        return -1;
    if (*s)
        ps_utf8_decode(s, bytes);
    if (!*s || s[*bytes]) {
        ps_field field = ps_field_get(object, key);
        return ps_field_refuse(&field, err, "is not one character");
    }
    memcpy(value, s, (size_t)*bytes + 1);
    return 0;
}

int ps_field_steps(const ps_field *field, const char *const *names, const char *list, ps_field_take take,
                   void *context, ps_err *err)
{
    const char *const keys[] = {"type", list, NULL};
    ps_field steps = ps_field_get(field, list);
    size_t i = 0;
    int which;

    if (ps_field_type(field, names, &which, err) < 0)
        return -1;
    if (which > 0)
        return take(context, field, which, err);
    if (ps_field_keys(field, keys, err) < 0 || ps_field_want(&steps, PS_JSON_ARRAY, err) < 0)
        return -1;
    for (const ps_node *node = ps_json_first(steps.node); node; node = ps_json_next(node)) {
        ps_field at = ps_field_at(&steps, node, i++);
        if (ps_field_steps(&at, names, list, take, context, err) < 0)
            return -1;
    }
    return 0;
}

int ps_field_grow(const ps_field *step, size_t times, size_t *growth, ps_err *err)
{
    size_t before = *growth ? *growth : 1;

    if (times > MAX_GROWTH / before)
        return ps_field_refuse(step, err, "makes a text more than %d times as long; give token ids instead", MAX_GROWTH);
    *growth = times ? before * times : before;
    return 0;
}

int ps_field_replace(const ps_field *step, char **what, char **with, size_t *growth, ps_err *err)
{
    static const char *const keys[] = {"type", "pattern", "content", NULL};
    static const char *const kinds[] = {"String", NULL};
    ps_field pattern = ps_field_get(step, "pattern");
    const char *from, *to;

    if (ps_field_keys(step, keys, err) < 0 || ps_field_want(&pattern, PS_JSON_OBJECT, err) < 0 ||
        ps_field_keys(&pattern, kinds, err) < 0 || ps_field_string(&pattern, "String", &from, err) < 0 ||
        ps_field_string(step, "content", &to, err) < 0)
        return -1;
    if (!*from)
        return ps_field_refuse(&pattern, err, "is empty");
    if (ps_field_grow(step, (strlen(to) + strlen(from) - 1) / strlen(from), growth, err) < 0)
        return -1;
    *what = ps_strdup(from, err);
    *with = ps_strdup(to, err);
    return *what && *with ? 0 : -1;
}
