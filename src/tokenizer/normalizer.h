/*
 * normalizer.h - the normalizer of a tokenizer.json: NFC, Prepend, Replace, or a sequence of them.
 *
 * Package-private.
 */
#ifndef PATCHSWEEP_TOKENIZER_NORMALIZER_H
#define PATCHSWEEP_TOKENIZER_NORMALIZER_H

#include "aligned.h"
#include "field.h"

typedef struct ps_normalizer ps_normalizer;

/* Load the normalizer.  *out is NULL if `field` is absent or null: then text stays as it is. */
int ps_normalizer_load(ps_normalizer **out, const ps_field *field, ps_err *err);
void ps_normalizer_free(ps_normalizer *normalizer);

/* Append the normalized form of source to *out.  A NULL normalizer copies it. */
int ps_normalizer_run(const ps_normalizer *normalizer, const ps_aligned *source, ps_aligned *out,
                      ps_err *err);

#endif
