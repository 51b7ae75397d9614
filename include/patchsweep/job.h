/*
 * job.h - a job file: pairs of prompts, and what to sweep over them.
 *
 * Every key is one row of one table (src/format/job_keys.c): name, type, default, check, help.  The same row serves
 * the file, `--set key=value`, and the tests of the schema and of jobs/README.md.  An unknown key is an error that
 * names the nearest one.  Templates are filled here.  pair.h turns the prompts into tokens.
 */
#ifndef PATCHSWEEP_JOB_H
#define PATCHSWEEP_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/dtype.h"
#include "patchsweep/err.h"
#include "patchsweep/terms.h"

/* A placeholder's text inside a prompt: bytes start..end come from {name}. */
typedef struct ps_job_span {
    char *name;
    size_t start, end;
} ps_job_span;

/* One prompt: text, or token ids where text is NULL. */
typedef struct ps_prompt {
    char *text; /* [n_bytes], then a NUL */
    size_t n_bytes;
    ps_job_span *spans; /* [n_spans], by start */
    size_t n_spans;
    int32_t *ids; /* [n_ids] */
    size_t n_ids;
} ps_prompt;

typedef struct ps_job_pair {
    char *id;
    char *where; /* for messages: "pairs[3]", "many.jsonl:17" */
    ps_prompt prompt[PS_N_WHICH];
    char *answer, *foil;        /* NULL: given as an id, or no foil */
    int64_t answer_id, foil_id; /* -1: given as text, or no foil */
} ps_job_pair;

/* "all", or the indices asked for: negative ones count from the end. */
typedef struct ps_index_list {
    bool all;
    int64_t *at; /* [n] */
    size_t n;
} ps_index_list;

typedef struct ps_job {
    char *path;   /* of the file, as given */
    char *dir;    /* folder of the file; `model` and `pairs_file` are relative to it */
    char *text;   /* the job as it will run, overrides included: compact JSON */
    char *model;
    char *output; /* NULL: neither the file nor the command line names one */
    char *backend; /* "auto", "cpu", "openblas", "ref" */
    ps_job_pair *pairs;
    size_t n_pairs;
    unsigned sites;       /* bit 1 << enum ps_site */
    unsigned directions;  /* bit 1 << enum ps_direction */
    unsigned metrics;     /* bit 1 << enum ps_metric; the score's is always among them */
    unsigned activations; /* bit 1 << enum ps_which: base runs whose residual stream is kept */
    bool patched_final;   /* keep each cell's last row before the final norm */
    enum ps_metric score; /* "logit" -> PS_LOGIT_ANSWER, "logit_diff", "logprob" -> PS_LOGPROB_ANSWER */
    enum ps_dtype activation_dtype;
    enum ps_precision precision;
    ps_index_list layers, heads, positions;
} ps_job;

/*
 * Read job file `path`, with `overrides` ("key=value"; the value is JSON or a bare string) on top.  PS_EINPUT names
 * the file, the place within it ("pairs[2].answer"), what is wrong and the remedy.  Only JSON files are read: no
 * tokenizer, no model.
 */
int ps_job_read(ps_job **out, const char *path, const char *const *overrides, size_t n_overrides,
                ps_err *err);
void ps_job_free(ps_job *job);

/* Return the default of a job's key as JSON, or NULL if it has none.  Borrowed. */
const char *ps_job_default(const char *key);

/* Print the key table for people: name, type, default, help, a line or two each.  The caller owns the text. */
char *ps_job_help(ps_err *err);

/* Resolve a list of indices below `n` to out[*n_out], ascending, without duplicates, owned by the caller.  `what`
 * names the list in messages. */
int ps_index_list_resolve(const ps_index_list *list, int64_t n, const char *what, int32_t **out,
                          size_t *n_out, ps_err *err);

#endif
