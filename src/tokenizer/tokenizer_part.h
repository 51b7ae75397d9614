/*
 * tokenizer_part.h - one part of a tokenizer.json, and its path in the file.
 *
 * Shared by the five files that read parts: the path for messages
 * ("pre_tokenizer.pretokenizers[1].type"), and getters that refuse what they do not know.
 */
#ifndef PATCHSWEEP_TOKENIZER_TOKENIZER_PART_H
#define PATCHSWEEP_TOKENIZER_TOKENIZER_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/json.h"

typedef struct ps_part {
    const ps_node *node; /* NULL where the key is absent */
    char path[160];
} ps_part;

/* The member `key`; its node is NULL where there is none. */
ps_part ps_part_get(const ps_part *parent, const char *key);
/* `node`, the i-th element of the array `parent`. */
ps_part ps_part_at(const ps_part *parent, const ps_node *node, size_t i);
/* Whether it is absent or null, which mean the same to the `tokenizers` package. */
bool ps_part_empty(const ps_part *part);

/* "<path>: <formatted>" with PS_EINPUT; returns -1. */
int ps_part_refuse(const ps_part *part, ps_err *err, const char *fmt, ...) PS_PRINTF(3, 4);

/* Refuse `part` unless it is of that JSON type. */
int ps_part_want(const ps_part *part, enum ps_json_type type, ps_err *err);
/* Refuse an object's keys other than names[], which ends in NULL. */
int ps_part_keys(const ps_part *object, const char *const *names, ps_err *err);
/* *which gets the place of object.type in names[], which ends in NULL. */
int ps_part_type(const ps_part *object, const char *const *names, int *which, ps_err *err);

/* Read a required member. */
int ps_part_bool(const ps_part *object, const char *key, bool *value, ps_err *err);
/* Read an optional member; where it is missing or null *value stays as it is. */
int ps_part_bool_or(const ps_part *object, const char *key, bool *value, ps_err *err);
int ps_part_string(const ps_part *object, const char *key, const char **value, ps_err *err);
/* A whole number 0..max. */
int ps_part_int(const ps_part *object, const char *key, int32_t max, int32_t *value, ps_err *err);
/*
 * Walk a part that is one step or a Sequence of them, however deep: names[0] is "Sequence", whose
 * steps stand under `list`; `take` is called for each other step with its place in names[].
 */
typedef int (*ps_part_take)(void *context, const ps_part *step, int which, ps_err *err);
int ps_part_steps(const ps_part *part, const char *const *names, const char *list, ps_part_take take,
                  void *context, ps_err *err);

/*
 * Count a step that makes a text up to `times` as long.  *growth is the product over all steps, 0
 * before the first.  PS_EINPUT where it is larger than in any real tokenizer and might fill the memory.
 */
int ps_part_grow(const ps_part *step, size_t times, size_t *growth, ps_err *err);
/* The strings of a Replace step, whose pattern must be a String (copies, owned by the caller). */
int ps_part_replace(const ps_part *step, char **what, char **with, size_t *growth, ps_err *err);
/* A string of exactly one character; *bytes gets its length. */
int ps_part_char(const ps_part *object, const char *key, char value[5], int *bytes, ps_err *err);

#endif
