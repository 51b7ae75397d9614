/* aligned.c - bytes and their origins, in two vectors that grow together. */
#include "aligned.h"

#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/text.h"

static int reserve(ps_aligned *text, size_t more, ps_err *err)
{
    if (text->n + more <= text->cap)
        return 0;
    if (more > INT32_MAX - text->n) /* bpe.c uses 32-bit offsets */
        return ps_err_set(err, PS_EINPUT, "a text of 2^31 bytes or more cannot be tokenized; give token ids instead");
    size_t cap = text->cap ? text->cap : 64;
    while (cap < text->n + more)
        cap *= 2;
    char *bytes = ps_realloc(text->bytes, cap, 1, err);
    if (!bytes)
        return -1;
    text->bytes = bytes;
    ps_origin *from = ps_realloc(text->from, cap, sizeof *from, err);
    if (!from)
        return -1;
    text->from = from;
    text->cap = cap;
    return 0;
}

int ps_aligned_add(ps_aligned *text, const char *s, size_t n, ps_origin from, ps_err *err)
{
    if (reserve(text, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        text->bytes[text->n] = s[i];
        text->from[text->n++] = from;
    }
    return 0;
}

int ps_aligned_copy(ps_aligned *text, const ps_aligned *source, size_t start, size_t end, ps_err *err)
{
    size_t n = end - start;

    if (reserve(text, n, err) < 0)
        return -1;
    if (n) {
        memcpy(text->bytes + text->n, source->bytes + start, n);
        memcpy(text->from + text->n, source->from + start, n * sizeof *text->from);
    }
    text->n += n;
    return 0;
}

int ps_aligned_original(ps_aligned *text, const char *s, size_t n, ps_err *err)
{
    if (reserve(text, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n;) {
        int len;
        ps_utf8_decode(s + i, &len);
        ps_origin from = {(uint32_t)i, (uint32_t)(i + (size_t)len)};
        if (ps_aligned_add(text, s + i, (size_t)len, from, err) < 0)
            return -1;
        i += (size_t)len;
    }
    return 0;
}

void ps_aligned_release(ps_aligned *text)
{
    ps_free(text->bytes);
    ps_free(text->from);
    *text = (ps_aligned){0};
}
