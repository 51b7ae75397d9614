/* cmd_tokenize.c - show how a text is split into tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opt.h"
#include "patchsweep/file.h"
#include "patchsweep/hub.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"
#include "patchsweep/tokenizer.h"

typedef struct options {
    const char *model;
    bool jsonl, json, no_special;
} options;

static int open_tokenizer(ps_tokenizer **out, const char *model, ps_err *err)
{
    char *dir = NULL, *revision = NULL, *path = NULL;
    int rc = -1;

    if (ps_hub_resolve(&dir, &revision, model, "", NULL, err) == 0 &&
        (path = ps_path_join(dir, "tokenizer.json", err)))
        rc = ps_tokenizer_open(out, path, err);
    ps_free(path);
    ps_free(dir);
    ps_free(revision);
    return rc;
}

/* Format a token's text for people, in quotes. */
static void shown_text(const ps_tokenizer *t, int32_t id, char *out, size_t bytes)
{
    ps_text raw = {0};

    ps_tokenizer_decode(t, id, &raw);
    ps_quoted(out, bytes, ps_text_str(&raw));
    ps_text_release(&raw);
}

static void print_table(const ps_tokenizer *t, const ps_tokens *tokens)
{
    for (size_t i = 0; i < tokens->n; i++) {
        const char *piece = ps_tokenizer_piece(t, tokens->at[i].id);
        char text[256], shown[256];
        shown_text(t, tokens->at[i].id, text, sizeof text);
        ps_printable(shown, sizeof shown, piece ? piece : "");
        printf("%4zu  %6d  %-20s %s%s\n", i, (int)tokens->at[i].id, shown, text,
               tokens->at[i].added ? "  (added by the template)" : "");
    }
}

static void print_json(const ps_tokenizer *t, const ps_tokens *tokens)
{
    ps_text out = {0}, decoded = {0};

    ps_text_puts(&out, "[");
    for (size_t i = 0; i < tokens->n; i++) {
        const ps_token *at = &tokens->at[i];
        const char *piece = ps_tokenizer_piece(t, at->id);
        decoded.n = 0;
        ps_tokenizer_decode(t, at->id, &decoded);
        ps_text_printf(&out, "%s\n {\"position\":%zu,\"id\":%d,\"piece\":", i ? "," : "", i, (int)at->id);
        ps_text_json(&out, piece ? piece : "", piece ? strlen(piece) : 0);
        ps_text_puts(&out, ",\"text\":");
        ps_text_json(&out, ps_text_str(&decoded), decoded.n);
        ps_text_printf(&out, ",\"start\":%u,\"end\":%u}", at->start, at->end);
    }
    printf("%s\n]\n", ps_text_str(&out));
    ps_text_release(&decoded);
    ps_text_release(&out);
}

static void print_ids(const ps_tokens *tokens)
{
    putchar('[');
    for (size_t i = 0; i < tokens->n; i++)
        printf(i ? ",%d" : "%d", (int)tokens->at[i].id);
    printf("]\n");
}

static int tokenize_text(const ps_tokenizer *t, const options *o, const char *text, ps_err *err)
{
    ps_tokens tokens = {0};
    int rc = ps_tokenizer_encode(t, text, strlen(text), !o->no_special, &tokens, err);

    if (rc == 0 && o->json)
        print_json(t, &tokens);
    else if (rc == 0)
        print_table(t, &tokens);
    ps_tokens_release(&tokens);
    return rc;
}

/* Encode a line of JSON: one string in, one array of ids out. */
static int tokenize_line(const ps_tokenizer *t, const options *o, const char *line, size_t n, ps_err *err)
{
    ps_json *json = NULL;
    ps_tokens tokens = {0};
    int rc = ps_json_parse(&json, line, n, err);

    if (rc == 0 && !ps_json_is(ps_json_root(json), PS_JSON_STRING))
        rc = ps_err_set(err, PS_EINPUT, "is %s, not a string",
                        ps_json_type_name(ps_json_type(ps_json_root(json))));
    if (rc == 0) {
        const char *text = ps_json_string(ps_json_root(json));
        rc = ps_tokenizer_encode(t, text, strlen(text), !o->no_special, &tokens, err);
    }
    if (rc == 0)
        print_ids(&tokens);
    ps_tokens_release(&tokens);
    ps_json_free(json);
    return rc;
}

static int tokenize_lines(const ps_tokenizer *t, const options *o, ps_err *err)
{
    char *line = NULL; /* getline's own malloc */
    size_t cap = 0, number = 0;
    ssize_t n;
    int rc = 0;

    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    while (rc == 0 && (n = getline(&line, &cap, stdin)) >= 0) {
        number++;
        if (n && line[n - 1] == '\n')
            n--;
        rc = tokenize_line(t, o, line, (size_t)n, err);
        if (rc < 0)
            ps_err_prefix(err, "standard input, line %zu", number);
    }
    free(line);
    return rc;
}

int cmd_tokenize(int argc, char **argv)
{
    options o = {0};
    ps_err err = PS_ERR_INIT;
    ps_tokenizer *t = NULL;
    int n_args = 0;
    const ps_opt opts[] = {
        {'m', "model", PS_OPT_STRING, &o.model, "DIR", "model directory, or hub name in the local cache"},
        {0, "jsonl", PS_OPT_FLAG, &o.jsonl, NULL, "read one JSON string a line, print one array of ids a line"},
        {0, "json", PS_OPT_FLAG, &o.json, NULL, "print the tokens as JSON"},
        {0, "no-special", PS_OPT_FLAG, &o.no_special, NULL, "leave out the tokens that the tokenizer adds (BOS)"},
        {0, NULL, PS_OPT_FLAG, NULL, NULL, NULL},
    };
    const ps_usage usage = {
        "patchsweep tokenize --model DIR [options] TEXT",
        "Show how TEXT is split: position, id, the vocabulary's piece, the text it decodes to.",
        opts, "example:\n  patchsweep tokenize --model data/similarity-model ' Albert Einstein'"};
    int rc = ps_opt_parse(&usage, argc, argv, &n_args, &err);

    if (rc > 0)
        return 0;
    if (rc == 0 && !o.model)
        rc = ps_err_set(&err, PS_EINPUT, "tokenize needs --model DIR");
    if (rc == 0 && n_args != (o.jsonl ? 0 : 1))
        rc = ps_err_set(&err, PS_EINPUT, o.jsonl ? "--jsonl reads standard input and takes no text"
                                                 : "tokenize takes one text; quote it");
    if (rc == 0)
        rc = open_tokenizer(&t, o.model, &err);
    if (rc == 0)
        rc = o.jsonl ? tokenize_lines(t, &o, &err) : tokenize_text(t, &o, argv[0], &err);
    ps_tokenizer_close(t);
    return rc < 0 ? ps_fail(&err) : 0;
}
