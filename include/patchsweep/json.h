/*
 * json.h - a strict JSON reader.
 *
 * cJSON parses (only json.c includes it).  This reader also refuses what cJSON would accept:
 *   - invalid UTF-8, a byte order mark, NUL bytes and \u0000, halves of surrogate pairs, raw control characters in
 *     strings;
 *   - numbers like 01 or 1., numbers past the largest double, numbers of more than 63 characters;
 *   - text after the value, and nesting deeper than 200 levels;
 *   - duplicate keys ("a" and "\u0061" are the same key).
 *
 * Nodes are borrowed from their document.  An object is a linked list: walk a large one with first/next, and use
 * ps_json_get() for objects of a few dozen keys.
 */
#ifndef PATCHSWEEP_JSON_H
#define PATCHSWEEP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

typedef struct ps_json ps_json; /* a document */
typedef struct ps_node ps_node; /* a value in it */

enum ps_json_type { PS_JSON_NULL, PS_JSON_BOOL, PS_JSON_NUMBER, PS_JSON_STRING, PS_JSON_ARRAY, PS_JSON_OBJECT };

/*
 * Parse text[n].  Fails with PS_EINPUT and "<line>:<column>: <reason>", or with the name of a duplicate key.  The
 * caller puts the file's name in front.
 */
int ps_json_parse(ps_json **out, const char *text, size_t n, ps_err *err);
/* Read a file and parse it.  Messages begin with the file's name. */
int ps_json_read(ps_json **out, const char *path, size_t max_bytes, ps_err *err);
void ps_json_free(ps_json *json);
const ps_node *ps_json_root(const ps_json *json);

enum ps_json_type ps_json_type(const ps_node *node);
const char *ps_json_type_name(enum ps_json_type type); /* "a number", "an object", ... */
bool ps_json_is(const ps_node *node, enum ps_json_type type); /* false for NULL */

const ps_node *ps_json_first(const ps_node *parent); /* NULL if it is empty, or no array or object */
const ps_node *ps_json_next(const ps_node *node);    /* NULL after the last */
size_t ps_json_count(const ps_node *parent);         /* walks the list */
const char *ps_json_key(const ps_node *node);        /* "" where the parent is an array */
const ps_node *ps_json_get(const ps_node *object, const char *key); /* NULL if absent */

const char *ps_json_string(const ps_node *node); /* "" unless a string */
double ps_json_double(const ps_node *node);      /* 0 unless a number */
bool ps_json_bool(const ps_node *node);          /* false unless true */
/* Store the number in *value.  False unless it is written as an integer (4, not 4.0 or 1e1) and |x| < 2^53. */
bool ps_json_int(const ps_node *node, int64_t *value);

/* The value as compact JSON text. Owned by the caller. */
char *ps_json_print(const ps_node *node, ps_err *err);

#endif
