/*
 * field.h - one value in a tokenizer.json, and its path in the file.
 *
 * Package-private.  Messages begin with the path ("pre_tokenizer.pretokenizers[1].type: ...").  Functions that can fail
 * return -1 with PS_EINPUT, or with PS_EFAIL for lack of memory.  They refuse what they do not know: ignoring a setting
 * could give wrong ids that look right.
 */
#ifndef PATCHSWEEP_TOKENIZER_FIELD_H
#define PATCHSWEEP_TOKENIZER_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/json.h"

typedef struct ps_field {
    const ps_node *node; /* NULL if the key is absent */
    char path[160];
} ps_field;

/* The member `key`; its node is NULL if there is none. */
ps_field ps_field_get(const ps_field *parent, const char *key);
/* `node`, the i-th element of the array `parent`. */
ps_field ps_field_at(const ps_field *parent, const ps_node *node, size_t i);
/* Whether the field is absent or null, which mean the same to the `tokenizers` package. */
bool ps_field_empty(const ps_field *field);

/* Fail with "<path>: <formatted>" and PS_EINPUT; returns -1. */
int ps_field_refuse(const ps_field *field, ps_err *err, const char *fmt, ...) PS_PRINTF(3, 4);

/* Refuse `field` unless it has this JSON type. */
int ps_field_want(const ps_field *field, enum ps_json_type type, ps_err *err);
/* Refuse an object with a key that is not in names[], which ends in NULL. */
int ps_field_keys(const ps_field *object, const char *const *names, ps_err *err);
/* Set *which to the index of object.type in names[], which ends in NULL. */
int ps_field_type(const ps_field *object, const char *const *names, int *which, ps_err *err);

/* Read a required member. */
int ps_field_bool(const ps_field *object, const char *key, bool *value, ps_err *err);
/* Read an optional member.  If it is absent or null, *value stays as it is. */
int ps_field_bool_or(const ps_field *object, const char *key, bool *value, ps_err *err);
int ps_field_string(const ps_field *object, const char *key, const char **value, ps_err *err);
/* Read a required integer from 0 to max. */
int ps_field_int(const ps_field *object, const char *key, int32_t max, int32_t *value, ps_err *err);
/*
 * Walk a field that is one step or a Sequence of steps, at any depth.  names[0] is "Sequence", whose steps are in its
 * member `list`.  Call `take` for every other step, with the index of its type in names[].
 */
typedef int (*ps_field_take)(void *context, const ps_field *step, int which, ps_err *err);
int ps_field_steps(const ps_field *field, const char *const *names, const char *list, ps_field_take take,
                   void *context, ps_err *err);

/*
 * Account for a step that makes a text up to `times` as long.  *growth is the product over all steps so far; 0 before
 * the first.  Refuse a product larger than in any real tokenizer: such a file could fill the memory.
 */
int ps_field_grow(const ps_field *step, size_t times, size_t *growth, ps_err *err);
/* Read the strings of a Replace step, whose pattern must be a String (copies, owned by the caller). */
int ps_field_replace(const ps_field *step, char **what, char **with, size_t *growth, ps_err *err);
/* Read a string of exactly one character; *bytes is its length. */
int ps_field_char(const ps_field *object, const char *key, char value[5], int *bytes, ps_err *err);

#endif
