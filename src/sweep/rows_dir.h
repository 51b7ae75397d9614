/*
 * rows_dir.h - the folder `<output>.rows`, for a run's rows in flight and its unfinished result.
 *
 * Package-private.  Its files are the parts of snapshots (snapshot.h) and an unfinished result (publish.h).  A folder
 * is ours if it has our marker in it, or is empty.  A run puts the marker into the folder that it makes, and syncs the
 * marker before it writes any other file.  In a folder of ours, the files with the names below are ours whatever their
 * contents: a power cut may leave anything there.  Any other folder is the user's.
 */
#ifndef PATCHSWEEP_SWEEP_ROWS_DIR_H
#define PATCHSWEEP_SWEEP_ROWS_DIR_H

#include "patchsweep/err.h"

#define PS_ROWS_MARKER ".patchsweep"
#define PS_ROWS_RESULT "result.part" /* an unfinished result */

#define PS_GENERATIONS 2 /* snapshots that are kept: the older one stays until the newer one is complete */
#define PS_ROWS_NAME 32  /* bytes of a part's name */

/* Format the name of the part of a snapshot that a rank writes: "<generation>.<rank>". */
void ps_rows_part_name(char name[PS_ROWS_NAME], int generation, int rank);

/* Return 1 if a folder of ours is at `path`, 0 if nothing is.  PS_EINPUT, with the remedy, if anything else is
 * there. */
int ps_rows_dir_look(const char *path, ps_err *err);
/* Make the folder if it does not exist, mark it, and sync the folder and its marker.  If that fails, a folder that
 * was not marked before is removed. */
int ps_rows_dir_make(const char *path, ps_err *err);
/* Open a marked folder for writing into it.  Returns a descriptor.  PS_EINPUT if the folder has no marker. */
int ps_rows_dir_open(const char *path, ps_err *err);
/* Remove our files, the marker, and then the folder if it is empty.  Does nothing if there is no such folder, or if
 * it is the user's. */
void ps_rows_dir_remove(const char *path);

#endif
