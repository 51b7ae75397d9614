/* room.c - the blocks of a wave's engine: measured, allocated, freed by one table. */
#include <string.h>

#include "engine.h"
#include "patchsweep/mem.h"

/* Of the blocks: a panel's, those of the base rows, those of the rows in flight and of what they end in. */
enum { PANEL_BLOCKS = 12, BASE_BLOCKS = 2, ROWS_BLOCKS = 7, N_BLOCKS = PANEL_BLOCKS + BASE_BLOCKS + ROWS_BLOCKS };

static void list_blocks(ps_wave *w, ps_block blocks[N_BLOCKS])
{
    const largest *n = &w->most;
    size_t P = w->panel_rows, d = w->d, f = sizeof(float);
    size_t branches = w->trunk.branches ? d : 0, base = w->rank == 0 ? w->trunk.max_rows * branches : 0;
    const ps_block all[N_BLOCKS] = {
        {&w->rows, P * d, f}, {&w->h, P * d, f}, {&w->q, P * w->q_width, f}, {&w->k, P * w->kv_width, f},
        {&w->v, P * w->kv_width, f}, {&w->a, P * w->q_width, f}, {&w->mid, P * branches, f},
        {&w->mlp, P * branches, f}, {&w->index, P, sizeof *w->index}, {&w->positions, P, sizeof *w->positions},
        {&w->queries, P, sizeof *w->queries},
        {&w->keys, (P < n->strands ? P : n->strands) * w->keys_per_strand, sizeof *w->keys},

        {&w->next_mid, base, f}, {&w->next_mlp, base, f},

        {&w->x, n->rows * d, f}, {&w->strands, n->strands, sizeof *w->strands},
        {&w->panels, n->strands + 1, sizeof *w->panels}, {&w->rows_at, n->places, sizeof *w->rows_at},
        {&w->final, n->finals * d, f}, {&w->final_pair, n->finals, sizeof *w->final_pair},
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

/* The sizes of a wave's blocks; of all blocks only the trunk's table of rows is allocated. */
static int measure(ps_wave *w, const ps_grid *grid, const ps_plan *plan, const ps_config *config, int rank,
                   size_t panel_rows, ps_err *err)
{
    size_t hd = (size_t)config->head_dim, cells = ps_plan_max_cells(plan, rank);
    size_t runs = 2 * (size_t)ps_plan_max_pairs(plan), own = rank == 0 ? runs : 0;

    *w = (ps_wave){.grid = grid, .plan = plan, .rank = rank, .L = config->n_layers, .d = (size_t)config->d_model,
                   .q_width = (size_t)config->n_heads * hd, .kv_width = (size_t)config->n_kv_heads * hd,
                   .panel_rows = ps_wave_panel_rows(grid, plan, rank, panel_rows)};
    if (ps_trunk_init(&w->trunk, grid, plan, w->d, w->q_width, w->kv_width, err) < 0)
        return -1;
    /* a base run's, the patched row's and the cell's own in between, which may cut a piece in two */
    w->keys_per_strand = (size_t)w->trunk.max_pieces + 3;
    w->most = (largest){.rows = (size_t)ps_plan_rows(plan, rank) + (rank == 0 ? w->trunk.max_rows : 0),
                        .strands = cells + own, .finals = cells + runs,
                        .places = cells + own * (w->trunk.branches ? 3 : 1)};
    return 0;
}

int ps_wave_measure(ps_wave_bytes *out, const ps_grid *grid, const ps_plan *plan, const ps_config *config, int rank,
                    size_t panel_rows, ps_err *err)
{
    ps_wave w;
    ps_block blocks[N_BLOCKS];

    if (measure(&w, grid, plan, config, rank, panel_rows, err) < 0)
        return -1;
    list_blocks(&w, blocks);
    *out = (ps_wave_bytes){
        .panel = ps_blocks_bytes(blocks, PANEL_BLOCKS) +
                 ps_forward_bytes(config, w.panel_rows, (size_t)ps_grid_max_positions(grid)),
        .base = ps_blocks_bytes(blocks + PANEL_BLOCKS, BASE_BLOCKS) + ps_trunk_bytes(&w.trunk),
        .rows = ps_blocks_bytes(blocks + PANEL_BLOCKS + BASE_BLOCKS, ROWS_BLOCKS),
        .head = ps_head_bytes(config, w.most.finals, ps_plan_max_pairs(plan))};
    ps_trunk_release(&w.trunk);
    return 0;
}

int ps_wave_open(ps_wave **out, const ps_grid *grid, const ps_plan *plan, const ps_config *config,
                 ps_weights *weights, const ps_backend *backend, ps_comm *comm, size_t panel_rows,
                 ps_err *err)
{
    ps_block blocks[N_BLOCKS];
    ps_wave *w = ps_calloc(1, sizeof *w, err);

    if (!w)
        return -1;
    if (measure(w, grid, plan, config, ps_comm_rank(comm), panel_rows, err) < 0)
        goto fail;
    w->comm = comm;
    list_blocks(w, blocks);
    if (ps_forward_open(&w->forward, config, weights, backend, w->panel_rows, (size_t)ps_grid_max_positions(grid),
                        err) < 0 ||
        ps_trunk_alloc(&w->trunk, err) < 0 ||
        ps_head_open(&w->head, grid, config, weights, w->forward, w->most.finals, ps_plan_max_pairs(plan), err) < 0 ||
        ps_blocks_alloc(blocks, N_BLOCKS, err) < 0)
        goto fail;
    *out = w;
    return 0;
fail:
    ps_wave_close(w);
    return -1;
}

void ps_wave_close(ps_wave *w)
{
    ps_block blocks[N_BLOCKS];

    if (!w)
        return;
    list_blocks(w, blocks);
    ps_blocks_free(blocks, N_BLOCKS);
    ps_trunk_release(&w->trunk);
    ps_head_close(w->head);
    ps_forward_close(w->forward);
    ps_free(w);
}
