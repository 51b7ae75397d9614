/*
 * show_map.c - draw a heat map with characters, or with a terminal's colours.
 *
 * A token may contain an escape sequence, so texts are drawn through ps_printable.
 */
#include "show.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"

enum { LABEL_MOST = 32, LABEL_LEAST = 8, TICK = 5, LABEL_BYTES = 160 };

/* ---- colours ---- */

/* Find the nearest of xterm's 6 x 6 x 6 cube and 24 greys. */
static int colour_256(const unsigned char rgb[3])
{
    static const int level[6] = {0, 95, 135, 175, 215, 255};
    int best = 16, least = 1 << 30;

    for (int i = 16; i < 256; i++) {
        int sum = 0;
        for (int c = 0; c < 3; c++) {
            int at = i >= 232 ? 8 + 10 * (i - 232) : level[(i - 16) / (c == 0 ? 36 : c == 1 ? 6 : 1) % 6];
            sum += (at - rgb[c]) * (at - rgb[c]);
        }
        if (sum < least) {
            least = sum;
            best = i;
        }
    }
    return best;
}

static void add_background(ps_show *s, double shade)
{
    unsigned char rgb[3];

    ps_purple(shade, rgb);
    if (s->colour == PS_TRUE_COLOUR)
        ps_text_printf(&s->out, "\x1b[48;2;%d;%d;%dm", rgb[0], rgb[1], rgb[2]);
    else
        ps_text_printf(&s->out, "\x1b[48;5;%dm", colour_256(rgb));
}

/* ---- one heat map ---- */

static char digit_of(const ps_heatmap *map, double value)
{
    double shade = ps_heatmap_shade(map, value);

    if (isnan(shade))
        return '.';
    if (map->score && value < -0.0005) /* below zero as "%.3f" shows it, not by rounding noise */
        return '-';
    return (char)('0' + (shade >= 1 ? 9 : (int)(shade * 10)));
}

/* Draw the cells of one row, layers first to end. */
static void add_cells(ps_show *s, const ps_heatmap *map, int32_t row, int32_t first, int32_t end, int cell)
{
    double last = -1; /* the current shade */

    for (int32_t l = first; l < end; l++) {
        double value = ps_heatmap_value(map, l, row), shade = ps_heatmap_shade(map, value);
        if (s->colour == PS_NO_COLOUR) {
            ps_text_printf(&s->out, "%s%c", l > first && cell == 2 ? " " : "", digit_of(map, value));
            continue;
        }
        if (isnan(shade))
            ps_text_puts(&s->out, last >= 0 ? "\x1b[0m" : "");
        else if (shade != last)
            add_background(s, shade);
        ps_text_printf(&s->out, "%*s", cell, isnan(shade) ? "." : "");
        last = isnan(shade) ? -1 : shade;
    }
    ps_text_puts(&s->out, last >= 0 ? "\x1b[0m\n" : "\n");
}

static void add_ticks(ps_show *s, int label, int32_t first, int32_t end, int cell)
{
    int at = label + 1; /* columns written so far */

    ps_text_printf(&s->out, "%*s ", label, "layer");
    for (int32_t l = first; l < end; l++) {
        char tick[16];
        int want = label + 1 + (l - first) * cell;
        int n = snprintf(tick, sizeof tick, "%d", (int)l);
        if (l % TICK || want < at || want + n > s->width)
            continue;
        ps_text_printf(&s->out, "%*s%s", want - at, "", tick);
        at = want + n;
    }
    ps_text_puts(&s->out, "\n");
}

/* Draw the map with two columns a layer if they fit, else one.  Labels are cut to make room for layers.  Layers that
 * do not fit are drawn in further panels below. */
static void add_map(ps_show *s, const ps_heatmap *map)
{
    int label = ps_row_label_widest(map, LABEL_MOST), least = (int)strlen("layer");
    label = label > least ? label : least;
    int cell = label + 1 + 2 * map->n_layers <= s->width ? 2 : 1, room = s->width - 1 - map->n_layers * cell;
    char text[LABEL_BYTES];

    if (label > room)
        label = room > LABEL_LEAST ? room : LABEL_LEAST;
    int per_panel = (s->width - label - 1) / cell;
    if (per_panel < map->n_layers) /* end panels at ticks */
        per_panel = per_panel < TICK ? TICK : per_panel / TICK * TICK;
    for (int32_t first = 0; first < map->n_layers; first += per_panel) {
        int32_t end = map->n_layers - first < per_panel ? map->n_layers : first + per_panel;
        add_ticks(s, label, first, end, cell);
        for (int32_t row = 0; row < map->n_rows; row++) {
            ps_row_label(text, sizeof text, map, row, label);
            ps_text_printf(&s->out, "%*s%s ", label - ps_text_columns(text), "", text);
            add_cells(s, map, row, first, end, cell);
        }
    }
}

static void add_legend(ps_show *s, const ps_heatmap *map)
{
    enum { STEPS = 20 };
    const char *dots = map->n_finite < (size_t)map->n_layers * (size_t)map->n_rows
                           ? ", .: not done" : "";

    if (s->colour == PS_NO_COLOUR && map->score)
        ps_text_printf(&s->out, "0..9: tenths of the score (9: 0.9 and more), -: below 0%s\n", dots);
    else if (s->colour == PS_NO_COLOUR)
        ps_text_printf(&s->out, "0..9: from %.4g to %.4g%s\n", map->low, map->high, dots);
    else {
        ps_text_printf(&s->out, "%.4g ", map->low);
        for (int i = 0; i < STEPS; i++) {
            add_background(s, i / (STEPS - 1.0));
            ps_text_puts(&s->out, " ");
        }
        ps_text_printf(&s->out, "\x1b[0m %.4g%s\n", map->high, dots);
    }
}

/* ---- the lines above it ---- */

static void add_shown(ps_text *out, const char *text)
{
    char shown[400];

    ps_printable(shown, sizeof shown, text);
    ps_text_puts(out, shown);
}

/* Read an attribute of the pair.  NULL if it is absent or empty. */
static char *pair_attr(const ps_show *s, const ps_result_grid *grid, const char *name)
{
    ps_text path = {0};

    ps_text_printf(&path, "/%s", grid->pair);
    char *text = ps_result_attr(s->file, ps_text_str(&path), name);
    ps_text_release(&path);
    if (text && !*text) {
        ps_free(text);
        text = NULL;
    }
    return text;
}

/* Append what a base run predicts: "clean: logit of the answer 17.25, predicts " Isaac"". */
static void add_baseline(ps_show *s, const ps_result_grid *grid, enum ps_which which)
{
    const char *run = ps_whiches[which].name;
    char name[64];

    snprintf(name, sizeof name, "%s_logit_answer", run);
    char *logit = pair_attr(s, grid, name);
    snprintf(name, sizeof name, "%s_predicts", run);
    char *token = pair_attr(s, grid, name);
    snprintf(name, sizeof name, "%s_predicts_id", run);
    char *id = pair_attr(s, grid, name);
    if (logit) {
        ps_text_printf(&s->out, "%-8s logit of the answer ", run);
        add_shown(&s->out, logit);
        if (token) {
            ps_text_puts(&s->out, ", predicts \"");
            add_shown(&s->out, token);
            ps_text_puts(&s->out, "\"");
        } else if (id) { /* the job has token ids and no text */
            ps_text_puts(&s->out, ", predicts id ");
            add_shown(&s->out, id);
        }
        ps_text_puts(&s->out, "\n");
    }
    ps_free(logit);
    ps_free(token);
    ps_free(id);
}

/* Append the sizes: "(8 layers, 4 heads, 28 tokens)". */
static void add_sizes(ps_text *out, const ps_heatmap *map)
{
    const ps_result_grid *grid = map->grid;
    const char *kind = grid->kv_heads ? "key/value " : "";

    ps_text_printf(out, "(%d layers", (int)map->n_layers);
    if (grid->axes.has[PS_AXIS_HEAD] && map->n_heads < grid->axes.size[PS_AXIS_HEAD])
        ps_text_printf(out, ", %shead %d of %d", kind, (int)map->head, (int)grid->axes.size[PS_AXIS_HEAD]);
    else if (grid->axes.has[PS_AXIS_HEAD])
        ps_text_printf(out, ", %d %sheads", (int)grid->axes.size[PS_AXIS_HEAD], kind);
    if (grid->axes.has[PS_AXIS_POSITION])
        ps_text_printf(out, ", %d tokens", (int)grid->axes.size[PS_AXIS_POSITION]);
    ps_text_puts(out, ")\n");
}

static void add_highest(ps_text *out, const ps_heatmap *map)
{
    const ps_result_grid *grid = map->grid;
    int32_t position = map->max_place[PS_AXIS_POSITION];
    char label[LABEL_BYTES];

    ps_text_printf(out, ": %.4g to %.4g, highest at layer %d", map->min, map->max, (int)map->max_place[PS_AXIS_LAYER]);
    if (grid->axes.has[PS_AXIS_HEAD])
        ps_text_printf(out, ", head %d", (int)map->max_place[PS_AXIS_HEAD]);
    if (!grid->axes.has[PS_AXIS_POSITION])
        return;
    ps_token_label(label, sizeof label, grid->token_clean[position], position, LABEL_MOST);
    ps_text_printf(out, ", position %d", (int)position);
    if (*label == '"')
        ps_text_printf(out, " %s", label);
}

static void add_headline(ps_show *s, const ps_heatmap *map)
{
    const ps_result_grid *grid = map->grid;
    size_t n = (size_t)map->n_layers * (size_t)map->n_rows;

    add_shown(&s->out, grid->pair);
    ps_text_puts(&s->out, "  ");
    add_shown(&s->out, grid->site);
    ps_text_puts(&s->out, "  ");
    add_shown(&s->out, grid->direction);
    ps_text_puts(&s->out, "  ");
    add_sizes(&s->out, map);
    add_baseline(s, grid, PS_CLEAN);
    add_baseline(s, grid, PS_CORRUPT);
    add_shown(&s->out, map->column->name);
    if (map->n_finite)
        add_highest(&s->out, map);
    if (map->n_finite < n)
        ps_text_printf(&s->out, "%s%zu of %zu cells not done", map->n_finite ? "; " : ": ",
                       n - map->n_finite, n);
    if (map->merged)
        ps_text_printf(&s->out,
                       "\neach cell shows the head whose value is farthest from the unpatched run's, %.4g; --head N draws one head",
                       map->base);
    ps_text_puts(&s->out, "\n\n");
}

int ps_show_map(ps_show *s, const ps_result_grid *grid, ps_err *err)
{
    ps_heatmap map;

    if (ps_heatmap_init(&map, s->file, grid, &s->pick, err) < 0)
        return -1;
    ps_text_puts(&s->out, s->n_shown ? "\n" : "");
    add_headline(s, &map);
    add_map(s, &map);
    ps_text_puts(&s->out, "\n");
    add_legend(s, &map);
    return 0;
}
