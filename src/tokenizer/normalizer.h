/*
 * normalizer.h - the normalizer of a tokenizer.json: NFC, Prepend, Replace, or a sequence of them.
 *
 * Package-private.
 */
#ifndef PATCHSWEEP_TOKENIZER_NORMALIZER_H
#define PATCHSWEEP_TOKENIZER_NORMALIZER_H

#include "aligned.h"
#include "tokenizer_part.h"

typedef struct ps_normalizer ps_normalizer;

/* *out NULL where `part` is absent or null: text stays as it is. */
int ps_normalizer_load(ps_normalizer **out, const ps_part *part, ps_err *err);
void ps_normalizer_free(ps_normalizer *normalizer);

/* Append the normalized form of source to *out; a NULL normalizer copies. */
int ps_normalizer_run(const ps_normalizer *normalizer, const ps_aligned *source, ps_aligned *out,
                      ps_err *err);

#endif
