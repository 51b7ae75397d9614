/*
 * heatmap.h - what show and plot share: the choice of grids, scales, colours, and labels.
 *
 * A heat map is one column of a grid with a scale: 0..1 for the score, the data's range
 * for everything else.  A colour is clamped to the scale; texts show the value itself.
 *
 * Layers go across.  Positions go down, or heads where the grid has no positions.  Of a grid that has both, a map shows one head,
 * or at each place the head that changes the run most.
 */
#ifndef PATCHSWEEP_CLI_HEATMAP_H
#define PATCHSWEEP_CLI_HEATMAP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/results.h"

/* The user's choice.  NULL: all; for the metric: the score. */
typedef struct ps_pick {
    const char *pair, *site, *direction, *metric;
    long head; /* grids that have this head, and that head of them; PS_ANY_HEAD: all */
} ps_pick;
#define PS_ANY_HEAD LONG_MIN

/* Indices of the grids asked for, in the file's order: index[*n], owned by the caller, *n > 0.
 * PS_EINPUT with the nearest name where there is none. */
int ps_pick_grids(const ps_result_file *file, const ps_pick *pick, size_t **index, size_t *n,
                  ps_err *err);
/* Does the choice hold the head at place[]? */
bool ps_picks_place(const ps_pick *pick, const int32_t place[PS_N_AXES]);

typedef struct ps_heatmap {
    const ps_result_grid *grid;            /* borrowed */
    const struct ps_result_column *column; /* borrowed from the grid */
    bool score;                            /* on the fixed scale */
    enum ps_axis down;                     /* what the rows are */
    int32_t n_layers, n_rows;
    int32_t head, n_heads; /* those that are drawn: n_heads from `head` on */
    bool merged;           /* a cell is one of several heads: the one whose value is farthest from `base` */
    double base;           /* the unpatched run's value */
    double low, high;      /* the scale's ends */
    size_t n_finite;       /* cells of the map; 0: min, max and where mean nothing */
    double min, max;       /* of the map */
    int32_t max_place[PS_N_AXES];
} ps_heatmap;

/* `file`: the grid's.  PS_EINPUT where it has no such metric. */
int ps_heatmap_init(ps_heatmap *map, const ps_result_file *file, const ps_result_grid *grid, const ps_pick *pick, ps_err *err);
/* Which cell of the grid is drawn there; its value. */
void ps_heatmap_place(const ps_heatmap *map, int32_t layer, int32_t row, int32_t place[PS_N_AXES]);
double ps_heatmap_value(const ps_heatmap *map, int32_t layer, int32_t row);
/* Place of a value on the scale, clamped to 0..1; NaN stays NaN. */
double ps_heatmap_shade(const ps_heatmap *map, double value);

/* ColorBrewer's Purples as matplotlib samples them; shade in 0..1. */
extern const unsigned char ps_purples[9][3];
void ps_purple(double shade, unsigned char rgb[3]);

/* Format a token: printable, in double quotes, cut to `columns` on
 * the screen; "#3" where position 3 has no text. */
void ps_token_label(char *out, size_t out_bytes, const char *token, int32_t position, int columns);
/* What stands in front of a row: its token, or "head 3".  The columns of the widest. */
void ps_row_label(char *out, size_t out_bytes, const ps_heatmap *map, int32_t row, int columns);
int ps_row_label_widest(const ps_heatmap *map, int columns);
/* The columns that printable text takes on a terminal. */
int ps_text_columns(const char *s);

#endif
