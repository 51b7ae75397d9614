/*
 * rows_dir.h - the folder `<output>.rows`, for what a run has in flight.
 *
 * Package-private.  Its files are the parts of snapshots (snapshot.h) and an unfinished result (publish.h).  A folder is
 * ours if it has our marker in it, or nothing at all: a run puts the marker into the folder that it makes, and syncs it
 * before any other file.  In a folder of ours the files with the names below are ours whatever is in them: a power cut
 * may leave anything there.  Any other folder is the user's.
 */
#ifndef PATCHSWEEP_SWEEP_ROWS_DIR_H
#define PATCHSWEEP_SWEEP_ROWS_DIR_H

#include "patchsweep/err.h"

#define PS_ROWS_MARKER ".patchsweep"
#define PS_ROWS_RESULT "result.part" /* an unfinished result */

#define PS_GENERATIONS 2 /* of snapshots: the older one is kept until the newer one is complete */
#define PS_ROWS_NAME 32  /* bytes of a part's name */

/* "<generation>.<rank>": the part of a snapshot that a rank writes. */
void ps_rows_part_name(char name[PS_ROWS_NAME], int generation, int rank);

/* 1: a folder of ours is at `path`; 0: nothing is.  PS_EINPUT where anything else is there, with the remedy. */
int ps_rows_dir_look(const char *path, ps_err *err);
/* Make the folder if it is not there, and mark it.  The folder and its marker are synced; where that fails, a folder that
 * was not marked before is removed. */
int ps_rows_dir_make(const char *path, ps_err *err);
/* Open a marked folder, to write into it: a descriptor.  PS_EINPUT where it has no marker. */
int ps_rows_dir_open(const char *path, ps_err *err);
/* Remove our files, the marker, and the folder if nothing else is in it.  Fine where there is no such folder; a folder of
 * the user's stays as it is. */
void ps_rows_dir_remove(const char *path);

#endif
