/*
 * fuzz_text.c - any text through real tokenizers; the first byte says which.
 *
 * Byte-level vocabularies have a token for every byte, so nothing of a text may be lost: its
 * tokens follow one another without a gap, from its first byte to its last.
 */
#include "tokens.h"

static const struct {
    const char *path;
    bool complete; /* has a token for whatever comes */
} tokenizers[] = {
    {"tests/fixtures/tokenizers/gpt2/tokenizer.json", true},
    {"tests/fixtures/tokenizers/llama2/tokenizer.json", true},
    {"tests/fixtures/tokenizers/llama3/tokenizer.json", true},
    {"tests/fixtures/tokenizers/mistral/tokenizer.json", true},
    {"tests/fixtures/tokenizers/qwen2/tokenizer.json", true},
    {"tests/fixtures/tokenizers/smollm2/tokenizer.json", true},
    {"tests/fixtures/tokenizers/unknowns/tokenizer.json", false},
    {"tests/fixtures/pair-tokenizer/tokenizer.json", true},
};

#define N_TOKENIZERS (sizeof tokenizers / sizeof *tokenizers)

static ps_tokenizer *opened[N_TOKENIZERS]; /* as long as the process lives */

static void open_all(void)
{
    ps_err err = PS_ERR_INIT;

    for (size_t i = 0; i < N_TOKENIZERS; i++)
        if (ps_tokenizer_open(&opened[i], tokenizers[i].path, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            abort();
        }
}

static void check_complete(const ps_tokens *tokens, size_t n)
{
    uint32_t end = 0;

    for (size_t i = 0; i < tokens->n; i++) {
        CLAIM(tokens->at[i].start <= end);
        end = tokens->at[i].end > end ? tokens->at[i].end : end;
    }
    CLAIM(end == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1)
        return 0;
    if (!opened[0])
        open_all();
    size_t which = data[0] % N_TOKENIZERS;
    const char *text = (const char *)data + 1;
    ps_tokens tokens = {0};

    if (fuzz_encode(opened[which], text, n - 1, &tokens) && tokenizers[which].complete)
        check_complete(&tokens, n - 1);
    for (size_t i = 0; i < tokens.n; i++)
        CLAIM(tokens.at[i].id >= 0 && tokens.at[i].id < ps_tokenizer_size(opened[which]));
    ps_tokens_release(&tokens);
    return 0;
}
