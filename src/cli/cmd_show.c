/*
 * cmd_show.c - a result in the terminal: heat maps, CSV, or JSON.
 *
 * A token may hold an escape sequence, so texts are drawn through ps_printable.  CSV and JSON are for programs and hold the file's texts as they are.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "doubt.h"
#include "heatmap.h"
#include "opt.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

enum colour { NO_COLOUR, COLOURS_256, TRUE_COLOUR };
enum { LABEL_MOST = 32, LABEL_LEAST = 8, TICK = 5, LABEL_BYTES = 160 };

typedef struct show {
    ps_pick pick;
    bool csv, json;
    const char *color; /* as given: auto, always, never */
    enum colour colour;
    int width;
    const ps_result_file *file;
    ps_text out;
    char **names; /* of CSV columns, over all grids */
    size_t n_names, cap_names, n_shown;
} show;

/* ---- the terminal ---- */

static int choose_colour(show *s, ps_err *err)
{
    static const char *const words[] = {"auto", "always", "never"};
    const char *term = getenv("TERM"), *depth = getenv("COLORTERM"), *no = getenv("NO_COLOR");
    bool wanted = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") && !(no && *no);

    if (!strcmp(s->color, "always"))
        wanted = true;
    else if (!strcmp(s->color, "never"))
        wanted = false;
    else if (strcmp(s->color, "auto")) {
        const char *near = ps_nearest(s->color, words, 3);
        return ps_err_set(err, PS_EINPUT, "--color: '%s' is unknown; write '%s'", s->color,
                          near ? near : "auto' or 'always' or 'never");
    }
    bool deep = depth && (!strcmp(depth, "truecolor") || !strcmp(depth, "24bit"));
    s->colour = !wanted ? NO_COLOUR : deep ? TRUE_COLOUR : COLOURS_256;
    return 0;
}

static int terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    long n = columns ? strtol(columns, NULL, 10) : 0;

    if (n > 0 && n < 100000)
        return (int)n;
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

/* The nearest of xterm's 6 x 6 x 6 cube and 24 greys. */
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

static void add_background(show *s, double shade)
{
    unsigned char rgb[3];

    ps_purple(shade, rgb);
    if (s->colour == TRUE_COLOUR)
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

/* Cells of one row, layers first to end. */
static void add_cells(show *s, const ps_heatmap *map, int32_t position, int32_t first, int32_t end, int cell)
{
    double last = -1; /* the current shade */

    for (int32_t l = first; l < end; l++) {
        double value = ps_heatmap_value(map, l, position), shade = ps_heatmap_shade(map, value);
        if (s->colour == NO_COLOUR) {
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

static void add_ticks(show *s, int label, int32_t first, int32_t end, int cell)
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

static int widest_label(const ps_result_grid *grid)
{
    char label[LABEL_BYTES];
    int widest = (int)strlen("layer");

    for (int32_t t = 0; t < grid->n_positions; t++) {
        ps_token_label(label, sizeof label, grid->token_clean[t], t, LABEL_MOST);
        int columns = ps_text_columns(label);
        widest = columns > widest ? columns : widest;
    }
    return widest;
}

/* Two columns a layer where they fit, else one.  Labels are cut to make room for layers; layers that do
 * not fit are drawn in further panels below. */
static void add_map(show *s, const ps_heatmap *map)
{
    const ps_result_grid *grid = map->grid;
    int label = widest_label(grid), cell = label + 1 + 2 * grid->n_layers <= s->width ? 2 : 1;
    int room = s->width - 1 - grid->n_layers * cell;
    char text[LABEL_BYTES];

    if (label > room)
        label = room > LABEL_LEAST ? room : LABEL_LEAST;
    int per_panel = (s->width - label - 1) / cell;
    if (per_panel < grid->n_layers) /* end panels at ticks */
        per_panel = per_panel < TICK ? TICK : per_panel / TICK * TICK;
    for (int32_t first = 0; first < grid->n_layers; first += per_panel) {
        int32_t end = grid->n_layers - first < per_panel ? grid->n_layers : first + per_panel;
        add_ticks(s, label, first, end, cell);
        for (int32_t t = 0; t < grid->n_positions; t++) {
            ps_token_label(text, sizeof text, grid->token_clean[t], t, label);
            ps_text_printf(&s->out, "%*s%s ", label - ps_text_columns(text), "", text);
            add_cells(s, map, t, first, end, cell);
        }
    }
}

static void add_legend(show *s, const ps_heatmap *map)
{
    enum { STEPS = 20 };
    const char *dots = map->n_finite < (size_t)map->grid->n_layers * (size_t)map->grid->n_positions
                           ? ", .: not done" : "";

    if (s->colour == NO_COLOUR && map->score)
        ps_text_printf(&s->out, "0..9: tenths of the score (9: 0.9 and more), -: below 0%s\n", dots);
    else if (s->colour == NO_COLOUR)
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

/* An attribute of the pair; NULL where it is absent or empty. */
static char *pair_attr(const show *s, const ps_result_grid *grid, const char *name)
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

/* "clean: logit of the answer 17.25, predicts " Isaac"" */
static void add_baseline(show *s, const ps_result_grid *grid, enum ps_which which)
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
        } else if (id) { /* a result of token ids alone */
            ps_text_puts(&s->out, ", predicts id ");
            add_shown(&s->out, id);
        }
        ps_text_puts(&s->out, "\n");
    }
    ps_free(logit);
    ps_free(token);
    ps_free(id);
}

static void add_headline(show *s, const ps_heatmap *map)
{
    const ps_result_grid *grid = map->grid;
    size_t n = (size_t)grid->n_layers * (size_t)grid->n_positions;
    char label[LABEL_BYTES];

    add_shown(&s->out, grid->pair);
    ps_text_puts(&s->out, "  ");
    add_shown(&s->out, grid->site);
    ps_text_puts(&s->out, "  ");
    add_shown(&s->out, grid->direction);
    ps_text_printf(&s->out, "  (%d layers, %d tokens)\n", (int)grid->n_layers, (int)grid->n_positions);
    add_baseline(s, grid, PS_CLEAN);
    add_baseline(s, grid, PS_CORRUPT);
    add_shown(&s->out, map->column->name);
    if (map->n_finite) {
        ps_token_label(label, sizeof label, grid->token_clean[map->max_position], map->max_position,
                       LABEL_MOST);
        ps_text_printf(&s->out, ": %.4g to %.4g, highest at layer %d, position %d", map->min, map->max,
                       (int)map->max_layer, (int)map->max_position);
        if (*label == '"')
            ps_text_printf(&s->out, " %s", label);
    }
    if (map->n_finite < n)
        ps_text_printf(&s->out, "%s%zu of %zu cells not done", map->n_finite ? "; " : ": ",
                       n - map->n_finite, n);
    ps_text_puts(&s->out, "\n\n");
}

static int draw(show *s, const ps_result_grid *grid, ps_err *err)
{
    ps_heatmap map;

    if (ps_heatmap_init(&map, grid, s->pick.metric, err) < 0)
        return -1;
    ps_text_puts(&s->out, s->n_shown ? "\n" : "");
    add_headline(s, &map);
    add_map(s, &map);
    ps_text_puts(&s->out, "\n");
    add_legend(s, &map);
    return 0;
}

/* ---- CSV ---- */

static void add_field(ps_text *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        ps_text_puts(out, text);
        return;
    }
    ps_text_puts(out, "\"");
    for (; *text; text++)
        ps_text_add(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    ps_text_puts(out, "\"");
}

/* Write a text as it is to a file, and printable to a terminal. */
static void add_text_field(ps_text *out, const char *text)
{
    char shown[1024];

    ps_printable(shown, sizeof shown, text);
    add_field(out, isatty(STDOUT_FILENO) ? shown : text);
}

static bool wants_column(const show *s, const char *name)
{
    return !s->pick.metric || !strcmp(s->pick.metric, name);
}

/* Pairs without a foil lack columns: a new name is inserted after its neighbour. */
static int collect_names(show *s, const ps_result_grid *grid, ps_err *err)
{
    ps_heatmap map;
    size_t at = 0;

    if (ps_heatmap_init(&map, grid, s->pick.metric, err) < 0)
        return -1;
    for (size_t i = 0; i < grid->n_columns; i++) {
        size_t found = 0;
        while (found < s->n_names && strcmp(s->names[found], grid->columns[i].name))
            found++;
        if (!wants_column(s, grid->columns[i].name))
            continue;
        if (found == s->n_names) {
            if (ps_grow(&s->names, s->n_names, &s->cap_names, sizeof *s->names, err) < 0)
                return -1;
            char *name = ps_strdup(grid->columns[i].name, err);
            if (!name)
                return -1;
            memmove(&s->names[at + 1], &s->names[at], (s->n_names++ - at) * sizeof *s->names);
            s->names[at] = name;
            found = at;
        }
        at = found + 1;
    }
    return 0;
}

static void add_csv_header(show *s)
{
    ps_text_puts(&s->out, "pair,site,direction,layer,position,token_clean,token_corrupt,role");
    for (size_t i = 0; i < s->n_names; i++) {
        ps_text_puts(&s->out, ",");
        add_text_field(&s->out, s->names[i]);
    }
    ps_text_puts(&s->out, "\n");
}

static void add_csv_cell(show *s, const ps_result_grid *grid, int32_t layer, int32_t position)
{
    const char *const before[] = {grid->pair, grid->site, grid->direction};
    const char *const behind[] = {grid->token_clean[position], grid->token_corrupt[position],
                                  grid->role[position]};
    size_t at = (size_t)layer * (size_t)grid->n_positions + (size_t)position;

    for (int i = 0; i < 3; i++) {
        add_text_field(&s->out, before[i]);
        ps_text_puts(&s->out, ",");
    }
    ps_text_printf(&s->out, "%d,%d", (int)layer, (int)position);
    for (int i = 0; i < 3; i++) {
        ps_text_puts(&s->out, ",");
        add_text_field(&s->out, behind[i]);
    }
    for (size_t i = 0; i < s->n_names; i++) {
        ps_text_puts(&s->out, ",");
        for (size_t c = 0; c < grid->n_columns; c++)
            if (!strcmp(grid->columns[c].name, s->names[i]) && !isnan(grid->columns[c].values[at]))
                ps_text_printf(&s->out, "%.9g", grid->columns[c].values[at]);
    }
    ps_text_puts(&s->out, "\n");
}

static int add_csv(show *s, const ps_result_grid *grid, ps_err *err)
{
    (void)err;
    if (s->n_shown == 0)
        add_csv_header(s);
    for (int32_t l = 0; l < grid->n_layers; l++)
        for (int32_t t = 0; t < grid->n_positions; t++)
            add_csv_cell(s, grid, l, t);
    return 0;
}

/* ---- JSON ---- */

static void add_json_texts(ps_text *out, const char *key, char **texts, int32_t n)
{
    ps_text_printf(out, ",\n  \"%s\": [", key);
    for (int32_t t = 0; t < n; t++) {
        ps_text_puts(out, t ? ", " : "");
        ps_text_json(out, texts[t], strlen(texts[t]));
    }
    ps_text_puts(out, "]");
}

static void add_json_column(ps_text *out, const struct ps_result_column *column, int32_t n_layers,
                            int32_t n_positions)
{
    const double *value = column->values;

    ps_text_json(out, column->name, strlen(column->name));
    ps_text_puts(out, ": [");
    for (int32_t l = 0; l < n_layers; l++) {
        ps_text_puts(out, l ? ",\n      [" : "\n      [");
        for (int32_t t = 0; t < n_positions; t++, value++) {
            ps_text_puts(out, t ? ", " : "");
            if (isfinite(*value))
                ps_text_printf(out, "%.9g", *value);
            else
                ps_text_puts(out, "null");
        }
        ps_text_puts(out, "]");
    }
    ps_text_puts(out, "]");
}

static int add_json(show *s, const ps_result_grid *grid, ps_err *err)
{
    ps_text *out = &s->out;
    ps_heatmap map;
    bool any = false;

    if (ps_heatmap_init(&map, grid, s->pick.metric, err) < 0)
        return -1;
    ps_text_puts(out, s->n_shown ? ",\n{\"pair\": " : "[\n{\"pair\": ");
    ps_text_json(out, grid->pair, strlen(grid->pair));
    ps_text_puts(out, ", \"site\": ");
    ps_text_json(out, grid->site, strlen(grid->site));
    ps_text_puts(out, ", \"direction\": ");
    ps_text_json(out, grid->direction, strlen(grid->direction));
    ps_text_printf(out, ", \"layers\": %d, \"positions\": %d", (int)grid->n_layers, (int)grid->n_positions);
    add_json_texts(out, "token_clean", grid->token_clean, grid->n_positions);
    add_json_texts(out, "token_corrupt", grid->token_corrupt, grid->n_positions);
    add_json_texts(out, "role", grid->role, grid->n_positions);
    ps_text_puts(out, ",\n  \"columns\": {");
    for (size_t i = 0; i < grid->n_columns; i++) {
        if (!wants_column(s, grid->columns[i].name))
            continue;
        ps_text_puts(out, any ? ",\n    " : "\n    ");
        add_json_column(out, &grid->columns[i], grid->n_layers, grid->n_positions);
        any = true;
    }
    ps_text_puts(out, "}}");
    return 0;
}

/* ---- the command ---- */

/* Write out the text built so far, and empty it. */
static int put_out(show *s, ps_err *err)
{
    if (ps_text_ok(&s->out, err) < 0)
        return -1;
    size_t n = s->out.n, written = fwrite(ps_text_str(&s->out), 1, n, stdout);
    ps_text_release(&s->out);
    if (written != n || fflush(stdout) != 0)
        return ps_err_errno(err, "cannot write to standard output");
    return 0;
}

typedef int grid_fn(show *s, const ps_result_grid *grid, ps_err *err);

/* One grid in memory at a time: a result may hold thousands. */
static int each_grid(show *s, const size_t *index, size_t n, grid_fn *fn, ps_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        ps_result_grid grid;
        if (ps_result_grid_read(s->file, index[i], &grid, err) < 0)
            return -1;
        rc = fn(s, &grid, err);
        ps_result_grid_release(&grid);
        if (rc == 0)
            rc = put_out(s, err);
        s->n_shown += fn != collect_names;
    }
    return rc;
}

static int show_file(show *s, const char *path, ps_err *err)
{
    ps_result_file *file = NULL;
    size_t *index = NULL, n = 0;
    int rc = -1;

    if (ps_result_open(&file, path, err) < 0)
        return -1;
    warn_of_doubt(file, path);
    s->file = file;
    if (ps_pick_grids(file, &s->pick, &index, &n, err) < 0)
        goto out;
    if (s->csv && each_grid(s, index, n, collect_names, err) < 0)
        goto out;
    rc = each_grid(s, index, n, s->csv ? add_csv : s->json ? add_json : draw, err);
    if (rc == 0 && s->json) {
        ps_text_puts(&s->out, "\n]\n");
        rc = put_out(s, err);
    }
out:
    if (rc < 0)
        ps_err_prefix(err, "'%s'", path);
    for (size_t i = 0; i < s->n_names; i++)
        ps_free(s->names[i]);
    ps_free(s->names);
    ps_free(index);
    ps_text_release(&s->out);
    ps_result_close(file);
    return rc;
}

int cmd_show(int argc, char **argv)
{
    show s = {.color = "auto"};
    ps_err err = PS_ERR_INIT;
    int n_args = 0;
    const ps_opt opts[] = {
        {0, "pair", PS_OPT_STRING, &s.pick.pair, "ID", "this pair alone"},
        {0, "site", PS_OPT_STRING, &s.pick.site, "SITE", "this site alone: resid_post, ..."},
        {0, "direction", PS_OPT_STRING, &s.pick.direction, "WORD", "denoise or noise alone"},
        {0, "metric", PS_OPT_STRING, &s.pick.metric, "NAME",
         "the value to draw (default: score), or the only column of CSV or JSON"},
        {0, "csv", PS_OPT_FLAG, &s.csv, NULL, "a row for each cell, with every metric"},
        {0, "json", PS_OPT_FLAG, &s.json, NULL, "an array of grids, with every metric"},
        {0, "color", PS_OPT_STRING, &s.color, "WHEN", "auto (default), always or never"},
        {0, NULL, PS_OPT_FLAG, NULL, NULL, NULL},
    };
    const ps_usage usage = {
        "patchsweep show [options] FILE",
        "Draw the heat maps of result FILE in the terminal: tokens down, layers across.\n"
        "CSV and JSON hold the file's texts unescaped; NaN is empty in CSV and null in JSON.",
        opts,
        "examples:\n"
        "  patchsweep show out.h5 --pair einstein-swift --site resid_post\n"
        "  patchsweep show out.h5 --csv > cells.csv"};

    int rc = ps_opt_parse(&usage, argc, argv, &n_args, &err);
    if (rc > 0)
        return 0;
    if (rc == 0 && n_args != 1)
        rc = ps_err_set(&err, PS_EINPUT, "show takes one result file, not %d; see 'patchsweep show --help'",
                        n_args);
    if (rc == 0 && s.csv && s.json)
        rc = ps_err_set(&err, PS_EINPUT, "--csv and --json exclude each other; leave one out");
    if (rc == 0)
        rc = choose_colour(&s, &err);
    s.width = terminal_width();
    if (rc == 0)
        rc = show_file(&s, argv[0], &err);
    return rc < 0 ? ps_fail(&err) : 0;
}
