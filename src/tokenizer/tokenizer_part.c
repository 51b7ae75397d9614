/*
 * tokenizer_part.c - getters over a tokenizer.json that know their path.
 *
 * A getter refuses by name what it does not know: ignoring a setting could give
 * wrong ids that look right.
 */
#include "tokenizer_part.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/text.h"

/* Of the steps of one part, taken together: tokenizers have 6 at most, by a space's mark and a byte's character. */
#define MAX_GROWTH 64

ps_part ps_part_get(const ps_part *parent, const char *key)
{
    ps_part part = {.node = ps_json_get(parent->node, key)};

    snprintf(part.path, sizeof part.path, "%.120s%s%s", parent->path, *parent->path ? "." : "", key);
    return part;
}

ps_part ps_part_at(const ps_part *parent, const ps_node *node, size_t i)
{
    ps_part part = {.node = node};

    snprintf(part.path, sizeof part.path, "%.120s[%zu]", parent->path, i);
    return part;
}

bool ps_part_empty(const ps_part *part)
{
    return !part->node || ps_json_is(part->node, PS_JSON_NULL);
}

int ps_part_refuse(const ps_part *part, ps_err *err, const char *fmt, ...)
{
    char what[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return ps_err_set(err, PS_EINPUT, "%s%s%s", part->path, *part->path ? ": " : "", what);
}

int ps_part_want(const ps_part *part, enum ps_json_type type, ps_err *err)
{
    if (ps_json_is(part->node, type))
        return 0;
    if (!part->node)
        return ps_part_refuse(part, err, "is missing");
    return ps_part_refuse(part, err, "is %s, not %s", ps_json_type_name(ps_json_type(part->node)),
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

int ps_part_keys(const ps_part *object, const char *const *names, ps_err *err)
{
    int ignored;

    if (ps_part_want(object, PS_JSON_OBJECT, err) < 0)
        return -1;
    for (const ps_node *n = ps_json_first(object->node); n; n = ps_json_next(n)) {
        char key[80];
        if (among(ps_json_key(n), names, &ignored))
            continue;
        ps_printable(key, sizeof key, ps_json_key(n));
        return ps_part_refuse(object, err, "the key '%s' is not supported; give token ids instead", key);
    }
    return 0;
}

int ps_part_type(const ps_part *object, const char *const *names, int *which, ps_err *err)
{
    const char *type;
    char shown[80];

    if (ps_part_want(object, PS_JSON_OBJECT, err) < 0 ||
        ps_part_string(object, "type", &type, err) < 0)
        return -1;
    if (among(type, names, which))
        return 0;
    ps_part at = ps_part_get(object, "type");
    ps_printable(shown, sizeof shown, type);
    return ps_part_refuse(&at, err, "'%s' is not supported; give token ids instead", shown);
}

int ps_part_bool(const ps_part *object, const char *key, bool *value, ps_err *err)
{
    ps_part part = ps_part_get(object, key);

    if (ps_part_want(&part, PS_JSON_BOOL, err) < 0)
        return -1;
    *value = ps_json_bool(part.node);
    return 0;
}

int ps_part_bool_or(const ps_part *object, const char *key, bool *value, ps_err *err)
{
    ps_part part = ps_part_get(object, key);

    return ps_part_empty(&part) ? 0 : ps_part_bool(object, key, value, err);
}

int ps_part_string(const ps_part *object, const char *key, const char **value, ps_err *err)
{
    ps_part part = ps_part_get(object, key);

    if (ps_part_want(&part, PS_JSON_STRING, err) < 0)
        return -1;
    *value = ps_json_string(part.node);
    return 0;
}

int ps_part_int(const ps_part *object, const char *key, int32_t max, int32_t *value, ps_err *err)
{
    ps_part part = ps_part_get(object, key);
    int64_t n;

    if (ps_part_want(&part, PS_JSON_NUMBER, err) < 0)
        return -1;
    if (!ps_json_int(part.node, &n) || n < 0 || n > max)
        return ps_part_refuse(&part, err, "is not a whole number from 0 to %d", (int)max);
    *value = (int32_t)n;
    return 0;
}

int ps_part_char(const ps_part *object, const char *key, char value[5], int *bytes, ps_err *err)
{
    const char *s;

    if (ps_part_string(object, key, &s, err) < 0)
        return -1;
    if (*s)
        ps_utf8_decode(s, bytes);
    if (!*s || s[*bytes]) {
        ps_part part = ps_part_get(object, key);
        return ps_part_refuse(&part, err, "is not one character");
    }
    memcpy(value, s, (size_t)*bytes + 1);
    return 0;
}

int ps_part_steps(const ps_part *part, const char *const *names, const char *list, ps_part_take take,
                  void *context, ps_err *err)
{
    const char *const keys[] = {"type", list, NULL};
    ps_part steps = ps_part_get(part, list);
    size_t i = 0;
    int which;

    if (ps_part_type(part, names, &which, err) < 0)
        return -1;
    if (which > 0)
        return take(context, part, which, err);
    if (ps_part_keys(part, keys, err) < 0 || ps_part_want(&steps, PS_JSON_ARRAY, err) < 0)
        return -1;
    for (const ps_node *node = ps_json_first(steps.node); node; node = ps_json_next(node)) {
        ps_part at = ps_part_at(&steps, node, i++);
        if (ps_part_steps(&at, names, list, take, context, err) < 0)
            return -1;
    }
    return 0;
}

int ps_part_grow(const ps_part *step, size_t times, size_t *growth, ps_err *err)
{
    size_t before = *growth ? *growth : 1;

    if (times > MAX_GROWTH / before)
        return ps_part_refuse(step, err, "makes a text more than %d times as long; give token ids instead", MAX_GROWTH);
    *growth = times ? before * times : before;
    return 0;
}

int ps_part_replace(const ps_part *step, char **what, char **with, size_t *growth, ps_err *err)
{
    static const char *const keys[] = {"type", "pattern", "content", NULL};
    static const char *const kinds[] = {"String", NULL};
    ps_part pattern = ps_part_get(step, "pattern");
    const char *from, *to;

    if (ps_part_keys(step, keys, err) < 0 || ps_part_want(&pattern, PS_JSON_OBJECT, err) < 0 ||
        ps_part_keys(&pattern, kinds, err) < 0 || ps_part_string(&pattern, "String", &from, err) < 0 ||
        ps_part_string(step, "content", &to, err) < 0)
        return -1;
    if (!*from)
        return ps_part_refuse(&pattern, err, "is empty");
    if (ps_part_grow(step, (strlen(to) + strlen(from) - 1) / strlen(from), growth, err) < 0)
        return -1;
    *what = ps_strdup(from, err);
    *with = ps_strdup(to, err);
    return *what && *with ? 0 : -1;
}
