/*
 * json.h - a strict JSON reader.
 *
 * cJSON does the parsing (json.c alone includes it).  Refused too, though cJSON accepts it: invalid UTF-8, a byte order
 * mark, NUL bytes and \u0000, halves of surrogate pairs, raw control characters in
 * strings, numbers like 01 or 1., numbers past the largest double or 63 characters, text
 * after the value, nesting past 200 levels, and duplicate keys ("a" and "\u0061" are
 * the same key).
 *
 * Nodes are borrowed from their document.  Objects are lists: walk big ones with
 * first/next; ps_json_get() is for objects of a few dozen keys.
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
 * Parse text[n].  On failure -1 with PS_EINPUT and "<line>:<column>: what" (or the
 * path of a duplicate key); the caller puts the file's name in front.
 */
int ps_json_parse(ps_json **out, const char *text, size_t n, ps_err *err);
/* ps_file_read() and ps_json_parse(), the file's name in front of any message. */
int ps_json_read(ps_json **out, const char *path, size_t max_bytes, ps_err *err);
void ps_json_free(ps_json *json);
const ps_node *ps_json_root(const ps_json *json);

enum ps_json_type ps_json_type(const ps_node *node);
const char *ps_json_type_name(enum ps_json_type type); /* "a number", "an object", ... */
bool ps_json_is(const ps_node *node, enum ps_json_type type); /* false for NULL */

const ps_node *ps_json_first(const ps_node *parent); /* NULL when empty or no container */
const ps_node *ps_json_next(const ps_node *node);    /* NULL after the last */
size_t ps_json_count(const ps_node *parent);         /* walks the list */
const char *ps_json_key(const ps_node *node);        /* "" where the parent is an array */
const ps_node *ps_json_get(const ps_node *object, const char *key); /* NULL when absent */

const char *ps_json_string(const ps_node *node); /* "" unless a string */
double ps_json_double(const ps_node *node);      /* 0 unless a number */
bool ps_json_bool(const ps_node *node);          /* false unless true */
/* The number as an integer: true if written as one (4, not 4.0 or 1e1) and |x| < 2^53. */
bool ps_json_int(const ps_node *node, int64_t *value);

/* The value as compact JSON text. Owned by the caller. */
char *ps_json_print(const ps_node *node, ps_err *err);

#endif
