/*
 * summary.h - sum up a run from its journal alone, for `inspect`.
 */
#ifndef PATCHSWEEP_SUMMARY_H
#define PATCHSWEEP_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/journal.h"

typedef struct ps_summary {
    ps_journal_report journal;
    char *identity, *session;     /* "field: value" lines; the last session's lines */
    size_t n_sessions, n_pairs, n_cells, n_checks, n_activations, n_snapshots;
    int32_t layer;                /* of the last snapshot */
    bool replaces;                /* begun with --force */
} ps_summary;

/* Read journal `path` up to its first bad frame.  PS_EINPUT if it is no journal, or has a record of unknown type. */
int ps_summary_read(ps_summary *summary, const char *path, ps_err *err);
void ps_summary_release(ps_summary *summary);

#endif
