/*
 * json.c - cJSON, after a scan that refuses what cJSON wrongly accepts.
 *
 * The text is scanned before cJSON parses it, for errors that show in its characters.  Duplicate keys are found in
 * cJSON's tree, by sorting each object's keys.  ps_node is cJSON's item under another name, and is never defined.
 */
#include "patchsweep/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define MAX_DEPTH 200

/* Marks the numbers written as integers (4, not 4.0 or 1e1), because cJSON keeps only the value of a number.  A bit of
 * item->type that cJSON does not use. */
#define WRITTEN_AS_INTEGER (1 << 16)

struct ps_json {
    cJSON *root;
};

/* For each number in the text, in order, whether it is written as an integer. */
typedef struct numbers {
    bool *integer; /* [n] */
    size_t n, cap;
} numbers;

static const cJSON *item(const ps_node *node)
{
    return (const cJSON *)(const void *)node;
}

static const ps_node *node_of(const cJSON *item)
{
    return (const ps_node *)(const void *)item;
}

/* ---- the scan ---- */

static int refuse(ps_err *err, const char *text, size_t at, const char *what)
{
    size_t line = 1, start = 0;

    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    return ps_err_set(err, PS_EINPUT, "%zu:%zu: %s", line, at - start + 1, what);
}

/* The value of the four hexadecimal digits after a \u, or -1.  cJSON reads other characters as zero: a NUL that would
 * end the string. */
static int code_unit(const char *text, size_t n)
{
    int unit = 0;

    for (size_t i = 0; i < 4; i++) {
        char c = i < n ? text[i] : '\0';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Scan an escape: text[*at] is its backslash, and on return its last character. */
static int scan_escape(const char *text, size_t n, size_t *at, ps_err *err)
{
    const char *s = text + *at;
    size_t left = n - *at;

    if (left < 2 || s[1] != 'u') { /* cJSON checks the others */
        ++*at;
        return 0;
    }
    int unit = code_unit(s + 2, left - 2);
    if (unit < 0)
        return refuse(err, text, *at, "\\u without four hexadecimal digits");
    if (unit == 0)
        return refuse(err, text, *at, "\\u0000 in a string");
    bool high = unit >= 0xd800 && unit < 0xdc00, low = unit >= 0xdc00 && unit < 0xe000;
    int other = high && left > 7 && s[6] == '\\' && s[7] == 'u' ? code_unit(s + 8, left - 8) : -1;
    if (low || (high && (other < 0xdc00 || other > 0xdfff)))
        return refuse(err, text, *at, "half of a surrogate pair");
    *at += high ? 11 : 5;
    return 0;
}

/* Scan a string: text[*at] follows its opening quote, and on return is its closing quote. */
static int scan_string(const char *text, size_t n, size_t *at, ps_err *err)
{
    for (size_t i = *at; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"') {
            *at = i;
            return 0;
        }
        if (c < 0x20)
            return refuse(err, text, i, "control character in a string; write it as \\uNNNN");
        if (c == '\\' && scan_escape(text, n, &i, err) < 0)
            return -1;
    }
    return refuse(err, text, n, "string without its closing quote");
}

/* cJSON reads only 63 characters of a number, and reads 1e999 as infinity. */
static int check_size(const char *text, size_t at, size_t end, ps_err *err)
{
    char copy[64];

    if (end - at >= sizeof copy)
        return refuse(err, text, at, "number of more than 63 characters");
    memcpy(copy, text + at, end - at);
    copy[end - at] = '\0';
    return isfinite(strtod(copy, NULL)) ? 0 : refuse(err, text, at, "number past the largest double");
}

/* Scan a number as RFC 8259 defines it, without 01 and 1., which cJSON accepts. */
static int scan_number(const char *text, size_t n, size_t *at, numbers *seen, ps_err *err)
{
    size_t i = *at, digits;
    bool integer = true;

    i += text[i] == '-';
    if (i + 1 < n && text[i] == '0' && text[i + 1] >= '0' && text[i + 1] <= '9')
        return refuse(err, text, i, "number with a leading zero");
    for (digits = i; i < n && text[i] >= '0' && text[i] <= '9';)
        i++;
    if (i == digits)
        return refuse(err, text, i, "number without digits");
    if (i < n && text[i] == '.') {
        integer = false;
        for (digits = ++i; i < n && text[i] >= '0' && text[i] <= '9';)
            i++;
        if (i == digits)
            return refuse(err, text, i, "number without digits after its point");
    }
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        integer = false;
        i++;
        i += i < n && (text[i] == '+' || text[i] == '-');
        for (digits = i; i < n && text[i] >= '0' && text[i] <= '9';)
            i++;
        if (i == digits)
            return refuse(err, text, i, "number without digits in its exponent");
    }
    if (check_size(text, *at, i, err) < 0)
        return -1;
    *at = i - 1;
    if (ps_grow(&seen->integer, seen->n, &seen->cap, sizeof *seen->integer, err) < 0)
        return -1;
    seen->integer[seen->n++] = integer;
    return 0;
}

/* What the scan has read. */
typedef struct context {
    int depth;                  /* containers that are open */
    bool object[MAX_DEPTH + 1]; /* by depth: whether the container is an object */
    char last;                  /* the last token: '"' a string, '0' a number, else its character; '\0': none */
} context;

/* Whether a key must stand here and `c` does not begin one.  cJSON would report the character after it. */
static bool lacks_key(const context *at, char c)
{
    bool first = at->last == '{';

    return at->depth > 0 && at->object[at->depth] && (first || at->last == ',') && c != '"' &&
           !(first && c == '}');
}

/* Whether the value is complete: then only blanks may follow. */
static bool is_complete(const context *at)
{
    return at->depth == 0 && at->last && strchr("\"0]}", at->last);
}

/* Scan one character outside of strings, or the whole string or number that begins with it. */
static int scan_one(const char *text, size_t n, size_t *i, context *at, numbers *seen, ps_err *err)
{
    char c = text[*i];

    if (c == '\0')
        return refuse(err, text, *i, "NUL byte");
    if (strchr(" \t\n\r", c))
        return 0;
    if ((unsigned char)c > 0x7e || (unsigned char)c < 0x20)
        return refuse(err, text, *i, "unexpected character");
    if (is_complete(at))
        return refuse(err, text, *i, "text after the value");
    if (lacks_key(at, c))
        return refuse(err, text, *i, "not a key in double quotes");
    bool number = c == '-' || (c >= '0' && c <= '9');
    at->last = number ? '0' : c;
    if (c == '"') {
        ++*i;
        return scan_string(text, n, i, err);
    }
    if (number)
        return scan_number(text, n, i, seen, err);
    if (c == '[' || c == '{') {
        if (at->depth == MAX_DEPTH)
            return refuse(err, text, *i, "nested deeper than 200 levels");
        at->object[++at->depth] = c == '{';
    } else if (c == ']' || c == '}')
        at->depth -= at->depth > 0;
    return 0;
}

static int scan(const char *text, size_t n, numbers *seen, ps_err *err)
{
    context at = {.depth = 0};
    size_t bad = ps_utf8_check(text, n);

    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        return refuse(err, text, 0, "byte order mark; save the file without one");
    if (bad < n)
        return refuse(err, text, bad, "not valid UTF-8");
    for (size_t i = 0; i < n; i++)
        if (scan_one(text, n, &i, &at, seen, err) < 0)
            return -1;
    return 0;
}

/* ---- duplicate keys ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_keys(const cJSON *object, ps_err *err)
{
    size_t n = 0, i = 0;
    int rc = 0;

    for (const cJSON *c = object->child; c; c = c->next)
        n++;
    const char **keys = ps_malloc(n, sizeof *keys, err);
    if (!keys)
        return -1;
    for (const cJSON *c = object->child; c; c = c->next)
        keys[i++] = c->string;
    qsort(keys, n, sizeof *keys, by_text);
    for (i = 1; i < n && !rc; i++)
        if (!strcmp(keys[i - 1], keys[i]))
            rc = ps_err_set(err, PS_EINPUT, "duplicate key '%.200s' in one object", keys[i]);
    ps_free(keys);
    return rc;
}

/* Check the keys of every object and mark the integers.  The walk is in the text's order, so the k-th number met is
 * seen->integer[k].  The scan has limited the depth of the recursion. */
static int check_tree(cJSON *at, const numbers *seen, size_t *k, ps_err *err)
{
    if (cJSON_IsNumber(at) && *k < seen->n && seen->integer[(*k)++])
        at->type |= WRITTEN_AS_INTEGER;
    if (cJSON_IsObject(at) && check_keys(at, err) < 0)
        return -1;
    for (cJSON *c = at->child; c; c = c->next)
        if (check_tree(c, seen, k, err) < 0)
            return -1;
    return 0;
}

/* ---- documents ---- */

int ps_json_parse(ps_json **out, const char *text, size_t n, ps_err *err)
{
    const char *end = NULL;
    numbers seen = {0};
    size_t k = 0;
    char *copy = NULL;
    int rc = -1;

    ps_json *json = ps_calloc(1, sizeof *json, err);
    if (!json || scan(text, n, &seen, err) < 0)
        goto out;
    copy = ps_strndup(text, n, err); /* cJSON needs a NUL after it */
    if (!copy)
        goto out;
    json->root = cJSON_ParseWithLengthOpts(copy, n + 1, &end, 1);
    if (!json->root) {
        size_t at = end && end >= copy ? (size_t)(end - copy) : 0;
        refuse(err, text, at < n ? at : n, n ? "not valid JSON" : "empty, not JSON");
        goto out;
    }
    if (check_tree(json->root, &seen, &k, err) < 0)
        goto out;
    *out = json;
    json = NULL;
    rc = 0;
out:
    ps_free(seen.integer);
    ps_free(copy);
    ps_json_free(json);
    return rc;
}

int ps_json_read(ps_json **out, const char *path, size_t max_bytes, ps_err *err)
{
    char *bytes = NULL;
    size_t n = 0;

    if (ps_file_read(path, max_bytes, &bytes, &n, err) < 0)
        return -1;
    int rc = ps_json_parse(out, bytes, n, err);
    ps_free(bytes);
    return rc < 0 ? ps_err_prefix(err, "'%s'", path) : 0;
}

void ps_json_free(ps_json *json)
{
    if (!json)
        return;
    cJSON_Delete(json->root);
    ps_free(json);
}

const ps_node *ps_json_root(const ps_json *json)
{
    return node_of(json->root);
}

/* ---- values ---- */

enum ps_json_type ps_json_type(const ps_node *node)
{
    const cJSON *c = item(node);

    return cJSON_IsBool(c)     ? PS_JSON_BOOL
           : cJSON_IsNumber(c) ? PS_JSON_NUMBER
           : cJSON_IsString(c) ? PS_JSON_STRING
           : cJSON_IsArray(c)  ? PS_JSON_ARRAY
           : cJSON_IsObject(c) ? PS_JSON_OBJECT
                               : PS_JSON_NULL;
}

const char *ps_json_type_name(enum ps_json_type type)
{
    static const char *const names[] = {"null", "true or false", "a number", "a string", "an array", "an object"};

    return names[type];
}

bool ps_json_is(const ps_node *node, enum ps_json_type type)
{
    return node && ps_json_type(node) == type;
}

const ps_node *ps_json_first(const ps_node *parent)
{
    const cJSON *c = item(parent);

    return c && (cJSON_IsArray(c) || cJSON_IsObject(c)) ? node_of(c->child) : NULL;
}

const ps_node *ps_json_next(const ps_node *node)
{
    return node_of(item(node)->next);
}

size_t ps_json_count(const ps_node *parent)
{
    size_t n = 0;

    for (const ps_node *c = ps_json_first(parent); c; c = ps_json_next(c))
        n++;
    return n;
}

const char *ps_json_key(const ps_node *node)
{
    return item(node)->string ? item(node)->string : "";
}

const ps_node *ps_json_get(const ps_node *object, const char *key)
{
    return node_of(cJSON_GetObjectItemCaseSensitive(item(object), key));
}

const char *ps_json_string(const ps_node *node)
{
    return ps_json_is(node, PS_JSON_STRING) ? item(node)->valuestring : "";
}

double ps_json_double(const ps_node *node)
{
    return ps_json_is(node, PS_JSON_NUMBER) ? item(node)->valuedouble : 0;
}

bool ps_json_bool(const ps_node *node)
{
    return cJSON_IsTrue(item(node));
}

bool ps_json_int(const ps_node *node, int64_t *value)
{
    double x = ps_json_double(node);

    if (!ps_json_is(node, PS_JSON_NUMBER) || !(item(node)->type & WRITTEN_AS_INTEGER) ||
        fabs(x) >= 9007199254740992.0) /* 2^53: from there on a double cannot tell neighbouring integers apart */
        return false;
    *value = (int64_t)x;
    return true;
}

char *ps_json_print(const ps_node *node, ps_err *err)
{
    char *text = cJSON_PrintUnformatted(item(node));

    if (!text)
        ps_err_set(err, PS_EFAIL, "out of memory while printing JSON");
    return text;
}
