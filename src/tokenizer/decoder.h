/*
 * decoder.h - the decoder of a tokenizer.json, for one token at a time.
 *
 * Package-private.  ByteLevel, Metaspace, or a sequence of Replace, ByteFallback, Fuse and Strip.
 */
#ifndef PATCHSWEEP_TOKENIZER_DECODER_H
#define PATCHSWEEP_TOKENIZER_DECODER_H

#include "patchsweep/text.h"
#include "field.h"

typedef struct ps_decoder ps_decoder;

/* Load the decoder.  *out is NULL if `field` is absent or null: then a token decodes to its piece. */
int ps_decoder_load(ps_decoder **out, const ps_field *field, ps_err *err);
void ps_decoder_free(ps_decoder *decoder);
/* Append what a single token with this piece decodes to. */
void ps_decoder_run(const ps_decoder *decoder, const char *piece, ps_text *out);

#endif
