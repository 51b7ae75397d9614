/*
 * cmd_show.c - a result in the terminal: heat maps, CSV, or JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "doubt.h"
#include "opt.h"
#include "patchsweep/mem.h"
#include "show.h"

/* ---- the terminal ---- */

static int choose_colour(ps_show *s, ps_err *err)
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
    s->colour = !wanted ? PS_NO_COLOUR : deep ? PS_TRUE_COLOUR : PS_COLOURS_256;
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

/* ---- the command ---- */

/* Write out the text built so far, and empty it. */
static int put_out(ps_show *s, ps_err *err)
{
    if (ps_text_ok(&s->out, err) < 0)
        return -1;
    size_t n = s->out.n, written = fwrite(ps_text_str(&s->out), 1, n, stdout);
    ps_text_release(&s->out);
    if (written != n || fflush(stdout) != 0)
        return ps_err_errno(err, "cannot write to standard output");
    return 0;
}

typedef int grid_fn(ps_show *s, const ps_result_grid *grid, ps_err *err);

/* Keep one grid in memory at a time: a result may have thousands. */
static int each_grid(ps_show *s, const size_t *index, size_t n, grid_fn *fn, ps_err *err)
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
        s->n_shown += fn != ps_show_csv_columns;
    }
    return rc;
}

static int show_file(ps_show *s, const char *path, ps_err *err)
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
    if (s->csv && each_grid(s, index, n, ps_show_csv_columns, err) < 0)
        goto out;
    rc = each_grid(s, index, n, s->csv ? ps_show_csv : s->json ? ps_show_json : ps_show_map, err);
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
    ps_show s = {.color = "auto", .pick.head = PS_ANY_HEAD};
    ps_err err = PS_ERR_INIT;
    int n_args = 0;
    const ps_opt opts[] = {
        {0, "pair", PS_OPT_STRING, &s.pick.pair, "ID", "this pair alone"},
        {0, "site", PS_OPT_STRING, &s.pick.site, "SITE", "this site alone: resid_post, ..."},
        {0, "direction", PS_OPT_STRING, &s.pick.direction, "WORD", "denoise or noise alone"},
        {0, "head", PS_OPT_INT, &s.pick.head, "N", "this head alone, of the sites that have heads"},
        {0, "metric", PS_OPT_STRING, &s.pick.metric, "NAME",
         "the value to draw (default: score), or the only column of CSV or JSON"},
        {0, "csv", PS_OPT_FLAG, &s.csv, NULL, "a row for each cell, with every metric"},
        {0, "json", PS_OPT_FLAG, &s.json, NULL, "an array of grids, with every metric"},
        {0, "color", PS_OPT_STRING, &s.color, "WHEN", "auto (default), always or never"},
        {0, NULL, PS_OPT_FLAG, NULL, NULL, NULL},
    };
    const ps_usage usage = {
        "patchsweep show [options] FILE",
        "Draw the heat maps of result FILE in the terminal.  Columns are layers, rows are tokens, or\n"
        "heads for sites that are patched at all positions at once.  For a site with heads and\n"
        "positions each cell shows the head whose value is farthest from the unpatched run's;\n"
        "--head N shows head N.\n"
        "CSV and JSON hold the file's texts unescaped; NaN is empty in CSV and null in JSON.  CSV\n"
        "has a column 'head' if any of the sites has heads.  'head' is empty for a site without heads,\n"
        "and 'position', the tokens and 'role' for a site without positions.  JSON arrays are nested\n"
        "as 'axes' says.",
        opts,
        "examples:\n"
        "  patchsweep show out.h5 --pair einstein-swift --site resid_post\n"
        "  patchsweep show out.h5 --site z_by_pos --head 3\n"
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
