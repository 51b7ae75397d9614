/*
 * tokens.h - what must hold of any text's tokens, by any tokenizer.
 */
#ifndef PATCHSWEEP_TESTS_FUZZ_TOKENS_H
#define PATCHSWEEP_TESTS_FUZZ_TOKENS_H

#include "fuzz.h"
#include "patchsweep/tokenizer.h"

static inline bool fuzz_boundary(const char *text, size_t n, size_t at)
{
    return at == n || ((unsigned char)text[at] & 0xc0) != 0x80;
}

/* A token stands for whole characters of the text, and decodes to UTF-8. */
static inline void fuzz_check_token(const ps_tokenizer *t, const ps_token *token, const char *text, size_t n)
{
    const char *piece = ps_tokenizer_piece(t, token->id);
    ps_text decoded = {0};

    CLAIM(token->start <= token->end && token->end <= n);
    CLAIM(fuzz_boundary(text, n, token->start) && fuzz_boundary(text, n, token->end));
    CLAIM(!piece || ps_utf8_check(piece, strlen(piece)) == strlen(piece));
    ps_tokenizer_decode(t, token->id, &decoded);
    CLAIM(ps_utf8_check(ps_text_str(&decoded), decoded.n) == decoded.n);
    ps_text_release(&decoded);
    (void)ps_tokenizer_is_special(t, token->id);
}

/* The template's tokens go around those of the text, which are the same without it. */
static inline void fuzz_check_template(const ps_tokens *with, const ps_tokens *without)
{
    size_t k = 0;

    for (size_t i = 0; i < with->n; i++) {
        const ps_token *a = &with->at[i];
        if (a->added) {
            CLAIM(a->start == 0 && a->end == 0 && (k == 0 || k == without->n));
            continue;
        }
        CLAIM(k < without->n);
        const ps_token *b = &without->at[k++];
        CLAIM(a->id == b->id && a->start == b->start && a->end == b->end && !b->added);
    }
    CLAIM(k == without->n);
}

/* Encode both with the template and without; false where the text was refused. */
static inline bool fuzz_encode(const ps_tokenizer *t, const char *text, size_t n, ps_tokens *tokens)
{
    ps_tokens with = {0};
    ps_err err = PS_ERR_INIT;
    int rc = ps_tokenizer_encode(t, text, n, false, tokens, &err);

    if (rc < 0)
        fuzz_refused(rc, &err);
    CLAIM(ps_tokenizer_encode(t, text, n, true, &with, &err) == rc);
    if (rc == 0)
        fuzz_check_template(&with, tokens);
    for (size_t i = 0; rc == 0 && i < tokens->n; i++)
        fuzz_check_token(t, &tokens->at[i], text, n);
    ps_tokens_release(&with);
    return rc == 0;
}

#endif
