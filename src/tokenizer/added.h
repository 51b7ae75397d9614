/*
 * added.h - added tokens: texts that are one token each, wherever they occur.
 *
 * Package-private.  They are found first: those with normalized = false in the text as it is, the others in
 * the normalized form of the remaining text.
 */
#ifndef PATCHSWEEP_TOKENIZER_ADDED_H
#define PATCHSWEEP_TOKENIZER_ADDED_H

#include <stdbool.h>

#include "aligned.h"
#include "normalizer.h"
#include "tokenizer_part.h"
#include "vocab.h"

typedef struct ps_added ps_added;

/* A stretch of a text: an added token, or (id -1) the text between two. */
typedef struct ps_stretch {
    size_t start, end;
    int32_t id;
} ps_stretch;

/*
 * `list` is added_tokens (absent: none).  The `tokenizers` package does not read their ids: it takes the ids of the
 * vocabulary, or counts on from its end.  A file with other ids is refused.
 */
int ps_added_load(ps_added **out, const ps_part *list, const ps_vocab *vocab,
                  const ps_normalizer *normalizer, ps_err *err);
void ps_added_free(ps_added *added);

const char *ps_added_piece(const ps_added *added, int32_t id); /* NULL: not an added one */
const char *ps_added_pattern(const ps_added *added, int32_t id); /* its form in normalized text */
bool ps_added_special(const ps_added *added, int32_t id);
int32_t ps_added_size(const ps_added *added); /* largest id + 1 */

/*
 * Cut `text` at the added tokens that are matched normalized (or not): *out gets *n stretches (owned
 * by the caller, in a vector of capacity *cap that may be passed again).
 */
int ps_added_split(const ps_added *added, bool normalized, const ps_aligned *text, ps_stretch **out,
                   size_t *n, size_t *cap, ps_err *err);

#endif
