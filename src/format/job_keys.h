/*
 * job_keys.h - the keys of a job and of a pair: one table each, one row a key.
 *
 * A row defines a key: its allowed values, where its value is stored, its default, and its help.  Reading, `--set`,
 * the help, and the tests of the schema and of jobs/README.md all use these rows.  job_value.c reads values by type.
 */
#ifndef PATCHSWEEP_FORMAT_JOB_KEYS_H
#define PATCHSWEEP_FORMAT_JOB_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "patchsweep/err.h"
#include "patchsweep/json.h"
#include "patchsweep/terms.h"
#include "patchsweep/text.h"

enum ps_key_type {
    PS_KEY_STRING,  /* char *: any text but "" */
    PS_KEY_NAME,    /* char *: the name of one of the terms */
    PS_KEY_WORD,    /* an enum: one of the terms */
    PS_KEY_WORDS,   /* unsigned: bit 1 << n for each term named */
    PS_KEY_INDICES, /* ps_index_list */
    PS_KEY_BOOL,    /* bool */
    PS_KEY_ID,      /* int64_t: a token id */
    PS_KEY_IDS,     /* token ids; no target */
    PS_KEY_STRINGS, /* an object of strings; no target */
    PS_KEY_PAIRS,   /* an array; no target */
};

#define PS_NO_TARGET ((size_t)-1) /* no field: checked here, used by job_pairs.c */

typedef struct ps_job_key {
    const char *name;
    enum ps_key_type type;
    size_t offset;       /* of the target within ps_job or ps_job_pair */
    const char *deflt;   /* JSON, read as if the file had it; NULL: none */
    const char *example; /* JSON */
    const char *help;    /* one sentence */
    bool required;
    const ps_term *terms; /* the allowed words */
    int n_terms;
    const int *numbers; /* [n_terms] the value of each word; NULL: its index */
    bool all;           /* "all" may stand for the whole array */
    bool may_be_empty;  /* [] is allowed */
} ps_job_key;

extern const ps_job_key ps_job_keys[];  /* ends with a row without a name */
extern const ps_job_key ps_pair_keys[]; /* likewise */

/* The row of `name`, or NULL. */
const ps_job_key *ps_job_key_find(const ps_job_key *keys, const char *name);
/* Whether `name` is accepted and ignored: "//...", "_comment..." and, for a job, "$schema". */
bool ps_job_key_ignored(const ps_job_key *keys, const char *name);
/* Fail with PS_EINPUT: `name` is unknown; suggest the nearest key. */
int ps_job_key_unknown(const ps_job_key *keys, const char *name, ps_err *err);
/* Append the allowed values in words: "a string", "an array of denoise or noise". */
void ps_job_key_kind(const ps_job_key *key, ps_text *out);

/* ---- job_value.c ---- */

/*
 * Check `value`, and store it at `base` + offset if the row has a target.  The target owns its value; an
 * old value is freed.  A message starts with the key: "sites[1]: unknown ...".
 */
int ps_job_value_set(const ps_job_key *key, void *base, const ps_node *value, ps_err *err);
/* Append the target's value as JSON, or nothing if it is not set. */
void ps_job_value_print(const ps_job_key *key, const void *base, ps_text *out);

#endif
