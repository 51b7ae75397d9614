/* scores.c - tables of doubles, one for each pair, site and direction. */
#include "scores.h"

#include <math.h>
#include <string.h>

#include "patchsweep/mem.h"

static size_t table_of(int32_t pair, int site, int direction)
{
    return ((size_t)pair * PS_N_SITES + (size_t)site) * PS_N_DIRECTIONS + (size_t)direction;
}

static size_t cells_of(const ps_grid *grid, int32_t pair)
{
    return (size_t)grid->n_layers * (size_t)grid->pairs[pair].n_positions;
}

/* The metrics that are kept: those asked for, and one that every computed cell has. */
static unsigned kept(const ps_grid *grid)
{
    return grid->metrics | 1u << PS_LOGIT_ANSWER;
}

/* How many kept metrics come before `metric` in a table. */
static size_t kept_before(const ps_grid *grid, int metric)
{
    return (size_t)__builtin_popcount(kept(grid) & ((1u << metric) - 1));
}

/* Values of `metric`, which is kept, over [layer, position]. */
static double *metric_table(const ps_scores *s, int32_t pair, int site, int direction, int metric)
{
    return s->tables[table_of(pair, site, direction)] + kept_before(s->grid, metric) * cells_of(s->grid, pair);
}

/* Values of a pair's table. */
static size_t table_values(const ps_grid *grid, int32_t pair)
{
    return cells_of(grid, pair) * kept_before(grid, PS_N_METRICS);
}

/* Values of all tables. */
static size_t all_values(const ps_grid *grid)
{
    size_t n = 0, grids = 0;

    for (int site = 0; site < PS_N_SITES; site++)
        for (int dir = 0; dir < PS_N_DIRECTIONS; dir++)
            grids += ps_grid_asks(grid, site, dir);
    for (int32_t pair = 0; pair < grid->n_pairs; pair++)
        n += grids * table_values(grid, pair);
    return n;
}

#define N_BLOCKS 6

static void list_blocks(ps_scores *s, const ps_grid *grid, ps_block blocks[N_BLOCKS])
{
    size_t pairs = (size_t)grid->n_pairs, most = (size_t)grid->n_layers * (size_t)ps_grid_max_positions(grid);
    const ps_block all[N_BLOCKS] = {
        {&s->base, pairs, sizeof *s->base},
        {&s->tables, pairs * PS_N_SITES * PS_N_DIRECTIONS, sizeof *s->tables},
        {&s->values, all_values(grid), sizeof(double)},
        {&s->score, most, sizeof(double)},
        {&s->degenerate, most, sizeof(double)},
        {&s->done, most, sizeof(double)},
    };

    memcpy(blocks, all, sizeof all);
}

uint64_t ps_scores_bytes(const ps_grid *grid)
{
    ps_scores none;
    ps_block blocks[N_BLOCKS];

    list_blocks(&none, grid, blocks);
    return ps_blocks_bytes(blocks, N_BLOCKS);
}

int ps_scores_init(ps_scores *s, const ps_grid *grid, ps_err *err)
{
    size_t n = all_values(grid);
    ps_block blocks[N_BLOCKS];

    *s = (ps_scores){.grid = grid};
    list_blocks(s, grid, blocks);
    if (ps_blocks_alloc(blocks, N_BLOCKS, err) < 0)
        return -1;
    memset(s->base, 0, (size_t)grid->n_pairs * sizeof *s->base);
    for (size_t i = 0; i < n; i++)
        s->values[i] = NAN;
    double *next = s->values;
    for (int32_t pair = 0; pair < grid->n_pairs; pair++)
        for (int site = 0; site < PS_N_SITES; site++)
            for (int dir = 0; dir < PS_N_DIRECTIONS; dir++) {
                bool asked = ps_grid_asks(grid, site, dir);
                s->tables[table_of(pair, site, dir)] = asked ? next : NULL;
                next += asked ? table_values(grid, pair) : 0;
            }
    return 0;
}

void ps_scores_release(ps_scores *s)
{
    ps_block blocks[N_BLOCKS];

    if (!s->grid)
        return;
    list_blocks(s, s->grid, blocks);
    ps_blocks_free(blocks, N_BLOCKS);
}

static size_t place_of(const ps_scores *s, const ps_cell *cell)
{
    return (size_t)cell->layer * (size_t)s->grid->pairs[cell->pair].n_positions + (size_t)cell->position;
}

void ps_scores_put(ps_scores *s, const ps_cell *cell, const double values[PS_N_METRICS])
{
    for (int m = 0; m < PS_N_METRICS; m++)
        if (kept(s->grid) >> m & 1)
            metric_table(s, cell->pair, cell->site, cell->direction, m)[place_of(s, cell)] = values[m];
}

/* The values of the cell that was computed for both. */
static void copy_values(ps_scores *s, const ps_cell *to, const ps_cell *from)
{
    for (int m = 0; m < PS_N_METRICS; m++)
        if (kept(s->grid) >> m & 1)
            metric_table(s, to->pair, to->site, to->direction, m)[place_of(s, to)] =
                metric_table(s, from->pair, from->site, from->direction, m)[place_of(s, from)];
}

static int fill(void *context, const ps_cell *cell)
{
    ps_scores *s = context;
    enum ps_which which;
    ps_cell twin;

    if (ps_grid_free_cell(s->grid, cell, &which))
        ps_scores_put(s, cell, s->base[cell->pair][which].values);
    else if (ps_grid_twin(s->grid, cell, &twin))
        copy_values(s, cell, &twin);
    return 0;
}

void ps_scores_fill_free(ps_scores *s)
{
    ps_grid_each(s->grid, fill, s);
}

ps_score_range ps_scores_compute(ps_scores *s, int32_t pair, enum ps_site site,
                                 enum ps_direction direction, enum ps_metric metric)
{
    const double *patched = metric_table(s, pair, site, direction, metric);
    /* Every computed cell has this value: NaN means that the cell was not swept. */
    const double *present = metric_table(s, pair, site, direction, PS_LOGIT_ANSWER);
    double clean = s->base[pair][PS_CLEAN].values[metric];
    double corrupt = s->base[pair][PS_CORRUPT].values[metric];
    ps_score_range range = {.least = INFINITY, .most = -INFINITY};
    int32_t T = s->grid->pairs[pair].n_positions;

    for (size_t i = 0; i < cells_of(s->grid, pair); i++) {
        int degenerate = 0;
        s->done[i] = !isnan(present[i]);
        s->score[i] = s->done[i] ? ps_score(patched[i], clean, corrupt, &degenerate) : NAN;
        s->degenerate[i] = degenerate;
        if (s->done[i] == 0)
            continue;
        range.n++;
        range.least = fmin(range.least, s->score[i]);
        if (s->score[i] > range.most) {
            range.most = s->score[i];
            range.layer = (int32_t)i / T;
            range.position = (int32_t)i % T;
        }
    }
    return range;
}

int ps_scores_write(const ps_scores *s, ps_results *results, int32_t index, enum ps_site site,
                    enum ps_direction direction, const ps_row_source *finals, ps_err *err)
{
    ps_column columns[PS_N_METRICS + 3] = {
        {"score", "(patched - corrupt) / (clean - corrupt)", s->score},
        {"degenerate", "1 where clean and corrupt do not differ", s->degenerate},
    };
    size_t n = 2;

    for (int m = 0; m < PS_N_METRICS; m++)
        if (s->grid->metrics >> m & 1)
            columns[n++] = (ps_column){ps_metrics[m].name, ps_metrics[m].long_name,
                                       metric_table(s, index, site, direction, m)};
    columns[n++] = (ps_column){"done", "1 where the cell is finished", s->done};
    return ps_results_add_grid(results, site, direction, columns, n, finals, err);
}
