/*
 * pair.h - a pair of prompts as the model sees it: aligned token rows, checked.
 */
#ifndef PATCHSWEEP_PAIR_H
#define PATCHSWEEP_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/job.h"
#include "patchsweep/text.h"
#include "patchsweep/tokenizer.h"

typedef struct ps_pair {
    const ps_job_pair *job;     /* id, texts; borrowed */
    int32_t n_positions;        /* T, the same for both prompts */
    int32_t first_difference;   /* D: first position whose ids differ */
    int32_t *ids[PS_N_WHICH];   /* [T] */
    char **token[PS_N_WHICH];   /* [T] what each token decodes to; NUL as U+2400; "" without a tokenizer */
    char **piece[PS_N_WHICH];   /* [T] the vocabulary's own spelling */
    char **role;                /* [T] the placeholder a position belongs to; "bos", "last" or "text" elsewhere */
    char **span;                /* [T] "first", "middle", "last" or "only" within its placeholder; "" elsewhere */
    int32_t answer_id, foil_id; /* foil_id -1: none */
    char *answer_token, *foil_token; /* decoded; foil_token "" without one */
    bool answer_cut, foil_cut;  /* the text has several tokens; only the first counts */
    char *answer_spaced, *foil_spaced; /* NULL, or the first token with a space in front, if that seems to be missing */
    int32_t answer_spaced_id, foil_spaced_id;
    int32_t n_misaligned;       /* positions whose placeholder in the corrupt prompt is not `role`, the clean prompt's */
} ps_pair;

/*
 * Tokenize and check every pair of `job`.  `tokenizer` may be NULL if all prompts are ids.  Ids must be below `vocab`.
 * PS_EINPUT describes the first pair that is wrong: unequal lengths (with both token rows side by side), identical
 * rows, an empty answer, ids out of range, no difference before the answer.
 */
int ps_pairs_build(ps_pair **out, const ps_job *job, const ps_tokenizer *tokenizer, int64_t vocab,
                   ps_err *err);
void ps_pairs_free(ps_pair *pairs, size_t n);

/* Format the table shown before the sweep: a line a pair with its token count, first difference, span of each
 * placeholder, and ids of answer and foil.  A note marks an answer that is cut or seems to lack a space in front. */
void ps_pairs_table(const ps_pair *pairs, size_t n, ps_text *out);

#endif
