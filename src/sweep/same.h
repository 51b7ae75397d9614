/*
 * same.h - check that the model's files and a cell's values are the same on every rank.
 *
 * Package-private.  Each rank reads the model from its own node.  A stale copy, or a node that computes wrong values,
 * must not go unnoticed.
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

/* Count the lines in which two tables differ, ignoring the files' names.  *a and *b get the first lines that differ,
 * "" for a table that has ended before. */
size_t ps_sums_compare(const char *ours, const char *theirs, ps_sum *a, ps_sum *b);

/* Collective.  Compare config.json and tokenizer.json in `model_dir`.  PS_EINPUT names the first rank and host whose
 * file differs from rank 0's. */
int ps_same_files(ps_comm *comm, const char *model_dir, ps_err *err);
/* Collective.  Compare the loaded tensors by `sums` (ps_weights_sums).  PS_EINPUT names rank, host, tensor and file. */
int ps_same_weights(ps_comm *comm, const char *model_dir, const char *sums, ps_err *err);
/* Collective.  Compare `text` over the ranks.  Rank 0 gets whether it is the same on all ranks; the other ranks get
 * true. */
bool ps_same_text(ps_comm *comm, const char *text);

/*
 * Collective.  Compare each rank's `values` of `cell`.  On rank 0, *agreement tells whether all values are within
 * `limit` of rank 0's.  If not, it names the odd rank: rank 0 if most others differ from it, else the first rank that
 * differs.  It also tells whether a value is finite on no rank, because then the comparison shows nothing.
 */
int ps_same_values(ps_comm *comm, const ps_grid *grid, const ps_cell *cell, const double values[PS_N_METRICS], double limit,
                   ps_agreement *agreement, ps_err *err);

#endif
