/*
 * template.h - a prompt's text with placeholders.
 *
 *     "Q: Who is like {subject}?\nA:"      {{ and }} are single braces
 *
 * A template is parsed once and filled for every prompt.  Filling records which bytes came from each placeholder.
 */
#ifndef PATCHSWEEP_FORMAT_TEMPLATE_H
#define PATCHSWEEP_FORMAT_TEMPLATE_H

#include "patchsweep/err.h"
#include "patchsweep/job.h"
#include "patchsweep/json.h"

typedef struct ps_template ps_template;

/* PS_EINPUT names the brace and its byte. */
int ps_template_parse(ps_template **out, const char *text, ps_err *err);
void ps_template_free(ps_template *template);

/* Check that each key of `object` (may be NULL) names a placeholder.  PS_EINPUT suggests the nearest one. */
int ps_template_check(const ps_template *template, const ps_node *object, ps_err *err);

/* Fill the template into *prompt (released by the caller, also on failure) with the texts of `own` or else of
 * `fill`; either may be NULL.  PS_EINPUT names a placeholder that is in neither. */
int ps_template_fill(const ps_template *template, const ps_node *own, const ps_node *fill,
                     ps_prompt *prompt, ps_err *err);

#endif
