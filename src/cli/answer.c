/* answer.c - print keys, separators and values. */
#include "answer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "patchsweep/mem.h"

void ps_answer_key(ps_answer *a, const char *key)
{
    if (a->json)
        ps_text_printf(&a->text, "%s  \"%s\": ", a->n++ ? ",\n" : "{\n", key);
    else
        ps_text_printf(&a->text, "%s%-16s ", a->n++ ? "\n" : "", key);
}

/* Append a JSON string, or text fit for a terminal.  Bytes that are not UTF-8 are escaped in both. */
void ps_answer_value(ps_answer *a, const char *value)
{
    ps_err err = PS_ERR_INIT;
    size_t n = strlen(value), room = 4 * n + 1; /* one byte becomes four at most: \xNN */

    if (a->json && ps_utf8_check(value, n) == n) {
        ps_text_json(&a->text, value, n);
        return;
    }
    char *shown = ps_malloc(room, 1, &err);
    if (!shown) {
        a->text.failed = true;
        return;
    }
    ps_printable(shown, room, value);
    if (a->json)
        ps_text_json(&a->text, shown, strlen(shown));
    else
        ps_text_puts(&a->text, shown);
    ps_free(shown);
}

void ps_answer_text(ps_answer *a, const char *key, const char *value)
{
    ps_answer_key(a, key);
    ps_answer_value(a, value);
}

void ps_answer_count(ps_answer *a, const char *key, uint64_t value)
{
    ps_answer_key(a, key);
    ps_text_printf(&a->text, "%" PRIu64, value);
}

/* JSON has no infinities and no NaN. */
void ps_answer_bare_number(ps_answer *a, double value)
{
    if (a->json && !isfinite(value))
        ps_text_puts(&a->text, "null");
    else
        ps_text_printf(&a->text, "%.15g", value);
}

void ps_answer_number(ps_answer *a, const char *key, double value)
{
    ps_answer_key(a, key);
    ps_answer_bare_number(a, value);
}

void ps_answer_flag(ps_answer *a, const char *key, bool value)
{
    ps_answer_key(a, key);
    ps_text_puts(&a->text, a->json ? (value ? "true" : "false") : value ? "yes" : "no");
}

/* Append the separator in front of element i of a list of objects, or of a plain list. */
void ps_answer_next_line(ps_answer *a, size_t i)
{
    ps_text_puts(&a->text, !a->json ? "\n  " : i ? ",\n    " : "\n    ");
}

void ps_answer_next_word(ps_answer *a, size_t i)
{
    if (i)
        ps_text_puts(&a->text, ", ");
}

void ps_answer_bracket(ps_answer *a, const char *which)
{
    if (a->json)
        ps_text_puts(&a->text, which);
}
