/*
 * template.c - a template is a list of parts: literal text, or the name of a placeholder.
 */
#include "template.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/text.h"

typedef struct part {
    char *text; /* literal text with single braces; or a placeholder's name */
    bool placeholder;
} part;

struct ps_template {
    part *parts; /* [n] */
    size_t n, cap;
};

/* ---- parsing ---- */

/* Append a copy of text[n] as the next part. */
static int add_part(ps_template *template, const char *text, size_t n, bool placeholder,
                    ps_err *err)
{
    if (ps_grow(&template->parts, template->n, &template->cap, sizeof *template->parts, err) < 0)
        return -1;
    char *copy = ps_strndup(text, n, err);
    if (!copy)
        return -1;
    template->parts[template->n++] = (part){copy, placeholder};
    return 0;
}

static int flush(ps_template *template, ps_text *literal, ps_err *err)
{
    if (ps_text_ok(literal, err) < 0)
        return -1;
    if (literal->n && add_part(template, literal->bytes, literal->n, false, err) < 0)
        return -1;
    ps_text_release(literal);
    return 0;
}

static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool letter = c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return n > 0 && n < 64;
}

/* Roles of positions that belong to no placeholder. */
static bool is_role(const char *s, size_t n)
{
    static const char *const roles[] = {"bos", "last", "text"};

    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strlen(roles[i]) == n && !memcmp(roles[i], s, n))
            return true;
    return false;
}

/* Read the placeholder at text[at], which is '{'. Returns the length of "{name}", or 0 with *err set. */
static size_t placeholder(ps_template *template, const char *text, size_t at, ps_err *err)
{
    const char *name = text + at + 1, *end = strchr(name, '}');
    char shown[80];

    if (!end) {
        ps_err_set(err, PS_EINPUT, "'{' at byte %zu is never closed; write '{{' for a brace", at);
        return 0;
    }
    size_t n = (size_t)(end - name);
    if (!is_name(name, n)) {
        char copy[40];
        snprintf(copy, sizeof copy, "%.*s", (int)(n < sizeof copy ? n : sizeof copy - 1), name);
        ps_printable(shown, sizeof shown, copy);
        ps_err_set(err, PS_EINPUT,
                   "'{%s}' at byte %zu is not a placeholder; name it with letters, digits and _, or "
                   "write '{{' and '}}' for braces",
                   shown, at);
        return 0;
    }
    if (is_role(name, n)) {
        ps_err_set(err, PS_EINPUT,
                   "'{%.*s}' at byte %zu is the name of a role that positions have outside "
                   "placeholders; choose another",
                   (int)n, name, at);
        return 0;
    }
    return add_part(template, name, n, true, err) < 0 ? 0 : n + 2;
}

/* Each is looked up among a pair's keys. */
#define MAX_PARTS 2000

static int parse(ps_template *template, const char *text, ps_text *literal, ps_err *err)
{
    for (size_t i = 0; text[i];) {
        bool brace = text[i] == '{' || text[i] == '}';
        if (!brace || text[i + 1] == text[i]) {
            ps_text_add(literal, text + i, 1);
            i += brace ? 2 : 1;
            continue;
        }
        if (text[i] == '}')
            return ps_err_set(err, PS_EINPUT,
                              "'}' at byte %zu closes nothing; write '}}' for a brace", i);
        if (flush(template, literal, err) < 0)
            return -1;
        if (template->n >= MAX_PARTS)
            return ps_err_set(err, PS_EINPUT, "has more than %d placeholders and texts between them", MAX_PARTS);
        size_t n = placeholder(template, text, i, err);
        if (n == 0)
            return -1;
        i += n;
    }
    return flush(template, literal, err);
}

int ps_template_parse(ps_template **out, const char *text, ps_err *err)
{
    ps_text literal = {0};
    int rc = -1;

    ps_template *template = ps_calloc(1, sizeof *template, err);
    if (!template || parse(template, text, &literal, err) < 0)
        goto out;
    *out = template;
    template = NULL;
    rc = 0;
out:
    ps_text_release(&literal);
    ps_template_free(template);
    return rc;
}

void ps_template_free(ps_template *template)
{
    if (!template)
        return;
    for (size_t i = 0; i < template->n; i++)
        ps_free(template->parts[i].text);
    ps_free(template->parts);
    ps_free(template);
}

/* ---- filling ---- */

static bool has(const ps_template *template, const char *name)
{
    for (size_t i = 0; i < template->n; i++)
        if (template->parts[i].placeholder && !strcmp(template->parts[i].text, name))
            return true;
    return false;
}

int ps_template_check(const ps_template *template, const ps_node *object, ps_err *err)
{
    const char *names[64];
    char shown[80];
    size_t n = 0;

    for (size_t i = 0; i < template->n && n < 64; i++)
        if (template->parts[i].placeholder)
            names[n++] = template->parts[i].text;
    for (const ps_node *v = ps_json_first(object); v; v = ps_json_next(v)) {
        if (has(template, ps_json_key(v)))
            continue;
        ps_printable(shown, sizeof shown, ps_json_key(v));
        const char *near = ps_nearest(ps_json_key(v), names, n);
        if (near)
            return ps_err_set(err, PS_EINPUT,
                              "the template has no placeholder '{%s}'; did you mean '{%s}'?", shown,
                              near);
        return ps_err_set(err, PS_EINPUT, "the template has no placeholder '{%s}'; leave '%s' out",
                          shown, shown);
    }
    return 0;
}

static const ps_node *value_of(const ps_node *own, const ps_node *fill, const char *name)
{
    const ps_node *value = own ? ps_json_get(own, name) : NULL;

    return value || !fill ? value : ps_json_get(fill, name);
}

static int fill_parts(const ps_template *template, const ps_node *own, const ps_node *fill,
                      ps_text *text, ps_prompt *prompt, ps_err *err)
{
    for (size_t i = 0; i < template->n; i++) {
        const part *p = &template->parts[i];
        size_t start = text->n;
        if (!p->placeholder) {
            ps_text_puts(text, p->text);
            continue;
        }
        const ps_node *value = value_of(own, fill, p->text);
        if (!value)
            return ps_err_set(err, PS_EINPUT, "nothing fills '{%s}'; give '%s' here or in 'fill'",
                              p->text, p->text);
        ps_text_puts(text, ps_json_string(value));
        ps_job_span *span = &prompt->spans[prompt->n_spans];
        *span = (ps_job_span){ps_strdup(p->text, err), start, text->n};
        if (!span->name)
            return -1;
        prompt->n_spans++;
    }
    return ps_text_ok(text, err);
}

int ps_template_fill(const ps_template *template, const ps_node *own, const ps_node *fill,
                     ps_prompt *prompt, ps_err *err)
{
    ps_text text = {0};

    prompt->spans = ps_calloc(template->n, sizeof *prompt->spans, err);
    if (!prompt->spans || fill_parts(template, own, fill, &text, prompt, err) < 0) {
        ps_text_release(&text);
        return -1;
    }
    prompt->n_bytes = text.n;
    prompt->text = text.bytes;
    return 0;
}
