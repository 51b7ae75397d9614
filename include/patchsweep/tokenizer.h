/*
 * tokenizer.h - text to token ids and back, as the `tokenizers` package does it.
 *
 * Reads a tokenizer.json: BPE models, byte-level (GPT-2, Llama-3, Qwen2, SmolLM2) and
 * sentencepiece-style (Llama-2, Mistral), with the normalizers, pre-tokenizers, post-processors
 * and decoders those families ship.  Anything else in the file is refused by
 * name: an ignored setting would mean silently wrong ids.
 */
#ifndef PATCHSWEEP_TOKENIZER_H
#define PATCHSWEEP_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/text.h"

typedef struct ps_tokenizer ps_tokenizer;

/* One token of an encoded text, and the bytes of that text that it stands for. */
typedef struct ps_token {
    int32_t id;
    uint32_t start, end; /* byte range in the original text; 0, 0 for a token that the template added */
    bool added;          /* added by the post-processor's template (BOS, EOS) */
} ps_token;

typedef struct ps_tokens {
    ps_token *at; /* [n] */
    size_t n, cap;
} ps_tokens;

/* Load `path` (a tokenizer.json).  PS_EINPUT names the file and the field that is not supported. */
int ps_tokenizer_open(ps_tokenizer **out, const char *path, ps_err *err);
void ps_tokenizer_close(ps_tokenizer *tokenizer);

/* One more than the largest id, added tokens included.  Some ids below it may have no token. */
int32_t ps_tokenizer_size(const ps_tokenizer *tokenizer);

/*
 * Append the tokens of text[n] to *out (initially {0}; released by the caller).
 * `special`: apply the post-processor's template (BOS), as encode(add_special_tokens=True) does.
 * PS_EINPUT if the text is not valid UTF-8; the message has the offset.
 */
int ps_tokenizer_encode(const ps_tokenizer *tokenizer, const char *text, size_t n, bool special,
                        ps_tokens *out, ps_err *err);
void ps_tokens_release(ps_tokens *tokens);

/* The vocabulary's spelling of a token ("ĠIsaac", "<0x0A>"), or NULL for an id without one. Borrowed. */
const char *ps_tokenizer_piece(const ps_tokenizer *tokenizer, int32_t id);
/* Append what decode([id], skip_special_tokens=False) returns.  Part of a character becomes U+FFFD; a NUL stays. */
void ps_tokenizer_decode(const ps_tokenizer *tokenizer, int32_t id, ps_text *out);
bool ps_tokenizer_is_special(const ps_tokenizer *tokenizer, int32_t id);

#endif
