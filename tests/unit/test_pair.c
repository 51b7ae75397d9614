/*
 * test_pair.c - pairs as tokens: alignment, roles, answers, and what is refused.
 *
 * The tokenizer is tests/fixtures/pair-tokenizer: a few words are one token each, every other
 * word is as many as it has bytes.
 */
#include "patchsweep/pair.h"

#include <stdlib.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/mem.h"

#define TOKENIZER "tests/fixtures/pair-tokenizer/tokenizer.json"
enum { BOS = 460, VOCAB = 461 };

static char job_path[] = "/tmp/test_pair.XXXXXX";
static ps_tokenizer *tokenizer;

/* A job and its pairs. */
typedef struct built {
    ps_job *job;
    ps_pair *pairs;
} built;

static int build(built *out, const char *text, const ps_tokenizer *with, int64_t vocab, ps_err *err)
{
    FILE *f = fopen(job_path, "w");

    *out = (built){NULL, NULL};
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
    if (ps_job_read(&out->job, job_path, NULL, 0, err) < 0)
        return -1;
    return ps_pairs_build(&out->pairs, out->job, with, vocab, err);
}

static void release(built *b)
{
    ps_pairs_free(b->pairs, b->job ? b->job->n_pairs : 0);
    ps_job_free(b->job);
}

/* As build(); a failure fails the test. */
static bool good(built *out, const char *text, const ps_tokenizer *with)
{
    ps_err err = PS_ERR_INIT;

    if (build(out, text, with, VOCAB, &err) == 0)
        return true;
    CHECK_STR(err.text, "");
    release(out);
    return false;
}

static void check_strings(char **seen, const char *const *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_STR(seen[i], wanted[i]);
}

#define QUESTION                                                                                   \
    "{\"model\":\"m\",\"template\":\"Q: Which has a profession in common with {subject}? "         \
    "{entities}.\\nA:\","                                                                          \
    "\"fill\":{\"entities\":\"Brad Pitt, Isaac Newton\"},\"pairs\":["
#define EINSTEIN                                                                                   \
    "{\"id\":\"einstein-swift\",\"clean\":{\"subject\":\"Albert "                                  \
    "Einstein\"},\"corrupt\":{\"subject\":\"Taylor Swift\"},"
#define PROMPTS(a, b)                                                                              \
    "{\"model\":\"m\",\"pairs\":[{\"clean_prompt\":\"" a "\",\"corrupt_prompt\":\"" b "\","

/* ---- good pairs ---- */

static void test_ids(void)
{
    built b;

    if (!good(&b,
              "{\"model\":\"m\",\"pairs\":[{\"clean_ids\":[1,2,3],\"corrupt_ids\":[1,4,3],\"answer_"
              "id\":5}]}",
              NULL))
        return;
    const ps_pair *p = &b.pairs[0];
    CHECK_INT(p->n_positions, 3);
    CHECK_INT(p->first_difference, 1);
    CHECK_INT(p->ids[PS_CORRUPT][1], 4);
    check_strings(p->token[PS_CLEAN], (const char *const[]){"", "", ""}, 3);
    check_strings(p->piece[PS_CORRUPT], (const char *const[]){"", "", ""}, 3);
    check_strings(p->role, (const char *const[]){"text", "text", "last"}, 3);
    check_strings(p->span, (const char *const[]){"", "", ""}, 3);
    CHECK_INT(p->answer_id, 5);
    CHECK_INT(p->foil_id, -1);
    CHECK_STR(p->answer_token, "");
    CHECK_STR(p->foil_token, "");
    CHECK(!p->answer_cut && !p->foil_cut);
    CHECK_INT(p->n_misaligned, 0);
    release(&b);
}

static void test_template(void)
{
    static const char *const tokens[] = {"<|begin_of_text|>",
                                         "Q",
                                         ":",
                                         " Which",
                                         " has",
                                         " a",
                                         " profession",
                                         " in",
                                         " common",
                                         " with",
                                         " Albert",
                                         " Einstein",
                                         "?",
                                         " Brad",
                                         " Pitt",
                                         ",",
                                         " Isaac",
                                         " Newton",
                                         ".\n",
                                         "A",
                                         ":"};
    static const char *const roles[] = {
        "bos",      "text",     "text",     "text",     "text",    "text", "text",
        "text",     "text",     "text",     "subject",  "subject", "text", "entities",
        "entities", "entities", "entities", "entities", "text",    "text", "last"};
    static const char *const spans[] = {"",       "",       "",       "",      "",     "", "",
                                        "",       "",       "",       "first", "last", "", "first",
                                        "middle", "middle", "middle", "last",  "",     "", ""};
    enum { N = sizeof tokens / sizeof *tokens + 1 }; /* "." and "\n" are two */
    built b;

    if (!good(&b, QUESTION EINSTEIN "\"answer\":\" Isaac\",\"foil\":\" Brad\"}]}", tokenizer))
        return;
    const ps_pair *p = &b.pairs[0];
    CHECK_INT(p->n_positions, N);
    CHECK_INT(p->first_difference, 10);
    if (p->n_positions == N) {
        check_strings(p->token[PS_CLEAN], tokens, 18);
        check_strings(p->role, roles, 18);
        check_strings(p->span, spans, 18);
        check_strings(p->token[PS_CLEAN] + 18, (const char *const[]){".", "\n", "A", ":"}, 4);
        check_strings(p->role + 18, (const char *const[]){"text", "text", "text", "last"}, 4);
        CHECK_STR(p->token[PS_CORRUPT][10], " Taylor");
        CHECK_STR(p->piece[PS_CORRUPT][11], "\xc4\xa0Swift");
        CHECK_STR(p->piece[PS_CLEAN][0], "<|begin_of_text|>");
    }
    CHECK_INT(p->ids[PS_CLEAN][0], BOS);
    CHECK_STR(p->answer_token, " Isaac");
    CHECK_STR(p->foil_token, " Brad");
    CHECK(!p->answer_cut && !p->foil_cut);
    CHECK_INT(p->n_misaligned, 0);
    release(&b);
}

/* A placeholder at the end keeps its role; one token is "only"; a second occurrence starts anew. */
static void test_spans(void)
{
    built b;

    if (!good(&b,
              "{\"model\":\"m\",\"template\":\"Q {a} "
              "{a}{b}\",\"pairs\":[{\"clean\":{\"a\":\"Albert\",\"b\":\"\"},"
              "\"corrupt\":{\"a\":\"Taylor\",\"b\":\"\"},\"answer_id\":3}]}",
              tokenizer))
        return;
    const ps_pair *p = &b.pairs[0];
    CHECK_INT(p->n_positions, 4);
    check_strings(p->role, (const char *const[]){"bos", "text", "a", "a"}, 4);
    check_strings(p->span, (const char *const[]){"", "", "only", "only"}, 4);
    release(&b);
}

/* As many tokens, but not in the same placeholders. */
static void test_misaligned(void)
{
    built b;
    ps_text table = {0};

    if (!good(&b,
              "{\"model\":\"m\",\"template\":\"{a} "
              "{b}:\",\"pairs\":[{\"clean\":{\"a\":\"A\",\"b\":\"Albert Einstein\"},"
              "\"corrupt\":{\"a\":\"A Taylor\",\"b\":\"Swift\"},\"answer_id\":3}]}",
              tokenizer))
        return;
    CHECK_INT(b.pairs[0].n_misaligned, 1);
    check_strings(b.pairs[0].role, (const char *const[]){"bos", "a", "b", "b", "last"}, 5);
    ps_pairs_table(b.pairs, 1, &table);
    CHECK(strstr(ps_text_str(&table),
                 "1 position stands in another placeholder in the corrupt prompt"));
    ps_text_release(&table);
    release(&b);
}

/* Ids are taken as they are, and have tokens where there is a tokenizer; bytes show as they decode.
 */
static void test_ids_with_tokenizer(void)
{
    built b;

    /* 188: the byte 0; 103: a byte that is half a character */
    if (!good(&b,
              "{\"model\":\"m\",\"pairs\":[{\"clean_ids\":[460,188,103,48],\"corrupt_ids\":[460,"
              "188,103,32],"
              "\"answer\":\" Isaac\",\"foil_id\":460}]}",
              tokenizer))
        return;
    const ps_pair *p = &b.pairs[0];
    check_strings(p->token[PS_CLEAN],
                  (const char *const[]){"<|begin_of_text|>", "\xe2\x90\x80", "\xef\xbf\xbd", "Q"},
                  4);
    check_strings(p->piece[PS_CLEAN],
                  (const char *const[]){"<|begin_of_text|>", "\xc4\x80", "\xc2\xaa", "Q"}, 4);
    check_strings(p->role, (const char *const[]){"bos", "text", "text", "last"}, 4);
    CHECK_STR(p->foil_token, "<|begin_of_text|>");
    release(&b);
}

/* ---- the table ---- */

static void test_table(void)
{
    static const char wanted[] =
        "pair            tokens  differ at  placeholders                   answer        foil\n"
        "einstein-swift      22         10  subject 10-11, entities 13-17 ";
    built b;
    ps_text table = {0};

    if (!good(&b,
              QUESTION EINSTEIN "\"answer\":\" Isaac\",\"foil\":\" Isabel\"},"
                                "{\"clean_prompt\":\"<|begin_of_text|>Q\",\"corrupt_prompt\":\"<|"
                                "begin_of_text|>A\",\"answer\":\"  Isaac\"}]}",
              tokenizer))
        return;
    CHECK(b.pairs[0].foil_cut && b.pairs[1].answer_cut);
    ps_pairs_table(b.pairs, 2, &table);
    const char *text = ps_text_str(&table);
    if (strncmp(text, wanted, sizeof wanted - 1)) {
        CHECK_STR(text, wanted);
    }
    CHECK(strstr(text, "' Isaac' 345"));
    CHECK(strstr(text, "# foil: several tokens, of which the first counts\n"));
    CHECK(strstr(text, "# answer: its first token, which counts, is only white space: try it "
                       "without the leading space; "
                       "begins with two begin-of-text tokens"));
    ps_text_release(&table);
    release(&b);
}

static void test_table_of_ids(void)
{
    built b;
    ps_text table = {0};

    if (!good(&b,
              "{\"model\":\"m\",\"pairs\":[{\"clean_ids\":[1,2],\"corrupt_ids\":[1,4],\"answer_"
              "id\":5}]}",
              NULL))
        return;
    ps_pairs_table(b.pairs, 1, &table);
    CHECK_STR(ps_text_str(&table), "pair      tokens  differ at  answer  foil\n"
                                   "pair0000       2          1  5       -\n");
    ps_text_release(&table);
    release(&b);
}

/* ---- what is refused ---- */

static void test_bad_pairs(void)
{
    static const struct {
        const char *job, *words;
    } cases[] = {
        {QUESTION EINSTEIN
         "\"answer\":\" Isaac\"},"
         "{\"id\":\"x\",\"clean\":{\"subject\":\"Albert "
         "Einstein\"},\"corrupt\":{\"subject\":\"Swift\"},\"answer\":\" Isaac\"}]}",
         "pairs[1] 'x': clean has 22 tokens, corrupt 21; they must be equally many: from position "
         "10 on they differ, "
         "clean ...| in| common| with| Albert| Einstein|?| Brad| Pitt|,|... "
         "corrupt ...| in| common| with| Swift|?| Brad| Pitt|,| Isaac|...; choose"},
        {PROMPTS("Q", "Q A") "\"answer\":\"A\"}]}",
         "from position 2 on they differ, clean |<|begin_of_text|>|Q| corrupt "
         "|<|begin_of_text|>|Q| A|;"},
        {PROMPTS("Q\\n\\n", "Q\\u001b[1m") "\"answer\":\"A\"}]}", "\\x1b|[|1|m|"},
        {PROMPTS("Q A", "Q A") "\"answer\":\"A\"}]}",
         "pairs[0] 'pair0000': clean and corrupt are the same 3 tokens"},
        {PROMPTS("Q", "A") "\"answer\":\" Isaac\",\"foil\":\" Isaac Newton\"}]}",
         "pairs[0] 'pair0000': answer and foil are the same token, ' Isaac' (345); choose another "
         "foil"},
        {PROMPTS("Q", "A") "\"answer_id\":345,\"foil\":\" Isaac\"}]}",
         "answer and foil are the same token"},
        {PROMPTS("Q", "A") "\"answer_id\":461}]}",
         "answer: its id 461 is outside the model's vocabulary of 461"},
        {PROMPTS("Q", "A") "\"answer_id\":4,\"foil_id\":2147483647}]}",
         "foil: its id 2147483647 is outside"},
        {"{\"model\":\"m\",\"pairs\":[{\"clean_ids\":[1,461],\"corrupt_ids\":[1,2],\"answer_id\":5}"
         "]}",
         "pairs[0] 'pair0000': clean: token 1 has id 461, outside the model's vocabulary of 461"},
        {"{\"model\":\"m\",\"pairs\":[{\"clean_ids\":[1,2],\"corrupt_ids\":[1,2,3],\"answer_id\":5}"
         "]}",
         "clean has 2 tokens, corrupt 3;"},
    };
    ps_err err = PS_ERR_INIT;
    built b;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_ERR(build(&b, cases[i].job, tokenizer, VOCAB, &err), err, PS_EINPUT, cases[i].words);
        CHECK(!strchr(err.text, '\n'));
        release(&b);
    }
    CHECK_ERR(build(&b, PROMPTS("Q", "A") "\"answer\":\"A\"}]}", tokenizer, 300, &err), err,
              PS_EINPUT, "clean: token 0 has id 460, outside the model's vocabulary of 300");
    release(&b);
}

static void test_no_tokenizer(void)
{
    ps_err err = PS_ERR_INIT;
    built b;

    CHECK_ERR(
        build(&b, PROMPTS("Q", "A") "\"answer_id\":4}]}", NULL, VOCAB, &err), err, PS_EINPUT,
        "clean: is text, and the model has no tokenizer.json; give 'clean_ids' and 'corrupt_ids'");
    release(&b);
    CHECK_ERR(build(&b,
                    "{\"model\":\"m\",\"pairs\":[{\"clean_ids\":[1,2],\"corrupt_ids\":[1,3],"
                    "\"answer\":\"A\"}]}",
                    NULL, VOCAB, &err),
              err, PS_EINPUT,
              "answer: is text, and the model has no tokenizer.json; give 'answer_id'");
    release(&b);
    CHECK_ERR(build(&b,
                    "{\"model\":\"m\",\"pairs\":[{\"clean_ids\":[1,2,30],\"corrupt_ids\":[1,3],"
                    "\"answer_id\":4}]}",
                    NULL, VOCAB, &err),
              err, PS_EINPUT, "clean |1|2|30| corrupt |1|3|;");
    release(&b);
}

/* Whatever the tokens, the message stays one line that fits. */
static void test_long_rows(void)
{
    ps_text job = {0};
    ps_err err = PS_ERR_INIT;
    built b;

    ps_text_puts(&job, "{\"model\":\"m\",\"pairs\":[{\"id\":\"long\",\"clean_ids\":[");
    for (int i = 0; i < 100000; i++)
        ps_text_printf(&job, "%s460", i ? "," : "");
    ps_text_puts(&job, "],\"corrupt_ids\":[460,458],\"answer_id\":5}]}");
    CHECK_ERR(build(&b, ps_text_str(&job), tokenizer, VOCAB, &err), err, PS_EINPUT,
              "choose words of as many tokens");
    release(&b);
    ps_text_release(&job);
}

int main(void)
{
    ps_err err = PS_ERR_INIT;
    int fd = mkstemp(job_path);

    if (fd < 0)
        return 1;
    close(fd);
    if (ps_tokenizer_open(&tokenizer, TOKENIZER, &err) < 0) {
        printf("# %s; run from the repository's root\n", err.text);
        return 1;
    }
    RUN(test_ids);
    RUN(test_template);
    RUN(test_spans);
    RUN(test_misaligned);
    RUN(test_ids_with_tokenizer);
    RUN(test_table);
    RUN(test_table_of_ids);
    RUN(test_bad_pairs);
    RUN(test_no_tokenizer);
    RUN(test_long_rows);
    ps_tokenizer_close(tokenizer);
    unlink(job_path);
    return check_done();
}
