/* scores.c - tables of doubles, one for each pair, site and direction. */
#include "scores.h"

#include <math.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/minmax.h"

static size_t table_of(int32_t pair, int site, int direction)
{
    return ((size_t)pair * PS_N_SITES + (size_t)site) * PS_N_DIRECTIONS + (size_t)direction;
}

/* Choose the metrics that are kept: those asked for, and one that every computed cell has. */
static unsigned kept(const ps_grid *grid)
{
    return grid->metrics | 1u << PS_LOGIT_ANSWER;
}

/* Count the kept metrics before `metric` in a table. */
static size_t kept_before(const ps_grid *grid, int metric)
{
    return (size_t)__builtin_popcount(kept(grid) & ((1u << metric) - 1));
}

/* Return the values of `metric`, a kept one, over the axes of the site. */
static double *metric_table(const ps_scores *s, int32_t pair, int site, int direction, int metric)
{
    return s->tables[table_of(pair, site, direction)] + kept_before(s->grid, metric) * ps_grid_cells(s->grid, pair, site);
}

/* Count the values of a table; 0 if there is none. */
static size_t table_values(const ps_grid *grid, int32_t pair, int site, int direction)
{
    return ps_grid_asks(grid, site, direction) ? ps_grid_cells(grid, pair, site) * kept_before(grid, PS_N_METRICS) : 0;
}

/* Count the values of all tables.  *most gets the number of cells of the largest table. */
static size_t all_values(const ps_grid *grid, size_t *most)
{
    size_t n = 0;

    *most = 0;
    for (int32_t pair = 0; pair < grid->n_pairs; pair++)
        for (int site = 0; site < PS_N_SITES; site++)
            for (int dir = 0; dir < PS_N_DIRECTIONS; dir++) {
                n += table_values(grid, pair, site, dir);
                *most = ps_grid_asks(grid, site, dir) ? ps_max(*most, ps_grid_cells(grid, pair, site)) : *most;
            }
    return n;
}

#define N_BLOCKS 6

static void list_blocks(ps_scores *s, const ps_grid *grid, ps_block blocks[N_BLOCKS])
{
    size_t pairs = (size_t)grid->n_pairs, most, n = all_values(grid, &most);
    const ps_block all[N_BLOCKS] = {
        {&s->base, pairs, sizeof *s->base},
        {&s->tables, pairs * PS_N_SITES * PS_N_DIRECTIONS, sizeof *s->tables},
        {&s->values, n, sizeof(double)},
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
    size_t most, n = all_values(grid, &most);
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
                next += table_values(grid, pair, site, dir);
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

void ps_scores_put(ps_scores *s, const ps_cell *cell, const double values[PS_N_METRICS])
{
    int64_t place = ps_grid_place(s->grid, cell);

    for (int m = 0; m < PS_N_METRICS; m++)
        if (kept(s->grid) >> m & 1)
            metric_table(s, cell->pair, cell->site, cell->direction, m)[place] = values[m];
}

/* Give cell `to` the values of cell `from`, which was computed for both. */
static void copy_values(ps_scores *s, const ps_cell *to, const ps_cell *from)
{
    int64_t there = ps_grid_place(s->grid, to), here = ps_grid_place(s->grid, from);

    for (int m = 0; m < PS_N_METRICS; m++)
        if (kept(s->grid) >> m & 1)
            metric_table(s, to->pair, to->site, to->direction, m)[there] =
                metric_table(s, from->pair, from->site, from->direction, m)[here];
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
    /* every computed cell has a value of this metric; NaN: the cell was not swept */
    const double *present = metric_table(s, pair, site, direction, PS_LOGIT_ANSWER);
    double clean = s->base[pair][PS_CLEAN].values[metric];
    double corrupt = s->base[pair][PS_CORRUPT].values[metric];
    ps_score_range range = {.least = INFINITY, .most = -INFINITY};
    size_t n = ps_grid_cells(s->grid, pair, site), largest = 0;

    for (size_t i = 0; i < n; i++) {
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
            largest = i;
        }
    }
    range.at = (ps_cell){.pair = pair, .site = (uint8_t)site, .direction = (uint8_t)direction};
    ps_grid_set_place(s->grid, &range.at, (int64_t)largest);
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
