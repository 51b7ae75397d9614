/* inspect_result.c - describe a result file: its attributes, its pairs, its grids. */
#include "inspect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doubt.h"
#include "patchsweep/mem.h"
#include "patchsweep/results.h"
#include "patchsweep/text.h"

/* Add those attributes of the file and of its run that are present. */
static void rows_attrs(ps_answer *a, const ps_result_file *file)
{
    static const struct {
        const char *path, *name;
        bool number;
    } attrs[] = {
        {"/", "format", false},           {"/", "format_version", false}, {"/", "program_version", false},
        {"/", "model", false},            {"/", "model_revision", false}, {"/", "precision", false},
        {"/", "score", false},            {"/", "history", false},        {"/", "load_seconds", true},
        {"/", "sweep_seconds", true},     {"/", "total_seconds", true},   {"/run", "ranks", true},
        {"/run", "threads", true},        {"/run", "processor", false},   {"/run", "backend", false},
        {"/run", "cells_computed", true}, {"/run", "cells_free", true},
    };

    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++) {
        char *value = ps_result_attr(file, attrs[i].path, attrs[i].name), *end = value;
        if (!value || (!*value && !a->json)) {
            ps_free(value);
            continue;
        }
        double number = attrs[i].number ? strtod(value, &end) : NAN;
        if (attrs[i].number && end != value && !*end)
            ps_answer_number(a, attrs[i].name, number);
        else
            ps_answer_text(a, attrs[i].name, value);
        ps_free(value);
    }
}

/* List the pairs.  Grids come pair by pair, in the file's order. */
static void row_pairs(ps_answer *a, const ps_result_file *file)
{
    const char *last = NULL, *pair, *site, *direction;
    size_t n = 0;

    ps_answer_key(a, "pairs");
    ps_answer_bracket(a, "[");
    for (size_t i = 0; i < ps_result_n_grids(file); i++) {
        ps_result_grid_name(file, i, &pair, &site, &direction);
        if (last && !strcmp(last, pair))
            continue;
        ps_answer_next_word(a, n++);
        ps_answer_value(a, pair);
        last = pair;
    }
    ps_answer_bracket(a, "]");
}

/* The number of cells of a grid that have a score, and the range of their scores. */
typedef struct range {
    double least, most;
    size_t done, cells;
} range;

static range score_range(const ps_result_grid *grid)
{
    range r = {NAN, NAN, 0, ps_axes_cells(&grid->axes)};

    for (size_t i = 0; i < r.cells; i++) {
        double score = grid->score[i];
        if (isnan(score)) /* not done, or no denominator */
            continue;
        r.least = r.done && r.least < score ? r.least : score;
        r.most = r.done && r.most > score ? r.most : score;
        r.done++;
    }
    return r;
}

/* Append the axes: "8 layers x 4 heads x 28 positions". */
static void add_axes(ps_answer *a, const ps_result_grid *grid)
{
    const char *times = "  ";

    for (int axis = 0; axis < PS_N_AXES; axis++) {
        bool kv = axis == PS_AXIS_HEAD && grid->kv_heads;
        if (!grid->axes.has[axis])
            continue;
        if (a->json)
            ps_text_printf(&a->text, ", \"n_%s%ss\": %d", kv ? "kv_" : "", ps_axis_names[axis], grid->axes.size[axis]);
        else
            ps_text_printf(&a->text, "%s%d %s%ss", times, grid->axes.size[axis], kv ? "key/value " : "", ps_axis_names[axis]);
        times = " x ";
    }
}

static void add_grid(ps_answer *a, const ps_result_grid *grid)
{
    range r = score_range(grid);

    ps_answer_bracket(a, "{\"pair\": ");
    ps_answer_value(a, grid->pair);
    ps_text_puts(&a->text, a->json ? ", \"site\": " : "  ");
    ps_answer_value(a, grid->site);
    ps_text_puts(&a->text, a->json ? ", \"direction\": " : "  ");
    ps_answer_value(a, grid->direction);
    add_axes(a, grid);
    if (a->json) {
        ps_text_puts(&a->text, ", \"score_min\": ");
        ps_answer_bare_number(a, r.least);
        ps_text_puts(&a->text, ", \"score_max\": ");
        ps_answer_bare_number(a, r.most);
        ps_text_printf(&a->text, ", \"scores\": %zu}", r.done);
    } else if (r.done)
        ps_text_printf(&a->text, "  score %.6g to %.6g", r.least, r.most);
    if (!a->json && r.done < r.cells)
        ps_text_printf(&a->text, "  %zu of %zu cells have a score", r.done, r.cells);
}

int ps_inspect_result(ps_answer *a, const char *path, bool verify, ps_err *err)
{
    ps_result_file *file = NULL;

    if (ps_result_open(&file, path, err) < 0)
        return -1;
    int rc = 0;
    warn_of_doubt(file, path);
    ps_answer_text(a, "result", path);
    rows_attrs(a, file);
    row_pairs(a, file);
    ps_answer_key(a, "grids");
    ps_text_printf(&a->text, a->json ? "[" : "%zu", ps_result_n_grids(file));
    for (size_t i = 0; i < ps_result_n_grids(file) && rc == 0; i++) {
        ps_result_grid grid;
        rc = ps_result_grid_read(file, i, &grid, err);
        if (rc < 0)
            break;
        ps_answer_next_line(a, i);
        add_grid(a, &grid);
        ps_result_grid_release(&grid);
    }
    ps_answer_bracket(a, "]");
    if (rc == 0 && verify) {
        size_t n = 0;
        bool attributes = false;
        rc = ps_result_verify(file, &n, &attributes, err);
        ps_answer_count(a, "verified", n);
        ps_answer_flag(a, "attributes_verified", attributes); /* false: older versions wrote no checksums of attributes */
    }
    ps_result_close(file);
    return rc < 0 ? ps_err_prefix(err, "result file '%s'", path) : 0;
}

int ps_inspect_identity(const char *path, ps_err *err)
{
    ps_result_file *file;

    if (ps_result_open(&file, path, err) < 0)
        return -1;
    char *text = ps_result_attr(file, "/", "identity");
    printf("%s", text ? text : "");
    ps_free(text);
    ps_result_close(file);
    return fflush(stdout) < 0 ? ps_err_errno(err, "cannot write the answer") : 0;
}
