/*
 * bpe.h - the model of a tokenizer.json: a vocabulary and an ordered list of merges.
 *
 * A piece of text starts as its characters; the adjacent pair with the lowest rank is merged until no
 * pair is in the list.  A heap holds the candidates: a piece of n
 * characters costs O(n log n), whatever its text.
 */
#ifndef PATCHSWEEP_TOKENIZER_BPE_H
#define PATCHSWEEP_TOKENIZER_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "aligned.h"
#include "tokenizer_part.h"
#include "vocab.h"

#include "patchsweep/err.h"
#include "patchsweep/tokenizer.h"

typedef struct ps_bpe ps_bpe;

/* Scratch memory of an encoding; starts as {0}, serves any number of pieces. */
typedef struct ps_bpe_scratch {
    struct ps_symbol *symbols;
    size_t n, cap;
    struct ps_merge_at *heap;
    size_t n_heap, heap_cap;
} ps_bpe_scratch;

int ps_bpe_load(ps_bpe **out, const ps_part *model, ps_err *err);
void ps_bpe_free(ps_bpe *bpe);
const ps_vocab *ps_bpe_vocab(const ps_bpe *bpe);

/* Append the tokens of the piece text[start..end). */
int ps_bpe_encode(const ps_bpe *bpe, ps_bpe_scratch *scratch, const ps_aligned *text, size_t start,
                  size_t end, ps_tokens *out, ps_err *err);
void ps_bpe_scratch_release(ps_bpe_scratch *scratch);

#endif
