/*
 * vocab.h - the vocabulary: from string to id, and from id to string.
 *
 * The strings are in one arena, and a hash table finds them.  Adding 128,256 entries takes a few milliseconds.
 */
#ifndef PATCHSWEEP_TOKENIZER_VOCAB_H
#define PATCHSWEEP_TOKENIZER_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

/* Larger ids are refused as damage: a table indexed by id would fill the memory. */
#define PS_VOCAB_MAX_ID ((1 << 24) - 1)

typedef struct ps_vocab ps_vocab;

/* Allocate an empty vocabulary for n strings of `bytes` in all, NULs included. */
int ps_vocab_build(ps_vocab **out, size_t n, size_t bytes, ps_err *err);
void ps_vocab_free(ps_vocab *vocab);
/* Add a new string; 0 <= id <= PS_VOCAB_MAX_ID.  If two strings have one id, the later is its piece. */
int ps_vocab_add(ps_vocab *vocab, const char *s, int32_t id, ps_err *err);

int32_t ps_vocab_find(const ps_vocab *vocab, const char *s, size_t n); /* the id of a string, or -1 */
const char *ps_vocab_piece(const ps_vocab *vocab, int32_t id);         /* the string of an id, or NULL */
size_t ps_vocab_count(const ps_vocab *vocab);                          /* the number of strings */
int32_t ps_vocab_size(const ps_vocab *vocab);                          /* the largest id + 1 */

#endif
