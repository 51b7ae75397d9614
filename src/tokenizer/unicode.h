/*
 * unicode.h - the character classes of tokenizers, and canonical composition.
 *
 * Package-private.  Tables are utf8proc's; unicode.c alone includes it.
 */
#ifndef PATCHSWEEP_TOKENIZER_UNICODE_H
#define PATCHSWEEP_TOKENIZER_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

#include "aligned.h"
#include "patchsweep/err.h"

bool ps_is_space(uint32_t cp);   /* White_Space */
bool ps_is_word(uint32_t cp);    /* \w as Rust's regex has it: UTS #18's annex C */
bool ps_is_numeric(uint32_t cp); /* Nd, Nl, No */

/*
 * Append the NFC form of source to *out.  Characters that composition left alone keep their
 * own origin; what it changed stands for the whole run that it changed.
 */
int ps_nfc(ps_aligned *out, const ps_aligned *source, ps_err *err);

#endif
