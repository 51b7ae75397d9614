/*
 * plot.c - a heat map as SVG: tokens down, layers across, a colour bar on the right.
 *
 * Sizes are computed here and written as numbers, for SVG lays nothing out.  The width of a
 * label is an estimate, since fonts differ: the margins have room to spare.  Text of the
 * file is made printable, then escaped, so that what a token holds can end no element.
 */
#include "plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_MOST = 40, TICK = 5, SHOWN_BYTES = 600 };

typedef struct frame {
    double cell_w, cell_h, font;       /* pixels */
    double left, top, width, height;   /* of the cells together */
    double bar, total_w, total_h;      /* the colour bar's left; the whole figure */
} frame;

/* ---- text ---- */

/* Printable text as XML has it; U+FFFE and U+FFFF are no characters there. */
static void add_xml(ps_text *out, const char *text)
{
    char shown[SHOWN_BYTES];
    int n;

    ps_printable(shown, sizeof shown, text);
    for (const char *s = shown; *s; s += n) {
        uint32_t cp = ps_utf8_decode(s, &n);
        const char *entity = cp == '&' ? "&amp;" : cp == '<' ? "&lt;" : cp == '>' ? "&gt;"
                           : cp == '"' ? "&quot;" : cp == '\'' ? "&#39;"
                           : cp == 0xfffe || cp == 0xffff ? "\xef\xbf\xbd" : NULL;
        ps_text_add(out, entity ? entity : s, entity ? strlen(entity) : (size_t)n);
    }
}

static void add_label(ps_text *out, const ps_result_grid *grid, int32_t position)
{
    char label[SHOWN_BYTES];

    ps_token_label(label, sizeof label, grid->token_clean[position], position, LABEL_MOST);
    add_xml(out, label);
}

/* ---- sizes ---- */

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static int widest_label(const ps_result_grid *grid)
{
    char label[SHOWN_BYTES];
    int widest = 0;

    for (int32_t t = 0; t < grid->n_positions; t++) {
        ps_token_label(label, sizeof label, grid->token_clean[t], t, LABEL_MOST);
        int columns = ps_text_columns(label);
        widest = columns > widest ? columns : widest;
    }
    return widest;
}

static frame measure(const ps_result_grid *grid)
{
    frame f;

    /* Few cells are large, many are small; a row stays high enough for its label. */
    f.cell_w = floor(clamp(560.0 / grid->n_layers, 8, 30));
    f.cell_h = floor(clamp(840.0 / grid->n_positions, 13, 22));
    f.font = clamp(f.cell_h * 0.62, 9, 13);
    f.left = ceil(40 + widest_label(grid) * f.font * 0.6 + 10);
    f.top = 48;
    f.width = f.cell_w * grid->n_layers;
    f.height = f.cell_h * grid->n_positions;
    f.bar = f.left + f.width + 24;
    f.total_w = f.bar + 92;
    f.total_h = f.top + f.height + 56;
    return f;
}

/* ---- the parts ---- */

static void add_cell(ps_text *out, const ps_heatmap *map, const frame *f, int32_t l, int32_t t)
{
    const ps_result_grid *grid = map->grid;
    size_t at = (size_t)l * (size_t)grid->n_positions + (size_t)t;
    double shade = ps_heatmap_shade(map, map->column->values[at]);
    unsigned char rgb[3];

    ps_text_printf(out, "<rect class=\"cell\" x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" ",
                   f->left + l * f->cell_w, f->top + t * f->cell_h, f->cell_w, f->cell_h);
    if (isnan(shade))
        ps_text_puts(out, "fill=\"url(#not-done)\"><title>");
    else {
        ps_purple(shade, rgb);
        ps_text_printf(out, "fill=\"#%02x%02x%02x\"><title>", rgb[0], rgb[1], rgb[2]);
    }
    add_label(out, grid, t);
    if (strcmp(grid->token_clean[t], grid->token_corrupt[t])) {
        ps_text_puts(out, " (corrupt: &quot;");
        add_xml(out, grid->token_corrupt[t]);
        ps_text_puts(out, "&quot;)");
    }
    ps_text_printf(out, ", position %d, layer %d", (int)t, (int)l);
    for (size_t c = 0; c < grid->n_columns; c++) {
        double value = grid->columns[c].values[at];
        ps_text_puts(out, "\n");
        add_xml(out, grid->columns[c].name);
        ps_text_printf(out, isnan(value) ? ": not done" : ": %.6g", value);
    }
    ps_text_puts(out, "</title></rect>\n");
}

static void add_text(ps_text *out, double x, double y, double size, const char *anchor, const char *text)
{
    ps_text_printf(out, "<text x=\"%g\" y=\"%g\" font-size=\"%g\" text-anchor=\"%s\">", x, y, size, anchor);
    add_xml(out, text);
    ps_text_puts(out, "</text>\n");
}

/* Read from bottom to top, centred on (x, y). */
static void add_upright(ps_text *out, double x, double y, double size, const char *text)
{
    ps_text_printf(out, "<text transform=\"translate(%g %g) rotate(-90)\" font-size=\"%g\" text-anchor=\"middle\">",
                   x, y, size);
    add_xml(out, text);
    ps_text_puts(out, "</text>\n");
}

static void add_line(ps_text *out, double x1, double y1, double x2, double y2)
{
    ps_text_printf(out, "<path d=\"M%g %gL%g %g\"/>\n", x1, y1, x2, y2);
}

static void add_box(ps_text *out, double x, double y, double w, double h, const char *fill)
{
    ps_text_printf(out, "<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"%s\"/>\n", x, y, w, h, fill);
}
