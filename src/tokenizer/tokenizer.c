/*
 * tokenizer.c - a tokenizer.json, from text to ids.
 *
 *     text --added--> stretches --normalizer--> --added--> stretches --pretoken--> pieces --bpe--> tokens
 *
 * The template's tokens are added around these.  Each stage has a file of its own.  This file runs them in the order of
 * the `tokenizers` package.
 */
#include "patchsweep/tokenizer.h"

#include <stdio.h>
#include <string.h>

#include "added.h"
#include "bpe.h"
#include "decoder.h"
#include "normalizer.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "pretoken.h"

#define MAX_FILE_BYTES ((size_t)256 << 20)
#define MAX_TEMPLATE 8

struct ps_tokenizer {
    ps_bpe *bpe;
    ps_added *added;
    ps_normalizer *normalizer;
    ps_pretoken *pretoken;
    ps_decoder *decoder;
    int32_t before[MAX_TEMPLATE], after[MAX_TEMPLATE]; /* the template's ids around the text */
    size_t n_before, n_after;
};

/* Scratch memory of an encoding. */
typedef struct scratch {
    ps_aligned text, normal;
    ps_stretch *outer, *inner;
    size_t outer_cap, inner_cap;
    ps_pieces pieces;
    ps_bpe_scratch bpe;
} scratch;

/* ---- the template ---- */

/* Append the ids of the special token named `id`. */
static int add_special(const ps_field *table, const char *id, int32_t *ids, size_t *n, ps_err *err)
{
    ps_field entry = ps_field_get(table, id), list = ps_field_get(&entry, "ids");
    int64_t value;

    if (ps_field_want(&entry, PS_JSON_OBJECT, err) < 0 || ps_field_want(&list, PS_JSON_ARRAY, err) < 0)
        return -1;
    for (const ps_node *node = ps_json_first(list.node); node; node = ps_json_next(node)) {
        if (!ps_json_int(node, &value) || value < 0 || value > PS_VOCAB_MAX_ID)
            return ps_field_refuse(&list, err, "holds a value that is not a token id");
        if (*n == MAX_TEMPLATE)
            return ps_field_refuse(&list, err, "more than %d special tokens on one side", MAX_TEMPLATE);
        ids[(*n)++] = (int32_t)value;
    }
    return 0;
}

static int load_template_item(ps_tokenizer *t, const ps_field *item, const ps_field *table,
                              bool *seen_text, ps_err *err)
{
    static const char *const keys[] = {"SpecialToken", "Sequence", NULL};
    ps_field special = ps_field_get(item, "SpecialToken"), text = ps_field_get(item, "Sequence");
    const char *id;

    if (ps_field_want(item, PS_JSON_OBJECT, err) < 0 || ps_field_keys(item, keys, err) < 0)
        return -1;
    if (special.node)
        return ps_field_string(&special, "id", &id, err) < 0 ? -1
               : *seen_text ? add_special(table, id, t->after, &t->n_after, err)
                            : add_special(table, id, t->before, &t->n_before, err);
    if (ps_field_want(&text, PS_JSON_OBJECT, err) < 0 || ps_field_string(&text, "id", &id, err) < 0)
        return -1;
    if (strcmp(id, "A") || *seen_text)
        return ps_field_refuse(&text, err, "a template for one text has one Sequence, A");
    *seen_text = true;
    return 0;
}

static int load_template(ps_tokenizer *t, const ps_field *field, ps_err *err)
{
    static const char *const keys[] = {"type", "single", "pair", "special_tokens", NULL};
    ps_field single = ps_field_get(field, "single"), table = ps_field_get(field, "special_tokens");
    bool seen_text = false;
    size_t i = 0;

    if (ps_field_keys(field, keys, err) < 0 || ps_field_want(&single, PS_JSON_ARRAY, err) < 0 ||
        ps_field_want(&table, PS_JSON_OBJECT, err) < 0)
        return -1;
    for (const ps_node *node = ps_json_first(single.node); node; node = ps_json_next(node)) {
        ps_field item = ps_field_at(&single, node, i++);
        if (load_template_item(t, &item, &table, &seen_text, err) < 0)
            return -1;
    }
    return seen_text ? 0 : ps_field_refuse(&single, err, "has no Sequence");
}

/* ByteLevel as a post-processor changes offsets only. */
enum { POST_SEQUENCE, POST_TEMPLATE, POST_BYTE_LEVEL };
static const char *const post_names[] = {"Sequence", "TemplateProcessing", "ByteLevel", NULL};

static int load_post(void *context, const ps_field *field, int which, ps_err *err)
{
    ps_tokenizer *t = context;

    if (which == POST_BYTE_LEVEL)
        return 0;
    return t->n_before || t->n_after ? ps_field_refuse(field, err, "is a second template")
                                     : load_template(t, field, err);
}

/* ---- loading ---- */

static int refuse_if_set(const ps_field *root, const char *key, ps_err *err)
{
    ps_field field = ps_field_get(root, key);

    return ps_field_empty(&field) ? 0 : ps_field_refuse(&field, err, "is set and not supported; set it to null");
}

static int check_version(const ps_field *root, ps_err *err)
{
    ps_field version = ps_field_get(root, "version");

    if (!version.node || !strcmp(ps_json_string(version.node), "1.0"))
        return 0;
    return ps_field_refuse(&version, err, "is not \"1.0\"");
}

static int load_fields(ps_tokenizer *t, const ps_field *root, ps_err *err)
{
    static const char *const keys[] = {"version", "truncation", "padding", "added_tokens",
                                       "normalizer", "pre_tokenizer", "post_processor", "decoder",
                                       "model", NULL};

    if (ps_field_want(root, PS_JSON_OBJECT, err) < 0 || ps_field_keys(root, keys, err) < 0)
        return -1;
    ps_field model = ps_field_get(root, "model"), added = ps_field_get(root, "added_tokens");
    ps_field normalizer = ps_field_get(root, "normalizer"), pre = ps_field_get(root, "pre_tokenizer");
    ps_field post = ps_field_get(root, "post_processor"), decoder = ps_field_get(root, "decoder");
    if (check_version(root, err) < 0 || refuse_if_set(root, "truncation", err) < 0 ||
        refuse_if_set(root, "padding", err) < 0 ||
        ps_bpe_load(&t->bpe, &model, err) < 0 ||
        ps_normalizer_load(&t->normalizer, &normalizer, err) < 0 ||
        ps_added_load(&t->added, &added, ps_bpe_vocab(t->bpe), t->normalizer, err) < 0 ||
        ps_pretoken_load(&t->pretoken, &pre, err) < 0 ||
        ps_decoder_load(&t->decoder, &decoder, err) < 0)
        return -1;
    return ps_field_empty(&post) ? 0 : ps_field_steps(&post, post_names, "processors", load_post, t, err);
}

int ps_tokenizer_open(ps_tokenizer **out, const char *path, ps_err *err)
{
    ps_json *json = NULL;
    int rc = -1;

    ps_tokenizer *t = ps_calloc(1, sizeof *t, err);
    if (!t || ps_json_read(&json, path, MAX_FILE_BYTES, err) < 0)
        goto out;
    ps_field root = {.node = ps_json_root(json)};
    if (load_fields(t, &root, err) < 0) {
        ps_err_prefix(err, "'%s'", path);
        goto out;
    }
    *out = t;
    t = NULL;
    rc = 0;
out:
    ps_json_free(json);
    ps_tokenizer_close(t);
    return rc;
}

void ps_tokenizer_close(ps_tokenizer *t)
{
    if (!t)
        return;
    ps_bpe_free(t->bpe);
    ps_added_free(t->added);
    ps_normalizer_free(t->normalizer);
    ps_pretoken_free(t->pretoken);
    ps_decoder_free(t->decoder);
    ps_free(t);
}

int32_t ps_tokenizer_size(const ps_tokenizer *t)
{
    int32_t vocab = ps_vocab_size(ps_bpe_vocab(t->bpe)), added = ps_added_size(t->added);

    return vocab > added ? vocab : added;
}

/* ---- encoding ---- */

void ps_tokens_release(ps_tokens *tokens)
{
    ps_free(tokens->at);
    *tokens = (ps_tokens){0};
}

static int add_token(ps_tokens *out, ps_token token, ps_err *err)
{
    if (ps_grow(&out->at, out->n, &out->cap, sizeof *out->at, err) < 0)
        return -1;
    out->at[out->n++] = token;
    return 0;
}

static int add_found(ps_tokens *out, const ps_aligned *text, const ps_stretch *s, ps_err *err)
{
    return add_token(out, (ps_token){.id = s->id, .start = text->from[s->start].start,
                                     .end = text->from[s->end - 1].end}, err);
}

static int encode_plain(const ps_tokenizer *t, scratch *w, const ps_aligned *text, ps_tokens *out,
                        ps_err *err)
{
    if (ps_pretoken_run(t->pretoken, text, &w->pieces, err) < 0)
        return -1;
    for (size_t i = 0; i < w->pieces.n; i++)
        if (ps_bpe_encode(t->bpe, &w->bpe, &w->pieces.text, w->pieces.cut[i], w->pieces.cut[i + 1],
                          out, err) < 0)
            return -1;
    return 0;
}

/* View text[start..end) as a text; no bytes are copied. */
static ps_aligned view(const ps_aligned *text, const ps_stretch *s)
{
    return (ps_aligned){text->bytes + s->start, text->from + s->start, s->end - s->start, 0};
}

/* Encode a stretch without added tokens that are matched in the original text: normalize it, and find the others. */
static int encode_stretch(const ps_tokenizer *t, scratch *w, const ps_aligned *text, ps_tokens *out,
                          ps_err *err)
{
    size_t n;

    w->normal.n = 0;
    if (ps_normalizer_run(t->normalizer, text, &w->normal, err) < 0 ||
        ps_added_split(t->added, true, &w->normal, &w->inner, &n, &w->inner_cap, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        ps_aligned stretch = view(&w->normal, &w->inner[i]);
        if (w->inner[i].id >= 0 ? add_found(out, &w->normal, &w->inner[i], err) < 0
                                : encode_plain(t, w, &stretch, out, err) < 0)
            return -1;
    }
    return 0;
}

static int encode_text(const ps_tokenizer *t, scratch *w, ps_tokens *out, ps_err *err)
{
    size_t n;

    if (ps_added_split(t->added, false, &w->text, &w->outer, &n, &w->outer_cap, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        ps_aligned stretch = view(&w->text, &w->outer[i]);
        if (w->outer[i].id >= 0 ? add_found(out, &w->text, &w->outer[i], err) < 0
                                : encode_stretch(t, w, &stretch, out, err) < 0)
            return -1;
    }
    return 0;
}

static int add_template(const int32_t *ids, size_t n, ps_tokens *out, ps_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (add_token(out, (ps_token){.id = ids[i], .added = true}, err) < 0)
            return -1;
    return 0;
}

int ps_tokenizer_encode(const ps_tokenizer *t, const char *text, size_t n, bool special,
                        ps_tokens *out, ps_err *err)
{
    scratch w = {0};
    size_t bad = ps_utf8_check(text, n);
    int rc = -1;

    if (bad < n)
        return ps_err_set(err, PS_EINPUT, "text is not valid UTF-8 at byte %zu", bad);
    if (n >= UINT32_MAX)
        return ps_err_set(err, PS_EINPUT, "text of %zu bytes is too long", n);
    if (ps_aligned_original(&w.text, text, n, err) < 0 ||
        (special && add_template(t->before, t->n_before, out, err) < 0) ||
        encode_text(t, &w, out, err) < 0 ||
        (special && add_template(t->after, t->n_after, out, err) < 0))
        goto out;
    rc = 0;
out:
    ps_aligned_release(&w.text);
    ps_aligned_release(&w.normal);
    ps_pieces_release(&w.pieces);
    ps_bpe_scratch_release(&w.bpe);
    ps_free(w.outer);
    ps_free(w.inner);
    return rc;
}

/* ---- single tokens ---- */

const char *ps_tokenizer_piece(const ps_tokenizer *t, int32_t id)
{
    const char *added = ps_added_piece(t->added, id);

    return added ? added : ps_vocab_piece(ps_bpe_vocab(t->bpe), id);
}

void ps_tokenizer_decode(const ps_tokenizer *t, int32_t id, ps_text *out)
{
    const char *added = ps_added_pattern(t->added, id); /* the package decodes the normalized spelling */
    const char *piece = added ? added : ps_vocab_piece(ps_bpe_vocab(t->bpe), id);

    if (piece)
        ps_decoder_run(t->decoder, piece, out);
}

bool ps_tokenizer_is_special(const ps_tokenizer *t, int32_t id)
{
    return ps_added_special(t->added, id);
}
