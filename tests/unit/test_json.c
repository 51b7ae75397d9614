/*
 * test_json.c - what the reader refuses and where it points, and how values are taken apart.
 *
 * Each text is parsed from a block of exactly its size, so that a read behind it is seen.
 */
#include "patchsweep/json.h"

#include <stdlib.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/mem.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))
#define TEXT(s) s, sizeof(s) - 1

static ps_json *parse(const char *text, size_t n, ps_err *err)
{
    ps_json *json = NULL;
    char *copy = malloc(n ? n : 1);

    memcpy(copy, text, n);
    int rc = ps_json_parse(&json, copy, n, err);
    CHECK(rc == 0 ? json != NULL : rc == -1 && !json && err->code == PS_EINPUT);
    free(copy);
    return json;
}

static const struct refusal {
    const char *text;
    size_t n;
    const char *message; /* how it begins */
} refusals[] = {
    {TEXT(""), "1:1: empty, not JSON"},
    {TEXT("  \n "), "2:"},
    {TEXT("\xef\xbb\xbf{}"), "1:1: byte order mark"},
    {TEXT("[\0]"), "1:2: NUL byte"},
    {TEXT("{}\0"), "1:3: NUL byte"},
    {TEXT("[\"a\0b\"]"), "1:4: control character in a string"},
    {TEXT("[\"\\u0000\"]"), "1:3: \\u0000 in a string"},
    {TEXT("{\"a\\u0000b\": 1}"), "1:4: \\u0000 in a string"},
    {TEXT("[\"\\\\\\u0000\"]"), "1:5: \\u0000 in a string"},
    {TEXT("[\"\\u00"), "1:3: \\u without four hexadecimal digits"},
    {TEXT("[\"\\u12g4\"]"), "1:3: \\u without four hexadecimal digits"},
    {TEXT("[\"\\ud800\"]"), "1:3: half of a surrogate pair"},
    {TEXT("[\"\\ud83d\\u0041\"]"), "1:3: half of a surrogate pair"},
    {TEXT("[\"\\udc00\\ud800\"]"), "1:3: half of a surrogate pair"},
    {TEXT("[\"\\ud83d\\ude0"), "1:3: half of a surrogate pair"},
    {TEXT("[\"\\ud83d\\ude00\\u0000\"]"), "1:15: \\u0000 in a string"},
    {TEXT("[\"\\x41\"]"), "1:"},
    {TEXT("[\"\t\"]"), "1:3: control character in a string"},
    {TEXT("[\"a\nb\"]"), "1:4: control character in a string"},
    {TEXT("[\"\x1f\"]"), "1:3: control character in a string"},
    {TEXT("[\"abc"), "1:6: string without its closing quote"},
    {TEXT("[\"abc\\\""), "1:8: string without its closing quote"},
    {TEXT("[\"abc\\"), "1:7: string without its closing quote"},
    {TEXT("[01]"), "1:2: number with a leading zero"},
    {TEXT("[-01]"), "1:3: number with a leading zero"},
    {TEXT("[00]"), "1:2: number with a leading zero"},
    {TEXT("[1.]"), "1:4: number without digits after its point"},
    {TEXT("[1.e5]"), "1:4: number without digits after its point"},
    {TEXT("[1e]"), "1:4: number without digits in its exponent"},
    {TEXT("[1e+]"), "1:5: number without digits in its exponent"},
    {TEXT("[-]"), "1:3: number without digits"},
    {TEXT("-"), "1:2: number without digits"},
    {TEXT("1."), "1:3: number without digits after its point"},
    {TEXT("1e"), "1:3: number without digits in its exponent"},
    {TEXT("[.5]"), "1:2: "},
    {TEXT("[+1]"), "1:2: "},
    {TEXT("[0x10]"), "1:"},
    {TEXT("[1_000]"), "1:"},
    {TEXT("[NaN]"), "1:2: "},
    {TEXT("[-Infinity]"), "1:3: number without digits"},
    {TEXT("[1e999]"), "1:2: number past the largest double"},
    {TEXT("[0, -1e309]"), "1:5: number past the largest double"},
    {TEXT("[0.1111111111111111111111111111111111111111111111111111111111111111]"),
     "1:2: number of more than 63 characters"},
    {TEXT("{} {}"), "1:4: text after the value"},
    {TEXT("[1] x"), "1:5: text after the value"},
    {TEXT("1 2"), "1:3: text after the value"},
    {TEXT("\"a\"\"b\""), "1:4: text after the value"},
    {TEXT("{}\n,"), "2:1: text after the value"},
    {TEXT("{}}"), "1:3: text after the value"},
    {TEXT("null null"), "1:6: not valid JSON"},
    {TEXT("[1,]"), "1:4: "},
    {TEXT("{\"a\": 1,}"), "1:9: not a key in double quotes"},
    {TEXT("{a: 1}"), "1:2: not a key in double quotes"},
    {TEXT("{'a': 1}"), "1:2: not a key in double quotes"},
    {TEXT("{\"a\" 1}"), "1:6: "},
    {TEXT("{\"a\": tru}"), "1:7: "},
    {TEXT("{\n  \"a\": 1,\n  \"b\": nul\n}"), "3:8: "},
    {TEXT("{\n  \"a\": 1\n  \"b\": 2\n}"), "3:3: "},
    {TEXT("[1, 2 // two\n]"), "1:7: "},
    {TEXT("[1 2]"), "1:4: "},
    {TEXT("[True]"), "1:2: "},
    {TEXT("["), "1:"},
    {TEXT("]"), "1:1: "},
    {TEXT("[}"), "1:2: "},
    {TEXT("[1]\v"), "1:4: unexpected character"},
    {TEXT("[1]\xc2\xa0"), "1:4: unexpected character"},
    {TEXT("[\x7f]"), "1:2: unexpected character"},
    {TEXT("[\"\xff\"]"), "1:3: not valid UTF-8"},
    {TEXT("{\n\"\xc3\": 1}"), "2:2: not valid UTF-8"},
    {TEXT("[\"\xed\xa0\x80\"]"), "1:3: not valid UTF-8"},
    {TEXT("[\"\xc0\xaf\"]"), "1:3: not valid UTF-8"},
    {TEXT("[\"\xf0\x9f\x98"), "1:3: not valid UTF-8"},
    {TEXT("{\"a\": 1, \"a\": 2}"), "duplicate key 'a' in one object"},
    {TEXT("{\"a\": 1, \"\\u0061\": 2}"), "duplicate key 'a' in one object"},
    {TEXT("{\"x\": [{\"b\": 1, \"a\": 1, \"b\": 1}]}"), "duplicate key 'b' in one object"},
    {TEXT("{\"\": 1, \"\": 2}"), "duplicate key '' in one object"},
    {TEXT("{\"\xc3\xa9\": 1, \"\\u00e9\": 2}"), "duplicate key '\xc3\xa9' in one object"},
};

static void refused_where_it_stands(void)
{
    for (size_t i = 0; i < N_OF(refusals); i++) {
        const struct refusal *r = &refusals[i];
        ps_err err = PS_ERR_INIT;
        ps_json *json = parse(r->text, r->n, &err);
        if (json || strncmp(err.text, r->message, strlen(r->message)))
            printf("# %s: '%s', wanted '%s'\n", r->text, json ? "accepted" : err.text, r->message);
        CHECK(!json && !strncmp(err.text, r->message, strlen(r->message)));
        ps_json_free(json);
    }
}

static void accepted(void)
{
    static const char *const texts[] = {
        "{}", "[]", "null", "true", "\"x\"", " \t\r\n[ ] \n", "0", "-0", "0.5e-3", "1E+2", "1e-999", "[\"\\\\u0000\"]",
        "{\"a\": 1, \"A\": 2}", "[{\"a\": 1}, {\"a\": 1}]", "{\"a\": {\"a\": 1}}", "[\"\x7f\xc2\x80\"]",
        "[\"[[{{]]\", \"01 1. \\\" \"]", "[\"\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\"]", "[\"\xef\xbb\xbf\"]",
    };

    for (size_t i = 0; i < N_OF(texts); i++) {
        ps_err err = PS_ERR_INIT;
        ps_json *json = parse(texts[i], strlen(texts[i]), &err);
        if (!json)
            printf("# %s: %s\n", texts[i], err.text);
        CHECK(json != NULL);
        ps_json_free(json);
    }
}

static void nesting(void)
{
    for (int objects = 0; objects < 2; objects++)
        for (int depth = 199; depth <= 100000; depth += depth < 202 ? 1 : 99798) {
            char *text = malloc((size_t)depth * 6 + 1);
            size_t n = 0;
            ps_err err = PS_ERR_INIT;
            for (int i = 0; i < depth; i++)
                n += (size_t)sprintf(text + n, objects && i < depth - 1 ? "{\"k\":" : objects ? "{" : "[");
            for (int i = 0; i < depth; i++)
                n += (size_t)sprintf(text + n, objects ? "}" : "]");
            ps_json *json = parse(text, n, &err);
            CHECK((json != NULL) == (depth <= 200));
            CHECK(json || strstr(err.text, "nested deeper than 200 levels"));
            CHECK(json || objects || !strncmp(err.text, "1:201:", 6));
            ps_json_free(json);
            free(text);
        }
}

/* Whatever a text is cut to, or has one byte of it changed to, is parsed or refused. */
static void damage(void)
{
    static const char text[] = "{\"a\": [1, -2.5e3, \"x\\u00e9\\n\xc3\xa9\", null], \"b\": {\"c\": true}}";
    size_t n = sizeof text - 1;

    for (size_t cut = 0; cut < n; cut++) {
        ps_err err = PS_ERR_INIT;
        ps_json *json = parse(text, cut, &err);
        CHECK(!json);
        ps_json_free(json);
    }
    for (size_t i = 0; i < n; i++)
        for (int byte = 0; byte < 256; byte++) {
            char changed[sizeof text];
            ps_err err = PS_ERR_INIT;
            memcpy(changed, text, sizeof text);
            changed[i] = (char)byte;
            ps_json_free(parse(changed, n, &err));
        }
}

/* ---- values ---- */

static void integers(void)
{
    static const struct {
        const char *text;
        int integer;
        int64_t value;
    } cases[] = {
        {"4", 1, 4},         {"-4", 1, -4},     {"0", 1, 0},   {"-0", 1, 0},    {"2147483648", 1, 2147483648},
        {"4.0", 0, 0},       {"1e1", 0, 0},     {"1E1", 0, 0}, {"10e-1", 0, 0}, {"0.5", 0, 0},
        {"140000000001", 1, 140000000001},
        {"9007199254740991", 1, 9007199254740991},
        {"-9007199254740991", 1, -9007199254740991},
        {"9007199254740992", 0, 0},     {"9007199254740993", 0, 0},    {"-9007199254740992", 0, 0},
        {"18446744073709551616", 0, 0}, {"1e400", 0, 0},               {"\"4\"", 0, 0},
        {"true", 0, 0},                 {"null", 0, 0},                {"[4]", 0, 0},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        ps_err err = PS_ERR_INIT;
        int64_t value = 77;
        ps_json *json = parse(cases[i].text, strlen(cases[i].text), &err);
        if (!json)
            continue;
        int integer = ps_json_int(ps_json_root(json), &value);
        if (integer != cases[i].integer)
            printf("# %s\n", cases[i].text);
        CHECK_INT(integer, cases[i].integer);
        CHECK_INT(value, cases[i].integer ? cases[i].value : 77);
        ps_json_free(json);
    }
}

/* How a number was written is told of that number, wherever others stand. */
static void integers_among_others(void)
{
    static const char text[] = "{\"a\":[1,2.0,{\"b\":3,\"n\":\"7 8\"},[]],\"c\":4e0,\"d\":5,\"e\":{\"f\":[6.5,[7]]},\"8\":9}";
    static const char wanted[] = "idididii"; /* i: an integer, d: not */
    char seen[20];
    size_t n = 0;
    const ps_node *stack[20];
    int depth = 0;
    ps_err err = PS_ERR_INIT;
    ps_json *json = parse(TEXT(text), &err);
    int64_t value;

    if (!json)
        return;
    for (const ps_node *at = ps_json_root(json); at;) {
        if (ps_json_is(at, PS_JSON_NUMBER))
            seen[n++] = ps_json_int(at, &value) ? 'i' : 'd';
        stack[depth] = at;
        if (ps_json_first(at)) {
            at = ps_json_first(at);
            depth++;
            continue;
        }
        while (depth > 0 && !ps_json_next(stack[depth]))
            depth--;
        at = depth > 0 ? ps_json_next(stack[depth]) : NULL;
    }
    seen[n] = '\0';
    CHECK_STR(seen, wanted);
    ps_json_free(json);
}

static void walking(void)
{
    static const char text[] = "{\"s\": \"x\\u00e9\\ud83d\\ude00\\n\", \"S\": false, \"n\": -1.5, \"l\": [1, null, []], \"o\": {}}";
    ps_err err = PS_ERR_INIT;
    ps_json *json = parse(TEXT(text), &err);
    const ps_node *root = json ? ps_json_root(json) : NULL, *list = ps_json_get(root, "l");

    CHECK(ps_json_is(root, PS_JSON_OBJECT) && !ps_json_is(root, PS_JSON_ARRAY) && !ps_json_is(NULL, PS_JSON_NULL));
    CHECK_INT(ps_json_count(root), 5);
    CHECK_STR(ps_json_string(ps_json_get(root, "s")), "x\xc3\xa9\xf0\x9f\x98\x80\n");
    CHECK(ps_json_is(ps_json_get(root, "S"), PS_JSON_BOOL) && !ps_json_bool(ps_json_get(root, "S")));
    CHECK(ps_json_double(ps_json_get(root, "n")) == -1.5);
    CHECK(!ps_json_get(root, "N") && !ps_json_get(root, "") && !ps_json_get(list, "s"));
    CHECK_INT(ps_json_count(list), 3);
    CHECK_STR(ps_json_key(list), "l");
    CHECK_STR(ps_json_key(ps_json_first(list)), "");
    CHECK(ps_json_is(ps_json_next(ps_json_first(list)), PS_JSON_NULL));
    CHECK(!ps_json_first(ps_json_get(root, "o")) && !ps_json_first(ps_json_get(root, "s")) && !ps_json_first(NULL));
    CHECK(ps_json_count(ps_json_get(root, "n")) == 0);
    CHECK_STR(ps_json_string(list), "");
    CHECK_STR(ps_json_string(NULL), "");
    CHECK(ps_json_double(list) == 0 && ps_json_double(NULL) == 0 && !ps_json_bool(NULL) && !ps_json_bool(list));
    CHECK_STR(ps_json_type_name(ps_json_type(list)), "an array");
    CHECK_STR(ps_json_type_name(PS_JSON_NULL), "null");
    ps_json_free(json);
    ps_json_free(NULL);
}

static void printing(void)
{
    static const char text[] = "{\"a\":[1,2.5,-3,\"x\\\"\\n\",null,true],\"b\":{},\"caf\xc3\xa9\":[]}";
    ps_err err = PS_ERR_INIT;
    ps_json *json = parse(TEXT(text), &err);
    char *printed = json ? ps_json_print(ps_json_root(json), &err) : NULL;

    CHECK_STR(printed, text);
    ps_free(printed);
    ps_json_free(json);
}

static void files(void)
{
    char path[] = "/tmp/test_json.XXXXXX";
    int fd = mkstemp(path);
    ps_json *json = NULL;
    ps_err err = PS_ERR_INIT;

    CHECK(fd >= 0 && write(fd, "{\"a\": 1}\nx", 10) == 10);
    CHECK_ERR(ps_json_read(&json, path, 100, &err), err, PS_EINPUT, path);
    CHECK(strstr(err.text, "': 2:1: ") != NULL);
    CHECK_ERR(ps_json_read(&json, path, 9, &err), err, PS_EINPUT, "10 bytes, more than the 9");
    CHECK(ftruncate(fd, 8) == 0 && ps_json_read(&json, path, 8, &err) == 0);
    ps_json_free(json);
    CHECK_ERR(ps_json_read(&json, "/tmp", 100, &err), err, PS_EINPUT, "'/tmp' is not a regular file");
    unlink(path);
    CHECK_ERR(ps_json_read(&json, path, 100, &err), err, PS_EINPUT, "cannot open");
    close(fd);
}

int main(void)
{
    RUN(refused_where_it_stands);
    RUN(accepted);
    RUN(nesting);
    RUN(damage);
    RUN(integers);
    RUN(integers_among_others);
    RUN(walking);
    RUN(printing);
    RUN(files);
    return check_done();
}
