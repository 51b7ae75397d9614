/*
 * test_tokenizer.c - ids, texts and spans of every supported kind, and what is refused.
 *
 * tests/fixtures/tokenizers has a small tokenizer.json of each kind and what the `tokenizers`
 * package makes of some texts; here no Python is needed.  PS_LLAMA3_TOKENIZER may name Llama 3's own file.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../../src/tokenizer/unicode.h"
#include "../check.h"
#include "patchsweep/json.h"
#include "patchsweep/text.h"
#include "patchsweep/tokenizer.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))
#define FOLDER "tests/fixtures/tokenizers"


/* ---- as the package does ---- */

/* Are the tokens those of a JSON array of ids? */
static bool same_ids(const ps_tokens *tokens, const ps_node *ids)
{
    size_t i = 0;

    for (const ps_node *n = ps_json_first(ids); n; n = ps_json_next(n), i++)
        if (i >= tokens->n || tokens->at[i].id != (int32_t)ps_json_double(n))
            return false;
    return i == tokens->n;
}

static void check_case(const ps_tokenizer *t, const char *kind, const ps_node *one, bool special)
{
    const char *text = ps_json_string(ps_json_get(one, "text"));
    ps_tokens tokens = {0};
    ps_err err = PS_ERR_INIT;
    char shown[160];

    CHECK_INT(ps_tokenizer_encode(t, text, strlen(text), special, &tokens, &err), 0);
    if (!same_ids(&tokens, ps_json_get(one, special ? "ids" : "plain"))) {
        ps_printable(shown, sizeof shown, text);
        printf("# %s: other ids for '%s' %s\n", kind, shown, err.text);
        check_failed_here++;
    }
    for (size_t i = 0; i < tokens.n; i++)
        CHECK(tokens.at[i].start <= tokens.at[i].end && tokens.at[i].end <= strlen(text));
    ps_tokens_release(&tokens);
}

static void check_decoded(const ps_tokenizer *t, const char *kind, const ps_node *list)
{
    int32_t id = 0;

    for (const ps_node *n = ps_json_first(list); n; n = ps_json_next(n), id++) {
        ps_text text = {0};
        ps_tokenizer_decode(t, id, &text);
        if (ps_json_is(n, PS_JSON_NULL)) /* not to be written in JSON: it holds a NUL */
            CHECK(memchr(ps_text_str(&text), 0, text.n) != NULL);
        else if (strcmp(ps_text_str(&text), ps_json_string(n))) {
            printf("# %s: id %d decodes to '%s', not '%s'\n", kind, (int)id, ps_text_str(&text), ps_json_string(n));
            check_failed_here++;
        }
        ps_text_release(&text);
    }
    CHECK_INT(ps_tokenizer_size(t), id);
}

static void check_kind(const char *kind)
{
    ps_tokenizer *t = NULL;
    ps_json *json = NULL;
    ps_err err = PS_ERR_INIT;
    char path[200];

    snprintf(path, sizeof path, FOLDER "/%s/tokenizer.json", kind);
    CHECK_INT(ps_tokenizer_open(&t, path, &err), 0);
    snprintf(path, sizeof path, FOLDER "/%s/cases.json", kind);
    CHECK_INT(ps_json_read(&json, path, 1 << 20, &err), 0);
    if (t && json) {
        const ps_node *cases = ps_json_get(ps_json_root(json), "cases");
        CHECK(ps_json_count(cases) > 80);
        for (const ps_node *n = ps_json_first(cases); n; n = ps_json_next(n)) {
            check_case(t, kind, n, true);
            check_case(t, kind, n, false);
        }
        check_decoded(t, kind, ps_json_get(ps_json_root(json), "decoded"));
    } else
        printf("# %s: %s\n", kind, err.text);
    ps_json_free(json);
    ps_tokenizer_close(t);
}

static void test_gpt2(void) { check_kind("gpt2"); }
static void test_llama3(void) { check_kind("llama3"); }
static void test_qwen2(void) { check_kind("qwen2"); }
static void test_smollm2(void) { check_kind("smollm2"); }
static void test_llama2(void) { check_kind("llama2"); }
static void test_mistral(void) { check_kind("mistral"); }
static void test_unknowns(void) { check_kind("unknowns"); }

/* ---- a file put together here ---- */

static char path[] = "/tmp/test_tokenizer.XXXXXX";

#define VOCAB "{\"a\":0,\"b\":1,\"ab\":2,\"\xc3\xa9\":3,\"\xe2\x96\x81\":4,\"<0x0A>\":5,\"<0xC3>\":6,\" \":7}"
#define BPE "\"model\":{\"type\":\"BPE\",\"vocab\":" VOCAB ",\"merges\":[\"a b\"]}"
#define ADDED(id, content, flags) "{\"id\":" #id ",\"content\":\"" content "\"," flags "}"
#define PLAIN "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":false"

static void write_file(const char *json)
{
    FILE *f = fopen(path, "w");

    CHECK(f && fputs(json, f) >= 0);
    if (f)
        fclose(f);
}

static ps_tokenizer *open_text(const char *json)
{
    ps_tokenizer *t = NULL;
    ps_err err = PS_ERR_INIT;

    write_file(json);
    if (ps_tokenizer_open(&t, path, &err) < 0) {
        printf("# %s\n", err.text);
        check_failed_here++;
    }
    return t;
}

/* "id:start-end ..." of a text's tokens. */
static const char *encoded(const ps_tokenizer *t, const char *text)
{
    static char out[400];
    ps_tokens tokens = {0};
    ps_err err = PS_ERR_INIT;
    size_t used = 0;

    out[0] = '\0';
    if (ps_tokenizer_encode(t, text, strlen(text), true, &tokens, &err) < 0)
        snprintf(out, sizeof out, "%.300s", err.text);
    for (size_t i = 0; i < tokens.n && used < sizeof out; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%d:%u-%u%s", i ? " " : "", (int)tokens.at[i].id,
                                 tokens.at[i].start, tokens.at[i].end, tokens.at[i].added ? "+" : "");
    ps_tokens_release(&tokens);
    return out;
}

/* Spans are bytes of the text as it came, whatever normalizing did to it. */
static void test_spans(void)
{
    ps_tokenizer *t = open_text("{" BPE ",\"normalizer\":{\"type\":\"NFC\"},\"added_tokens\":["
                                ADDED(8, "<x>", PLAIN) "]}");

    CHECK_STR(encoded(t, "ab"), "2:0-2");
    CHECK_STR(encoded(t, "ae\xcc\x81" "b"), "0:0-1 3:1-4 1:4-5"); /* e and its accent are one */
    CHECK_STR(encoded(t, "\xc3\xa9<x>ab"), "3:0-2 8:2-5 2:5-7");
    CHECK_STR(encoded(t, "zab"), "2:0-2"); /* dropped: no token and no <unk>; the package's spans slip too */
    ps_tokenizer_close(t);

    t = open_text("{" BPE ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":"
                  "\"\xe2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]}}");
    CHECK_STR(encoded(t, "a b"), "4:0-0 0:0-1 4:1-2 1:2-3"); /* what is put in front stands for nothing */
    CHECK_STR(encoded(t, ""), "");
    ps_tokenizer_close(t);
}

static void test_template(void)
{
    ps_tokenizer *t = open_text(
        "{" BPE ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"S\",\"type_id\":0}},"
        "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"E\",\"type_id\":0}}],\"pair\":[],"
        "\"special_tokens\":{\"S\":{\"id\":\"S\",\"ids\":[7,5],\"tokens\":[\"x\",\"y\"]},\"E\":{\"id\":\"E\",\"ids\":[6],\"tokens\":[\"z\"]}}}}");

    CHECK_STR(encoded(t, "a"), "7:0-0+ 5:0-0+ 0:0-1 6:0-0+");
    CHECK_STR(encoded(t, ""), "7:0-0+ 5:0-0+ 6:0-0+");
    ps_tokenizer_close(t);
}

/* Appending leaves what is there; a failure says where. */
static void test_texts(void)
{
    ps_tokenizer *t = open_text("{" BPE "}");
    ps_tokens tokens = {0};
    ps_err err = PS_ERR_INIT;

    CHECK_INT(ps_tokenizer_encode(t, "ab", 2, true, &tokens, &err), 0);
    CHECK_INT(ps_tokenizer_encode(t, "b", 1, true, &tokens, &err), 0);
    CHECK_INT(tokens.n, 2);
    CHECK_ERR(ps_tokenizer_encode(t, "ab\xff", 3, true, &tokens, &err), err, PS_EINPUT, "byte 2");
    CHECK_ERR(ps_tokenizer_encode(t, "\xed\xa0\x80", 3, true, &tokens, &err), err, PS_EINPUT, "byte 0");
    CHECK_ERR(ps_tokenizer_encode(t, "a\xe2\x82", 3, true, &tokens, &err), err, PS_EINPUT, "byte 1");
    CHECK(ps_tokenizer_piece(t, 8) == NULL && ps_tokenizer_piece(t, -1) == NULL);
    CHECK(!ps_tokenizer_is_special(t, 0) && !ps_tokenizer_is_special(t, 99));
    ps_tokens_release(&tokens);
    ps_tokenizer_close(t);
}

/* A heap, not a scan: half a million characters in one piece take a moment. */
static void test_long(void)
{
    enum { N = 500000 };
    ps_tokenizer *t = open_text("{" BPE "}");
    char *text = malloc(N);
    ps_tokens tokens = {0};
    ps_err err = PS_ERR_INIT;
    clock_t start = clock();

    CHECK(text != NULL);
    for (size_t i = 0; text && i < N; i++)
        text[i] = "ab"[i % 2];
    CHECK_INT(ps_tokenizer_encode(t, text, N, true, &tokens, &err), 0);
    CHECK_INT(tokens.n, N / 2);
    CHECK(clock() - start < 20 * CLOCKS_PER_SEC); /* a tenth of a second here; a scan takes hours */
    ps_tokens_release(&tokens);
    free(text);
    ps_tokenizer_close(t);
}

/* ---- composing ---- */

/* Marks that compose with nothing here, by code point: their combining classes. */
static const struct { uint32_t cp; int class; } marks[] = {{0x301, 230}, {0x323, 220}, {0x327, 202}, {0x334, 1}, {0x345, 240}};

/* NFC of x and n marks: x, and the marks by class, those of one class in their order. */
static void check_marks(size_t n)
{
    ps_text text = {0}, wanted = {0};
    ps_aligned source = {0}, out = {0};
    ps_err err = PS_ERR_INIT;
    uint32_t state = 12345, kinds = N_OF(marks);
    unsigned char *kind = malloc(n);
    char c[4];

    ps_text_puts(&text, "x");
    ps_text_puts(&wanted, "x");
    for (size_t i = 0; i < n; i++) {
        kind[i] = (unsigned char)((state = state * 1664525u + 1013904223u) >> 16) % kinds;
        ps_text_add(&text, c, (size_t)ps_utf8_encode(c, marks[kind[i]].cp));
    }
    for (int class = 1; class < 256; class++)
        for (size_t k = 0; k < kinds; k++)
            for (size_t i = 0; marks[k].class == class && i < n; i++)
                if (kind[i] == k)
                    ps_text_add(&wanted, c, (size_t)ps_utf8_encode(c, marks[k].cp));
    CHECK(ps_aligned_original(&source, text.bytes, text.n, &err) == 0 && ps_nfc(&out, &source, &err) == 0);
    CHECK(out.n == wanted.n && !memcmp(out.bytes, wanted.bytes, out.n));
    ps_aligned_release(&source);
    ps_aligned_release(&out);
    ps_text_release(&text);
    ps_text_release(&wanted);
    free(kind);
}

/* Short runs go through utf8proc as they are, long ones are sorted here: the two must not differ. */
static void test_marks(void)
{
    static const size_t counts[] = {1, 3, 40, 126, 127, 128, 129, 200, 5000};
    clock_t start = clock();

    for (size_t i = 0; i < N_OF(counts); i++)
        check_marks(counts[i]);
    check_marks(1000000); /* by swapping neighbours: a day */
    CHECK(clock() - start < 20 * CLOCKS_PER_SEC);
}

/* A mark that decomposes into two of different classes; letters that compose, far behind their base. */
static void test_long_runs(void)
{
    for (size_t n = 1; n <= 1000; n += 333) {
        ps_text text = {0}, wanted = {0};
        ps_aligned source = {0}, out = {0};
        ps_err err = PS_ERR_INIT;
        ps_text_puts(&text, "\xe0\xbd\x80"); /* U+0F40 */
        for (size_t i = 0; i < n; i++)
            ps_text_puts(&text, "\xe0\xbd\xb3"); /* U+0F73 is U+0F71 U+0F72 */
        ps_text_puts(&wanted, "\xe0\xbd\x80");
        for (size_t i = 0; i < n; i++)
            ps_text_puts(&wanted, "\xe0\xbd\xb1");
        for (size_t i = 0; i < n; i++)
            ps_text_puts(&wanted, "\xe0\xbd\xb2");
        ps_text_puts(&text, "e");
        for (size_t i = 0; i < n; i++)
            ps_text_puts(&text, "\xcc\xb4"); /* U+0334 lets a later mark pass */
        ps_text_puts(&text, "\xcc\x81");
        ps_text_puts(&wanted, "\xc3\xa9");
        for (size_t i = 0; i < n; i++)
            ps_text_puts(&wanted, "\xcc\xb4");
        CHECK(ps_aligned_original(&source, text.bytes, text.n, &err) == 0 && ps_nfc(&out, &source, &err) == 0);
        CHECK(out.n == wanted.n && !memcmp(out.bytes, wanted.bytes, out.n));
        ps_aligned_release(&source);
        ps_aligned_release(&out);
        ps_text_release(&text);
        ps_text_release(&wanted);
    }
}

/* ---- added tokens ---- */

/* The longest that stands there counts, whatever begins like it. */
static void test_added_prefixes(void)
{
    ps_tokenizer *t = open_text("{" BPE ",\"added_tokens\":[" ADDED(8, "<ab>", PLAIN) "," ADDED(9, "<", PLAIN) ","
                                ADDED(10, "<b", PLAIN) "," ADDED(11, "<a", PLAIN) "," ADDED(12, "<ab>a", PLAIN) "]}");

    CHECK_STR(encoded(t, "<ab<a<b<ab><"), "11:0-2 1:2-3 11:3-5 10:5-7 8:7-11 9:11-12");
    CHECK_STR(encoded(t, "<ab>a<ab>b<ab"), "12:0-5 8:5-9 1:9-10 11:10-12 1:12-13");
    CHECK_STR(ps_tokenizer_piece(t, 12), "<ab>a");
    CHECK(ps_tokenizer_piece(t, 13) == NULL && ps_tokenizer_size(t) == 13);
    ps_tokenizer_close(t);
}

/* As many as models with codes for sound have, in a text full of what begins like all of them; and a token of
 * spaces that takes the spaces behind it. */
static void test_added_crowd(void)
{
    enum { N = 100000 };
    ps_text json = {0}, text = {0};
    ps_tokens tokens = {0};
    ps_err err = PS_ERR_INIT;
    clock_t start = clock();

    ps_text_puts(&json, "{" BPE ",\"added_tokens\":[" ADDED(7, " ", "\"single_word\":false,\"lstrip\":false,\"rstrip\":true,"
                        "\"normalized\":false,\"special\":false"));
    for (int i = 0; i < N; i++)
        ps_text_printf(&json, "," "{\"id\":%d,\"content\":\"<|code_%d|>\"," PLAIN "}", i + 8, i);
    ps_text_puts(&json, "]}");
    for (int i = 0; i < N; i++)
        ps_text_puts(&text, "<|code_");
    ps_text_puts(&text, "<|code_99999|>");
    for (int i = 0; i < N; i++)
        ps_text_puts(&text, " ");
    ps_tokenizer *t = open_text(ps_text_str(&json));
    CHECK(t && ps_tokenizer_encode(t, text.bytes, text.n, false, &tokens, &err) == 0);
    CHECK(tokens.n > 0 && tokens.at[0].id == N - 1 + 8);
    CHECK_STR(ps_tokenizer_piece(t, 12345 + 8), "<|code_12345|>");
    CHECK(clock() - start < 20 * CLOCKS_PER_SEC); /* half a second here */
    ps_tokens_release(&tokens);
    ps_tokenizer_close(t);
    ps_text_release(&json);
    ps_text_release(&text);
}

/* ---- refusals ---- */

static void refuse(const char *json, const char *words)
{
    ps_tokenizer *t = NULL;
    ps_err err = PS_ERR_INIT;

    write_file(json);
    CHECK_ERR(ps_tokenizer_open(&t, path, &err), err, PS_EINPUT, words);
    CHECK(strstr(err.text, path) != NULL);
    CHECK(t == NULL);
}

static void test_refused_parts(void)
{
    refuse("[]", "an array");
    refuse("{}", "model");
    refuse("{" BPE ",\"surprise\":1}", "'surprise'");
    refuse("{" BPE ",\"version\":\"2.0\"}", "version");
    refuse("{" BPE ",\"truncation\":{}}", "truncation: is set");
    refuse("{" BPE ",\"padding\":{}}", "padding: is set");
    refuse("{" BPE ",\"normalizer\":{\"type\":\"Lowercase\"}}", "normalizer.type: 'Lowercase'");
    refuse("{" BPE ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"NFKC\"}]}}",
           "normalizer.normalizers[1].type: 'NFKC'");
    refuse("{" BPE ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" \"},\"content\":\"\"}}", "'Regex'");
    refuse("{" BPE ",\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}}", "pre_tokenizer.type: 'BertPreTokenizer' is not supported");
    refuse("{" BPE ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"new\":1}}", "'new'");
    refuse("{" BPE ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a+\"},\"behavior\":\"Isolated\",\"invert\":false}}", "'a+'");
    refuse("{" BPE ",\"post_processor\":{\"type\":\"RobertaProcessing\"}}", "'RobertaProcessing'");
    refuse("{" BPE ",\"decoder\":{\"type\":\"WordPiece\"}}", "'WordPiece'");
}

/* Steps that multiply a text's length: a file of some hundred bytes could fill any memory. */
static void test_refused_growth(void)
{
#define TIMES_9 "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaa\"}"
    static const char *const step = "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}";
    char json[2000];

    refuse("{" BPE ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[" TIMES_9 "," TIMES_9 "]}}",
           "normalizer.normalizers[1]: makes a text more than 64 times as long");
    refuse("{" BPE ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[" TIMES_9 "," TIMES_9 "]}}",
           "decoder.decoders[1]: makes a text more than 64 times as long");
    refuse("{" BPE ",\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"12345678901234567\"}}", "prepends more than 16 bytes");
    snprintf(json, sizeof json, "{" BPE ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[%s,%s,%s,%s]}}", step,
             step, step, step);
    refuse(json, "pre_tokenizer.pretokenizers[3]: makes a text more than 64 times as long");
    ps_tokenizer_close(open_text("{" BPE ",\"normalizer\":" TIMES_9 ",\"decoder\":" TIMES_9 "}"));
}

static void test_refused_models(void)
{
#define MODEL(more) "{\"model\":{\"type\":\"BPE\",\"vocab\":" VOCAB ",\"merges\":[]" more "}}"
#define MERGES(list) "{\"model\":{\"vocab\":" VOCAB ",\"merges\":" list "}}"
    refuse("{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "model.type: 'Unigram'");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", "model.merges");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "model.vocab: the id of 'a'");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1.5},\"merges\":[]}}", "the id of 'a'");
    refuse("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4000000000},\"merges\":[]}}", "the id of 'a'");
    refuse(MODEL(",\"dropout\":0.1"), "model.dropout");
    refuse(MODEL(",\"continuing_subword_prefix\":\"##\""), "model.continuing_subword_prefix");
    refuse(MODEL(",\"end_of_word_suffix\":\"</w>\""), "model.end_of_word_suffix");
    refuse(MODEL(",\"fuse_unk\":1"), "model.fuse_unk: is a number");
    refuse(MODEL(",\"novelty\":1"), "'novelty'");
    refuse(MERGES("[\"a b\",\"a x\"]"), "model.merges[1]: 'x' is not in model.vocab");
    refuse(MERGES("[\"b a\"]"), "'ba' is not in model.vocab");
    refuse(MERGES("[\"a b a\"]"), "model.merges[0]");
    refuse(MERGES("[[\"a\"]]"), "model.merges[0]");
    refuse(MERGES("[\"a b\",[\"a\",\"b\"]]"), "model.merges[1]");
}

static void test_refused_added(void)
{
#define LIST(items) "{" BPE ",\"added_tokens\":[" items "]}"
    refuse(LIST("{\"id\":8,\"content\":\"x\"}"), "added_tokens[0].single_word: is missing");
    refuse(LIST(ADDED(9, "x", PLAIN)), "'x' has id 9 here, and the tokenizers package would give it 8");
    refuse(LIST(ADDED(3, "a", PLAIN)), "'a' has id 3 here");
    refuse(LIST(ADDED(8, "x", PLAIN) "," ADDED(8, "y", PLAIN)), "added_tokens[1]");
    refuse(LIST(ADDED(8, "", PLAIN)), "empty");
    refuse("{" BPE ",\"normalizer\":{\"type\":\"NFC\"},\"added_tokens\":["
           ADDED(8, "o\xcc\x81", "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":true,\"special\":false") ","
           ADDED(9, "\xc3\xb3", "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":true,\"special\":false")
           "]}", "same text once normalized");
}

/* ---- Llama 3's own file, where there is one ---- */

static void test_llama3_file(void)
{
    static const char prompt[] = "Q: Which of the following entities has a profession in common with Albert Einstein? "
                                 "Brad Pitt, Isaac Newton, Michael Jackson.\nA:";
    static const int32_t wanted[] = {128000, 48, 25, 16299, 315, 279, 2768, 15086, 706, 264, 4913, 304, 4279, 449,
                                     17971, 55152, 30, 17478, 21823, 11, 42608, 21324, 11, 8096, 13972, 627, 32, 25};
    const char *file = getenv("PS_LLAMA3_TOKENIZER");
    ps_tokenizer *t = NULL;
    ps_tokens tokens = {0};
    ps_err err = PS_ERR_INIT;

    if (!file || !*file) {
        check_skip("PS_LLAMA3_TOKENIZER does not name Llama 3's tokenizer.json");
        return;
    }
    CHECK_INT(ps_tokenizer_open(&t, file, &err), 0);
    if (!t)
        return;
    CHECK_INT(ps_tokenizer_encode(t, prompt, strlen(prompt), true, &tokens, &err), 0);
    CHECK_INT(tokens.n, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < tokens.n && i < sizeof wanted / sizeof *wanted; i++)
        CHECK_INT(tokens.at[i].id, wanted[i]);
    CHECK(tokens.n && tokens.at[0].added);
    CHECK_STR(encoded(t, " Albert Einstein"), "128000:0-0+ 17971:0-7 55152:7-16");
    CHECK_STR(encoded(t, " Taylor Swift"), "128000:0-0+ 16844:0-7 24594:7-13");
    CHECK_STR(ps_tokenizer_piece(t, 17971), "\xc4\xa0" "Albert");
    CHECK(ps_tokenizer_is_special(t, 128000));
    ps_tokens_release(&tokens);
    ps_tokenizer_close(t);
}

int main(void)
{
    int fd = mkstemp(path);

    if (fd < 0)
        return 1;
    close(fd);
    RUN(test_gpt2);
    RUN(test_llama3);
    RUN(test_qwen2);
    RUN(test_smollm2);
    RUN(test_llama2);
    RUN(test_mistral);
    RUN(test_unknowns);
    RUN(test_spans);
    RUN(test_template);
    RUN(test_texts);
    RUN(test_long);
    RUN(test_refused_parts);
    RUN(test_marks);
    RUN(test_long_runs);
    RUN(test_added_prefixes);
    RUN(test_added_crowd);
    RUN(test_refused_growth);
    RUN(test_refused_models);
    RUN(test_refused_added);
    RUN(test_llama3_file);
    unlink(path);
    return check_done();
}
