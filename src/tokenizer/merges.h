/*
 * merges.h - the merges of a tokenizer: which two tokens become which third, in which order.
 *
 * The place of a pair in the list is its rank.  A pair that is in the list
 * twice has its last place, as in the `tokenizers` package.
 */
#ifndef PATCHSWEEP_TOKENIZER_MERGES_H
#define PATCHSWEEP_TOKENIZER_MERGES_H

#include <stdint.h>

#include "tokenizer_part.h"
#include "vocab.h"

#include "patchsweep/err.h"

typedef struct ps_merges ps_merges;

typedef struct ps_merge {
    uint32_t rank; /* lower is merged earlier */
    int32_t id;    /* of the merged token */
} ps_merge;

/* `list` is model.merges: "a b" strings or ["a", "b"] pairs, all of one kind. */
int ps_merges_load(ps_merges **out, const ps_part *list, const ps_vocab *vocab, ps_err *err);
void ps_merges_free(ps_merges *merges);
/* The merge of the pair, or NULL. */
const ps_merge *ps_merges_find(const ps_merges *merges, int32_t left, int32_t right);

#endif
