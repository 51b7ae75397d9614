/*
 * test_text.c - bytes that grow, UTF-8 by RFC 3629's table, and text made harmless.
 */
#include "patchsweep/text.h"

#include <stdlib.h>

#include "../check.h"
#include "patchsweep/json.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))

/* ---- UTF-8 ---- */

static const struct sequence {
    const char *bytes;
    int valid; /* bytes that are */
    const char *what;
} sequences[] = {
    {"", 0, "nothing"},
    {"a\x7f", 2, "ASCII"},
    {"\xc2\x80", 2, "U+0080, the first of two"},
    {"\xdf\xbf", 2, "U+07FF, the last of two"},
    {"\xe0\xa0\x80", 3, "U+0800, the first of three"},
    {"\xed\x9f\xbf", 3, "U+D7FF, before the surrogates"},
    {"\xee\x80\x80", 3, "U+E000, behind them"},
    {"\xef\xbf\xbf", 3, "U+FFFF"},
    {"\xf0\x90\x80\x80", 4, "U+10000, the first of four"},
    {"\xf4\x8f\xbf\xbf", 4, "U+10FFFF, the last"},
    {"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z", 11, "of each length"},
    {"a\x80", 1, "a lone continuation"},
    {"a\xbf", 1, "the last of them"},
    {"a\xc0\x80", 1, "overlong NUL"},
    {"a\xc0\xaf", 1, "overlong slash"},
    {"a\xc1\xbf", 1, "overlong DEL"},
    {"a\xe0\x80\xaf", 1, "overlong slash, of three"},
    {"a\xe0\x9f\xbf", 1, "overlong U+07FF"},
    {"a\xf0\x80\x80\xaf", 1, "overlong slash, of four"},
    {"a\xf0\x8f\xbf\xbf", 1, "overlong U+FFFF"},
    {"a\xed\xa0\x80", 1, "U+D800, a surrogate"},
    {"a\xed\xbf\xbf", 1, "U+DFFF"},
    {"a\xed\xa0\xbd\xed\xb8\x80", 1, "a pair of them (CESU-8)"},
    {"a\xf4\x90\x80\x80", 1, "U+110000"},
    {"a\xf5\x80\x80\x80", 1, "a lead too large"},
    {"a\xf8\x88\x80\x80\x80", 1, "of five"},
    {"a\xfe", 1, "FE"},
    {"a\xff", 1, "FF"},
    {"ab\xc3", 2, "cut after one of two"},
    {"ab\xe2\x82", 2, "cut after two of three"},
    {"ab\xf0\x9f\x98", 2, "cut after three of four"},
    {"ab\xc3z", 2, "a letter for a continuation"},
    {"ab\xe2\x82z", 2, "a letter for the second"},
    {"ab\xf0\x9f\x98\xc3", 2, "a lead for the third"},
};

static void utf8_table(void)
{
    for (size_t i = 0; i < N_OF(sequences); i++) {
        const struct sequence *s = &sequences[i];
        size_t n = strlen(s->bytes);
        char *exact = malloc(n + 1); /* of its size: a read behind it is seen */
        memcpy(exact, s->bytes, n);
        exact = realloc(exact, n ? n : 1);
        if (ps_utf8_check(exact, n) != (size_t)s->valid)
            printf("# %s\n", s->what);
        CHECK_INT(ps_utf8_check(exact, n), s->valid);
        free(exact);
    }
    CHECK_INT(ps_utf8_check("a\0\xff", 3), 2); /* NUL is a character */
}

/* Every code point there is, there and back; surrogates are not valid. */
static void utf8_round_trip(void)
{
    int wrong = 0;

    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        char bytes[4];
        int n = ps_utf8_encode(bytes, cp), len = 0;
        bool surrogate = cp >= 0xd800 && cp < 0xe000;
        if (surrogate) {
            wrong += ps_utf8_check(bytes, (size_t)n) != 0;
            continue;
        }
        wrong += n != (cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4);
        wrong += ps_utf8_check(bytes, (size_t)n) != (size_t)n;
        wrong += ps_utf8_decode(bytes, &len) != cp || len != n;
    }
    CHECK_INT(wrong, 0);
}

/* All sequences of up to three bytes, and of four beginning with F0..F4, against the RFC's
 * grammar written once more, by ranges. */
static bool by_grammar(const unsigned char *u, int n)
{
    static const struct { int n; unsigned char low[4], high[4]; } rows[] = {
        {1, {0x00}, {0x7f}},
        {2, {0xc2, 0x80}, {0xdf, 0xbf}},
        {3, {0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}}, {3, {0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}},
        {3, {0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}}, {3, {0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}},
        {4, {0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}},
        {4, {0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}},
        {4, {0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}},
    };

    for (size_t r = 0; r < N_OF(rows); r++) {
        int i = 0;
        while (rows[r].n == n && i < n && u[i] >= rows[r].low[i] && u[i] <= rows[r].high[i])
            i++;
        if (rows[r].n == n && i == n)
            return true;
    }
    return false;
}

static void utf8_by_grammar(void)
{
    /* The bytes at which a rule changes, and their neighbours. */
    static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2,
                                          0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    const size_t k = N_OF(edges);
    int wrong = 0;

    for (size_t code = 0; code < k * k * k * k; code++) {
        const unsigned char u[4] = {edges[code / k / k / k], edges[code / k / k % k], edges[code / k % k],
                                    edges[code % k]};
        int want = 0;
        for (int at = 0; at < 4;) { /* the longest run of valid sequences */
            int n = 1;
            while (n <= 4 - at && !by_grammar(u + at, n))
                n++;
            if (n > 4 - at)
                break;
            want = at += n;
        }
        wrong += ps_utf8_check((const char *)u, 4) != (size_t)want;
    }
    CHECK_INT(wrong, 0);
}

/* ---- text for a terminal ---- */

static void printable(void)
{
    static const struct { const char *in, *out; } cases[] = {
        {"", ""},
        {"plain \"quoted\" text", "plain \"quoted\" text"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xd7\xa9", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xd7\xa9"},
        {"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"},
        {"\x1b]0;title\x07", "\\x1b]0;title\\x07"},
        {"a\nb", "a\\nb"},
        {"a\tb\rc\x08" "d", "a\\x09b\\x0dc\\x08d"},
        {"\x01\x1f\x7f", "\\x01\\x1f\\x7f"},
        {"\xc2\x9b" "31m", "\\u{009b}31m"}, /* C1: CSI in one character */
        {"\xc2\x80\xc2\x9f\xc2\xa0", "\\u{0080}\\u{009f}\xc2\xa0"},
        {"\x9b" "31m", "\\x9b31m"}, /* and as a lone byte */
        {"\xe2\x80\xae" "evil", "\\u{202e}evil"},
        {"\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad", "\\u{202a}\\u{202b}\\u{202c}\\u{202d}"},
        {"\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9", "\\u{2066}\\u{2067}\\u{2068}\\u{2069}"},
        {"\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c", "\\u{200e}\\u{200f}\\u{061c}"},
        {"\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf", "\\u{2028}\\u{2029}\\u{feff}"},
        {"a\xff\xc3", "a\\xff\\xc3"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xc0\x9b", "\\xc0\\x9b"},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        char out[200];
        ps_printable(out, sizeof out, cases[i].in);
        CHECK_STR(out, cases[i].out);
        CHECK_INT(ps_utf8_check(out, strlen(out)), strlen(out));
    }
}

/* Cut to fit: whole characters and whole escapes only, and nothing behind the end. */
static void printable_is_cut(void)
{
    static const char in[] = "a\xc3\xa9\x1b\xe2\x80\xae\xf0\x9f\x98\x80z", whole[] = "a\xc3\xa9\\x1b\\u{202e}\xf0\x9f\x98\x80z";
    static const size_t ends[] = {0, 1, 3, 7, 15, 19, 20}; /* of the pieces in `whole` */

    for (size_t room = 0; room <= sizeof whole + 2; room++) {
        char *out = malloc(room + 1);
        size_t end = 0;
        memset(out, 'X', room + 1);
        for (size_t i = 0; i < N_OF(ends); i++)
            if (ends[i] + 1 <= room)
                end = ends[i];
        ps_printable(out, room, in);
        CHECK(out[room] == 'X' && (room == 0 || (strlen(out) == end && !memcmp(out, whole, end))));
        free(out);
    }
}

/* About the byte, and all of it where it is short. */
static void excerpts(void)
{
    static const struct {
        const char *text;
        size_t from;
        const char *out;
    } cases[] = {
        {"", 0, ""},
        {"short", 4, "short"},
        {"a\x1b[", 0, "a\\x1b["},
        {"0123456789012345678901234567890123456789012345678901234567890123456789", 0,
         "012345678901234567890123456789012345678901234567890123456789..."},
        {"0123456789012345678901234567890123456789012345678901234567890123456789", 30,
         "...012345678901234567890123456789012345678901234567890123456789"},
    };
    char out[PS_EXCERPT];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_excerpt(out, cases[i].text, strlen(cases[i].text), cases[i].from);
        CHECK_STR(out, cases[i].out);
    }
    char *bad = malloc(100); /* no UTF-8 at all, nor a NUL behind it */
    memset(bad, 0x80, 100);
    ps_excerpt(out, bad, 100, 99);
    CHECK(strlen(out) < PS_EXCERPT && strstr(out, "...\\x80") == out);
    free(bad);
}

/* ---- the buffer ---- */

static void growing(void)
{
    ps_text text = {0};
    ps_err err = PS_ERR_INIT;

    CHECK_STR(ps_text_str(&text), "");
    CHECK_INT(ps_text_ok(&text, &err), 0);
    ps_text_add(&text, "", 0);
    CHECK_STR(ps_text_str(&text), "");
    for (int i = 0; i < 1000; i++)
        ps_text_printf(&text, "%d,", i);
    ps_text_puts(&text, "end");
    ps_text_add(&text, "\0x", 2);
    CHECK_INT(text.n, 10 * 2 + 90 * 3 + 900 * 4 + 3 + 2);
    CHECK(!strncmp(ps_text_str(&text), "0,1,2,", 6) && !memcmp(text.bytes + text.n - 6, ",end\0x", 7));
    CHECK_INT(ps_text_ok(&text, &err), 0);
    ps_text_release(&text);
    CHECK(!text.bytes && text.n == 0);
    ps_text_release(&text); /* twice is fine */

    text.failed = true; /* as after an addition without memory: later ones do nothing */
    ps_text_puts(&text, "x");
    ps_text_printf(&text, "%s", "x");
    CHECK(!text.bytes);
    CHECK_ERR(ps_text_ok(&text, &err), err, PS_EFAIL, "out of memory");
}

/* What is written as a JSON string is read back as it was. */
static void json_strings(void)
{
    static const struct { const char *in, *out; } cases[] = {
        {"", "\"\""}, {"plain", "\"plain\""}, {"a\"b\\c/", "\"a\\\"b\\\\c/\""}, {"\n\t\r", "\"\\n\\u0009\\u000d\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""}, {"caf\xc3\xa9\xf0\x9f\x98\x80", "\"caf\xc3\xa9\xf0\x9f\x98\x80\""},
        {"\xe2\x80\xa8<>&'", "\"\\u2028<>&'\""}, {"\xc2\x9b" "5m\xc2\xa0", "\"\\u009b5m\xc2\xa0\""},
        {"\xe2\x80\xae\xe2\x81\xa6\xef\xbb\xbf", "\"\\u202e\\u2066\\ufeff\""},
        {"a\xff\xe2\x80", "\"a\\ufffd\\ufffd\\ufffd\""},
    };
    char all[256];
    ps_err err = PS_ERR_INIT;

    for (size_t i = 0; i < N_OF(cases); i++) {
        ps_text text = {0};
        ps_text_json(&text, cases[i].in, strlen(cases[i].in));
        CHECK_STR(ps_text_str(&text), cases[i].out);
        ps_text_release(&text);
    }
    for (int i = 0; i < 127; i++)
        all[i] = (char)(i + 1);
    all[127] = '\0';
    ps_text text = {0};
    ps_json *json = NULL;
    ps_text_json(&text, all, 127);
    CHECK(ps_json_parse(&json, ps_text_str(&text), text.n, &err) == 0);
    if (json)
        CHECK_STR(ps_json_string(ps_json_root(json)), all);
    ps_json_free(json);
    ps_text_release(&text);
    ps_text_json(&text, "a\0b", 3); /* the length counts, not the NUL */
    CHECK_STR(ps_text_str(&text), "\"a\\u0000b\"");
    ps_text_release(&text);
}

/* ---- names ---- */

/* ---- errors ---- */

/* An error's text is one line that no terminal obeys, whatever of a file stands in it, and however long. */
static void errors_are_printable(void)
{
    ps_err err = PS_ERR_INIT;
    char longest[3000], shown[4 * sizeof err.text];

    CHECK_INT(ps_err_set(&err, PS_EINPUT, "key '%s'", "\x1b[31m\n\xc2\x9b\xe2\x80\xae\xff"), -1);
    CHECK_STR(err.text, "key '\\x1b[31m\\n\\u{009b}\\u{202e}\\xff'");
    ps_err_prefix(&err, "'%s'", "\x07\r");
    CHECK_STR(err.text, "'\\x07\\x0d': key '\\x1b[31m\\n\\u{009b}\\u{202e}\\xff'");
    ps_err_set(&err, PS_EINPUT, "%s again", err.text); /* its own text may go in */
    CHECK(strstr(err.text, "\\xff' again") != NULL);
    for (size_t i = 0; i + 1 < sizeof longest; i++)
        longest[i] = "a\xe2\x82\xac"[i % 4];
    longest[sizeof longest - 1] = '\0';
    for (size_t n = 0; n < 8; n++) { /* cut where a character ends, at every place of one */
        ps_err_set(&err, PS_EINPUT, "%s", longest + 4 * n);
        ps_err_prefix(&err, "%.*s", (int)n, "12345678");
        CHECK(ps_utf8_check(err.text, strlen(err.text)) == strlen(err.text));
        CHECK(strlen(err.text) > sizeof err.text - 16);
        ps_err_prefix(&err, "%s", longest);
        ps_printable(shown, sizeof shown, err.text);
        CHECK_STR(shown, err.text);
    }
}

static void nearest(void)
{
    static const char *const names[] = {"layers", "positions", "sites", "directions", "metrics", "model", "pairs"};
    static const struct { const char *word, *near; } cases[] = {
        {"layers", "layers"},     {"layer", "layers"},    {"laeyrs", "layers"},   {"site", "sites"},
        {"postions", "positions"}, {"direction", "directions"}, {"metrcs", "metrics"}, {"modle", "model"},
        {"mdoel", "model"},       {"paris", "pairs"},     {"xyzzy", NULL},        {"", NULL},
        {"q", NULL},              {"temperature", NULL},
        {"mode", "model"},        {"mods", NULL},          {"attn_positions", NULL}, {"Layers", "layers"},
    };
    /* Names that differ in a word are others, not mistypings; so are words of one or two letters, and with digits. */
    static const char *const terms[] = {"resid_pre", "resid_post", "mlp_out", "q", "k", "q_by_pos", "k_by_pos", "pattern_by_pos",
                                        "denoise", "kl", "logit_diff", "fp32", "bf16", "cpu", "ref", "answer_id", "run"};
    static const struct { const char *word, *near; } meanings[] = {
        {"attn_out", NULL},  {"mlp_in", NULL},      {"resid_mid", NULL}, {"resid_in", NULL},     {"resid_pos", "resid_post"},
        {"v_by_pos", NULL},  {"x_by_pos", NULL},    {"v", NULL},         {"kv", NULL},           {"qk", NULL},
        {"noise", NULL},     {"logit_foil", NULL},  {"f16", NULL},       {"fp16", NULL},         {"gpu", NULL},
        {"mlp_uot", "mlp_out"}, {"mlpout", "mlp_out"}, {"q_by_psos", "q_by_pos"}, {"patern_by_pos", "pattern_by_pos"},
        {"qbypos", "q_by_pos"}, {"answer_ids", "answer_id"}, {"rnu", "run"}, {"residpre", "resid_pre"}, {"resid-pre", "resid_pre"},
        {"denoize", "denoise"}, {"", NULL}, {"_", NULL}, {"resid_", NULL},
    };
    static const char *const alike[] = {"pairs", "pails", "pair_1", "pair_2"};
    char longest[300];

    for (size_t i = 0; i < N_OF(cases); i++) {
        const char *seen = ps_nearest(cases[i].word, names, N_OF(names));
        if (cases[i].near)
            CHECK_STR(seen, cases[i].near);
        else
            CHECK(!seen);
    }
    for (size_t i = 0; i < N_OF(meanings); i++) {
        const char *seen = ps_nearest(meanings[i].word, terms, N_OF(terms));
        CHECK_STR(seen ? seen : "none", meanings[i].near ? meanings[i].near : "none");
    }
    CHECK(!ps_nearest("paijs", alike, N_OF(alike))); /* either */
    CHECK(!ps_nearest("pair_3", alike, N_OF(alike)));
    CHECK_STR(ps_nearest("pair1", alike, N_OF(alike)), "pair_1");
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK(!ps_nearest(longest, names, N_OF(names))); /* too long to be near, and harmless */
    CHECK(!ps_nearest("layers", names, 0));
}

static void sizes(void)
{
    static const struct { const char *text; uint64_t bytes; } cases[] = {
        {"1000", 1000}, {"1K", 1024}, {"1.5G", 3ull << 29}, {"64GiB", 64ull << 30}, {"2MB", 2 << 20},
        {"", 0}, {"G", 0}, {"0", 0}, {"-1G", 0}, {"1X", 0}, {"1Gi", 0}, {"1GG", 0}, {"nan", 0}, {"1e40", 0},
        {" 1", 0}, {"0.1", 0},
    };

    for (size_t i = 0; i < N_OF(cases); i++) {
        uint64_t bytes = 0;
        CHECK_INT(ps_parse_bytes(cases[i].text, &bytes), cases[i].bytes > 0);
        CHECK_INT(bytes, cases[i].bytes);
    }
}

int main(void)
{
    RUN(sizes);
    RUN(utf8_table);
    RUN(utf8_round_trip);
    RUN(utf8_by_grammar);
    RUN(printable);
    RUN(printable_is_cut);
    RUN(excerpts);
    RUN(growing);
    RUN(json_strings);
    RUN(errors_are_printable);
    RUN(nearest);
    return check_done();
}
