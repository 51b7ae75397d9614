/* vocab.c - a hash table with open addressing, over strings in one arena. */
#include "vocab.h"

#include <string.h>

#include "patchsweep/hash.h"
#include "patchsweep/mem.h"

typedef struct entry {
    const char *s; /* in the arena; NULL while free */
    uint32_t n, hash;
    int32_t id;
} entry;

struct ps_vocab {
    entry *slots; /* [mask + 1], a power of two */
    size_t mask, n;
    char *arena;
    size_t used, bytes;
    const char **pieces; /* [size] */
    size_t size, cap;
};

int ps_vocab_build(ps_vocab **out, size_t n, size_t bytes, ps_err *err)
{
    size_t slots = 16;
    ps_vocab *vocab = ps_calloc(1, sizeof *vocab, err);

    if (!vocab)
        return -1;
    while (slots < 2 * n)
        slots *= 2;
    vocab->mask = slots - 1;
    vocab->bytes = bytes;
    vocab->slots = ps_calloc(slots, sizeof *vocab->slots, err);
    vocab->arena = vocab->slots ? ps_malloc(bytes, 1, err) : NULL;
    if (!vocab->arena) {
        ps_vocab_free(vocab);
        return -1;
    }
    *out = vocab;
    return 0;
}

void ps_vocab_free(ps_vocab *vocab)
{
    if (!vocab)
        return;
    ps_free(vocab->slots);
    ps_free(vocab->arena);
    ps_free(vocab->pieces);
    ps_free(vocab);
}

/* The slot that holds s[n], or the free slot where it belongs. */
static entry *slot_of(const ps_vocab *vocab, const char *s, size_t n, uint32_t hash)
{
    for (size_t i = hash & vocab->mask;; i = (i + 1) & vocab->mask) {
        entry *e = vocab->slots + i;
        if (!e->s || (e->hash == hash && e->n == n && !memcmp(e->s, s, n)))
            return e;
    }
}

static int reserve_id(ps_vocab *vocab, int32_t id, ps_err *err)
{
    size_t cap = vocab->cap ? vocab->cap : 256;

    while (cap <= (size_t)id)
        cap *= 2;
    if (cap > vocab->cap) {
        const char **pieces = ps_realloc(vocab->pieces, cap, sizeof *pieces, err);
        if (!pieces)
            return -1;
        memset(pieces + vocab->cap, 0, (cap - vocab->cap) * sizeof *pieces);
        vocab->pieces = pieces;
        vocab->cap = cap;
    }
    if (vocab->size <= (size_t)id)
        vocab->size = (size_t)id + 1;
    return 0;
}

int ps_vocab_add(ps_vocab *vocab, const char *s, int32_t id, ps_err *err)
{
    size_t n = strlen(s);
    uint32_t hash = (uint32_t)ps_hash(s, n);
    entry *e = slot_of(vocab, s, n, hash);

    if (e->s || vocab->used + n + 1 > vocab->bytes || 2 * vocab->n > vocab->mask + 1)
        PS_BUG("vocabulary filled past what it was built for");
    if (reserve_id(vocab, id, err) < 0)
        return -1;
    char *copy = memcpy(vocab->arena + vocab->used, s, n + 1);
    vocab->used += n + 1;
    *e = (entry){copy, (uint32_t)n, hash, id};
    vocab->pieces[id] = copy;
    vocab->n++;
    return 0;
}

int32_t ps_vocab_find(const ps_vocab *vocab, const char *s, size_t n)
{
    const entry *e = slot_of(vocab, s, n, (uint32_t)ps_hash(s, n));

    return e->s ? e->id : -1;
}

const char *ps_vocab_piece(const ps_vocab *vocab, int32_t id)
{
    return id >= 0 && (size_t)id < vocab->size ? vocab->pieces[id] : NULL;
}

size_t ps_vocab_count(const ps_vocab *vocab)
{
    return vocab->n;
}

int32_t ps_vocab_size(const ps_vocab *vocab)
{
    return (int32_t)vocab->size;
}
