/*
 * unicode.h - the character classes of tokenizers, and canonical composition.
 *
 * Package-private.  The tables are utf8proc's; only unicode.c includes it.
 */
#ifndef PATCHSWEEP_TOKENIZER_UNICODE_H
#define PATCHSWEEP_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

#include "aligned.h"
#include "patchsweep/err.h"

bool ps_is_space(uint32_t cp);   /* White_Space */
bool ps_is_word(uint32_t cp);    /* \w as in Rust's regex: UTS #18, annex C */
bool ps_is_numeric(uint32_t cp); /* Nd, Nl, No */

/*
 * Append the NFC form of source to *out.  Characters that composition leaves alone keep their origin.  The origin of
 * changed characters is the whole run that was composed.
 */
int ps_nfc(ps_aligned *out, const ps_aligned *source, ps_err *err);

#endif
