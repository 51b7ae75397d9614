/*
 * answer.h - rows of a key and a value, printed as aligned text or as one JSON object.
 *
 * Each row is given once, so that text and JSON cannot differ.  Values may come from hostile files: text is
 * printed through ps_printable only.
 */
#ifndef PATCHSWEEP_CLI_ANSWER_H
#define PATCHSWEEP_CLI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/text.h"

typedef struct ps_answer {
    ps_text text;
    bool json;
    size_t n; /* rows so far */
} ps_answer;

/* Rows. */
void ps_answer_text(ps_answer *a, const char *key, const char *value);
void ps_answer_count(ps_answer *a, const char *key, uint64_t value);
void ps_answer_number(ps_answer *a, const char *key, double value);
void ps_answer_flag(ps_answer *a, const char *key, bool value);

/* Parts of rows: the key, and values that are lists. */
void ps_answer_key(ps_answer *a, const char *key);
void ps_answer_value(ps_answer *a, const char *value);
void ps_answer_bare_number(ps_answer *a, double value);
void ps_answer_next_line(ps_answer *a, size_t i); /* the separator in front of element i of a list of objects */
void ps_answer_next_word(ps_answer *a, size_t i); /* the same for a list of plain values */
void ps_answer_bracket(ps_answer *a, const char *which); /* in JSON only */

#endif
