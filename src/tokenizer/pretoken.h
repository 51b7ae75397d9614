/*
 * pretoken.h - the pre-tokenizer of a tokenizer.json, which cuts text into pieces that BPE never joins.
 *
 * Package-private.  Split (with the patterns that the supported families use), Digits, ByteLevel,
 * Metaspace, or a sequence of them.
 */
#ifndef PATCHSWEEP_TOKENIZER_PRETOKEN_H
#define PATCHSWEEP_TOKENIZER_PRETOKEN_H

#include "aligned.h"
#include "field.h"

typedef struct ps_pretoken ps_pretoken;

/* A text and where it is cut: piece i is text[cut[i] .. cut[i + 1]).  Starts as {0}. */
typedef struct ps_pieces {
    ps_aligned text;
    size_t *cut; /* [n + 1] */
    size_t n, cap;
} ps_pieces;

/* Load the pre-tokenizer.  *out is NULL if `field` is absent or null: then a text is one piece. */
int ps_pretoken_load(ps_pretoken **out, const ps_field *field, ps_err *err);
void ps_pretoken_free(ps_pretoken *pretoken);

/* Replace *out by the pieces of source, reusing its memory. */
int ps_pretoken_run(const ps_pretoken *pretoken, const ps_aligned *source, ps_pieces *out, ps_err *err);
void ps_pieces_release(ps_pieces *pieces);

#endif
