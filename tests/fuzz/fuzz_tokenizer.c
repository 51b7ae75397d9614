/*
 * fuzz_tokenizer.c - a tokenizer.json; one that opens must encode a text and decode every id.
 */
#include "tokens.h"

static const char text[] = "Hello  it's 1234 a\xc3\xa9 e\xcc\x81\xe2\x96\x81 \xf0\x9f\x98\x80\n\n<s> aab</s>\t";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[256];
    ps_err err = PS_ERR_INIT;
    ps_tokenizer *t = NULL;
    ps_tokens tokens = {0};

    fuzz_write("tokenizer.json", data, n);
    int rc = ps_tokenizer_open(&t, fuzz_path(path, "tokenizer.json"), &err);
    if (rc < 0)
        fuzz_refused(rc, &err);
    else {
        fuzz_encode(t, text, sizeof text - 1, &tokens);
        int32_t size = ps_tokenizer_size(t);
        for (int32_t id = -1; id <= size && id < 300; id++)
            fuzz_check_token(t, &(ps_token){.id = id}, text, sizeof text - 1);
    }
    ps_tokens_release(&tokens);
    ps_tokenizer_close(t);
    return 0;
}
