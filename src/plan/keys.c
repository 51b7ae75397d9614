/*
 * keys.c - a cell's axes, its place among the cells of its grid, and its key among those of all grids.
 *
 * The keys of a pair are ordered by site, direction, layer, head, position, the last fastest; only sites and directions that are
 * swept count.  Keys of checks follow: one for each kind, and for the check that ranks compare, one for each layer.  The grids of
 * the sites before a site have
 *
 *     directions * layers * (keys_of_row[site] + keys_of_position[site] * T)
 *
 * cells: keys_of_row[] counts sites without positions, keys_of_position[] sites with positions.
 */
#include "keys.h"

#include "patchsweep/check.h"

enum { PLAIN_CHECKS = PS_CHECK_RANKS - 1 }; /* kinds of checks of which a pair has one */

/* ---- axes ---- */

static const int32_t none[] = {-1};

ps_grid_axis ps_grid_axis_of(const ps_grid *grid, int32_t pair, int site, enum ps_axis axis)
{
    const ps_site_shape *shape = &ps_site_shapes[site];
    const ps_grid_pair *p = &grid->pairs[pair];

    if (!shape->axis[axis])
        return (ps_grid_axis){1, none, 1};
    switch (axis) {
    case PS_AXIS_HEAD:
        return grid->heads[shape->kv_heads];
    case PS_AXIS_POSITION:
        return (ps_grid_axis){p->n_positions, p->positions, p->n_swept};
    default:
        return (ps_grid_axis){grid->n_layers, grid->layers, grid->n_swept_layers};
    }
}

int32_t ps_cell_at(const ps_cell *cell, enum ps_axis axis)
{
    if (!ps_site_shapes[cell->site].axis[axis])
        return -1;
    return axis == PS_AXIS_LAYER ? cell->layer : axis == PS_AXIS_HEAD ? cell->head : cell->position;
}

static void set_at(ps_cell *cell, enum ps_axis axis, int32_t value)
{
    *(axis == PS_AXIS_LAYER ? &cell->layer : axis == PS_AXIS_HEAD ? &cell->head : &cell->position) = value;
}

size_t ps_grid_cells(const ps_grid *grid, int32_t pair, int site)
{
    size_t n = 1;

    for (int axis = 0; axis < PS_N_AXES; axis++)
        n *= (size_t)ps_grid_axis_of(grid, pair, site, (enum ps_axis)axis).size;
    return n;
}

size_t ps_grid_swept(const ps_grid *grid, int32_t pair, int site)
{
    size_t n = 1;

    for (int axis = 0; axis < PS_N_AXES; axis++)
        n *= (size_t)ps_grid_axis_of(grid, pair, site, (enum ps_axis)axis).n_swept;
    return n;
}

int64_t ps_grid_place(const ps_grid *grid, const ps_cell *cell)
{
    int64_t place = 0;

    for (int axis = 0; axis < PS_N_AXES; axis++) {
        int32_t size = ps_grid_axis_of(grid, cell->pair, cell->site, (enum ps_axis)axis).size;
        int32_t at = ps_site_shapes[cell->site].axis[axis] ? ps_cell_at(cell, (enum ps_axis)axis) : 0;
        if (at < 0 || at >= size)
            return -1;
        place = place * size + at;
    }
    return place;
}

void ps_grid_set_place(const ps_grid *grid, ps_cell *cell, int64_t place)
{
    for (int axis = PS_N_AXES - 1; axis >= 0; axis--) {
        int32_t size = ps_grid_axis_of(grid, cell->pair, cell->site, (enum ps_axis)axis).size;
        set_at(cell, (enum ps_axis)axis, ps_site_shapes[cell->site].axis[axis] ? (int32_t)(place % size) : -1);
        place /= size;
    }
}

static bool is_swept(ps_grid_axis axis, int32_t value)
{
    int32_t low = 0, high = axis.n_swept;

    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (axis.swept[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low < axis.n_swept && axis.swept[low] == value;
}

bool ps_grid_asks(const ps_grid *grid, int site, int direction)
{
    return grid->sites >> site & 1 && grid->directions >> direction & 1;
}

bool ps_grid_sweeps_layer(const ps_grid *grid, int32_t layer)
{
    return is_swept((ps_grid_axis){grid->n_layers, grid->layers, grid->n_swept_layers}, layer);
}

/* ---- keys ---- */

static int64_t n_directions(const ps_grid *grid)
{
    return __builtin_popcount(grid->directions);
}

/* Count the keys of a pair before its grids of `site`.  PS_N_SITES: the keys of all its grids. */
static int64_t before(const ps_grid *grid, const ps_grid_pair *pair, int site)
{
    return n_directions(grid) * grid->n_layers *
           (grid->keys_of_row[site] + grid->keys_of_position[site] * pair->n_positions);
}

void ps_keys_number(ps_grid *grid)
{
    for (int site = 0; site < PS_N_SITES; site++) {
        const ps_site_shape *shape = &ps_site_shapes[site];
        int64_t heads = shape->axis[PS_AXIS_HEAD] ? grid->heads[shape->kv_heads].size : 1;
        heads = grid->sites >> site & 1 ? heads : 0;
        grid->keys_of_row[site + 1] = grid->keys_of_row[site] + (shape->axis[PS_AXIS_POSITION] ? 0 : heads);
        grid->keys_of_position[site + 1] = grid->keys_of_position[site] + (shape->axis[PS_AXIS_POSITION] ? heads : 0);
    }
    for (ps_grid_pair *pair = grid->pairs; pair < grid->pairs + grid->n_pairs; pair++) {
        pair->first_key = grid->n_keys;
        grid->n_keys += before(grid, pair, PS_N_SITES) + PLAIN_CHECKS + grid->n_layers;
    }
}

/* The check of a pair and a kind.  PS_CHECK_RANKS: the check that enters at `layer`. */
static int check_of(const ps_grid *grid, int32_t pair, uint8_t kind, int32_t layer, ps_cell *check)
{
    ps_cell all[PS_MAX_CHECKS];
    size_t n = ps_check_cells(grid, pair, all);

    if (kind == PS_CHECK_RANKS) {
        *check = ps_check_of_ranks(pair, layer, grid);
        return layer >= 0 && layer < grid->n_layers ? 0 : -1;
    }
    for (size_t i = 0; i < n; i++)
        if (all[i].check == kind) {
            *check = all[i];
            return 0;
        }
    return -1;
}

/* The number of a check among those of its pair. */
static int64_t check_number(const ps_grid *grid, const ps_cell *cell)
{
    ps_cell known;

    if (check_of(grid, cell->pair, cell->check, cell->layer, &known) < 0)
        return -1;
    return cell->check - 1 + (cell->check == PS_CHECK_RANKS ? cell->layer : 0);
}

int64_t ps_grid_key(const ps_grid *grid, const ps_cell *cell)
{
    if (cell->pair < 0 || cell->pair >= grid->n_pairs || cell->site >= PS_N_SITES ||
        cell->direction >= PS_N_DIRECTIONS || cell->check >= PS_N_CHECKS)
        return -1;
    const ps_grid_pair *pair = &grid->pairs[cell->pair];
    if (cell->check) {
        int64_t number = check_number(grid, cell);
        return number < 0 ? -1 : pair->first_key + before(grid, pair, PS_N_SITES) + number;
    }
    int64_t place = ps_grid_asks(grid, cell->site, cell->direction) ? ps_grid_place(grid, cell) : -1;
    if (place < 0)
        return -1;
    int64_t of_grid = (before(grid, pair, cell->site + 1) - before(grid, pair, cell->site)) / n_directions(grid);
    bool second = cell->direction > 0 && grid->directions >> (cell->direction - 1) & 1;
    return pair->first_key + before(grid, pair, cell->site) + second * of_grid + place;
}

/* The pair to which a key belongs. */
static int32_t pair_of(const ps_grid *grid, int64_t key)
{
    int32_t low = 0, high = grid->n_pairs;

    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        *(grid->pairs[middle].first_key <= key ? &low : &high) = middle;
    }
    return low;
}

int ps_grid_cell(const ps_grid *grid, int64_t key, ps_cell *cell)
{
    if (key < 0 || key >= grid->n_keys)
        return -1;
    *cell = (ps_cell){.pair = pair_of(grid, key)};
    const ps_grid_pair *pair = &grid->pairs[cell->pair];
    int64_t rest = key - pair->first_key, checks = rest - before(grid, pair, PS_N_SITES);
    if (checks >= 0) {
        uint8_t kind = checks < PLAIN_CHECKS ? (uint8_t)(checks + 1) : PS_CHECK_RANKS;
        return check_of(grid, cell->pair, kind, (int32_t)(checks - PLAIN_CHECKS), cell);
    }
    while (before(grid, pair, cell->site + 1) <= rest)
        cell->site++;
    rest -= before(grid, pair, cell->site);
    int64_t of_grid = (int64_t)ps_grid_cells(grid, cell->pair, cell->site);
    bool second = rest >= of_grid;
    cell->direction = second || !(grid->directions & 1) ? PS_NOISE : PS_DENOISE;
    ps_grid_set_place(grid, cell, rest - second * of_grid);
    return 0;
}

/* ---- cells that replace the same state ---- */

/* The edit of a cell, without rows before D: both runs share them. */
static ps_edit own_edit(const ps_grid *grid, const ps_cell *cell)
{
    const ps_grid_pair *pair = &grid->pairs[cell->pair];
    ps_edit edit = ps_edit_canonical(ps_cell_edit(cell, pair->n_positions));
    int32_t shared = pair->first_difference - edit.first;

    if (shared > 0 && shared < edit.n) {
        edit.first += shared;
        edit.n -= shared;
    }
    return edit;
}

/* Whether every value of a cell is swept on its axis. */
static bool is_cell(const ps_grid *grid, const ps_cell *cell)
{
    for (int axis = 0; axis < PS_N_AXES; axis++)
        if (!is_swept(ps_grid_axis_of(grid, cell->pair, cell->site, (enum ps_axis)axis), ps_cell_at(cell, (enum ps_axis)axis)))
            return false;
    return true;
}

bool ps_grid_twin(const ps_grid *grid, const ps_cell *cell, ps_cell *twin)
{
    const ps_edit edit = own_edit(grid, cell);

    for (uint8_t site = 0; site < cell->site && !cell->check; site++) {
        if (!ps_grid_asks(grid, site, cell->direction))
            continue;
        *twin = *cell;
        twin->site = site;
        twin->position = ps_site_shapes[site].axis[PS_AXIS_POSITION] ? edit.first : -1;
        const ps_edit other = own_edit(grid, twin);
        twin->layer = cell->layer + edit.offset - other.offset;
        if (other.tap == edit.tap && other.first == edit.first && other.n == edit.n && other.head == edit.head &&
            is_cell(grid, twin))
            return true;
    }
    return false;
}

/* ---- all cells ---- */

static int each_of(const ps_grid *grid, ps_cell cell, int (*visit)(void *context, const ps_cell *cell), void *context)
{
    const ps_grid_axis layers = ps_grid_axis_of(grid, cell.pair, cell.site, PS_AXIS_LAYER);
    const ps_grid_axis heads = ps_grid_axis_of(grid, cell.pair, cell.site, PS_AXIS_HEAD);
    const ps_grid_axis positions = ps_grid_axis_of(grid, cell.pair, cell.site, PS_AXIS_POSITION);
    int rc = 0;

    for (int32_t l = 0; l < layers.n_swept; l++)
        for (int32_t h = 0; h < heads.n_swept; h++)
            for (int32_t t = 0; t < positions.n_swept; t++) {
                cell.layer = layers.swept[l];
                cell.head = heads.swept[h];
                cell.position = positions.swept[t];
                if ((rc = visit(context, &cell)))
                    return rc;
            }
    return 0;
}

int ps_grid_each_of_pair(const ps_grid *grid, int32_t pair, int (*visit)(void *context, const ps_cell *cell), void *context)
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
