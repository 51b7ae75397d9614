/*
 * heatmap.c - choose grids, scale their numbers, choose colours, and label tokens.
 *
 * Nothing is drawn here: show_map.c draws with characters, plot.c with rectangles.
 */
#include "heatmap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/text.h"
#include "patchsweep/width.h"

/* ---- which grids ---- */

enum { PAIR, SITE, DIRECTION, N_KINDS };
static const char *const kinds[N_KINDS] = {"pair", "site", "direction"};

/* List the names: 'a', 'b' ... A long list is cut. */
static void list_names(ps_text *out, const char *const *names, size_t n)
{
    enum { MOST = 12 };

    for (size_t i = 0; i < n && i < MOST; i++)
        ps_text_printf(out, "%s'%s'", i ? ", " : "", names[i]);
    if (n > MOST)
        ps_text_printf(out, " and %zu more", n - MOST);
}

static int unknown_name(const char *kind, const char *word, const char *const *names, size_t n,
                        ps_err *err)
{
    const char *near = ps_nearest(word, names, n);
    ps_text all = {0};

    if (near)
        return ps_err_set(err, PS_EINPUT, "%s '%s' is not in the result; did you mean '%s'?", kind,
                          word, near);
    list_names(&all, names, n);
    ps_err_set(err, PS_EINPUT, "%s '%s' is not in the result; it has %s", kind, word, ps_text_str(&all));
    ps_text_release(&all);
    return -1;
}

/* Check that `word` names something of this kind; if not, list the names there are. */
static int check_word(const ps_result_file *file, int kind, const char *word, ps_err *err)
{
    size_t n = ps_result_n_grids(file), used = 0;
    const char *name[N_KINDS], **names = ps_calloc(n, sizeof *names, err);
    int rc = -1;

    if (!names)
        return -1;
    for (size_t i = 0; i < n && rc < 0; i++) {
        ps_result_grid_name(file, i, &name[PAIR], &name[SITE], &name[DIRECTION]);
        bool seen = false;
        /* Grids come pair by pair: comparing with the last few names finds most repetitions. */
        for (size_t j = used; j > 0 && j + 8 > used && !seen; j--)
            seen = !strcmp(names[j - 1], name[kind]);
        if (!seen)
            names[used++] = name[kind];
        rc = strcmp(word, name[kind]) ? -1 : 0;
    }
    if (rc < 0)
        unknown_name(kinds[kind], word, names, used, err);
    ps_free(names);
    return rc;
}

/* Reduce index[n] to the grids that have head `head`.  Returns their number; 0 with *err set if there are none. */
static size_t keep_head(const ps_result_file *file, long head, size_t *index, size_t n, ps_err *err)
{
    size_t used = 0;
    int32_t most = 0;

    for (size_t i = 0; i < n; i++) {
        ps_axes axes;
        if (ps_result_grid_axes(file, index[i], &axes, err) < 0)
            return 0;
        if (!axes.has[PS_AXIS_HEAD])
            continue;
        most = axes.size[PS_AXIS_HEAD] > most ? axes.size[PS_AXIS_HEAD] : most;
        if (head >= 0 && head < axes.size[PS_AXIS_HEAD])
            index[used++] = index[i];
    }
    if (!used && !most)
        ps_err_set(err, PS_EINPUT, "--head: none of these grids has heads; leave it out");
    else if (!used)
        ps_err_set(err, PS_EINPUT, "--head: there is no head %ld; these grids have heads 0 to %d", head, (int)most - 1);
    return used;
}

bool ps_picks_place(const ps_pick *pick, const int32_t place[PS_N_AXES])
{
    return pick->head == PS_ANY_HEAD || pick->head == place[PS_AXIS_HEAD];
}

int ps_pick_grids(const ps_result_file *file, const ps_pick *pick, size_t **index, size_t *n,
                  ps_err *err)
{
    const char *wanted[N_KINDS] = {pick->pair, pick->site, pick->direction}, *name[N_KINDS];
    size_t n_grids = ps_result_n_grids(file), used = 0;

    if (n_grids == 0)
        return ps_err_set(err, PS_EINPUT, "the result holds no grid of scores");
    for (int k = 0; k < N_KINDS; k++)
        if (wanted[k] && check_word(file, k, wanted[k], err) < 0)
            return -1;
    size_t *found = ps_malloc(n_grids, sizeof *found, err);
    if (!found)
        return -1;
    for (size_t i = 0; i < n_grids; i++) {
        bool fits = true;
        ps_result_grid_name(file, i, &name[PAIR], &name[SITE], &name[DIRECTION]);
        for (int k = 0; k < N_KINDS; k++)
            fits = fits && (!wanted[k] || !strcmp(wanted[k], name[k]));
        if (fits)
            found[used++] = i;
    }
    if (used == 0) /* each word is known, but not in this combination */
        ps_err_set(err, PS_EINPUT, "no grid has this combination of pair, site and direction; leave one out");
    else if (pick->head != PS_ANY_HEAD)
        used = keep_head(file, pick->head, found, used, err);
    if (used == 0) {
        ps_free(found);
        return -1;
    }
    *index = found;
    *n = used;
    return 0;
}

/* ---- which numbers ---- */

static const struct ps_result_column *find_column(const ps_result_grid *grid, const char *name)
{
    for (size_t i = 0; i < grid->n_columns; i++)
        if (!strcmp(grid->columns[i].name, name))
            return &grid->columns[i];
    return NULL;
}

static int unknown_metric(const ps_result_grid *grid, const char *word, ps_err *err)
{
    const char **names = ps_calloc(grid->n_columns, sizeof *names, err);

    if (!names)
        return -1;
    for (size_t i = 0; i < grid->n_columns; i++)
        names[i] = grid->columns[i].name;
    unknown_name("metric", word, names, grid->n_columns, err);
    ps_free(names);
    return ps_err_prefix(err, "pair '%s'", grid->pair);
}

/* The metric's value in the base run, without a patch; 0 if the file does not have it. */
static double unpatched(const ps_result_file *file, const ps_result_grid *grid, const char *metric)
{
    bool noise = !strcmp(grid->direction, ps_directions[PS_NOISE].name);
    ps_text pair = {0}, name = {0};

    if (!strcmp(metric, "score"))
        return noise;
    ps_text_printf(&pair, "/%s", grid->pair);
    ps_text_printf(&name, "%s_%s", ps_whiches[noise ? PS_CLEAN : PS_CORRUPT].name, metric);
    char *text = ps_result_attr(file, ps_text_str(&pair), ps_text_str(&name));
    double value = text ? strtod(text, NULL) : 0;
    ps_free(text);
    ps_text_release(&name);
    ps_text_release(&pair);
    return isfinite(value) ? value : 0;
}

/* Choose the axis of the rows and the heads to draw. */
static void lay_out(ps_heatmap *map, const ps_pick *pick)
{
    const ps_axes *axes = &map->grid->axes;
    bool one = axes->has[PS_AXIS_HEAD] && pick->head != PS_ANY_HEAD;

    map->down = axes->has[PS_AXIS_HEAD] && !axes->has[PS_AXIS_POSITION] ? PS_AXIS_HEAD : PS_AXIS_POSITION;
    map->head = one ? (int32_t)pick->head : 0;
    map->n_heads = one ? 1 : axes->size[PS_AXIS_HEAD];
    map->n_layers = axes->size[PS_AXIS_LAYER];
    map->n_rows = map->down == PS_AXIS_HEAD ? map->n_heads : axes->size[PS_AXIS_POSITION];
    map->merged = map->down == PS_AXIS_POSITION && map->n_heads > 1;
}

static void find_range(ps_heatmap *map)
{
    for (int32_t layer = 0; layer < map->n_layers; layer++)
        for (int32_t row = 0; row < map->n_rows; row++) {
            double value = ps_heatmap_value(map, layer, row);
            if (!isfinite(value))
                continue;
            if (map->n_finite++ == 0 || value > map->max) {
                map->max = value;
                ps_heatmap_place(map, layer, row, map->max_place);
            }
            if (map->n_finite == 1 || value < map->min)
                map->min = value;
        }
}

int ps_heatmap_init(ps_heatmap *map, const ps_result_file *file, const ps_result_grid *grid, const ps_pick *pick, ps_err *err)
{
    const char *name = pick->metric ? pick->metric : "score";

    *map = (ps_heatmap){.grid = grid, .column = find_column(grid, name), .score = !strcmp(name, "score")};
    if (!map->column)
        return unknown_metric(grid, name, err);
    lay_out(map, pick);
    if (map->merged)
        map->base = unpatched(file, grid, name);
    find_range(map);
    map->low = map->score ? 0 : map->min;
    map->high = map->score ? 1 : map->max;
    return 0;
}

void ps_heatmap_place(const ps_heatmap *map, int32_t layer, int32_t row, int32_t place[PS_N_AXES])
{
    const double *values = map->column->values;
    double most = -1;

    place[PS_AXIS_LAYER] = layer;
    place[PS_AXIS_POSITION] = map->down == PS_AXIS_POSITION ? row : 0;
    place[PS_AXIS_HEAD] = map->down == PS_AXIS_HEAD ? map->head + row : map->head;
    for (int32_t head = 0; map->merged && head < map->n_heads; head++) {
        const int32_t at[PS_N_AXES] = {[PS_AXIS_LAYER] = layer, [PS_AXIS_HEAD] = head, [PS_AXIS_POSITION] = row};
        double away = fabs(values[ps_axes_at(&map->grid->axes, at)] - map->base);
        if (away > most) { /* false for NaN */
            most = away;
            place[PS_AXIS_HEAD] = head;
        }
    }
}

double ps_heatmap_value(const ps_heatmap *map, int32_t layer, int32_t row)
{
    int32_t place[PS_N_AXES];

    ps_heatmap_place(map, layer, row, place);
    return map->column->values[ps_axes_at(&map->grid->axes, place)];
}

double ps_heatmap_shade(const ps_heatmap *map, double value)
{
    if (isnan(value))
        return NAN;
    if (value <= map->low || map->high <= map->low)
        return 0;
    return value >= map->high ? 1 : (value - map->low) / (map->high - map->low);
}

/* ---- which colours ---- */

const unsigned char ps_purples[9][3] = {
    {0xfc, 0xfb, 0xfd}, {0xef, 0xed, 0xf5}, {0xda, 0xda, 0xeb}, {0xbc, 0xbd, 0xdc}, {0x9e, 0x9a, 0xc8},
    {0x80, 0x7d, 0xba}, {0x6a, 0x51, 0xa3}, {0x54, 0x27, 0x8f}, {0x3f, 0x00, 0x7d},
};

/* matplotlib quantizes to 256 steps first; so do we, for figures that match side by side. */
void ps_purple(double shade, unsigned char rgb[3])
{
    int step = shade >= 1 ? 255 : (int)(shade * 256);
    double at = step / 255.0 * 8;
    int left = step == 255 ? 7 : (int)at;

    for (int c = 0; c < 3; c++) {
        double from = ps_purples[left][c], to = ps_purples[left + 1][c];
        rgb[c] = (unsigned char)lround(from + (to - from) * (at - left));
    }
}

/* ---- labels ---- */

int ps_text_columns(const char *s)
{
    int columns = 0, bytes;

    for (; *s; s += bytes)
        columns += ps_width(ps_utf8_decode(s, &bytes));
    return columns;
}

void ps_token_label(char *out, size_t out_bytes, const char *token, int32_t position, int columns)
{
    char shown[512]; /* far longer than any row */
    size_t end = 0;
    int bytes, used = 2;

    if (!*token) {
        snprintf(out, out_bytes, "#%d", (int)position);
        return;
    }
    ps_printable(shown, sizeof shown, token);
    if (ps_text_columns(shown) + 2 <= columns && strlen(shown) + 3 <= out_bytes) {
        snprintf(out, out_bytes, "\"%s\"", shown);
        return;
    }
    /* Cut: the dots take the last column, the quote stays open. */
    for (; shown[end] && used < columns; end += (size_t)bytes) {
        int width = ps_width(ps_utf8_decode(shown + end, &bytes));
        if (used + width > columns || end + (size_t)bytes + 5 > out_bytes)
            break;
        used += width;
    }
    snprintf(out, out_bytes, "\"%.*s\xe2\x80\xa6", (int)end, shown);
}

void ps_row_label(char *out, size_t out_bytes, const ps_heatmap *map, int32_t row, int columns)
{
    if (map->down == PS_AXIS_HEAD)
        snprintf(out, out_bytes, "head %d", (int)(map->head + row));
    else
        ps_token_label(out, out_bytes, map->grid->token_clean[row], row, columns);
}

int ps_row_label_widest(const ps_heatmap *map, int columns)
{
    char label[600];
    int widest = 0;

    for (int32_t row = 0; row < map->n_rows; row++) {
        ps_row_label(label, sizeof label, map, row, columns);
        int n = ps_text_columns(label);
        widest = n > widest ? n : widest;
    }
    return widest;
}
