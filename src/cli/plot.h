/*
 * plot.h - draw a heat map as SVG.
 */
#ifndef PATCHSWEEP_CLI_PLOT_H
#define PATCHSWEEP_CLI_PLOT_H

#include "heatmap.h"
#include "patchsweep/text.h"

/* Append a whole SVG document; `title` NULL: pair, site and direction. */
void ps_plot_svg(ps_text *out, const ps_heatmap *map, const char *title);

#endif
