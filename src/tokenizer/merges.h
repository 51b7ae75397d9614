/*
 * merges.h - the merges of a tokenizer: which pairs of tokens become one token, and in which order.
 *
 * The rank of a pair is its index in the list.  A pair that is listed twice has the last index, as in the `tokenizers`
 * package.
 */
#ifndef PATCHSWEEP_TOKENIZER_MERGES_H
#define PATCHSWEEP_TOKENIZER_MERGES_H

#include <stdint.h>

#include "field.h"
#include "vocab.h"

#include "patchsweep/err.h"

typedef struct ps_merges ps_merges;

typedef struct ps_merge {
    uint32_t rank; /* lower ranks are merged first */
    int32_t id;    /* the merged token */
} ps_merge;

/* Load `list`, the model.merges: strings "a b" or pairs ["a", "b"], all of one kind. */
int ps_merges_load(ps_merges **out, const ps_field *list, const ps_vocab *vocab, ps_err *err);
void ps_merges_free(ps_merges *merges);
/* The merge of the pair, or NULL. */
const ps_merge *ps_merges_find(const ps_merges *merges, int32_t left, int32_t right);

#endif
