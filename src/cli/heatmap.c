/*
 * heatmap.c - choosing grids, scaling their numbers, colours, and labels of tokens.
 *
 * Nothing here draws: cmd_show.c draws with characters, plot.c with rectangles.
 */
#include "heatmap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/text.h"
#include "patchsweep/width.h"

/* ---- which grids ---- */

enum { PAIR, SITE, DIRECTION, N_KINDS };
static const char *const kinds[N_KINDS] = {"pair", "site", "direction"};

/* List the names: 'a', 'b' ..., cut where the list is long. */
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
        /* Grids come pair by pair, so that comparing with the last few finds most repetitions. */
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
    if (used == 0) { /* each word is known, but not in this combination */
        ps_free(found);
        return ps_err_set(err, PS_EINPUT,
                          "no grid has this combination of pair, site and direction; leave one out");
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

int ps_heatmap_init(ps_heatmap *map, const ps_result_grid *grid, const char *metric, ps_err *err)
{
    const char *name = metric ? metric : "score";
    size_t n = (size_t)grid->n_layers * (size_t)grid->n_positions;

    *map = (ps_heatmap){.grid = grid, .column = find_column(grid, name), .score = !strcmp(name, "score")};
    if (!map->column)
        return unknown_metric(grid, name, err);
    for (size_t i = 0; i < n; i++) {
        double value = map->column->values[i];
        if (!isfinite(value))
            continue;
        if (map->n_finite++ == 0 || value > map->max) {
            map->max = value;
            map->max_layer = (int32_t)(i / (size_t)grid->n_positions);
            map->max_position = (int32_t)(i % (size_t)grid->n_positions);
        }
        if (map->n_finite == 1 || value < map->min)
            map->min = value;
    }
    map->low = map->score ? 0 : map->min;
    map->high = map->score ? 1 : map->max;
    return 0;
}

double ps_heatmap_value(const ps_heatmap *map, int32_t layer, int32_t position)
{
    return map->column->values[(size_t)layer * (size_t)map->grid->n_positions + (size_t)position];
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
    char shown[512]; /* far more than a row has room for */
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
