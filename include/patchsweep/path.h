/*
 * path.h - which values of a cell are its own, from the layer of its edits to the last row's final state.
 *
 * Label every value of a patched run (an output of a step at a row) with the runs that it equals:
 *
 *     X at the entrance   rows before D equal both runs, rows from D on the base run
 *     an edited value     equals its source; where one head's columns are replaced, what both the source and the value equal
 *     a step's output     equals the runs that all of its inputs equal; attention reads q of its row, k and v of the rows
 *                         up to it
 *
 * A value is computed where no label is left and something on the way to the last row reads it.  Everything else
 * is looked up among the base runs' values.  (Windows of attention are not looked at: a row out of a window's reach
 * is computed although it would equal the base run's.)
 *
 * What a cell computes in a layer depends only on the distance of the layer from the first edit, and after a few layers it
 * no longer changes.  So a path holds a few phases.  Phase i describes the i-th layer from the first edit on; the last phase
 * describes every later layer too.  The model's last layer has phases of its own: it needs only what the last row reads.
 */
#ifndef PATCHSWEEP_PATH_H
#define PATCHSWEEP_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/program.h"

/* Runs that a value equals: bits. */
enum ps_whose { PS_OWN = 0, PS_BASE = 1, PS_SOURCE = 2, PS_BOTH = 3 };

/* Where a value lies when a step reads it. */
enum ps_place {
    PS_NOWHERE,     /* no step reads it */
    PS_AT_BASE,     /* the base run's row */
    PS_AT_SOURCE,   /* the source run's row */
    PS_AT_X,        /* of value 0: the cell's own row of X, as the layer before left it */
    PS_AT_STEP,     /* computed by the step */
    PS_AT_STEP_PUT, /* computed by the step, then a head's columns are put there */
    PS_AT_PUT       /* the base run's row, in which a head's columns are put */
};

/*
 * One replacement by the source run's value: rows first .. first + n - 1 of `tap`, `offset` layers above the cell's
 * layer.
 *
 * An edit of one head puts the columns of that head.  They are copied from the source run.  For a tap of PS_TAP_OF_WEIGHTS
 * they are computed instead: the head attends with q and k of the source run and with v of the cell.  A path does not
 * depend on which head is edited.  Two edits of one layer must be of different values.
 */
typedef struct ps_edit {
    uint8_t tap;       /* enum ps_tap */
    int32_t offset;
    int32_t first, n;
    int32_t head;      /* only the columns of this head; -1: the whole row, or every head's pattern */
} ps_edit;

#define PS_MAX_EDITS 4

/* The same edit, but of X before the next layer if it is one of X after a layer (ps_tap_next). */
ps_edit ps_edit_canonical(ps_edit edit);

/* Consecutive rows of a value in the same place. */
typedef struct ps_stretch {
    int32_t end;   /* rows from the end of the previous stretch to end - 1 */
    uint8_t place; /* enum ps_place */
} ps_stretch;

/* One layer.  Value 0 is X at the entrance, value i + 1 what step i leaves. */
typedef struct ps_phase {
    int32_t first[PS_MAX_STEPS + 1];   /* stretch of each value, see ps_path_stretches() */
    int32_t n_step[PS_MAX_STEPS + 1];  /* rows at which its step is computed */
    int32_t n_put[PS_MAX_STEPS + 1];   /* rows at PS_AT_PUT */
    uint32_t looked_up;                /* bit v: some step reads value v of the base or the source run */
} ps_phase;

typedef struct ps_path ps_path;

/*
 * The path of a cell with edits[n_edits] through a program, for T positions of which the first D are shared by both
 * runs.  `forced` computes what could be looked up: labels of the edited values are ignored.
 */
int ps_path_build(ps_path **out, const ps_step *program, int32_t T, int32_t D, const ps_edit *edits, size_t n_edits,
                  bool forced, ps_err *err);
void ps_path_free(ps_path *path);

/* The number of phases.  All later layers are as the last one. */
int32_t ps_path_n_phases(const ps_path *path);
/* The phase of the layer `offset` layers above the cell's.  `last`: it is the model's last layer.  Borrowed. */
const ps_phase *ps_path_phase(const ps_path *path, int32_t offset, bool last);
/* The stretches of a value of a phase: the last ends at T.  Borrowed. */
const ps_stretch *ps_path_stretches(const ps_path *path, const ps_phase *phase, size_t value);
int32_t ps_path_positions(const ps_path *path); /* T */
const ps_edit *ps_path_edits(const ps_path *path, size_t *n); /* borrowed */
/* Values of the base or the source run that are read in some phase: bits. */
uint32_t ps_path_looked_up(const ps_path *path);
/* The runs that the last row equals after layer `offset`, if that is the model's last.  PS_OWN: the cell must be computed. */
enum ps_whose ps_path_end(const ps_path *path, int32_t offset);
/* Where this row lies: PS_AT_X, PS_AT_BASE or PS_AT_SOURCE. */
enum ps_place ps_path_end_place(const ps_path *path, int32_t offset);
/* The first row of X that is the cell's own after some layer; T if there is none. */
int32_t ps_path_first_row(const ps_path *path);
/* The offset of the first layer in which the cell computes anything; INT32_MAX if there is none. */
int32_t ps_path_entry(const ps_path *path);

#endif
