/*
 * cost.c - operations, row by row, as the engine computes them.
 *
 * Not counted: q, k and v of rows that are copies of base rows; and in the last layer all of a cell but its last
 * row, save for the k and v that the last row sees.
 */
#include "patchsweep/cost.h"

#include "patchsweep/forward.h"
#include "patchsweep/metric.h"

typedef struct per_row {
    double q, kv, rest, key, head; /* operations of: projections, output and MLP, one key of attention, the LM head */
} per_row;

static per_row of_config(const ps_config *c)
{
    double d = c->d_model, q = (double)c->n_heads * c->head_dim, kv = (double)c->n_kv_heads * c->head_dim;

    return (per_row){.q = 2 * d * q, .kv = 4 * d * kv, .rest = 2 * d * q + 6 * d * c->d_mlp, .key = 4 * q,
                     .head = 2 * d * c->vocab};
}

/* Keys that queries at positions from .. end-1 see. */
static double keys(int32_t from, int32_t end)
{
    return ((double)end * (end + 1) - (double)from * (from + 1)) / 2;
}

static double of_cell(const per_row *r, const ps_grid *grid, const ps_cell *cell)
{
    int32_t T = grid->pairs[cell->pair].n_positions, entry = ps_cell_entry(cell), L = grid->n_layers;
    int32_t rows = ps_plan_cell_rows(grid, cell), first = T - rows;
    double flops = 0;

    for (int32_t layer = entry; layer < L; layer++) {
        int32_t from = layer == L - 1 ? T - 1 : first;
        /* only the patched row of an entering cell is projected, and only if it is no copy */
        int32_t projected = layer > entry ? rows : ps_site_kinds[cell->site].copy ? 0 : 1;
        int32_t asked = projected > from - first ? projected - (from - first) : 0;
        flops += projected * r->kv + asked * r->q + (T - from) * r->rest + keys(from, T) * r->key;
    }
    return flops;
}

/* The rows of a base run that no earlier run of the wave has. */
static double of_base_rows(const per_row *r, const ps_plan_wave *wave, const ps_grid *grid)
{
    double mean_keys = 0, rows = 0;

    for (int32_t i = wave->first_pair; i < wave->first_pair + wave->n_pairs; i++) {
        mean_keys += keys(0, grid->pairs[i].n_positions);
        rows += grid->pairs[i].n_positions;
    }
    return (double)wave->trunk_rows * grid->n_layers * (r->q + r->kv + r->rest + r->key * mean_keys / rows);
}

static double numbers(const ps_config *c, const per_row *r)
{
    double layers = c->n_layers * (r->q + r->kv + r->rest) / 2, ends = (double)c->d_model * c->vocab;

    return layers + ends * (c->tied ? 1 : 2);
}

ps_cost ps_cost_of(const ps_plan *plan, const ps_grid *grid, const ps_config *config)
{
    per_row r = of_config(config);
    ps_cost cost = {.weights = numbers(config, &r)};
    bool all_logits = ps_metrics_need_vocabulary(grid->metrics);

    for (const ps_plan_wave *w = plan->waves; w < plan->waves + plan->n_waves; w++) {
        double rows = (double)w->trunk_rows;
        cost.flops += of_base_rows(&r, w, grid) +
                      r.head * (2.0 * w->n_pairs + (all_logits ? (double)w->n_cells : 0));
        for (size_t i = w->first_cell; i < w->first_cell + w->n_cells; i++) {
            cost.flops += of_cell(&r, grid, &plan->cells[i]);
            rows += ps_plan_cell_rows(grid, &plan->cells[i]);
        }
        cost.rows = rows > cost.rows ? rows : cost.rows;
    }
    for (const ps_grid_pair *p = grid->pairs; p < grid->pairs + grid->n_pairs; p++) {
        double whole = grid->n_layers * (p->n_positions * (r.q + r.kv + r.rest) + keys(0, p->n_positions) * r.key) + r.head;
        double cells = 0;
        for (int site = 0; site < PS_N_SITES; site++)
            for (int dir = 0; dir < PS_N_DIRECTIONS; dir++)
                cells += ps_grid_asks(grid, site, dir) ? (double)grid->n_swept_layers * p->n_swept : 0;
        cost.naive_flops += (cells + 2) * whole;
    }
    return cost;
}
