/*
 * grid.c - a grid is one block of int32: a header, a record for each pair, the heads.
 *
 * Rank 0 builds the numbers.  Every rank, rank 0 included, builds its grid from them.  What the job and the pairs say comes
 * first, what is known of the model's heads last: an identity (identity.c) is made of the first part alone.
 */
#include "patchsweep/grid.h"

#include <stdio.h>

#include "keys.h"
#include "patchsweep/family.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"
#include "prefix.h"

/* Head: n_layers, sites, directions, metrics, activations, patched_final, precision, n_pairs,
 * n_swept_layers, the layers.  Pair: T, D, answer, foil, n_swept, clean ids, corrupt ids, positions.  Heads, of queries and of
 * keys: how many there are, n_swept, the heads. */
enum { HEAD = 9, PAIR_HEAD = 5, HEADS_HEAD = 2 };

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

static const ps_path *path_of(const ps_grid *grid, const ps_cell *cell, bool forced, ps_err *err)
{
    const ps_grid_pair *pair = &grid->pairs[cell->pair];

    return ps_paths_get(grid->paths, pair->n_positions, pair->first_difference, cell, forced, err);
}

/* Is the cell at one position, before D? */
static bool is_shared(const ps_grid *grid, const ps_cell *cell)
{
    return ps_site_shapes[cell->site].axis[PS_AXIS_POSITION] && cell->position < grid->pairs[cell->pair].first_difference;
}

/* Make the paths of a pair's cells of a site.  They depend neither on the layer nor on the head. */
static int make_paths_of(ps_grid *grid, int32_t pair, int site, ps_err *err)
{
    const ps_grid_axis positions = ps_grid_axis_of(grid, pair, site, PS_AXIS_POSITION);

    for (int32_t i = 0; i < positions.n_swept; i++) {
        const ps_cell cell = {.pair = pair, .site = (uint8_t)site, .position = positions.swept[i]};
        if (!is_shared(grid, &cell) && !path_of(grid, &cell, false, err))
            return -1;
    }
    return 0;
}

/* Make the paths of all cells that may be computed, so that later look-ups cannot fail.  A cell before D changes nothing. */
static int make_paths(ps_grid *grid, ps_err *err)
{
    for (int32_t pair = 0; pair < grid->n_pairs; pair++)
        for (int site = 0; site < PS_N_SITES; site++)
            if (grid->sites >> site & 1 && make_paths_of(grid, pair, site, err) < 0)
                return -1;
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
    grid->n_identity = (size_t)(p - at);
    for (ps_grid_axis *heads = grid->heads; heads < grid->heads + 2; heads++) {
        *heads = (ps_grid_axis){.size = p[0], .n_swept = p[1], .swept = p + HEADS_HEAD};
        p = heads->swept + heads->n_swept;
    }
    ps_keys_number(grid);
    if (add_nodes(grid, err) < 0 || ps_paths_open(&grid->paths, program, err) < 0 || make_paths(grid, err) < 0) {
        ps_grid_free(grid);
        return -1;
    }
    grid->numbers = at;
    grid->n_numbers = n;
    *out = grid;
    return 0;
}

ps_grid_model ps_grid_model_of(const ps_config *config)
{
    return (ps_grid_model){config->family->layer, config->n_layers, config->n_heads, config->n_kv_heads};
}

static enum ps_tap tap_of(int site)
{
    return (enum ps_tap)ps_cell_edit(&(ps_cell){.site = (uint8_t)site}, 1).tap;
}

bool ps_grid_sweeps_tap(const ps_grid *grid, enum ps_tap_kind kind)
{
    for (int site = 0; site < PS_N_SITES; site++)
        if (grid->sites >> site & 1 && ps_tap_kind(tap_of(site)) == kind)
            return true;
    return false;
}

static bool has_site(const ps_step *program, int site)
{
    return ps_tap_kind(tap_of(site)) == PS_TAP_OF_ENTRANCE || ps_program_tap(program, tap_of(site)) >= 0;
}

/* Refuse a site that a layer of the model does not have: the message names those that it has. */
static int check_sites(const ps_job *job, const ps_step *program, ps_err *err)
{
    ps_text names = {0};
    int missing = -1;

    for (int site = PS_N_SITES - 1; site >= 0; site--)
        missing = job->sites >> site & 1 && !has_site(program, site) ? site : missing;
    if (missing < 0)
        return 0;
    for (int site = 0; site < PS_N_SITES; site++)
        if (has_site(program, site))
            ps_text_printf(&names, "%s%s", names.n ? ", " : "", ps_sites[site].name);
    ps_err_set(err, PS_EINPUT, "sites: this model's layers have no '%s'; they have %s", ps_sites[missing].name,
               ps_text_str(&names));
    ps_text_release(&names);
    return -1;
}

/* Write the heads of one kind that are swept: all of them if no swept site has them. */
static int put_heads(numbers *to, const ps_job *job, bool kv, int32_t n_heads, ps_err *err)
{
    const ps_index_list all = {.all = true};
    int32_t *heads = NULL;
    size_t n = 0;
    char what[64];
    int used = -1, rc = -1;

    for (int site = PS_N_SITES - 1; site >= 0; site--)
        if (job->sites >> site & 1 && ps_site_shapes[site].axis[PS_AXIS_HEAD] && ps_site_shapes[site].kv_heads == kv)
            used = site;
    snprintf(what, sizeof what, "heads of '%s'", used < 0 ? "" : ps_sites[used].name);
    if (ps_index_list_resolve(used < 0 ? &all : &job->heads, n_heads, what, &heads, &n, err) < 0)
        return -1;
    const int32_t head[HEADS_HEAD] = {n_heads, (int32_t)n};
    if (put(to, head, HEADS_HEAD, err) == 0 && put(to, heads, n, err) == 0)
        rc = 0;
    ps_free(heads);
    return rc;
}

static int put_all(numbers *to, const ps_job *job, const ps_pair *pairs, const ps_grid_model *model, ps_err *err)
{
    int32_t *layers = NULL;
    size_t n = 0;

    if (ps_index_list_resolve(&job->layers, model->n_layers, "layers", &layers, &n, err) < 0)
        return -1;
    const int32_t head[HEAD] = {model->n_layers, (int32_t)job->sites, (int32_t)job->directions,
                                (int32_t)job->metrics, (int32_t)job->activations, job->patched_final,
                                (int32_t)job->precision, (int32_t)job->n_pairs, (int32_t)n};
    int rc = put(to, head, HEAD, err) < 0 || put(to, layers, n, err) < 0 ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < job->n_pairs; i++)
        rc = put_pair(to, job, &pairs[i], err);
    ps_free(layers);
    return rc < 0 || put_heads(to, job, false, model->n_heads, err) < 0 ||
           put_heads(to, job, true, model->n_kv_heads, err) < 0 ? -1 : 0;
}

int ps_grid_build(ps_grid **out, const ps_job *job, const ps_pair *pairs, const ps_grid_model *model, ps_err *err)
{
    numbers to = {0};

    if (check_sites(job, model->program, err) < 0)
        return -1;
    if (put_all(&to, job, pairs, model, err) == 0 && from_numbers(out, to.at, to.n, model->program, err) == 0)
        return 0;
    ps_free(to.at);
    return -1;
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

bool ps_grid_free_cell(const ps_grid *grid, const ps_cell *cell, enum ps_which *which)
{
    enum ps_direction direction = (enum ps_direction)cell->direction;
    ps_err none = PS_ERR_INIT;
    unsigned whose = PS_BASE;

    if (!is_shared(grid, cell)) {
        const ps_path *path = path_of(grid, cell, false, &none);
        whose = path ? ps_path_end(path, grid->n_layers - 1 - cell->layer) : PS_OWN;
    }
    if (whose != PS_OWN && which)
        *which = whose & PS_BASE ? ps_base_of(direction) : ps_source_of(direction);
    return whose != PS_OWN;
}

const ps_path *ps_grid_path(const ps_grid *grid, const ps_cell *cell, ps_err *err)
{
    bool shared = is_shared(grid, cell);
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

int32_t ps_grid_entry(const ps_grid *grid, const ps_cell *cell, const ps_path *path)
{
    int32_t offset = ps_path_entry(path);

    return offset < grid->n_layers - cell->layer ? cell->layer + offset : grid->n_layers;
}

int32_t ps_grid_cell_entry(const ps_grid *grid, const ps_cell *cell)
{
    return ps_grid_entry(grid, cell, made_path(grid, cell));
}
