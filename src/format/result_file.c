/*
 * result_file.c - read result files, whoever wrote them.
 *
 * Opening a file lists its grids.  A grid's data is read when asked for.  Shapes, types, sizes and UTF-8 are checked
 * before anything is used.
 */
#include "patchsweep/results.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "h5.h"
#include "patchsweep/file.h"
#include "patchsweep/journal.h"
#include "patchsweep/mem.h"

#define MOST_LAYERS 100000
#define DEPTH 4 /* levels of groups: the root, a pair, a site, a direction */
#define MOST_CELLS ((int64_t)1 << 27)

typedef struct ps_grid_name {
    char *pair, *site, *direction;
} ps_grid_name;

struct ps_result_file {
    ps_h5 file;
    ps_grid_name *grids;
    size_t n, cap;
};

/* ---- which grids there are ---- */

static int add_grid(ps_result_file *file, const char *pair, const char *site, const char *direction,
                    ps_err *err)
{
    if (ps_grow(&file->grids, file->n, &file->cap, sizeof *file->grids, err) < 0)
        return -1;
    ps_grid_name *grid = &file->grids[file->n++];
    *grid = (ps_grid_name){ps_strdup(pair, err), ps_strdup(site, err), ps_strdup(direction, err)};
    return grid->pair && grid->site && grid->direction ? 0 : -1;
}

/* List every /<pair>/<site>/<direction> that has a score. */
static int list_site(ps_result_file *file, const char *pair, const char *site, ps_err *err)
{
    char path[1024];
    ps_h5_list list;

    snprintf(path, sizeof path, "/%s/%s", pair, site);
    int rc = ps_h5_list_read(&list, file->file, path, err);
    for (size_t i = 0; rc == 0 && i < list.n; i++) {
        snprintf(path, sizeof path, "/%s/%s/%s/score", pair, site, list.at[i].name);
        if (list.at[i].kind == PS_H5_GROUP && ps_h5_has(file->file, path))
            rc = add_grid(file, pair, site, list.at[i].name, err);
    }
    ps_h5_list_release(&list);
    return rc;
}

static int list_pair(ps_result_file *file, const char *pair, ps_err *err)
{
    char path[512];
    ps_h5_list list;

    snprintf(path, sizeof path, "/%s", pair);
    int rc = ps_h5_list_read(&list, file->file, path, err);
    for (size_t i = 0; rc == 0 && i < list.n; i++)
        if (list.at[i].kind == PS_H5_GROUP)
            rc = list_site(file, pair, list.at[i].name, err);
    ps_h5_list_release(&list);
    return rc;
}

static int list_file(ps_result_file *file, ps_err *err)
{
    ps_h5_list list;
    int rc = ps_h5_list_read(&list, file->file, "/", err);

    for (size_t i = 0; rc == 0 && i < list.n; i++)
        if (list.at[i].kind == PS_H5_GROUP && strcmp(list.at[i].name, "run"))
            rc = list_pair(file, list.at[i].name, err);
    ps_h5_list_release(&list);
    return rc;
}

/* ---- the file ---- */

bool ps_result_is(const char *path)
{
    static const char signature[8] = "\x89HDF\r\n\x1a\n";
    int fd = ps_file_kind(path) == 1 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char begin[sizeof signature] = "";
    bool is = false;

    /* Look for HDF5's first bytes at byte 0, or behind a block of the user's: at 512, 1024, 2048, ... */
    for (off_t at = 0; fd >= 0 && !is && pread(fd, begin, sizeof begin, at) == sizeof begin; at = at ? 2 * at : 512)
        is = !memcmp(begin, signature, sizeof begin);
    if (fd >= 0)
        close(fd);
    return is;
}

static int check_format(ps_h5 file, const char *path, ps_err *err)
{
    char *format = ps_h5_attr_read(file, "/", "format");
    char *version = ps_h5_attr_read(file, "/", "format_version");
    int rc = 0;

    if (!format || strcmp(format, "patchsweep-results"))
        rc = ps_err_set(err, PS_EINPUT,
                        "'%s' is HDF5, but not from 'patchsweep run': its attribute 'format' is not "
                        "'patchsweep-results'", path);
    else if (!version || strncmp(version, "1.", 2))
        rc = ps_err_set(err, PS_EINPUT, "'%s' has format_version '%s', this patchsweep reads 1.x; "
                        "use a newer patchsweep", path, version ? version : "");
    ps_free(format);
    ps_free(version);
    return rc;
}

int ps_result_open(ps_result_file **out, const char *path, ps_err *err)
{
    if (ps_journal_is(path))
        return ps_err_set(err, PS_EINPUT, "'%s' is the journal of a run that has not finished, not a result; "
                          "'patchsweep inspect' describes it, and the run's command line resumes the run", path);
    ps_result_file *file = ps_calloc(1, sizeof *file, err);
    if (!file)
        return -1;
    if (ps_h5_file_open(&file->file, path, false, err) < 0 || check_format(file->file, path, err) < 0)
        goto fail;
    if (ps_h5_check_tree(file->file, DEPTH, err) < 0 || list_file(file, err) < 0) {
        ps_err_prefix(err, "result file '%s'", path);
        goto fail;
    }
    *out = file;
    return 0;
fail:
    ps_result_close(file);
    return -1;
}

int ps_result_reread(ps_result_file **out, const char *path, ps_err *err)
{
    ps_result_file *file = ps_calloc(1, sizeof *file, err);

    if (!file)
        return -1;
    if (ps_h5_file_open(&file->file, path, false, err) < 0) {
        ps_result_close(file);
        return -1;
    }
    *out = file;
    return 0;
}

int ps_result_verify(const ps_result_file *file, size_t *n, bool *attributes, ps_err *err)
{
    char *root = ps_h5_attr_read(file->file, "/", PS_H5_ATTRIBUTES_SUM);
    ps_digests digests = {.attributes = root != NULL};
    int rc = ps_digests_check(file->file, "/", &digests, err);

    *n = digests.datasets;
    *attributes = digests.attributes;
    ps_free(root);
    return rc;
}

int ps_result_verify_group(const ps_result_file *file, const char *group, ps_err *err)
{
    char path[512];
    ps_digests digests = {.attributes = true};

    snprintf(path, sizeof path, "/%s", group);
    return ps_digests_check(file->file, path, &digests, err);
}

void ps_result_close(ps_result_file *file)
{
    ps_err ignored = PS_ERR_INIT;

    if (!file)
        return;
    for (size_t i = 0; i < file->n; i++) {
        ps_free(file->grids[i].pair);
        ps_free(file->grids[i].site);
        ps_free(file->grids[i].direction);
    }
    ps_free(file->grids);
    ps_h5_file_close(file->file, 0, &ignored);
    ps_free(file);
}

size_t ps_result_n_grids(const ps_result_file *file)
{
    return file->n;
}

void ps_result_grid_name(const ps_result_file *file, size_t i, const char **pair, const char **site,
                         const char **direction)
{
    *pair = file->grids[i].pair;
    *site = file->grids[i].site;
    *direction = file->grids[i].direction;
}

char *ps_result_attr(const ps_result_file *file, const char *path, const char *name)
{
    return ps_h5_attr_read(file->file, path, name);
}

/* ---- one grid ---- */

static int no_grid(const char *group, ps_err *err)
{
    return ps_err_set(err, PS_EINPUT, "dataset '%s/score' is no grid of numbers", group);
}

/* Find the grid's axes: those whose coordinates are in its group.  The score must have as many dimensions. */
static int read_axes(ps_h5 file, const char *group, ps_axes *axes, ps_err *err)
{
    char path[1024];
    ps_h5_info info;
    int n = 0;

    *axes = (ps_axes){.size = {1, 1, 1}};
    snprintf(path, sizeof path, "%s/score", group);
    if (ps_h5_info_read(file, path, &info, err) < 0)
        return -1;
    if (!info.number || info.n_axes < 1 || info.n_axes > PS_N_AXES)
        return no_grid(group, err);
    for (int axis = 0; axis < PS_N_AXES; axis++) {
        snprintf(path, sizeof path, "%s/%s", group, ps_axis_names[axis]);
        if (!ps_h5_has(file, path))
            continue;
        axes->has[axis] = true;
        axes->size[axis] = n < info.n_axes ? (int32_t)info.size[n] : 0;
        n++;
    }
    int64_t cells = 1;
    for (int axis = 0; axis < PS_N_AXES; cells *= axes->size[axis++])
        if (axes->size[axis] < 1 || axes->size[axis] > MOST_CELLS / cells)
            return no_grid(group, err);
    return n != info.n_axes || axes->size[PS_AXIS_LAYER] > MOST_LAYERS ? no_grid(group, err) : 0;
}

/* Whether a dataset has the dimensions of the grid. */
static bool lies_along(const ps_h5_info *info, const ps_axes *axes)
{
    int n = 0;

    for (int axis = 0; axis < PS_N_AXES; axis++)
        if (axes->has[axis]) {
            if (n == info->n_axes || info->size[n] != axes->size[axis])
                return false;
            n++;
        }
    return info->number && n == info->n_axes;
}

size_t ps_axes_cells(const ps_axes *axes)
{
    size_t n = 1;

    for (int axis = 0; axis < PS_N_AXES; axis++)
        n *= (size_t)axes->size[axis];
    return n;
}

size_t ps_axes_at(const ps_axes *axes, const int32_t place[PS_N_AXES])
{
    size_t at = 0;

    for (int axis = 0; axis < PS_N_AXES; axis++)
        at = at * (size_t)axes->size[axis] + (size_t)place[axis];
    return at;
}

void ps_axes_place(const ps_axes *axes, size_t at, int32_t place[PS_N_AXES])
{
    for (int axis = PS_N_AXES; axis-- > 0;) {
        place[axis] = (int32_t)(at % (size_t)axes->size[axis]);
        at /= (size_t)axes->size[axis];
    }
}

/* Read the number of tokens of the pair's prompts. */
static int read_length(ps_h5 file, ps_result_grid *grid, ps_err *err)
{
    char path[1024];
    ps_h5_info info;

    snprintf(path, sizeof path, "/%s/token_clean", grid->pair);
    if (ps_h5_info_read(file, path, &info, err) < 0)
        return -1;
    bool fits = info.n_axes == 1 && info.size[0] > 0 && info.size[0] <= MOST_CELLS;
    if (!fits || (grid->axes.has[PS_AXIS_POSITION] && info.size[0] != grid->axes.size[PS_AXIS_POSITION]))
        return ps_err_set(err, PS_EINPUT, "dataset '%s' does not hold a text for each position", path);
    grid->n_positions = (int32_t)info.size[0];
    return 0;
}

/* Read dataset `name` of the pair's group: a text for each position. */
static int read_row(ps_h5 file, const char *name, const ps_result_grid *grid, char ***texts, ps_err *err)
{
    char path[1024];
    ps_h5_info info;
    size_t n = (size_t)grid->n_positions;

    snprintf(path, sizeof path, "/%s/%s", grid->pair, name);
    if (ps_h5_info_read(file, path, &info, err) < 0)
        return -1;
    if (!info.text || info.n_axes != 1 || info.size[0] != grid->n_positions)
        return ps_err_set(err, PS_EINPUT, "dataset '%s' does not hold a text for each position", path);
    char **row = ps_calloc(n, sizeof *row, err);
    if (!row)
        return -1;
    if (ps_h5_read_texts(file, path, row, n, err) < 0) {
        ps_free(row);
        return -1;
    }
    *texts = row;
    return 0;
}

/* Append dataset `name` as a column if it has the grid's shape. */
static int read_column(ps_h5 file, const char *group, const char *name, ps_result_grid *grid, ps_err *err)
{
    char path[1024];
    ps_h5_info info;

    snprintf(path, sizeof path, "%s/%s", group, name);
    if (ps_h5_info_read(file, path, &info, err) < 0)
        return -1;
    if (!lies_along(&info, &grid->axes))
        return 0;
    struct ps_result_column *column = &grid->columns[grid->n_columns++];
    column->name = ps_strdup(name, err);
    column->values = ps_malloc(ps_axes_cells(&grid->axes), sizeof *column->values, err);
    if (!column->name || !column->values || ps_h5_read_numbers(file, path, column->values, err) < 0)
        return -1;
    if (!strcmp(name, "score"))
        grid->score = column->values;
    return 0;
}

static int read_columns(ps_h5 file, const char *group, ps_result_grid *grid, ps_err *err)
{
    ps_h5_list list;
    int rc = ps_h5_list_read(&list, file, group, err);

    if (rc == 0 && !(grid->columns = ps_calloc(list.n, sizeof *grid->columns, err)))
        rc = -1;
    for (size_t i = 0; rc == 0 && i < list.n; i++)
        if (list.at[i].kind == PS_H5_DATASET)
            rc = read_column(file, group, list.at[i].name, grid, err);
    ps_h5_list_release(&list);
    if (rc == 0 && !grid->score)
        return ps_err_set(err, PS_EINPUT, "group '%s' has no score", group);
    return rc;
}

static int32_t first_difference(ps_h5 file, const ps_result_grid *grid)
{
    char path[512];

    snprintf(path, sizeof path, "/%s", grid->pair);
    char *text = ps_h5_attr_read(file, path, "first_difference");
    long d = text ? strtol(text, NULL, 10) : 0;
    ps_free(text);
    return d < 0 ? 0 : d > grid->n_positions ? grid->n_positions : (int32_t)d;
}

/* Whether the heads of site `name` are key/value heads.  False for a site that a newer patchsweep added. */
static bool has_kv_heads(const char *name)
{
    int site = ps_term_find(ps_sites, PS_N_SITES, name);

    return site >= 0 && ps_site_shapes[site].kv_heads;
}

static void group_of(const ps_grid_name *name, char *group, size_t bytes)
{
    snprintf(group, bytes, "/%s/%s/%s", name->pair, name->site, name->direction);
}

int ps_result_grid_axes(const ps_result_file *file, size_t i, ps_axes *axes, ps_err *err)
{
    char group[1000];

    group_of(&file->grids[i], group, sizeof group);
    return read_axes(file->file, group, axes, err);
}

int ps_result_grid_read(const ps_result_file *file, size_t i, ps_result_grid *grid, ps_err *err)
{
    const ps_grid_name *name = &file->grids[i];
    char group[1000];

    *grid = (ps_result_grid){.kv_heads = has_kv_heads(name->site)};
    group_of(name, group, sizeof group);
    if (!(grid->pair = ps_strdup(name->pair, err)) || !(grid->site = ps_strdup(name->site, err)) ||
        !(grid->direction = ps_strdup(name->direction, err)) ||
        read_axes(file->file, group, &grid->axes, err) < 0 || read_length(file->file, grid, err) < 0 ||
        read_row(file->file, "token_clean", grid, &grid->token_clean, err) < 0 ||
        read_row(file->file, "token_corrupt", grid, &grid->token_corrupt, err) < 0 ||
        read_row(file->file, "role", grid, &grid->role, err) < 0 ||
        read_columns(file->file, group, grid, err) < 0) {
        ps_result_grid_release(grid);
        return -1;
    }
    grid->first_difference = first_difference(file->file, grid);
    return 0;
}

static void release_row(char **row, int32_t n)
{
    for (int32_t i = 0; row && i < n; i++)
        ps_free(row[i]);
    ps_free(row);
}

void ps_result_grid_release(ps_result_grid *grid)
{
    release_row(grid->token_clean, grid->n_positions);
    release_row(grid->token_corrupt, grid->n_positions);
    release_row(grid->role, grid->n_positions);
    for (size_t i = 0; i < grid->n_columns; i++) {
        ps_free(grid->columns[i].name);
        ps_free(grid->columns[i].values);
    }
    ps_free(grid->columns);
    ps_free(grid->pair);
    ps_free(grid->site);
    ps_free(grid->direction);
    *grid = (ps_result_grid){0};
}
