/*
 * plot.c - draw a heat map as SVG: tokens or heads down, layers across, a colour bar on the right.
 *
 * Sizes are computed here, because SVG has no layout.  The width of a label is an estimate, since fonts differ, and
 * the margins are generous.  Text of the file is made printable and then escaped, so that no token can end an element.
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

/* Append printable text as XML.  U+FFFE and U+FFFF are no characters there. */
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

static void add_label(ps_text *out, const ps_heatmap *map, int32_t row)
{
    char label[SHOWN_BYTES];

    ps_row_label(label, sizeof label, map, row, LABEL_MOST);
    add_xml(out, label);
}

/* ---- sizes ---- */

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static frame measure(const ps_heatmap *map)
{
    frame f;

    /* Choose the size of cells: few are large, many are small.  A row is high enough for its label, and all rows
     * together for the bar's labels. */
    f.cell_w = floor(clamp(560.0 / map->n_layers, 8, 30));
    f.cell_h = fmax(floor(clamp(840.0 / map->n_rows, 13, 22)), ceil(110.0 / map->n_rows));
    f.font = clamp(f.cell_h * 0.62, 9, 13);
    f.left = ceil(40 + ps_row_label_widest(map, LABEL_MOST) * f.font * 0.6 + 10);
    f.top = 48;
    f.width = f.cell_w * map->n_layers;
    f.height = f.cell_h * map->n_rows;
    f.bar = f.left + f.width + 24;
    f.total_w = f.bar + 92;
    f.total_h = f.top + f.height + 56;
    return f;
}

/* ---- the parts ---- */

/* Append a cell's title: where it is, and every column's value. */
static void add_hover(ps_text *out, const ps_heatmap *map, const int32_t place[PS_N_AXES])
{
    const ps_result_grid *grid = map->grid;
    int32_t t = place[PS_AXIS_POSITION];
    char label[SHOWN_BYTES];

    if (grid->axes.has[PS_AXIS_POSITION]) {
        ps_token_label(label, sizeof label, grid->token_clean[t], t, LABEL_MOST);
        add_xml(out, label);
        if (strcmp(grid->token_clean[t], grid->token_corrupt[t])) {
            ps_text_puts(out, " (corrupt: &quot;");
            add_xml(out, grid->token_corrupt[t]);
            ps_text_puts(out, "&quot;)");
        }
        ps_text_printf(out, ", position %d, ", (int)t);
    }
    if (grid->axes.has[PS_AXIS_HEAD])
        ps_text_printf(out, "head %d, ", (int)place[PS_AXIS_HEAD]);
    ps_text_printf(out, "layer %d", (int)place[PS_AXIS_LAYER]);
    for (size_t c = 0; c < grid->n_columns; c++) {
        double value = grid->columns[c].values[ps_axes_at(&grid->axes, place)];
        ps_text_puts(out, "\n");
        add_xml(out, grid->columns[c].name);
        ps_text_printf(out, isnan(value) ? ": not done" : ": %.6g", value);
    }
}

static void add_cell(ps_text *out, const ps_heatmap *map, const frame *f, int32_t l, int32_t row)
{
    double shade = ps_heatmap_shade(map, ps_heatmap_value(map, l, row));
    int32_t place[PS_N_AXES];
    unsigned char rgb[3];

    ps_heatmap_place(map, l, row, place);
    ps_text_printf(out, "<rect class=\"cell\" x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" ",
                   f->left + l * f->cell_w, f->top + row * f->cell_h, f->cell_w, f->cell_h);
    if (isnan(shade))
        ps_text_puts(out, "fill=\"url(#not-done)\"><title>");
    else {
        ps_purple(shade, rgb);
        ps_text_printf(out, "fill=\"#%02x%02x%02x\"><title>", rgb[0], rgb[1], rgb[2]);
    }
    add_hover(out, map, place);
    ps_text_puts(out, "</title></rect>\n");
}

static void add_text(ps_text *out, double x, double y, double size, const char *anchor, const char *text)
{
    ps_text_printf(out, "<text x=\"%g\" y=\"%g\" font-size=\"%g\" text-anchor=\"%s\">", x, y, size, anchor);
    add_xml(out, text);
    ps_text_puts(out, "</text>\n");
}

/* Draw text that reads from bottom to top, centred on (x, y). */
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

static void add_axes(ps_text *out, const ps_heatmap *map, const frame *f)
{
    double bottom = f->top + f->height, right = f->left + f->width;

    ps_text_puts(out, "<g fill=\"none\" stroke=\"#333\">\n");
    ps_text_printf(out, "<path d=\"M%g %gH%gV%gH%gZ\"/>\n", f->left, f->top, right, bottom, f->left);
    for (int32_t l = 0; l < map->n_layers; l += TICK) {
        double x = f->left + (l + 0.5) * f->cell_w;
        add_line(out, x, bottom, x, bottom + 4);
    }
    for (int32_t t = 0; t < map->n_rows; t++) {
        double y = f->top + (t + 0.5) * f->cell_h;
        add_line(out, f->left - 4, y, f->left, y);
    }
    ps_text_puts(out, "</g>\n");
    for (int32_t l = 0; l < map->n_layers; l += TICK) {
        char tick[16];
        snprintf(tick, sizeof tick, "%d", (int)l);
        add_text(out, f->left + (l + 0.5) * f->cell_w, bottom + 17, 12, "middle", tick);
    }
    for (int32_t t = 0; t < map->n_rows; t++) {
        ps_text_printf(out, "<text x=\"%g\" y=\"%g\" font-size=\"%g\" text-anchor=\"end\">", f->left - 8,
                       f->top + (t + 0.5) * f->cell_h + f->font * 0.36, f->font);
        add_label(out, map, t);
        ps_text_puts(out, "</text>\n");
    }
    add_text(out, f->left + f->width / 2, bottom + 40, 14, "middle", "Layer");
    add_upright(out, 24, f->top + f->height / 2, 14, map->down == PS_AXIS_HEAD ? "Head" : "Token");
}

/* Choose about five steps of 1, 2 or 5 times a power of ten. */
static double tick_step(double range)
{
    double power = pow(10, floor(log10(range / 5))), n = range / 5 / power;

    return power * (n < 1.5 ? 1 : n < 3.5 ? 2 : n < 7.5 ? 5 : 10);
}

static void add_bar_tick(ps_text *out, const frame *f, double share, double value)
{
    char text[32];
    double y = f->top + f->height * (1 - share);

    snprintf(text, sizeof text, "%.4g", value);
    ps_text_printf(out, "<path d=\"M%g %gh4\" stroke=\"#333\"/>\n", f->bar + 16, y);
    add_text(out, f->bar + 24, y + 4, 12, "start", text);
}

static void add_bar(ps_text *out, const ps_heatmap *map, const frame *f)
{
    double range = map->high - map->low;

    add_box(out, f->bar, f->top, 16, f->height, "url(#purples)\" stroke=\"#333");
    if (isfinite(range) && range > 0) {
        double step = map->score ? 0.2 : tick_step(range);
        double first = ceil(map->low / step - 1e-9);
        for (int i = 0; i < 20 && (first + i) * step <= map->high + step * 1e-6; i++) {
            double value = (first + i) * step;
            value = fabs(value) < step * 1e-6 ? 0 : value; /* not -0 */
            add_bar_tick(out, f, clamp((value - map->low) / range, 0, 1), value);
        }
    } else
        add_bar_tick(out, f, 0, map->low);
    add_upright(out, f->bar + 76, f->top + f->height / 2, 14,
                map->score ? "Normalized Score" : map->column->name);
}

static void add_defs(ps_text *out)
{
    ps_text_puts(out, "<defs>\n<linearGradient id=\"purples\" x1=\"0\" y1=\"1\" x2=\"0\" y2=\"0\">\n");
    for (int i = 0; i < 9; i++)
        ps_text_printf(out, "<stop offset=\"%g\" stop-color=\"#%02x%02x%02x\"/>\n", i / 8.0,
                       ps_purples[i][0], ps_purples[i][1], ps_purples[i][2]);
    ps_text_puts(out,
                 "</linearGradient>\n"
                 "<pattern id=\"not-done\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\n"
                 "<path d=\"M0 6L6 0\" stroke=\"#bbb\" fill=\"none\"/>\n</pattern>\n</defs>\n");
}

static void add_title(ps_text *out, const ps_heatmap *map, const frame *f, const char *title)
{
    const ps_result_grid *grid = map->grid;
    char shown[SHOWN_BYTES]; /* printable: the text that is measured is the text that is drawn */
    ps_text text = {0};

    if (!title)
        ps_text_printf(&text, "%s, %s, %s", grid->pair, grid->site, grid->direction);
    if (!title && map->merged)
        ps_text_puts(&text, ", head of largest change");
    else if (!title && map->n_heads < grid->axes.size[PS_AXIS_HEAD])
        ps_text_printf(&text, ", head %d", (int)map->head);
    ps_printable(shown, sizeof shown, title ? title : ps_text_str(&text));
    /* Centre the title over the cells, but keep it inside the figure. */
    double half = ps_text_columns(shown) * 15 * 0.28;
    double x = clamp(f->left + f->width / 2, half, f->total_w - half);
    add_text(out, x > half ? x : f->total_w / 2, 30, 15, "middle", shown);
    ps_text_release(&text);
}

/* ---- the document ---- */

void ps_plot_svg(ps_text *out, const ps_heatmap *map, const char *title)
{
    frame f = measure(map);

    ps_text_printf(out,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" viewBox=\"0 0 %g %g\" "
                   "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" fill=\"#222\" xml:space=\"preserve\">\n",
                   f.total_w, f.total_h, f.total_w, f.total_h);
    add_defs(out);
    add_box(out, 0, 0, f.total_w, f.total_h, "#fff");
    ps_text_puts(out, "<g shape-rendering=\"crispEdges\">\n");
    for (int32_t t = 0; t < map->n_rows; t++)
        for (int32_t l = 0; l < map->n_layers; l++)
            add_cell(out, map, &f, l, t);
    ps_text_puts(out, "</g>\n");
    add_axes(out, map, &f);
    add_bar(out, map, &f);
    add_title(out, map, &f, title);
    ps_text_puts(out, "</svg>\n");
}
