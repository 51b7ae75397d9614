/*
 * ledger.h - what a run has to show so far, kept in a journal.
 *
 * Package-private; rank 0 alone has one.  Baselines, cells, activations and snapshots go into the journal as they come, and are
 * what the next run of the same command line begins with; the result file is written from the ledger at the
 * end.  The first record says whose journal it is: job, model, tokens, program (identity.h).
 */
#ifndef PATCHSWEEP_SWEEP_LEDGER_H
#define PATCHSWEEP_SWEEP_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/cellset.h"
#include "patchsweep/check.h"
#include "patchsweep/dtype.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"
#include "records.h"
#include "scores.h"
#include "snapshot.h"

typedef struct ps_ledger ps_ledger;

/*
 * Open the ledger of a run of `grid` and read the journal at `path`, if there is one.  Nothing is written yet.
 * A torn tail is ignored with a warning.  PS_EINPUT where the journal is damaged in the middle (the message has the
 * offset) or belongs to another run: every line of `identity` but the program's is compared, and the field that differs is
 * named.  `start_over`: ignore the journal, and note in
 * the new one that it may replace what stands at the output's name (--force).  `path`, `grid` and `identity` are borrowed.
 */
int ps_ledger_open(ps_ledger **out, const char *path, const char *identity, const ps_grid *grid, size_t d_model,
                   enum ps_dtype activation_dtype, bool start_over, ps_err *err);
/*
 * Begin the journal, or resume it, and note `session` (lines of text).  `weights` has the checksums of the tensors that were
 * loaded (ps_weights_sums), or is NULL where all cells are done and none were: they are noted where the journal has none, else PS_EINPUT names the tensor that is another one.
 */
int ps_ledger_begin(ps_ledger *ledger, const char *weights, const char *session, ps_err *err);
void ps_ledger_close(ps_ledger *ledger); /* NULL is fine; the journal stays */

/* ---- what there is ---- */

/* Cells and pairs that need not be computed again. Borrowed. */
ps_cellset *ps_ledger_done(const ps_ledger *ledger);
/* Earlier sessions' texts, line by line; "" where there was none. Borrowed. */
const char *ps_ledger_sessions(const ps_ledger *ledger);
/* Checksums of the tensors that an earlier session loaded; "" where there was none. Borrowed. */
const char *ps_ledger_weights(const ps_ledger *ledger);
ps_scores *ps_ledger_scores(ps_ledger *ledger);
const ps_checks *ps_ledger_checks(const ps_ledger *ledger);
/* Values of cells that are not finite, and the first such cell. */
size_t ps_ledger_not_finite(const ps_ledger *ledger, ps_cell *first);

/* ---- what comes in: safe after the next sync ---- */

/* Base runs of a pair: final rows [2, d_model], which are kept where the grid asks for them. */
int ps_ledger_add_baseline(ps_ledger *ledger, int32_t pair, const ps_baseline base[PS_N_WHICH],
                           const float *finals, ps_err *err);
int ps_ledger_add_cells(ps_ledger *ledger, const ps_cell *cells, const double (*values)[PS_N_METRICS],
                        const float *finals, size_t n, ps_err *err);
int ps_ledger_add_activations(ps_ledger *ledger, const ps_activations *states, ps_err *err);
/* A snapshot all of whose parts are synced; it is synced itself. */
int ps_ledger_add_snapshot(ps_ledger *ledger, const ps_snapshot_id *id, const ps_snapshot_part *parts,
                           ps_err *err);
/* What the ranks made of the same cell: a check. */
int ps_ledger_add_agreement(ps_ledger *ledger, const ps_agreement *agreement, ps_err *err);
int ps_ledger_sync(ps_ledger *ledger, ps_err *err);

/* The i-th last snapshot, i < 2: n_parts 0 where there is none, or all of its cells are done since; parts are borrowed. */
const ps_snapshot_id *ps_ledger_snapshot(const ps_ledger *ledger, int i, const ps_snapshot_part **parts);

/* The result file that the last session left unfinished; bytes 0: none. */
ps_unfinished ps_ledger_unfinished(const ps_ledger *ledger);
/* Note one; it is synced. */
int ps_ledger_add_unfinished(ps_ledger *ledger, const ps_unfinished *unfinished, ps_err *err);

/* Visit what is kept in the journal alone: cells with final rows, activations, the pairs' final rows.  Their views have
 * `at`. */
typedef int ps_ledger_visit(void *context, const ps_record_view *record, ps_err *err);
int ps_ledger_read(ps_ledger *ledger, ps_ledger_visit *visit, void *context, ps_err *err);
/* Visit records from the one with that `at` on, until `visit` returns 1. */
int ps_ledger_read_from(ps_ledger *ledger, uint64_t at, ps_ledger_visit *visit, void *context, ps_err *err);
/* Bytes of the journal that a view pointed to. */
int ps_ledger_pread(ps_ledger *ledger, void *bytes, size_t n, uint64_t at, ps_err *err);

#endif
