/*
 * show.h - what the files of the command `show` share.
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
    char **names; /* [n_names] CSV columns, over all chosen grids */
    size_t n_names, cap_names;
    bool heads;     /* whether any of these grids has heads */
    size_t n_shown; /* grids that were written before this one */
} ps_show;

/* Draw the heat map with characters or colours. */
int ps_show_map(ps_show *s, const ps_result_grid *grid, ps_err *err);

/* Append the rows of CSV, and the header before the first grid.  Call ps_show_csv_columns() for every grid before. */
int ps_show_csv_columns(ps_show *s, const ps_result_grid *grid, ps_err *err);
int ps_show_csv(ps_show *s, const ps_result_grid *grid, ps_err *err);
/* Append an element of the JSON array.  The first grid brings the array's opening bracket; the caller closes it. */
int ps_show_json(ps_show *s, const ps_result_grid *grid, ps_err *err);

#endif
