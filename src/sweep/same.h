/*
 * same.h - what must be the same on every rank: the model's files, and what a rank makes of a cell.
 *
 * Package-private.  Each rank reads the model where its own node has it; a stale copy, or a node that computes wrong, must
 * not go unnoticed.
 */
#ifndef PATCHSWEEP_SWEEP_SAME_H
#define PATCHSWEEP_SWEEP_SAME_H

#include <stdbool.h>
#include <stddef.h>

#include "patchsweep/check.h"
#include "patchsweep/comm.h"
#include "patchsweep/err.h"
#include "patchsweep/grid.h"

/* A line of a table of checksums: "<8 hexadecimal digits> <name>[ <file>]". */
typedef struct ps_sum {
    char crc[16], name[256], file[256]; /* "" where the line has none */
} ps_sum;

/* Count the lines in which two tables differ, leaving the files' names aside; *a and *b get the first such lines, "" where
 * a table has ended before. */
size_t ps_sums_compare(const char *ours, const char *theirs, ps_sum *a, ps_sum *b);

/* Collective.  Compare config.json and tokenizer.json in `model_dir`: PS_EINPUT names the first rank and host whose file is
 * not rank 0's. */
int ps_same_files(ps_comm *comm, const char *model_dir, ps_err *err);
/* Collective.  Compare the tensors that were loaded, by `sums` (ps_weights_sums): PS_EINPUT names rank, host, tensor and
 * file. */
int ps_same_weights(ps_comm *comm, const char *model_dir, const char *sums, ps_err *err);
/* Collective.  Is `text` the same on all ranks?  Rank 0 is told; elsewhere the answer is true. */
bool ps_same_text(ps_comm *comm, const char *text);

/*
 * Collective.  Compare each rank's `values` of `cell`.  On rank 0 *agreement says whether all are within `limit` of rank 0's,
 * and if not, which rank is alone: rank 0 where most others differ from it, else the first that does; and whether a value
 * is finite on no rank, so that comparing tells nothing.
 */
int ps_same_values(ps_comm *comm, const ps_grid *grid, const ps_cell *cell, const double values[PS_N_METRICS], double limit,
                   ps_agreement *agreement, ps_err *err);

#endif
