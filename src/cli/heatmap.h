/*
 * heatmap.h - what show and plot share: the choice of grids, scales, colours, and labels.
 *
 * A heat map is one column of a grid with a scale: 0..1 for the score, the data's range
 * for everything else.  A colour is clamped to the scale; texts show the value itself.
 */
#ifndef PATCHSWEEP_CLI_HEATMAP_H
#define PATCHSWEEP_CLI_HEATMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"
#include "patchsweep/results.h"

/* The user's choice.  NULL: all; for the metric: the score. */
typedef struct ps_pick {
    const char *pair, *site, *direction, *metric;
} ps_pick;

/* Indices of the grids asked for, in the file's order: index[*n], owned by the caller, *n > 0.
 * PS_EINPUT with the nearest name where there is none. */
int ps_pick_grids(const ps_result_file *file, const ps_pick *pick, size_t **index, size_t *n,
                  ps_err *err);

typedef struct ps_heatmap {
    const ps_result_grid *grid;            /* borrowed */
    const struct ps_result_column *column; /* borrowed from the grid */
    bool score;                            /* on the fixed scale */
    double low, high;                      /* the scale's ends */
    size_t n_finite;                       /* 0: min, max and where mean nothing */
    double min, max;                       /* of the data */
    int32_t max_layer, max_position;
} ps_heatmap;

int ps_heatmap_init(ps_heatmap *map, const ps_result_grid *grid, const char *metric, ps_err *err);
double ps_heatmap_value(const ps_heatmap *map, int32_t layer, int32_t position);
/* Place of a value on the scale, clamped to 0..1; NaN stays NaN. */
double ps_heatmap_shade(const ps_heatmap *map, double value);

/* ColorBrewer's Purples as matplotlib samples them; shade in 0..1. */
extern const unsigned char ps_purples[9][3];
void ps_purple(double shade, unsigned char rgb[3]);

/* Format a token: printable, in double quotes, cut to `columns` on
 * the screen; "#3" where position 3 has no text. */
void ps_token_label(char *out, size_t out_bytes, const char *token, int32_t position, int columns);
/* The columns that printable text takes on a terminal. */
int ps_text_columns(const char *s);

#endif
