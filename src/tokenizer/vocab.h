/*
 * vocab.h - the vocabulary: string to id, and id to string.
 *
 * Strings live in one arena; a hash table finds them.  128,256 entries take a few
 * milliseconds to fill.
 */
#ifndef PATCHSWEEP_TOKENIZER_VOCAB_H
#define PATCHSWEEP_TOKENIZER_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

/* Larger ids are refused as damage: a table by id would fill the memory. */
#define PS_VOCAB_MAX_ID ((1 << 24) - 1)

typedef struct ps_vocab ps_vocab;

/* Room for n strings of `bytes` in all, NULs included. */
int ps_vocab_build(ps_vocab **out, size_t n, size_t bytes, ps_err *err);
void ps_vocab_free(ps_vocab *vocab);
/* Add a string that is not there yet; 0 <= id <= PS_VOCAB_MAX_ID.  Of two strings with one id, the later is its piece. */
int ps_vocab_add(ps_vocab *vocab, const char *s, int32_t id, ps_err *err);

int32_t ps_vocab_find(const ps_vocab *vocab, const char *s, size_t n); /* -1: not there */
const char *ps_vocab_piece(const ps_vocab *vocab, int32_t id);         /* NULL: none */
size_t ps_vocab_count(const ps_vocab *vocab);                          /* strings */
int32_t ps_vocab_size(const ps_vocab *vocab);                          /* largest id + 1 */

#endif
