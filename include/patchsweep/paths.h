/*
 * paths.h - the paths of a grid's cells, each kind of cell worked out once.
 *
 * A path depends on the edit and on T, and in a few cases on D.  It does not depend on the pair, the layer or the head.  So
 * there are little more paths than sites times positions for each length of prompts.
 */
#ifndef PATCHSWEEP_PATHS_H
#define PATCHSWEEP_PATHS_H

#include <stdbool.h>
#include <stdint.h>

#include "patchsweep/cell.h"
#include "patchsweep/err.h"
#include "patchsweep/path.h"

typedef struct ps_paths ps_paths;

int ps_paths_open(ps_paths **out, const ps_step *program, ps_err *err); /* program is borrowed */
void ps_paths_close(ps_paths *paths);

/* The path of such cells of pairs with T positions, of which D are shared: made when first asked for.  Borrowed;
 * NULL with *err set where there is no memory.  `forced`: see ps_path_build(). */
const ps_path *ps_paths_get(ps_paths *paths, int32_t T, int32_t D, const ps_cell *cell, bool forced, ps_err *err);
/* Values of base runs that some path made so far reads: bits. */
uint32_t ps_paths_looked_up(const ps_paths *paths);

#endif
