/* room.c - the memory of a wave's engine: tables of blocks, by which it is measured, allocated and freed. */
#include <string.h>

#include "engine.h"
#include "patchsweep/family.h"
#include "patchsweep/mem.h"
#include "patchsweep/minmax.h"

/* Stores: those of a panel, and those of rows in flight and final rows. */
enum { PANEL_STORES = PS_N_REGS + 2, ROWS_STORES = 2, N_STORES = PANEL_STORES + ROWS_STORES, N_BLOCKS = 8 };

static void list_stores(ps_wave *w, ps_store stores[N_STORES])
{
    size_t P = w->panel_rows;
    bool used[PS_N_REGS] = {false};

    for (size_t i = 0; i < w->in.n_steps; i++)
        used[w->program[i].out] = true;
    for (int reg = 0; reg < PS_N_REGS; reg++) {
        size_t rows = P + (reg == PS_K || reg == PS_V ? w->kept.most_rows : 0);
        stores[reg] = (ps_store){&w->reg[reg], used[reg] ? rows * ps_program_width(w->config, (enum ps_reg)reg) : 0};
    }
    for (int i = 0; i < 2; i++)
        stores[PS_N_REGS + i] = (ps_store){&w->scratch[i], P * w->scratch_width};
    stores[PANEL_STORES] = (ps_store){&w->x, w->most.x_rows * w->d};
    stores[PANEL_STORES + 1] = (ps_store){&w->final, w->most.finals * w->d};
}

/* Blocks in host memory: the mirror, the lists of cells and rows in flight, and the metrics. */
static void list_blocks(ps_wave *w, const ps_backend *backend, ps_block blocks[N_BLOCKS])
{
    const largest *n = &w->most;
    size_t mirrored = ps_max(PS_BROADCAST_FLOATS, ps_max(n->x_rows, n->finals) * w->d);
    const ps_block all[N_BLOCKS] = {
        {&w->mirror.host, ps_mirror_floats(backend, mirrored), sizeof(float)},
        {&w->cells, n->cells, sizeof *w->cells},
        {&w->carried, n->cells, sizeof *w->carried},
        {&w->late, (size_t)w->L, sizeof *w->late},
        {&w->rows_at, n->strands, sizeof *w->rows_at},
        {&w->final_row, n->finals, sizeof *w->final_row},
        {&w->final_pair, n->finals, sizeof *w->final_pair},
        {&w->values, n->finals, sizeof *w->values},
    };
    memcpy(blocks, all, sizeof all);
}

size_t ps_wave_panel_rows(const ps_grid *grid, const ps_plan *plan, int rank, size_t asked)
{
    size_t T = (size_t)ps_grid_max_positions(grid), most = asked ? asked : PS_WAVE_PANEL_ROWS;
    size_t rows = (size_t)(ps_plan_rows(plan, rank) + (rank == 0 ? ps_plan_max_trunk_rows(plan) : 0));

    most = most < T ? T : most;
    return rows == 0 ? 1 : rows < most ? rows : most;
}

/* The widest rows that a step may gather: X, kept values, and values computed before attention, of which the model's last layer
 * reads only some rows. */
static size_t gathered_width(const ps_wave *w)
{
    size_t most = w->d;

    for (size_t i = 0; i < w->in.n_steps; i++)
        if (i < w->in.attend || w->kept.values >> (i + 1) & 1)
            most = ps_max(most, ps_program_width(w->config, (enum ps_reg)w->program[i].out));
    return most;
}

static ps_schedule_needs schedule_needs(ps_wave *w, bool alone)
{
    return (ps_schedule_needs){.program = w->program, .base = &w->base, .n_layers = w->L, .most_strands = w->most.strands,
                               .most_pieces = w->most.pieces, .panel_rows = (int32_t)w->panel_rows, .leads = w->rank == 0,
                               .alone = alone, .patterns = ps_grid_sweeps_tap(w->grid, PS_TAP_OF_WEIGHTS)};
}

/* Set the sizes of a wave's blocks.  Only the table of base rows is allocated. */
static int measure(ps_wave *w, const ps_grid *grid, const ps_plan *plan, const ps_config *config, int rank,
                   size_t panel_rows, ps_err *err)
{
    size_t cells = ps_plan_max_cells(plan, rank), runs = 2 * (size_t)ps_plan_max_pairs(plan);
    size_t base_rows = (size_t)ps_plan_max_trunk_rows(plan);

    *w = (ps_wave){.grid = grid, .plan = plan, .config = config, .program = config->family->layer, .rank = rank,
                   .size = plan->size, .L = config->n_layers, .d = (size_t)config->d_model,
                   .panel_rows = ps_wave_panel_rows(grid, plan, rank, panel_rows)};
    w->in = ps_program_resolve(w->program);
    ps_base_values_init(&w->kept, config, ps_paths_looked_up(grid->paths), base_rows);
    /* these lie in K's and V's stores */
    w->kept.values &= ~(1u << w->in.value[w->in.attend][1] | 1u << w->in.value[w->in.attend][2]);
    w->scratch_width = gathered_width(w);
    if (ps_base_rows_init(&w->base, grid, err) < 0)
        return -1;
    for (size_t i = 0; i < plan->n_waves; i++) {
        ps_base_rows_number(&w->base, plan->waves[i].first_pair, plan->waves[i].n_pairs, NULL, NULL);
        w->most.pieces = w->base.most_pieces > w->most.pieces ? w->base.most_pieces : w->most.pieces;
    }
    w->most.x_rows = (size_t)ps_plan_rows(plan, rank) + (rank == 0 ? base_rows : 0);
    w->most.cells = cells;
    w->most.strands = cells + (rank == 0 ? runs : 0);
    w->most.finals = cells + runs;
    return 0;
}

int ps_wave_measure(ps_wave_bytes *out, const ps_grid *grid, const ps_plan *plan, const ps_config *config,
                    const ps_backend *backend, int rank, size_t panel_rows, ps_err *err)
{
    ps_wave w;
    ps_store stores[N_STORES];
    ps_block blocks[N_BLOCKS];

    if (measure(&w, grid, plan, config, rank, panel_rows, err) < 0)
        return -1;
    const ps_schedule_needs needs = schedule_needs(&w, plan->size == 1);
    list_stores(&w, stores);
    list_blocks(&w, backend, blocks);
    *out = (ps_wave_bytes){
        .panel = ps_stores_bytes(stores, PANEL_STORES) + ps_schedule_bytes(&needs) +
                 ps_forward_bytes(config, (size_t)ps_grid_max_positions(grid)),
        .base = ps_base_rows_bytes(grid) + ps_base_values_bytes(&w.kept),
        .rows = ps_stores_bytes(stores + PANEL_STORES, ROWS_STORES) + ps_blocks_bytes(blocks, N_BLOCKS),
        .head = ps_lm_head_bytes(config, backend, w.most.finals, ps_plan_max_pairs(plan))};
    ps_base_rows_release(&w.base);
    return 0;
}

int ps_wave_open(ps_wave **out, const ps_grid *grid, const ps_plan *plan, const ps_wave_model *model, ps_comm *comm,
                 size_t panel_rows, ps_err *err)
{
    const ps_config *config = model->config;
    const ps_backend *backend = model->backend;
    ps_store stores[N_STORES];
    ps_block blocks[N_BLOCKS];
    ps_wave *w = ps_calloc(1, sizeof *w, err);

    if (!w)
        return -1;
    if (measure(w, grid, plan, config, ps_comm_rank(comm), panel_rows, err) < 0)
        goto fail;
    w->comm = comm;
    w->backend = w->mirror.backend = backend;
    list_stores(w, stores);
    list_blocks(w, backend, blocks);
    const ps_schedule_needs needs = schedule_needs(w, ps_comm_size(comm) == 1);
    if (ps_forward_open(&w->forward, config, model->weights, backend, (size_t)ps_grid_max_positions(grid), err) < 0 ||
        ps_schedule_open(&w->schedule, &needs, err) < 0 || ps_base_values_open(&w->kept, backend, err) < 0 ||
        ps_lm_head_open(&w->head, grid, config, model->weights, w->forward, w->most.finals, ps_plan_max_pairs(plan), err) < 0 ||
        ps_stores_open(backend, stores, N_STORES, err) < 0 || ps_blocks_alloc(blocks, N_BLOCKS, err) < 0)
        goto fail;
    *out = w;
    return 0;
fail:
    ps_wave_close(w);
    return -1;
}

void ps_wave_close(ps_wave *w)
{
    ps_store stores[N_STORES];
    ps_block blocks[N_BLOCKS];

    if (!w)
        return;
    if (w->backend) { /* else nothing was measured */
        list_stores(w, stores);
        list_blocks(w, w->backend, blocks);
        ps_stores_close(w->backend, stores, N_STORES);
        ps_blocks_free(blocks, N_BLOCKS);
        ps_base_values_close(&w->kept, w->backend);
    }
    ps_schedule_close(w->schedule);
    ps_base_rows_release(&w->base);
    ps_lm_head_close(w->head);
    ps_forward_close(w->forward);
    ps_free(w);
}
