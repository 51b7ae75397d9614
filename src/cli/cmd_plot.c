/*
 * cmd_plot.c - one heat map of a result as an SVG file.
 *
 * A figure holds one map: of several grids the first is drawn, with a note on stderr.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doubt.h"
#include "heatmap.h"
#include "opt.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/part.h"
#include "plot.h"

typedef struct plot {
    ps_pick pick;
    const char *title, *output;
} plot;

static int write_stream(FILE *stream, const ps_text *svg, const char *name, ps_err *err)
{
    if (fwrite(ps_text_str(svg), 1, svg->n, stream) != svg->n || fflush(stream) != 0)
        return ps_err_errno(err, "cannot write '%s'", name);
    return 0;
}

/* Write to a temporary name and rename: an old figure stays until the new one is complete. */
static int write_file(const char *path, const ps_text *svg, ps_err *err)
{
    char *part = NULL;
    int rc = -1;

    if (ps_part_begin(&part, path, err) < 0)
        return -1;
    FILE *stream = fopen(part, "wbx");
    if (!stream)
        ps_err_errno(err, "cannot open '%s'", part);
    else {
        rc = write_stream(stream, svg, path, err);
        if (fclose(stream) != 0 && rc == 0)
            rc = ps_err_errno(err, "cannot write '%s'", path);
        if (rc == 0)
            rc = ps_part_commit(part, path, true, err);
        if (rc < 0)
            unlink(part);
    }
    ps_free(part);
    return rc;
}

static void tell_choice(const ps_result_file *file, size_t chosen, size_t n)
{
    const char *pair, *site, *direction;

    ps_result_grid_name(file, chosen, &pair, &site, &direction);
    ps_info("%zu grids to choose from; drawing pair '%s', site '%s', direction '%s'; choose with --pair, --site, --direction",
            n, pair, site, direction);
}

static int plot_map(const plot *p, const ps_heatmap *map, ps_err *err)
{
    ps_text svg = {0};

    ps_plot_svg(&svg, map, p->title);
    int rc = ps_text_ok(&svg, err);
    if (rc == 0)
        rc = p->output ? write_file(p->output, &svg, err) : write_stream(stdout, &svg, "standard output", err);
    ps_text_release(&svg);
    return rc;
}

static int plot_file(const plot *p, const char *path, ps_err *err)
{
    ps_result_file *file = NULL;
    ps_result_grid grid = {0};
    ps_heatmap map;
    size_t *index = NULL, n = 0;
    int rc = -1;

    if (ps_result_open(&file, path, err) < 0)
        return -1;
    warn_of_doubt(file, path);
    if (ps_pick_grids(file, &p->pick, &index, &n, err) < 0 ||
        ps_result_grid_read(file, index[0], &grid, err) < 0 ||
        ps_heatmap_init(&map, file, &grid, &p->pick, err) < 0) {
        ps_err_prefix(err, "'%s'", path);
        goto out;
    }
    if (n > 1)
        tell_choice(file, index[0], n);
    rc = plot_map(p, &map, err);
out:
    ps_result_grid_release(&grid);
    ps_free(index);
    ps_result_close(file);
    return rc;
}

int cmd_plot(int argc, char **argv)
{
    plot p = {.pick.head = PS_ANY_HEAD};
    ps_err err = PS_ERR_INIT;
    int n_args = 0;
    const ps_opt opts[] = {
        {0, "pair", PS_OPT_STRING, &p.pick.pair, "ID", "the pair to draw (default: the first)"},
        {0, "site", PS_OPT_STRING, &p.pick.site, "SITE", "the site: resid_post, ..."},
        {0, "direction", PS_OPT_STRING, &p.pick.direction, "WORD", "denoise or noise"},
        {0, "head", PS_OPT_INT, &p.pick.head, "N", "this head alone, of a site that has heads"},
        {0, "metric", PS_OPT_STRING, &p.pick.metric, "NAME", "the value to draw (default: score)"},
        {0, "title", PS_OPT_STRING, &p.title, "TEXT", "the title (default: pair, site and direction)"},
        {'o', "output", PS_OPT_STRING, &p.output, "FILE", "write to FILE (default: standard output)"},
        {0, NULL, PS_OPT_FLAG, NULL, NULL, NULL},
    };
    const ps_usage usage = {
        "patchsweep plot [options] FILE",
        "Draw one heat map of result FILE as SVG, with the score from 0 to 1 in purples.  Columns\n"
        "are layers, rows are tokens, or heads for a site that is patched at all positions at once.\n"
        "For a site with heads and positions each cell shows the head whose value is farthest from the\n"
        "unpatched run's; --head N shows head N.  In a browser, hovering over a cell shows its\n"
        "numbers and its head.",
        opts,
        "example:\n"
        "  patchsweep plot out.h5 --pair einstein-swift --site resid_post -o figure.svg\n"
        "  patchsweep plot out.h5 --site z_by_pos --head 3 -o head3.svg"};

    int rc = ps_opt_parse(&usage, argc, argv, &n_args, &err);
    if (rc > 0)
        return 0;
    if (rc == 0 && n_args != 1)
        rc = ps_err_set(&err, PS_EINPUT, "plot takes one result file, not %d; see 'patchsweep plot --help'",
                        n_args);
    if (rc == 0)
        rc = plot_file(&p, argv[0], &err);
    return rc < 0 ? ps_fail(&err) : 0;
}
