/* cost.c - floating-point operations, counted from the paths of the cells. */
#include "patchsweep/cost.h"

#include "patchsweep/family.h"
#include "patchsweep/metric.h"

typedef struct per_row {
    const ps_config *config;
    double layer, key, head; /* operations of: all steps of a layer, one key of attention, the LM head */
} per_row;

static per_row of_config(const ps_config *c)
{
    per_row r = {.config = c, .key = ps_program_key_flops(c), .head = 2.0 * c->d_model * c->vocab};

    for (const ps_step *step = c->family->layer; step->op != PS_OP_END; step++)
        r.layer += ps_program_row_flops(c, step);
    return r;
}

/* Keys that queries at positions 0 .. n-1 see. */
static double keys_of_first(int32_t n, int32_t window)
{
    double near = window && n > window ? window : n;

    return near * (near + 1) / 2 + (n - near) * near;
}

/* Keys that queries at positions from .. end-1 see. */
static double keys(int32_t from, int32_t end, int32_t window)
{
    return keys_of_first(end, window) - keys_of_first(from, window);
}

/* The mean of the layers' keys of a whole run of T positions. */
static double keys_of_run(const ps_config *c, int32_t T)
{
    double sum = 0;

    for (int32_t layer = 0; layer < c->n_layers; layer++)
        sum += keys(0, T, c->layers[layer].window);
    return sum / c->n_layers;
}

/* One layer of a cell: what each step computes, and the keys that attention sees. */
static double of_phase(const per_row *r, const ps_path *path, const ps_phase *phase, int32_t window)
{
    const ps_step *program = r->config->family->layer;
    double flops = 0;

    for (size_t i = 0; program[i].op != PS_OP_END; i++) {
        int32_t begin = 0, end = phase->n_step[i + 1] ? ps_path_positions(path) : 0;
        flops += phase->n_step[i + 1] * ps_program_row_flops(r->config, &program[i]);
        if (program[i].op != PS_OP_ATTEND)
            continue;
        for (const ps_stretch *s = ps_path_stretches(path, phase, i + 1); begin < end; begin = s->end, s++)
            if (s->place == PS_AT_STEP || s->place == PS_AT_STEP_PUT)
                flops += keys(begin, s->end, window) * r->key;
    }
    return flops;
}

static double of_cell(const per_row *r, const ps_path *path, const ps_cell *cell, int32_t L)
{
    const ps_phase *phase = NULL;
    int32_t window = 0;
    double flops = 0, each = 0;

    for (int32_t layer = cell->layer; layer < L; layer++) {
        const ps_phase *next = ps_path_phase(path, layer - cell->layer, layer == L - 1);
        int32_t sees = r->config->layers[layer].window;
        each = next == phase && sees == window ? each : of_phase(r, path, next, sees);
        phase = next;
        window = sees;
        flops += each;
    }
    return flops;
}

/* The rows of a base run that no earlier run of the wave has. */
static double of_base_rows(const per_row *r, const ps_plan_wave *wave, const ps_grid *grid)
{
    double mean_keys = 0, rows = 0;

    for (int32_t i = wave->first_pair; i < wave->first_pair + wave->n_pairs; i++) {
        mean_keys += keys_of_run(r->config, grid->pairs[i].n_positions);
        rows += grid->pairs[i].n_positions;
    }
    return (double)wave->trunk_rows * grid->n_layers * (r->layer + r->key * mean_keys / rows);
}

ps_cost ps_cost_of(const ps_plan *plan, const ps_grid *grid, const ps_config *config)
{
    per_row r = of_config(config);
    ps_cost cost = {.parameters = ps_family_numbers(config)};
    bool all_logits = ps_metrics_need_vocabulary(grid->metrics);

    for (const ps_plan_wave *w = plan->waves; w < plan->waves + plan->n_waves; w++) {
        double rows = (double)w->trunk_rows;
        cost.flops += of_base_rows(&r, w, grid) +
                      r.head * (2.0 * w->n_pairs + (all_logits ? (double)w->n_cells : 0));
        for (size_t i = w->first_cell; i < w->first_cell + w->n_cells; i++) {
            ps_err none = PS_ERR_INIT; /* the plan has made all paths */
            cost.flops += of_cell(&r, ps_grid_path(grid, &plan->cells[i], &none), &plan->cells[i], grid->n_layers);
            rows += ps_grid_cell_rows(grid, &plan->cells[i]);
        }
        cost.rows = rows > cost.rows ? rows : cost.rows;
    }
    for (const ps_grid_pair *p = grid->pairs; p < grid->pairs + grid->n_pairs; p++) {
        double whole = grid->n_layers * (p->n_positions * r.layer + keys_of_run(config, p->n_positions) * r.key) + r.head;
        double cells = 0;
        for (int site = 0; site < PS_N_SITES; site++)
            for (int dir = 0; dir < PS_N_DIRECTIONS; dir++)
                cells += ps_grid_asks(grid, site, dir) ? (double)ps_grid_swept(grid, (int32_t)(p - grid->pairs), site) : 0;
        cost.naive_flops += (cells + 2) * whole;
    }
    return cost;
}
