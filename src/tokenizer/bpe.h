/*
 * bpe.h - the model of a tokenizer.json: a vocabulary and an ordered list of merges.
 *
 * A piece of text is split into its characters.  Then the adjacent pair with the lowest rank is merged, again and again,
 * until no pair is in the list.  The candidates are kept in a heap, so a piece of n characters costs O(n log n) in the
 * worst case.
 */
#ifndef PATCHSWEEP_TOKENIZER_BPE_H
#define PATCHSWEEP_TOKENIZER_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "aligned.h"
#include "field.h"
#include "vocab.h"

#include "patchsweep/err.h"
#include "patchsweep/tokenizer.h"

typedef struct ps_bpe ps_bpe;

/* Scratch memory.  Starts as {0}, and may be used for any number of pieces. */
typedef struct ps_bpe_scratch {
    struct ps_symbol *symbols;
    size_t n, cap;
    struct ps_merge_at *heap;
    size_t n_heap, heap_cap;
} ps_bpe_scratch;

int ps_bpe_load(ps_bpe **out, const ps_field *model, ps_err *err);
void ps_bpe_free(ps_bpe *bpe);
const ps_vocab *ps_bpe_vocab(const ps_bpe *bpe);

/* Append the tokens of the piece text[start..end). */
int ps_bpe_encode(const ps_bpe *bpe, ps_bpe_scratch *scratch, const ps_aligned *text, size_t start,
                  size_t end, ps_tokens *out, ps_err *err);
void ps_bpe_scratch_release(ps_bpe_scratch *scratch);

#endif
