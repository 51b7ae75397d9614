/*
 * heatmap.h - what show and plot share: which grids are drawn, scales, colours, and labels.
 *
 * A heat map is one column of a grid with a scale: 0..1 for the score, the data's range for everything else.  A colour
 * is clamped to the scale; texts show the value itself.
 *
 * Columns are layers.  Rows are positions, or heads if the grid has no positions.  If the grid has both, the map shows
 * one head, or in each cell the head that changes the run most.
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
    long head; /* take only grids that have this head, and only this head; PS_ANY_HEAD: all */
} ps_pick;
#define PS_ANY_HEAD LONG_MIN

/* List the indices of the grids asked for, in the file's order: index[*n], owned by the caller, *n > 0.  If there is
 * none, PS_EINPUT suggests the nearest name. */
int ps_pick_grids(const ps_result_file *file, const ps_pick *pick, size_t **index, size_t *n,
                  ps_err *err);
/* Whether the head of the cell at place[] is chosen. */
bool ps_picks_place(const ps_pick *pick, const int32_t place[PS_N_AXES]);

typedef struct ps_heatmap {
    const ps_result_grid *grid;            /* borrowed */
    const struct ps_result_column *column; /* borrowed from the grid */
    bool score;                            /* on the fixed scale */
    enum ps_axis down;                     /* the axis of the rows: PS_AXIS_POSITION or PS_AXIS_HEAD */
    int32_t n_layers, n_rows;
    int32_t head, n_heads; /* n_heads heads from `head` on are drawn */
    bool merged;           /* each cell shows the head whose value is farthest from `base` */
    double base;           /* the unpatched run's value */
    double low, high;      /* the scale's ends */
    size_t n_finite;       /* cells of the map with a value; 0: min, max and max_place mean nothing */
    double min, max;       /* of the map */
    int32_t max_place[PS_N_AXES];
} ps_heatmap;

/* Draw pick's metric and head of `grid`, which was read from `file`.  PS_EINPUT if the grid has no such metric. */
int ps_heatmap_init(ps_heatmap *map, const ps_result_file *file, const ps_result_grid *grid, const ps_pick *pick, ps_err *err);
/* Find the cell of the grid that is drawn at (layer, row): its indices, and its value. */
void ps_heatmap_place(const ps_heatmap *map, int32_t layer, int32_t row, int32_t place[PS_N_AXES]);
double ps_heatmap_value(const ps_heatmap *map, int32_t layer, int32_t row);
/* Return the place of a value on the scale, clamped to 0..1.  NaN stays NaN. */
double ps_heatmap_shade(const ps_heatmap *map, double value);

/* ColorBrewer's Purples as matplotlib samples them; shade in 0..1. */
extern const unsigned char ps_purples[9][3];
void ps_purple(double shade, unsigned char rgb[3]);

/* Format a token: printable, in double quotes, cut to `columns` on
 * the screen; "#3" where position 3 has no text. */
void ps_token_label(char *out, size_t out_bytes, const char *token, int32_t position, int columns);
/* Format the label of a row: its token, as ps_token_label() does, or "head 3".  The columns of the widest label. */
void ps_row_label(char *out, size_t out_bytes, const ps_heatmap *map, int32_t row, int columns);
int ps_row_label_widest(const ps_heatmap *map, int columns);
/* The columns that printable text takes on a terminal. */
int ps_text_columns(const char *s);

#endif
