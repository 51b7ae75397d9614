/*
 * added.h - added tokens: texts that are one token each, wherever they occur.
 *
 * Package-private.  They are found before anything else: those with normalized = false in the original text, the others
 * in the normalized form of what remains.
 */
#ifndef PATCHSWEEP_TOKENIZER_ADDED_H
#define PATCHSWEEP_TOKENIZER_ADDED_H

#include <stdbool.h>

#include "aligned.h"
#include "field.h"
#include "normalizer.h"
#include "vocab.h"

typedef struct ps_added ps_added;

/* A stretch of a text: an added token, or the text between two (id -1). */
typedef struct ps_stretch {
    size_t start, end;
    int32_t id;
} ps_stretch;

/*
 * Load `list`, the added_tokens (absent: none).  The `tokenizers` package ignores the ids in the file: it takes those of
 * the vocabulary, or numbers the tokens from its end on.  A file with other ids is refused.
 */
int ps_added_load(ps_added **out, const ps_field *list, const ps_vocab *vocab,
                  const ps_normalizer *normalizer, ps_err *err);
void ps_added_free(ps_added *added);

const char *ps_added_piece(const ps_added *added, int32_t id);   /* the token's text; NULL if it is not an added token */
const char *ps_added_pattern(const ps_added *added, int32_t id); /* its form in normalized text; NULL likewise */
bool ps_added_special(const ps_added *added, int32_t id);
int32_t ps_added_size(const ps_added *added); /* largest id + 1 */

/*
 * Cut `text` at the added tokens whose `normalized` is as given.  *out gets the *n stretches, in a vector of capacity
 * *cap that is owned by the caller and may be passed again.
 */
int ps_added_split(const ps_added *added, bool normalized, const ps_aligned *text, ps_stretch **out,
                   size_t *n, size_t *cap, ps_err *err);

#endif
