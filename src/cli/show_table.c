/*
 * show_table.c - print grids as CSV and as JSON, for programs: texts are as in the file.
 */
#include "show.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "patchsweep/mem.h"

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

/* Append a text: as it is for a file, printable for a terminal. */
static void add_text_field(ps_text *out, const char *text)
{
    char shown[1024];

    ps_printable(shown, sizeof shown, text);
    add_field(out, isatty(STDOUT_FILENO) ? shown : text);
}

static bool wants_column(const ps_show *s, const char *name)
{
    return !s->pick.metric || !strcmp(s->pick.metric, name);
}

/* Add the names of a grid's columns.  Pairs without a foil lack some, so a new name is inserted after its neighbour. */
int ps_show_csv_columns(ps_show *s, const ps_result_grid *grid, ps_err *err)
{
    ps_heatmap map;
    size_t at = 0;

    if (ps_heatmap_init(&map, s->file, grid, &s->pick, err) < 0)
        return -1;
    s->heads |= grid->axes.has[PS_AXIS_HEAD];
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

/* Append the header.  It has `head` only if some grid has heads. */
static void add_csv_header(ps_show *s)
{
    ps_text_printf(&s->out, "pair,site,direction,layer,%sposition,token_clean,token_corrupt,role", s->heads ? "head," : "");
    for (size_t i = 0; i < s->n_names; i++) {
        ps_text_puts(&s->out, ",");
        add_text_field(&s->out, s->names[i]);
    }
    ps_text_puts(&s->out, "\n");
}

/* Append the fields that locate a cell.  A field is empty if the grid lacks the axis. */
static void add_csv_place(ps_show *s, const ps_result_grid *grid, const int32_t place[PS_N_AXES])
{
    int32_t position = place[PS_AXIS_POSITION];
    bool has = grid->axes.has[PS_AXIS_POSITION];
    const char *const texts[] = {grid->token_clean[position], grid->token_corrupt[position], grid->role[position]};

    for (int axis = 0; axis < PS_N_AXES; axis++) {
        if (axis == PS_AXIS_HEAD && !s->heads)
            continue;
        ps_text_puts(&s->out, ",");
        if (grid->axes.has[axis])
            ps_text_printf(&s->out, "%d", (int)place[axis]);
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ps_text_puts(&s->out, ",");
        add_text_field(&s->out, has ? texts[i] : "");
    }
}

static void add_csv_cell(ps_show *s, const ps_result_grid *grid, const int32_t place[PS_N_AXES], size_t at)
{
    const char *const before[] = {grid->pair, grid->site, grid->direction};

    for (int i = 0; i < 3; i++) {
        ps_text_puts(&s->out, i ? "," : "");
        add_text_field(&s->out, before[i]);
    }
    add_csv_place(s, grid, place);
    for (size_t i = 0; i < s->n_names; i++) {
        ps_text_puts(&s->out, ",");
        for (size_t c = 0; c < grid->n_columns; c++)
            if (!strcmp(grid->columns[c].name, s->names[i]) && !isnan(grid->columns[c].values[at]))
                ps_text_printf(&s->out, "%.9g", grid->columns[c].values[at]);
    }
    ps_text_puts(&s->out, "\n");
}

int ps_show_csv(ps_show *s, const ps_result_grid *grid, ps_err *err)
{
    int32_t place[PS_N_AXES];

    (void)err;
    if (s->n_shown == 0)
        add_csv_header(s);
    for (size_t at = 0; at < ps_axes_cells(&grid->axes); at++) {
        ps_axes_place(&grid->axes, at, place);
        if (ps_picks_place(&s->pick, place))
            add_csv_cell(s, grid, place, at);
    }
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

/* List the axes that arrays are nested by: those of the grid, without `head` if a single head is chosen. */
static ps_axes nested_axes(const ps_show *s, const ps_result_grid *grid)
{
    ps_axes axes = grid->axes;

    if (s->pick.head != PS_ANY_HEAD)
        axes.has[PS_AXIS_HEAD] = false;
    return axes;
}

/* Append "axes", and their sizes. */
static void add_json_axes(ps_text *out, const ps_show *s, const ps_result_grid *grid)
{
    ps_axes axes = nested_axes(s, grid);
    const char *comma = "";

    ps_text_puts(out, ", \"axes\": [");
    for (int axis = 0; axis < PS_N_AXES; axis++)
        if (axes.has[axis]) {
            ps_text_printf(out, "%s\"%s\"", comma, ps_axis_names[axis]);
            comma = ", ";
        }
    ps_text_printf(out, "], \"layers\": %d", (int)grid->axes.size[PS_AXIS_LAYER]);
    if (grid->axes.has[PS_AXIS_HEAD])
        ps_text_printf(out, ", \"heads\": %d", (int)grid->axes.size[PS_AXIS_HEAD]);
    if (s->pick.head != PS_ANY_HEAD)
        ps_text_printf(out, ", \"head\": %ld", s->pick.head);
    ps_text_printf(out, ", \"positions\": %d", (int)grid->n_positions);
}

/* Append the chosen numbers of a column as arrays nested from `axis` on.  place[] holds the indices of the axes before. */
static void add_json_numbers(ps_text *out, const ps_show *s, const ps_result_grid *grid, const double *values,
                             int32_t place[PS_N_AXES], int axis)
{
    ps_axes axes = nested_axes(s, grid);
    bool inner = axis == PS_N_AXES - 1 || (axis == PS_AXIS_HEAD && !axes.has[PS_AXIS_POSITION]);
    const char *apart = axis == PS_AXIS_LAYER || !inner ? ",\n      " : ", ";

    if (axis == PS_N_AXES) {
        double value = values[ps_axes_at(&grid->axes, place)];
        if (isfinite(value))
            ps_text_printf(out, "%.9g", value);
        else
            ps_text_puts(out, "null");
        return;
    }
    if (!axes.has[axis]) {
        place[axis] = axis == PS_AXIS_HEAD && s->pick.head != PS_ANY_HEAD ? (int32_t)s->pick.head : 0;
        add_json_numbers(out, s, grid, values, place, axis + 1);
        return;
    }
    ps_text_puts(out, axis == PS_AXIS_LAYER ? "[\n      " : "[");
    for (place[axis] = 0; place[axis] < axes.size[axis]; place[axis]++) {
        ps_text_puts(out, place[axis] ? apart : "");
        add_json_numbers(out, s, grid, values, place, axis + 1);
    }
    ps_text_puts(out, "]");
}

int ps_show_json(ps_show *s, const ps_result_grid *grid, ps_err *err)
{
    ps_text *out = &s->out;
    int32_t place[PS_N_AXES];
    ps_heatmap map;
    bool any = false;

    if (ps_heatmap_init(&map, s->file, grid, &s->pick, err) < 0)
        return -1;
    ps_text_puts(out, s->n_shown ? ",\n{\"pair\": " : "[\n{\"pair\": ");
    ps_text_json(out, grid->pair, strlen(grid->pair));
    ps_text_puts(out, ", \"site\": ");
    ps_text_json(out, grid->site, strlen(grid->site));
    ps_text_puts(out, ", \"direction\": ");
    ps_text_json(out, grid->direction, strlen(grid->direction));
    add_json_axes(out, s, grid);
    add_json_texts(out, "token_clean", grid->token_clean, grid->n_positions);
    add_json_texts(out, "token_corrupt", grid->token_corrupt, grid->n_positions);
    add_json_texts(out, "role", grid->role, grid->n_positions);
    ps_text_puts(out, ",\n  \"columns\": {");
    for (size_t i = 0; i < grid->n_columns; i++) {
        if (!wants_column(s, grid->columns[i].name))
            continue;
        ps_text_puts(out, any ? ",\n    " : "\n    ");
        ps_text_json(out, grid->columns[i].name, strlen(grid->columns[i].name));
        ps_text_puts(out, ": ");
        add_json_numbers(out, s, grid, grid->columns[i].values, place, PS_AXIS_LAYER);
        any = true;
    }
    ps_text_puts(out, "}}");
    return 0;
}
