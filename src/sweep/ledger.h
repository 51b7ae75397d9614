/*
 * ledger.h - what a run has computed so far, kept in a journal.
 *
 * Package-private; only rank 0 has a ledger.  Baselines, cells, activations and snapshots are appended to the journal
 * as they come.  The next run of the same command line starts from there.  At the end, the result file is written from
 * the ledger.  The first record identifies the run: job, model, tokens, program (identity.h).
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
 * Open the ledger of a run of `grid`, and read the journal at `path` if there is one.  Nothing is written yet.  A torn
 * tail is ignored with a warning.
 * PS_EINPUT where the journal is damaged in the middle (the message has the offset), or belongs to another run: every
 * line of `identity` but the program's is compared, and the message names the field that differs.
 * `start_over` (--force): ignore the journal, and note in the new one that it may replace the file at the output's
 * name.  `path`, `grid` and `identity` are borrowed.
 */
int ps_ledger_open(ps_ledger **out, const char *path, const char *identity, const ps_grid *grid, size_t d_model,
                   enum ps_dtype activation_dtype, bool start_over, ps_err *err);
/*
 * Begin the journal, or resume it, and note `session` (lines of text).  `weights` has the checksums of the loaded
 * tensors (ps_weights_sums), or is NULL if all cells are done and no tensor was loaded.  If the journal has no
 * checksums, they are noted; else they are compared, and PS_EINPUT names a tensor that differs.
 */
int ps_ledger_begin(ps_ledger *ledger, const char *weights, const char *session, ps_err *err);
void ps_ledger_close(ps_ledger *ledger); /* NULL is fine; the journal stays */

/* ---- what has been computed ---- */

/* Cells and pairs that need not be computed again. Borrowed. */
ps_cellset *ps_ledger_done(const ps_ledger *ledger);
/* Earlier sessions' texts, line by line; "" if there was no session.  Borrowed. */
const char *ps_ledger_sessions(const ps_ledger *ledger);
/* Checksums of the tensors that an earlier session loaded; "" if none did.  Borrowed. */
const char *ps_ledger_weights(const ps_ledger *ledger);
ps_scores *ps_ledger_scores(ps_ledger *ledger);
const ps_checks *ps_ledger_checks(const ps_ledger *ledger);
/* Count the values of cells that are not finite; *first gets the first such cell. */
size_t ps_ledger_not_finite(const ps_ledger *ledger, ps_cell *first);

/* ---- adding: safe after the next sync ---- */

/* Add the base runs of a pair.  finals[2, d_model] are their final rows, kept if the grid asks for final rows. */
int ps_ledger_add_baseline(ps_ledger *ledger, int32_t pair, const ps_baseline base[PS_N_WHICH],
                           const float *finals, ps_err *err);
int ps_ledger_add_cells(ps_ledger *ledger, const ps_cell *cells, const double (*values)[PS_N_METRICS],
                        const float *finals, size_t n, ps_err *err);
int ps_ledger_add_activations(ps_ledger *ledger, const ps_activations *states, ps_err *err);
/* Add a snapshot, all of whose parts are synced.  This record is synced at once. */
int ps_ledger_add_snapshot(ps_ledger *ledger, const ps_snapshot_id *id, const ps_snapshot_part *parts,
                           ps_err *err);
/* Add the outcome of comparing the ranks' values of one cell.  It counts as a check. */
int ps_ledger_add_agreement(ps_ledger *ledger, const ps_agreement *agreement, ps_err *err);
int ps_ledger_sync(ps_ledger *ledger, ps_err *err);

/* The i-th last snapshot, i < 2.  n_parts is 0 if there is none, or if all of its cells are done by now.  parts are
 * borrowed. */
const ps_snapshot_id *ps_ledger_snapshot(const ps_ledger *ledger, int i, const ps_snapshot_part **parts);

/* The result file that the last session left unfinished.  bytes 0: there is none. */
ps_unfinished ps_ledger_unfinished(const ps_ledger *ledger);
/* Note an unfinished result file.  This record is synced at once. */
int ps_ledger_add_unfinished(ps_ledger *ledger, const ps_unfinished *unfinished, ps_err *err);

/* Visit the records whose rows are in the journal alone: cells with final rows, activations, the pairs' final rows.
 * Their views have `at`. */
typedef int ps_ledger_visit(void *context, const ps_record_view *record, ps_err *err);
int ps_ledger_read(ps_ledger *ledger, ps_ledger_visit *visit, void *context, ps_err *err);
/* Visit records from the one at `at` on, until `visit` returns 1. */
int ps_ledger_read_from(ps_ledger *ledger, uint64_t at, ps_ledger_visit *visit, void *context, ps_err *err);
/* Read bytes[n] of the journal that a view pointed to. */
int ps_ledger_pread(ps_ledger *ledger, void *bytes, size_t n, uint64_t at, ps_err *err);

#endif
