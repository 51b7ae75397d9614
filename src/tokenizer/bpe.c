/*
 * bpe.c - merge, in the order in which the `tokenizers` package merges.
 *
 * Three quirks of the package decide ids in rare cases, and are reproduced:
 *   - a stale candidate still merges if another pair with the same result is now at its position;
 *   - a character without a token is dropped if there is neither byte fallback nor an unknown token;
 *   - a pending unknown token is placed after the byte tokens that follow it in the text.
 */
#include "bpe.h"

#include <stdio.h>
#include <string.h>

#include "merges.h"

#include "patchsweep/mem.h"
#include "patchsweep/text.h"

struct ps_bpe {
    ps_vocab *vocab;
    ps_merges *merges;
    char *unk;       /* the unknown token's string, or NULL */
    int32_t unk_id;  /* its id; -1: not in the vocabulary, which is an error once it is needed */
    int32_t byte_id[256]; /* the ids of "<0x00>".."<0xFF>"; -1: none */
    bool fuse_unk, byte_fallback, ignore_merges;
};

typedef struct ps_symbol {
    int32_t id;
    int32_t prev, next; /* -1: none */
    uint32_t n;         /* bytes; 0: merged into the symbol on its left */
} symbol;

typedef struct ps_merge_at {
    uint32_t rank, pos;
    int32_t id;
} candidate;

/* ---- the heap ---- */

static bool before(const candidate *a, const candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->pos < b->pos;
}

static int push(const ps_bpe *bpe, ps_bpe_scratch *w, int32_t left, ps_err *err)
{
    const symbol *a = w->symbols + left;

    if (left < 0 || a->next < 0)
        return 0;
    const ps_merge *merge = ps_merges_find(bpe->merges, a->id, w->symbols[a->next].id);
    if (!merge)
        return 0;
    if (ps_grow(&w->heap, w->n_heap, &w->heap_cap, sizeof *w->heap, err) < 0)
        return -1;
    candidate new = {merge->rank, (uint32_t)left, merge->id};
    size_t i = w->n_heap++;
    for (; i && before(&new, w->heap + (i - 1) / 2); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = new;
    return 0;
}

static candidate pop(ps_bpe_scratch *w)
{
    candidate top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
        if (child + 1 < w->n_heap && before(w->heap + child + 1, w->heap + child))
            child++;
        if (!before(w->heap + child, &last))
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return top;
}

static int merge_all(const ps_bpe *bpe, ps_bpe_scratch *w, ps_err *err)
{
    w->n_heap = 0;
    for (size_t i = 0; i + 1 < w->n; i++)
        if (push(bpe, w, (int32_t)i, err) < 0)
            return -1;
    while (w->n_heap) {
        candidate top = pop(w);
        symbol *a = w->symbols + top.pos;
        if (!a->n || a->next < 0)
            continue;
        symbol *b = w->symbols + a->next;
        const ps_merge *now = ps_merges_find(bpe->merges, a->id, b->id);
        if (!now || now->id != top.id)
            continue;
        a->id = top.id;
        a->n += b->n;
        a->next = b->next;
        b->n = 0;
        if (a->next >= 0)
            w->symbols[a->next].prev = (int32_t)top.pos;
        if (push(bpe, w, a->prev, err) < 0 || push(bpe, w, (int32_t)top.pos, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- characters ---- */

static int add(ps_bpe_scratch *w, int32_t id, size_t n, ps_err *err)
{
    if (ps_grow(&w->symbols, w->n, &w->cap, sizeof *w->symbols, err) < 0)
        return -1;
    if (w->n)
        w->symbols[w->n - 1].next = (int32_t)w->n;
    w->symbols[w->n] = (symbol){id, (int32_t)w->n - 1, -1, (uint32_t)n};
    w->n++;
    return 0;
}

/* Add the pending unknown token, if any.  *pending: its bytes. */
static int flush(const ps_bpe *bpe, ps_bpe_scratch *w, size_t *pending, ps_err *err)
{
    size_t n = *pending;

    *pending = 0;
    return n ? add(w, bpe->unk_id, n, err) : 0;
}

/* Whether byte fallback has a token for each of these bytes. */
static bool has_bytes(const ps_bpe *bpe, const char *s, int len)
{
    for (int i = 0; i < len; i++)
        if (bpe->byte_id[(unsigned char)s[i]] < 0)
            return false;
    return bpe->byte_fallback;
}

/* Add a character without a token of its own: as bytes, or to the pending unknown token. */
static int add_foreign(const ps_bpe *bpe, ps_bpe_scratch *w, const char *s, int len, size_t *pending,
                       ps_err *err)
{
    if (has_bytes(bpe, s, len)) {
        for (int i = 0; i < len; i++)
            if (add(w, bpe->byte_id[(unsigned char)s[i]], 1, err) < 0)
                return -1;
        return 0;
    }
    if (!bpe->unk)
        return 0;
    if (bpe->unk_id < 0) {
        char shown[80];
        ps_printable(shown, sizeof shown, bpe->unk);
        return ps_err_set(err, PS_EINPUT, "the text needs the unknown token '%s', which is not in model.vocab",
                          shown);
    }
    if (!bpe->fuse_unk && flush(bpe, w, pending, err) < 0)
        return -1;
    *pending += (size_t)len;
    return 0;
}

/* Split s[n] into symbols, a character each where the vocabulary has it. */
static int split(const ps_bpe *bpe, ps_bpe_scratch *w, const char *s, size_t n, ps_err *err)
{
    size_t pending = 0;

    w->n = 0;
    for (size_t i = 0; i < n;) {
        int len;
        ps_utf8_decode(s + i, &len);
        int32_t id = ps_vocab_find(bpe->vocab, s + i, (size_t)len);
        if (id < 0 && add_foreign(bpe, w, s + i, len, &pending, err) < 0)
            return -1;
        if (id >= 0 && (flush(bpe, w, &pending, err) < 0 || add(w, id, (size_t)len, err) < 0))
            return -1;
        i += (size_t)len;
    }
    return flush(bpe, w, &pending, err);
}

static int emit(const ps_aligned *text, size_t start, size_t n, int32_t id, ps_tokens *out, ps_err *err)
{
    if (ps_grow(&out->at, out->n, &out->cap, sizeof *out->at, err) < 0)
        return -1;
    out->at[out->n++] = (ps_token){id, text->from[start].start, text->from[start + n - 1].end, false};
    return 0;
}

int ps_bpe_encode(const ps_bpe *bpe, ps_bpe_scratch *scratch, const ps_aligned *text, size_t start,
                  size_t end, ps_tokens *out, ps_err *err)
{
    const char *s = text->bytes + start;
    size_t n = end - start;
    int32_t whole = bpe->ignore_merges ? ps_vocab_find(bpe->vocab, s, n) : -1;

    if (whole >= 0)
        return emit(text, start, n, whole, out, err);
    if (split(bpe, scratch, s, n, err) < 0 || merge_all(bpe, scratch, err) < 0)
        return -1;
    for (size_t i = 0; i < scratch->n; i++) {
        const symbol *at = scratch->symbols + i;
        if (at->n && emit(text, start, at->n, at->id, out, err) < 0)
            return -1;
        start += at->n;
    }
    return 0;
}

void ps_bpe_scratch_release(ps_bpe_scratch *scratch)
{
    ps_free(scratch->symbols);
    ps_free(scratch->heap);
    *scratch = (ps_bpe_scratch){0};
}

/* ---- loading ---- */

static int load_vocab(ps_bpe *bpe, const ps_field *model, ps_err *err)
{
    ps_field list = ps_field_get(model, "vocab");
    size_t n = 0, bytes = 1;

    if (ps_field_want(&list, PS_JSON_OBJECT, err) < 0)
        return -1;
    for (const ps_node *node = ps_json_first(list.node); node; node = ps_json_next(node), n++)
        bytes += strlen(ps_json_key(node)) + 1;
    if (ps_vocab_build(&bpe->vocab, n, bytes, err) < 0)
        return -1;
    for (const ps_node *node = ps_json_first(list.node); node; node = ps_json_next(node)) {
        int64_t id;
        if (!ps_json_int(node, &id) || id < 0 || id > PS_VOCAB_MAX_ID) {
            char shown[80];
            ps_printable(shown, sizeof shown, ps_json_key(node));
            return ps_field_refuse(&list, err, "the id of '%s' is not a whole number from 0 to %d", shown,
                                   PS_VOCAB_MAX_ID);
        }
        if (ps_vocab_add(bpe->vocab, ps_json_key(node), (int32_t)id, err) < 0)
            return -1;
    }
    return 0;
}

/* Refuse settings that are not implemented and change ids. */
static int refuse_settings(const ps_field *model, ps_err *err)
{
    static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    ps_field dropout = ps_field_get(model, "dropout");

    if (!ps_field_empty(&dropout) &&
        (!ps_json_is(dropout.node, PS_JSON_NUMBER) || ps_json_double(dropout.node) != 0))
        return ps_field_refuse(&dropout, err, "is set, so that ids would be random; set it to null");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ps_field field = ps_field_get(model, texts[i]);
        const char *s;
        if (ps_field_empty(&field))
            continue;
        if (ps_field_string(model, texts[i], &s, err) < 0)
            return -1;
        if (*s)
            return ps_field_refuse(&field, err, "is not supported; give token ids instead");
    }
    return 0;
}

static int load_unk(ps_bpe *bpe, const ps_field *model, ps_err *err)
{
    ps_field field = ps_field_get(model, "unk_token");
    const char *s;

    bpe->unk_id = -1;
    if (ps_field_empty(&field))
        return 0;
    if (ps_field_string(model, "unk_token", &s, err) < 0 || !(bpe->unk = ps_strdup(s, err)))
        return -1;
    bpe->unk_id = ps_vocab_find(bpe->vocab, s, strlen(s));
    return 0;
}

static int load_settings(ps_bpe *bpe, const ps_field *model, ps_err *err)
{
    static const char *const keys[] = {
        "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
        "byte_fallback", "ignore_merges", "vocab", "merges", NULL};
    static const char *const types[] = {"BPE", NULL};
    ps_field type = ps_field_get(model, "type");
    int which;

    if (ps_field_want(model, PS_JSON_OBJECT, err) < 0)
        return -1;
    /* old files have no type; they are taken for BPE if they have its keys */
    if (type.node && ps_field_type(model, types, &which, err) < 0)
        return -1;
    if (ps_field_keys(model, keys, err) < 0 || refuse_settings(model, err) < 0 ||
        ps_field_bool_or(model, "fuse_unk", &bpe->fuse_unk, err) < 0 ||
        ps_field_bool_or(model, "byte_fallback", &bpe->byte_fallback, err) < 0 ||
        ps_field_bool_or(model, "ignore_merges", &bpe->ignore_merges, err) < 0)
        return -1;
    return 0;
}

int ps_bpe_load(ps_bpe **out, const ps_field *model, ps_err *err)
{
    ps_bpe *bpe = ps_calloc(1, sizeof *bpe, err);
    ps_field merges = ps_field_get(model, "merges");

    if (!bpe)
        return -1;
    if (load_settings(bpe, model, err) < 0 || load_vocab(bpe, model, err) < 0 ||
        load_unk(bpe, model, err) < 0 || ps_merges_load(&bpe->merges, &merges, bpe->vocab, err) < 0) {
        ps_bpe_free(bpe);
        return -1;
    }
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        bpe->byte_id[b] = ps_vocab_find(bpe->vocab, name, 6);
    }
    *out = bpe;
    return 0;
}

void ps_bpe_free(ps_bpe *bpe)
{
    if (!bpe)
        return;
    ps_vocab_free(bpe->vocab);
    ps_merges_free(bpe->merges);
    ps_free(bpe->unk);
    ps_free(bpe);
}

const ps_vocab *ps_bpe_vocab(const ps_bpe *bpe)
{
    return bpe->vocab;
}
