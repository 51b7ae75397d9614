/*
 * show.h - a result in the terminal or as a table: what the files of `show` share.
 *
 * Each function appends one grid to show->out.
 */
#ifndef PATCHSWEEP_CLI_SHOW_H
#define PATCHSWEEP_CLI_SHOW_H

#include <stdbool.h>
#include <stddef.h>

#include "heatmap.h"
#include "patchsweep/text.h"

enum ps_colour { PS_NO_COLOUR, PS_COLOURS_256, PS_TRUE_COLOUR };

typedef struct ps_show {
    ps_pick pick;
    bool csv, json;
    const char *color; /* as given: auto, always, never */
    enum ps_colour colour;
    int width;
    const ps_result_file *file;
    ps_text out;
    /* of all grids that CSV has rows of */
    char **names;      /* [n_names] columns */
    size_t n_names, cap_names;
    bool heads;        /* one of them has heads */
    size_t n_shown;    /* grids that were appended before */
} ps_show;

/* The heat map, in characters or colours. */
int ps_show_map(ps_show *s, const ps_result_grid *grid, ps_err *err);

/* Rows of CSV, the header before the first; ps_show_csv_columns() must have seen every grid before. */
int ps_show_csv_columns(ps_show *s, const ps_result_grid *grid, ps_err *err);
int ps_show_csv(ps_show *s, const ps_result_grid *grid, ps_err *err);
/* An element of a JSON array, whose bracket stands in front of the first. */
int ps_show_json(ps_show *s, const ps_result_grid *grid, ps_err *err);

#endif
