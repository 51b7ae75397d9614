/*
 * merges.c - a hash table from pairs of ids to merges.
 *
 * Both spellings of the list are read: "a b", and the later ["a", "b"], which can name tokens with a space in them.
 */
#include "merges.h"

#include <string.h>

#include "patchsweep/hash.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define FREE UINT64_MAX /* no pair: ids are below 2^24 */

typedef struct slot {
    uint64_t pair;
    ps_merge merge;
} slot;

struct ps_merges {
    slot *slots; /* [mask + 1] */
    uint64_t mask;
};

static slot *slot_of(const ps_merges *merges, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;

    for (uint64_t i = ps_hash_pair(left, right) & merges->mask;; i = (i + 1) & merges->mask)
        if (merges->slots[i].pair == pair || merges->slots[i].pair == FREE)
            return merges->slots + i;
}

const ps_merge *ps_merges_find(const ps_merges *merges, int32_t left, int32_t right)
{
    const slot *s = slot_of(merges, left, right);

    return s->pair == FREE ? NULL : &s->merge;
}

/* Split an entry into its two tokens.  *left is not NUL-terminated. */
static int halves(const ps_field *at, const char **left, size_t *n_left, const char **right, ps_err *err)
{
    if (ps_json_is(at->node, PS_JSON_STRING)) {
        const char *s = ps_json_string(at->node), *space = strchr(s, ' ');
        if (!space || strchr(space + 1, ' '))
            return ps_field_refuse(at, err, "is not two tokens with one space between them");
        *left = s;
        *n_left = (size_t)(space - s);
        *right = space + 1;
        return 0;
    }
    const ps_node *a = ps_json_first(at->node), *b = a ? ps_json_next(a) : NULL;
    if (!ps_json_is(a, PS_JSON_STRING) || !ps_json_is(b, PS_JSON_STRING) || ps_json_next(b))
        return ps_field_refuse(at, err, "is not a pair of strings");
    *left = ps_json_string(a);
    *n_left = strlen(*left);
    *right = ps_json_string(b);
    return 0;
}

static int refuse_unknown(const ps_field *at, const char *s, size_t n, ps_err *err)
{
    char token[120], shown[120];

    n = n < sizeof token ? n : sizeof token - 1;
    memcpy(token, s, n);
    token[n] = '\0';
    ps_printable(shown, sizeof shown, token);
    return ps_field_refuse(at, err, "'%s' is not in model.vocab", shown);
}

static int add(ps_merges *merges, const ps_field *at, uint32_t rank, const ps_vocab *vocab, ps_text *joined,
               ps_err *err)
{
    const char *left = "", *right = ""; /* compilers warn that they may be unset */
    size_t n_left = 0;

    if (halves(at, &left, &n_left, &right, err) < 0)
        return -1;
    joined->n = 0;
    ps_text_add(joined, left, n_left);
    ps_text_puts(joined, right);
    if (ps_text_ok(joined, err) < 0)
        return -1;
    int32_t a = ps_vocab_find(vocab, left, n_left);
    int32_t b = ps_vocab_find(vocab, right, strlen(right));
    int32_t both = ps_vocab_find(vocab, joined->bytes, joined->n);
    if (a < 0)
        return refuse_unknown(at, left, n_left, err);
    if (b < 0)
        return refuse_unknown(at, right, strlen(right), err);
    if (both < 0)
        return refuse_unknown(at, joined->bytes, joined->n, err);
    slot *s = slot_of(merges, a, b);
    s->pair = (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
    s->merge = (ps_merge){rank, both};
    return 0;
}

/* The first line of GPT-2's merges.txt, which some files list as if it were a merge. */
static bool is_version_line(const ps_node *node)
{
    return !strncmp(ps_json_string(node), "#version", 8);
}

static int add_all(ps_merges *merges, const ps_field *list, const ps_vocab *vocab, ps_text *joined, ps_err *err)
{
    const ps_node *first = ps_json_first(list->node);
    uint32_t rank = 0;
    size_t i = 0;

    for (const ps_node *n = first; n; n = ps_json_next(n), i++) {
        ps_field at = {.node = n};
        if (ps_json_type(n) != ps_json_type(first)) {
            at = ps_field_at(list, n, i);
            return ps_field_refuse(&at, err, "is not of the same kind as the merges before it");
        }
        if (is_version_line(n))
            continue;
        if (add(merges, &at, rank++, vocab, joined, err) < 0) {
            at = ps_field_at(list, n, i); /* the path is made only now: a file has up to 280,000 merges */
            return ps_err_prefix(err, "%s", at.path);
        }
    }
    return 0;
}

int ps_merges_load(ps_merges **out, const ps_field *list, const ps_vocab *vocab, ps_err *err)
{
    ps_text joined = {0};
    size_t slots = 16;

    if (ps_field_want(list, PS_JSON_ARRAY, err) < 0)
        return -1;
    for (size_t n = ps_json_count(list->node); slots < 2 * n;)
        slots *= 2;
    ps_merges *merges = ps_calloc(1, sizeof *merges, err);
    if (!merges || !(merges->slots = ps_malloc(slots, sizeof *merges->slots, err))) {
        ps_merges_free(merges);
        return -1;
    }
    merges->mask = slots - 1;
    for (size_t s = 0; s < slots; s++)
        merges->slots[s].pair = FREE;
    int rc = add_all(merges, list, vocab, &joined, err);
    ps_text_release(&joined);
    if (rc < 0)
        ps_merges_free(merges);
    else
        *out = merges;
    return rc;
}

void ps_merges_free(ps_merges *merges)
{
    if (!merges)
        return;
    ps_free(merges->slots);
    ps_free(merges);
}
