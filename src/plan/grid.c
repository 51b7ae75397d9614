/*
 * grid.c - a grid is one block of int32: a head, then a record for each pair.
 *
 * Rank 0 builds the numbers.  Every rank, rank 0 included, builds its grid from them.
 */
#include "patchsweep/grid.h"

#include <string.h>

#include "patchsweep/mem.h"
#include "prefix.h"

/* Head: n_layers, sites, directions, metrics, activations, patched_final, precision, n_pairs,
 * n_swept_layers, the layers.  Pair: T, D, answer, foil, n_swept, clean ids, corrupt ids, positions. */
enum { HEAD = 9, PAIR_HEAD = 5 };

typedef struct numbers {
    int32_t *at;
    size_t n, cap;
} numbers;

static int put(numbers *to, const int32_t *from, size_t n, ps_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (ps_grow(&to->at, to->n, &to->cap, sizeof *to->at, err) < 0)
            return -1;
        to->at[to->n++] = from[i];
    }
    return 0;
}

static int put_pair(numbers *to, const ps_job *job, const ps_pair *pair, ps_err *err)
{
    int32_t *positions = NULL;
    size_t n = 0, T = (size_t)pair->n_positions;
    int rc = -1;

    if (ps_index_list_resolve(&job->positions, pair->n_positions, "positions", &positions, &n, err) < 0)
        return ps_err_prefix(err, "%s", pair->job->where);
    int32_t head[PAIR_HEAD] = {pair->n_positions, pair->first_difference, pair->answer_id,
                               pair->foil_id, (int32_t)n};
    if (put(to, head, PAIR_HEAD, err) == 0 && put(to, pair->ids[PS_CLEAN], T, err) == 0 &&
        put(to, pair->ids[PS_CORRUPT], T, err) == 0 && put(to, positions, n, err) == 0)
        rc = 0;
    ps_free(positions);
    return rc;
}

/* Number the prefixes of all runs. */
static int add_nodes(ps_grid *grid, ps_err *err)
{
    ps_prefix_tree tree;
    size_t n = 0;

    for (int32_t i = 0; i < grid->n_pairs; i++)
        n += 2 * (size_t)grid->pairs[i].n_positions;
    grid->nodes = ps_malloc(n, sizeof *grid->nodes, err);
    if (!grid->nodes || ps_prefix_init(&tree, n, err) < 0)
        return -1;
    int32_t *at = grid->nodes;
    for (ps_grid_pair *pair = grid->pairs; pair < grid->pairs + grid->n_pairs; pair++)
        for (int which = 0; which < PS_N_WHICH; which++, at += pair->n_positions) {
            pair->nodes[which] = at;
            ps_prefix_add(&tree, pair->ids[which], pair->n_positions, at);
        }
    grid->n_nodes = tree.n_nodes;
    ps_prefix_release(&tree);
    return 0;
}

/* Keys of a pair: site, direction, layer, position, the last fastest; then its checks. */
static int64_t n_plain_keys(const ps_grid *grid, const ps_grid_pair *pair)
{
    return (int64_t)PS_N_SITES * PS_N_DIRECTIONS * grid->n_layers * pair->n_positions;
}

static void number_keys(ps_grid *grid)
{
    for (ps_grid_pair *pair = grid->pairs; pair < grid->pairs + grid->n_pairs; pair++) {
        pair->first_key = grid->n_keys;
        grid->n_keys += n_plain_keys(grid, pair) + PS_N_CHECKS - 1;
    }
}

int64_t ps_grid_key(const ps_grid *grid, const ps_cell *cell)
{
    if (cell->pair < 0 || cell->pair >= grid->n_pairs || cell->site >= PS_N_SITES ||
        cell->direction >= PS_N_DIRECTIONS || cell->check >= PS_N_CHECKS)
        return -1;
    const ps_grid_pair *pair = &grid->pairs[cell->pair];
    if (cell->layer < 0 || cell->layer >= grid->n_layers || cell->position < 0 ||
        cell->position >= pair->n_positions)
        return -1;
    if (cell->check)
        return pair->first_key + n_plain_keys(grid, pair) + cell->check - 1;
    return pair->first_key +
           (((int64_t)cell->site * PS_N_DIRECTIONS + cell->direction) * grid->n_layers + cell->layer) *
               pair->n_positions + cell->position;
}

static const ps_path *path_of(const ps_grid *grid, const ps_cell *cell, bool forced, ps_err *err)
{
    const ps_grid_pair *pair = &grid->pairs[cell->pair];

    return ps_paths_get(grid->paths, pair->n_positions, pair->first_difference, cell, forced, err);
}

/* The paths of all cells that may be live, so that nothing fails where they are asked for.  A cell before D changes nothing. */
static int make_paths(ps_grid *grid, ps_err *err)
{
    for (int32_t p = 0; p < grid->n_pairs; p++)
        for (int site = 0; site < PS_N_SITES; site++)
            for (int32_t i = 0; grid->sites >> site & 1 && i < grid->pairs[p].n_swept; i++) {
                const ps_cell cell = {.pair = p, .site = (uint8_t)site, .position = grid->pairs[p].positions[i]};
                if (cell.position >= grid->pairs[p].first_difference && !path_of(grid, &cell, false, err))
                    return -1;
            }
    return 0;
}

/* Build a grid around `numbers`, which it owns from then on. */
static int from_numbers(ps_grid **out, int32_t *at, size_t n, const ps_step *program, ps_err *err)
{
    ps_grid *grid = ps_calloc(1, sizeof *grid, err);
    const int32_t *p = at + HEAD;

    if (!grid)
        return -1;
    *grid = (ps_grid){.n_layers = at[0], .sites = (unsigned)at[1], .directions = (unsigned)at[2],
                      .metrics = (unsigned)at[3], .activations = (unsigned)at[4],
                      .patched_final = at[5] != 0, .precision = (enum ps_precision)at[6],
                      .n_pairs = at[7], .n_swept_layers = at[8], .layers = p};
    grid->pairs = ps_calloc((size_t)grid->n_pairs, sizeof *grid->pairs, err);
    if (!grid->pairs) {
        ps_free(grid);
        return -1;
    }
    p += grid->n_swept_layers;
    for (ps_grid_pair *pair = grid->pairs; pair < grid->pairs + grid->n_pairs; pair++) {
        const int32_t *ids = p + PAIR_HEAD;
        *pair = (ps_grid_pair){.n_positions = p[0], .first_difference = p[1], .answer_id = p[2],
                               .foil_id = p[3], .n_swept = p[4], .ids = {ids, ids + p[0]},
                               .positions = ids + 2 * p[0]};
        p = pair->positions + pair->n_swept;
    }
    number_keys(grid);
    if (add_nodes(grid, err) < 0 || ps_paths_open(&grid->paths, program, err) < 0 || make_paths(grid, err) < 0) {
        ps_grid_free(grid);
        return -1;
    }
    grid->numbers = at;
    grid->n_numbers = n;
    *out = grid;
    return 0;
}

/* Not every layer has every value. */
static int check_sites(const ps_job *job, const ps_step *program, ps_err *err)
{
    for (uint8_t site = 0; site < PS_N_SITES; site++) {
        if (job->sites >> site & 1 && ps_site_shapes[site].axis[PS_AXIS_HEAD])
            return ps_err_set(err, PS_EINPUT, "sites: '%s' cannot be swept yet; leave it out", ps_sites[site].name);
        enum ps_tap tap = (enum ps_tap)ps_cell_edit(&(ps_cell){.site = site}).tap;
        if (job->sites >> site & 1 && tap != PS_TAP_RESID_PRE && ps_program_tap(program, tap) < 0)
            return ps_err_set(err, PS_EINPUT, "sites: this model's layers have no '%s'; leave it out", ps_sites[site].name);
    }
    return 0;
}

int ps_grid_build(ps_grid **out, const ps_job *job, const ps_pair *pairs, const ps_step *program, int32_t n_layers,
                  ps_err *err)
{
    numbers to = {0};
    int32_t *layers = NULL;
    size_t n = 0;
    int rc = -1;

    if (check_sites(job, program, err) < 0 ||
        ps_index_list_resolve(&job->layers, n_layers, "layers", &layers, &n, err) < 0)
        return -1;
    int32_t head[HEAD] = {n_layers, (int32_t)job->sites, (int32_t)job->directions,
                          (int32_t)job->metrics, (int32_t)job->activations, job->patched_final,
                          (int32_t)job->precision, (int32_t)job->n_pairs, (int32_t)n};
    if (put(&to, head, HEAD, err) < 0 || put(&to, layers, n, err) < 0)
        goto out;
    for (size_t i = 0; i < job->n_pairs; i++)
        if (put_pair(&to, job, &pairs[i], err) < 0)
            goto out;
    if (from_numbers(out, to.at, to.n, program, err) < 0)
        goto out;
    to.at = NULL;
    rc = 0;
out:
    ps_free(layers);
    ps_free(to.at);
    return rc;
}

int ps_grid_bcast(ps_grid **grid, const ps_step *program, ps_comm *comm, ps_err *err)
{
    void *block = *grid ? (*grid)->numbers : NULL;
    size_t bytes = *grid ? (*grid)->n_numbers * sizeof(int32_t) : 0;

    ps_comm_bcast_block(comm, &block, &bytes, 0);
    if (ps_comm_rank(comm) == 0)
        return 0;
    if (from_numbers(grid, block, bytes / sizeof(int32_t), program, err) == 0)
        return 0;
    ps_free(block);
    return -1;
}

void ps_grid_free(ps_grid *grid)
{
    if (!grid)
        return;
    ps_free(grid->numbers);
    ps_free(grid->nodes);
    ps_free(grid->pairs);
    ps_paths_close(grid->paths);
    ps_free(grid);
}

int32_t ps_grid_max_positions(const ps_grid *grid)
{
    int32_t most = 0;

    for (int32_t i = 0; i < grid->n_pairs; i++)
        if (grid->pairs[i].n_positions > most)
            most = grid->pairs[i].n_positions;
    return most;
}

static int each_of(const ps_grid *grid, ps_cell cell,
                   int (*visit)(void *context, const ps_cell *cell), void *context)
{
    const ps_grid_pair *pair = &grid->pairs[cell.pair];

    for (int32_t l = 0; l < grid->n_swept_layers; l++)
        for (int32_t t = 0; t < pair->n_swept; t++) {
            cell.layer = grid->layers[l];
            cell.position = pair->positions[t];
            int rc = visit(context, &cell);
            if (rc)
                return rc;
        }
    return 0;
}

bool ps_grid_asks(const ps_grid *grid, int site, int direction)
{
    return grid->sites >> site & 1 && grid->directions >> direction & 1;
}

bool ps_grid_free_cell(const ps_grid *grid, const ps_cell *cell, enum ps_which *which)
{
    enum ps_direction direction = (enum ps_direction)cell->direction;
    ps_err none = PS_ERR_INIT;
    unsigned whose = PS_BASE;

    if (cell->position >= grid->pairs[cell->pair].first_difference) {
        const ps_path *path = path_of(grid, cell, false, &none);
        whose = path ? ps_path_end(path, grid->n_layers - 1 - cell->layer) : PS_OWN;
    }
    if (whose != PS_OWN && which)
        *which = whose & PS_BASE ? ps_base_of(direction) : ps_source_of(direction);
    return whose != PS_OWN;
}

bool ps_grid_sweeps_layer(const ps_grid *grid, int32_t layer)
{
    for (int32_t i = 0; i < grid->n_swept_layers; i++)
        if (grid->layers[i] == layer)
            return true;
    return false;
}

bool ps_grid_twin(const ps_grid *grid, const ps_cell *cell, ps_cell *twin)
{
    ps_edit edit = ps_edit_canonical(ps_cell_edit(cell));

    for (uint8_t site = 0; site < cell->site && !cell->check; site++) {
        *twin = *cell;
        twin->site = site;
        ps_edit other = ps_edit_canonical(ps_cell_edit(twin));
        twin->layer = cell->layer + edit.offset - other.offset;
        if (other.tap == edit.tap && ps_grid_asks(grid, site, cell->direction) && ps_grid_sweeps_layer(grid, twin->layer))
            return true;
    }
    return false;
}

const ps_path *ps_grid_path(const ps_grid *grid, const ps_cell *cell, ps_err *err)
{
    bool shared = cell->position < grid->pairs[cell->pair].first_difference;
    const ps_path *path = cell->check || shared ? NULL : path_of(grid, cell, false, err);

    if (path && ps_path_end(path, grid->n_layers - 1 - cell->layer) == PS_OWN)
        return path;
    return path || cell->check || shared ? path_of(grid, cell, true, err) : NULL;
}

static const ps_path *made_path(const ps_grid *grid, const ps_cell *cell)
{
    ps_err err = PS_ERR_INIT;
    const ps_path *path = ps_grid_path(grid, cell, &err);

    if (!path)
        PS_BUG("a cell is planned that nobody asked for: %s", err.text);
    return path;
}

int32_t ps_grid_cell_rows(const ps_grid *grid, const ps_cell *cell)
{
    return grid->pairs[cell->pair].n_positions - ps_path_first_row(made_path(grid, cell));
}

int32_t ps_grid_cell_entry(const ps_grid *grid, const ps_cell *cell)
{
    int32_t offset = ps_path_entry(made_path(grid, cell));

    return offset < grid->n_layers - cell->layer ? cell->layer + offset : grid->n_layers;
}

int ps_grid_each_of_pair(const ps_grid *grid, int32_t pair,
                         int (*visit)(void *context, const ps_cell *cell), void *context)
{
    for (int s = 0; s < PS_N_SITES; s++)
        for (int d = 0; d < PS_N_DIRECTIONS; d++) {
            ps_cell cell = {.pair = pair, .site = (uint8_t)s, .direction = (uint8_t)d};
            int rc = ps_grid_asks(grid, s, d) ? each_of(grid, cell, visit, context) : 0;
            if (rc)
                return rc;
        }
    return 0;
}

int ps_grid_each(const ps_grid *grid, int (*visit)(void *context, const ps_cell *cell), void *context)
{
    for (int32_t p = 0; p < grid->n_pairs; p++) {
        int rc = ps_grid_each_of_pair(grid, p, visit, context);
        if (rc)
            return rc;
    }
    return 0;
}
