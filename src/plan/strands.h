/*
 * strands.h - what a schedule holds: schedule.c makes strands and panels, work.c lists the rows of a panel's steps.
 *
 * Package-private.
 */
#ifndef PATCHSWEEP_PLAN_STRANDS_H
#define PATCHSWEEP_PLAN_STRANDS_H

#include "patchsweep/schedule.h"

#define N_VALUES (PS_MAX_STEPS + 1)

typedef struct strand {
    const ps_carried *cell;     /* NULL: of a base run */
    int32_t pair, T;
    enum ps_which base, source; /* of a base run's strand: the run itself */
    int32_t first, n, row;      /* own rows of X: positions first .. first + n - 1 are rows row ... of X's store */
    int32_t entry;              /* the layer at which it enters */
    const ps_phase *phase;      /* of the current layer; NULL for a base run */
    ps_stretch of_x[2], of_step[2]; /* for a base run: rows before `first` are base rows, the others its own */
    struct places *places;      /* in the current panel */
} strand;

/* The first compact row of each value's computed rows, and of its put rows. */
typedef struct places {
    int32_t at[N_VALUES], put_at[N_VALUES];
} places;

typedef struct panel {
    size_t first, n; /* of `order` */
    int32_t rows;    /* of the step that has most */
} panel;

struct ps_schedule {
    ps_schedule_needs needs;
    ps_program_inputs in;
    strand *strands;  /* of base runs (if this rank leads), then of cells */
    size_t n_base, n_strands;
    int32_t n_x_rows;
    strand **order;   /* the live strands, in the order of panels */
    panel *panels;
    size_t n_panels;
    int32_t layer;
    /* the current panel */
    ps_work work;
    places *places;
    int32_t *ints;    /* storage of its lists */
    size_t n_ints;
    ps_put *puts;
    size_t n_puts;
    ps_query *queries;      /* of attention, then those of patterns */
    ps_one_head *heads;     /* of patterns */
    ps_key_span *spans;
    size_t n_spans, most_spans;
};

/* The base row of a run of the strand's pair. */
static inline int32_t ps_strand_base_row(const ps_schedule *s, const strand *t, enum ps_which which, int32_t row)
{
    return ps_base_row(s->needs.base, t->pair, which, row);
}

#endif
