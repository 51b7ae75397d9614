/*
 * inspect.h - the answers of `patchsweep inspect`, a file for each kind of thing described.
 *
 * Package-private.  Each function appends its rows to the answer.  -1 with *err set where the thing is damaged or
 * cannot be read; the rows added before that stay in the answer.
 */
#ifndef PATCHSWEEP_CLI_INSPECT_H
#define PATCHSWEEP_CLI_INSPECT_H

#include <stdbool.h>
#include <stddef.h>

#include "answer.h"
#include "patchsweep/err.h"

/* Describe a model: a directory, or a name in the local hub cache.  `tensors`: list its tensors too. */
int ps_inspect_model(ps_answer *answer, const char *name, bool tensors, ps_err *err);
/* Describe a result.  `verify`: read all datasets and attributes, and compare them with their checksums. */
int ps_inspect_result(ps_answer *answer, const char *path, bool verify, ps_err *err);
/* Print on stdout what a result was made from, as the file has it, and nothing else. */
int ps_inspect_identity(const char *path, ps_err *err);
/* Describe a journal.  `repair`: cut it at its first bad frame, under the lock of its output. */
int ps_inspect_journal(ps_answer *answer, const char *path, bool repair, ps_err *err);
/* Return the length of `path` without `suffix`, or 0 where it does not end so. */
size_t ps_inspect_stem(const char *path, const char *suffix);

#endif
