/*
 * added.c - find added tokens: the leftmost match, and of several there the longest.
 *
 * Most files have a few hundred added tokens.  Files with codes for sound or images have a hundred thousand, so texts
 * are hashed, and ids and patterns are sorted.
 */
#include "added.h"

#include <stdlib.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/text.h"
#include "unicode.h"

typedef struct token {
    char *text;    /* what it decodes to */
    char *pattern; /* the text to look for; normalized if `normalized` */
    size_t n;      /* bytes of pattern */
    int32_t id;
    bool special, normalized, single_word, lstrip, rstrip;
    const struct token *prefix; /* the token with the longest pattern that is a proper prefix of this one's, or NULL */
} token;

/* Tokens in the order of their patterns. */
typedef struct sorted {
    token **at; /* [n] */
    size_t n;
    bool begins[256]; /* whether a pattern begins with this byte */
} sorted;

struct ps_added {
    token *tokens;
    size_t n;        /* tokens read so far */
    int32_t next_id; /* the id of the next token that the vocabulary does not have */
    ps_vocab *texts; /* from a token's text to its index in `tokens` */
    token **by_id;   /* [n], sorted */
    sorted patterns[2]; /* by normalized */
};

/* ---- loading ---- */

static int load_token(const ps_field *field, token *t, ps_err *err)
{
    static const char *const keys[] = {"id", "content", "single_word", "lstrip", "rstrip",
                                       "normalized", "special", NULL};
    const char *content;

    if (ps_field_want(field, PS_JSON_OBJECT, err) < 0 || ps_field_keys(field, keys, err) < 0 ||
        ps_field_int(field, "id", PS_VOCAB_MAX_ID, &t->id, err) < 0 ||
        ps_field_string(field, "content", &content, err) < 0 ||
        ps_field_bool(field, "single_word", &t->single_word, err) < 0 ||
        ps_field_bool(field, "lstrip", &t->lstrip, err) < 0 ||
        ps_field_bool(field, "rstrip", &t->rstrip, err) < 0 ||
        ps_field_bool(field, "normalized", &t->normalized, err) < 0 ||
        ps_field_bool(field, "special", &t->special, err) < 0)
        return -1;
    if (!*content)
        return ps_field_refuse(field, err, "has empty content");
    t->text = ps_strdup(content, err);
    return t->text ? 0 : -1;
}

static token *by_text(const ps_added *a, const char *text)
{
    int32_t i = ps_vocab_find(a->texts, text, strlen(text));

    return i < 0 ? NULL : &a->tokens[i];
}

/* Check that the file gives the token the id that the `tokenizers` package would give it. */
static int check_id(ps_added *a, const token *t, const ps_field *field, const ps_vocab *vocab, ps_err *err)
{
    const token *before = by_text(a, t->text);
    int32_t id = before ? before->id : ps_vocab_find(vocab, t->text, strlen(t->text));
    char shown[120], other[120];

    if (id < 0)
        id = a->next_id++;
    ps_printable(shown, sizeof shown, t->text);
    if (id != t->id)
        return ps_field_refuse(field, err, "'%s' has id %d here, and the tokenizers package would give it %d",
                               shown, (int)t->id, (int)id);
    const char *piece = ps_vocab_piece(vocab, id);
    if (!piece || !strcmp(piece, t->text))
        return 0;
    ps_printable(other, sizeof other, piece);
    return ps_field_refuse(field, err, "id %d is '%s' here and '%s' in the vocabulary", (int)id, shown, other);
}

static int make_pattern(token *t, const ps_normalizer *normalizer, ps_err *err)
{
    ps_aligned text = {0}, normal = {0};
    int rc = -1;

    if (ps_aligned_original(&text, t->text, strlen(t->text), err) == 0 &&
        ps_normalizer_run(t->normalized ? normalizer : NULL, &text, &normal, err) == 0 &&
        (t->pattern = ps_strndup(normal.n ? normal.bytes : "", normal.n, err))) {
        t->n = normal.n;
        rc = 0;
    }
    ps_aligned_release(&text);
    ps_aligned_release(&normal);
    return rc;
}

static void release(token *t)
{
    ps_free(t->text);
    ps_free(t->pattern);
}

/* Read one token.  Of two with the same text, the later replaces the earlier. */
static int add_token(ps_added *a, const ps_field *field, const ps_vocab *vocab, const ps_normalizer *normalizer,
                     ps_err *err)
{
    token t = {0};

    if (load_token(field, &t, err) < 0 || check_id(a, &t, field, vocab, err) < 0 ||
        make_pattern(&t, normalizer, err) < 0) {
        release(&t);
        return -1;
    }
    token *before = by_text(a, t.text);
    if (before)
        release(before);
    else if (ps_vocab_add(a->texts, t.text, (int32_t)a->n, err) < 0) {
        release(&t);
        return -1;
    } else
        before = &a->tokens[a->n++];
    *before = t;
    return 0;
}

static int by_pattern(const void *left, const void *right)
{
    const token *a = *(token *const *)left, *b = *(token *const *)right;
    int order = memcmp(a->pattern, b->pattern, a->n < b->n ? a->n : b->n);

    return order ? order : a->n != b->n ? (a->n < b->n ? -1 : 1) : a < b ? -1 : a > b;
}

static bool begins_with(const char *s, size_t n, const token *t)
{
    return t->n <= n && !memcmp(s, t->pattern, t->n);
}

/* Sort the tokens of one kind by pattern, and find each one's prefix: the token before it, or a prefix of that one. */
static int sort_patterns(ps_added *a, bool normalized, const ps_field *list, ps_err *err)
{
    sorted *s = &a->patterns[normalized];

    if (!(s->at = ps_malloc(a->n, sizeof *s->at, err)))
        return -1;
    for (size_t i = 0; i < a->n; i++)
        if (a->tokens[i].n && a->tokens[i].normalized == normalized) {
            s->at[s->n++] = &a->tokens[i];
            s->begins[(unsigned char)a->tokens[i].pattern[0]] = true;
        }
    if (s->n)
        qsort(s->at, s->n, sizeof *s->at, by_pattern);
    for (size_t i = 1; i < s->n; i++) {
        token *t = s->at[i];
        const token *before = s->at[i - 1];
        if (before->n == t->n && !memcmp(before->pattern, t->pattern, t->n))
            return ps_field_refuse(list, err, "ids %d and %d are the same text once normalized", (int)before->id,
                                   (int)t->id);
        while (before && !begins_with(t->pattern, t->n, before))
            before = before->prefix;
        t->prefix = before;
    }
    return 0;
}

static int by_number(const void *left, const void *right)
{
    const token *a = *(token *const *)left, *b = *(token *const *)right;

    return a->id < b->id ? -1 : a->id > b->id;
}

static int sort_all(ps_added *a, const ps_field *list, ps_err *err)
{
    if (!(a->by_id = ps_malloc(a->n, sizeof *a->by_id, err)))
        return -1;
    for (size_t i = 0; i < a->n; i++)
        a->by_id[i] = &a->tokens[i];
    if (a->n)
        qsort(a->by_id, a->n, sizeof *a->by_id, by_number);
    return sort_patterns(a, false, list, err) < 0 ? -1 : sort_patterns(a, true, list, err);
}

static int load_all(ps_added *a, const ps_field *list, const ps_vocab *vocab, const ps_normalizer *normalizer,
                    ps_err *err)
{
    size_t i = 0, n = 0, bytes = 1;

    if (ps_field_want(list, PS_JSON_ARRAY, err) < 0)
        return -1;
    for (const ps_node *node = ps_json_first(list->node); node; node = ps_json_next(node), n++)
        bytes += strlen(ps_json_string(ps_json_get(node, "content"))) + 1;
    if (!(a->tokens = ps_calloc(n, sizeof *a->tokens, err)) || ps_vocab_build(&a->texts, n, bytes, err) < 0)
        return -1;
    for (const ps_node *node = ps_json_first(list->node); node; node = ps_json_next(node)) {
        ps_field at = ps_field_at(list, node, i++);
        if (add_token(a, &at, vocab, normalizer, err) < 0)
            return -1;
    }
    return sort_all(a, list, err);
}

int ps_added_load(ps_added **out, const ps_field *list, const ps_vocab *vocab,
                  const ps_normalizer *normalizer, ps_err *err)
{
    ps_added *a = ps_calloc(1, sizeof *a, err);

    if (!a)
        return -1;
    a->next_id = (int32_t)ps_vocab_count(vocab);
    if (!ps_field_empty(list) && load_all(a, list, vocab, normalizer, err) < 0) {
        ps_added_free(a);
        return -1;
    }
    *out = a;
    return 0;
}

void ps_added_free(ps_added *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++)
        release(&a->tokens[i]);
    ps_free(a->tokens);
    ps_free(a->by_id);
    ps_free(a->patterns[0].at);
    ps_free(a->patterns[1].at);
    ps_vocab_free(a->texts);
    ps_free(a);
}

static const token *by_id(const ps_added *a, int32_t id)
{
    const token wanted = {.id = id}, *key = &wanted;
    token *const *found = a->n ? bsearch(&key, a->by_id, a->n, sizeof *a->by_id, by_number) : NULL;

    return found ? *found : NULL;
}

const char *ps_added_piece(const ps_added *a, int32_t id)
{
    const token *t = by_id(a, id);

    return t ? t->text : NULL;
}

const char *ps_added_pattern(const ps_added *a, int32_t id)
{
    const token *t = by_id(a, id);

    return t ? t->pattern : NULL;
}

bool ps_added_special(const ps_added *a, int32_t id)
{
    const token *t = by_id(a, id);

    return t && t->special;
}

int32_t ps_added_size(const ps_added *a)
{
    return a->n ? a->by_id[a->n - 1]->id + 1 : 0;
}

/* ---- finding ---- */

/*
 * The longest token at `at`, or NULL.  Every pattern that the text begins with is a prefix of the last pattern that
 * sorts before the text, or that pattern itself.
 */
static const token *match(const ps_added *a, bool normalized, const ps_aligned *text, size_t at)
{
    const sorted *s = &a->patterns[normalized];
    const char *here = text->bytes + at;
    size_t n = text->n - at, low = 0, high = s->n;

    if (!s->begins[(unsigned char)*here])
        return NULL;
    while (low < high) { /* at[low - 1] sorts before the text, at[high] after it */
        size_t middle = (low + high) / 2;
        const token *t = s->at[middle];
        int order = memcmp(t->pattern, here, t->n < n ? t->n : n);
        if (order < 0 || (order == 0 && t->n <= n))
            low = middle + 1;
        else
            high = middle;
    }
    const token *best = low ? s->at[low - 1] : NULL;
    while (best && !begins_with(here, n, best))
        best = best->prefix;
    return best;
}

/* Decode the character that ends at `end`, and set *start to where it begins. */
static uint32_t character_before(const ps_aligned *text, size_t end, size_t *start)
{
    int len;

    *start = end - 1;
    while (*start && ((unsigned char)text->bytes[*start] & 0xc0) == 0x80)
        --*start;
    return ps_utf8_decode(text->bytes + *start, &len);
}

static bool stands_alone(const ps_aligned *text, size_t start, size_t end)
{
    size_t before;
    int len;

    return (start == 0 || !ps_is_word(character_before(text, start, &before))) &&
           (end == text->n || !ps_is_word(ps_utf8_decode(text->bytes + end, &len)));
}

/*
 * Extend a match by the spaces around it that its token strips.  With lstrip it takes no text before `taken`, which
 * belongs to the match before, and so it may become empty.  *spaces is where the last scan over spaces ended.  A scan
 * that would begin before that point continues there, so that many matches of spaces do not scan the same ones again.
 */
static void strip(const token *t, const ps_aligned *text, size_t taken, size_t *spaces, size_t *start, size_t *end)
{
    size_t before;
    int len;

    while (t->lstrip && *start > taken && ps_is_space(character_before(text, *start, &before)))
        *start = before;
    if (t->lstrip && *start < taken)
        *start = taken;
    if (t->rstrip && *end < *spaces)
        *end = *spaces;
    while (t->rstrip && *end < text->n && ps_is_space(ps_utf8_decode(text->bytes + *end, &len)))
        *end += (size_t)len;
    if (t->rstrip)
        *spaces = *end;
}

static int add(ps_stretch **out, size_t *n, size_t *cap, ps_stretch s, ps_err *err)
{
    if (s.start >= s.end)
        return 0;
    if (ps_grow(out, *n, cap, sizeof **out, err) < 0)
        return -1;
    (*out)[(*n)++] = s;
    return 0;
}

int ps_added_split(const ps_added *a, bool normalized, const ps_aligned *text, ps_stretch **out,
                   size_t *n, size_t *cap, ps_err *err)
{
    size_t taken = 0, spaces = 0;

    *n = 0;
    for (size_t at = 0; at < text->n;) {
        const token *t = match(a, normalized, text, at);
        if (!t) {
            at++;
            continue;
        }
        size_t start = at, end = at + t->n;
        at = end;
        if (t->single_word && !stands_alone(text, start, end))
            continue;
        strip(t, text, taken, &spaces, &start, &end);
        if (add(out, n, cap, (ps_stretch){taken, start, -1}, err) < 0 ||
            add(out, n, cap, (ps_stretch){start, end, t->id}, err) < 0)
            return -1;
        taken = end;
    }
    return add(out, n, cap, (ps_stretch){taken, text->n, -1}, err);
}
