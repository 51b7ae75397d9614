/* harvest.c - each rank sends one block: the values of its cells, then their final rows if the grid keeps them. */
#include "harvest.h"

#include <string.h>

#include "patchsweep/mem.h"
#include "records.h"

typedef struct gathering {
    const ps_harvest *harvest;
    const ps_plan_wave *wave;
} gathering;

/* Bytes of the block of n cells; *values gets the bytes of the values alone. */
static size_t block_bytes(const ps_grid *grid, size_t d, size_t n, size_t *values)
{
    *values = n * PS_N_METRICS * sizeof(double);
    return *values + (grid->patched_final ? n * d * sizeof(float) : 0);
}

/* List the cells that `rank` has of the wave, in the plan's order.  Returns how many. */
static size_t list_cells(const gathering *g, int rank, ps_cell *cells)
{
    const ps_plan *plan = g->harvest->plan;
    size_t n = 0;

    for (size_t i = g->wave->first_cell; i < g->wave->first_cell + g->wave->n_cells; i++)
        if (plan->owner[i] == rank)
            cells[n++] = plan->cells[i];
    return n;
}

static int take_cells(void *context, int rank, const void *block, size_t bytes, ps_err *err)
{
    const gathering *g = context;
    const ps_harvest *h = g->harvest;
    size_t value_bytes;
    ps_cell *cells = ps_malloc(ps_plan_max_cells(h->plan, rank), sizeof *cells, err);

    if (!cells)
        return -1;
    size_t n = list_cells(g, rank, cells);
    int rc = -1;
    if (bytes != block_bytes(h->grid, h->d_model, n, &value_bytes))
        ps_err_set(err, PS_EFAIL, "rank %d sent %zu bytes for %zu cells", rank, bytes, n);
    else
        rc = ps_ledger_add_cells(h->ledger, cells, block,
                                 h->grid->patched_final ? (const void *)((const char *)block + value_bytes) : NULL, n, err);
    ps_free(cells);
    return rc;
}

int ps_harvest_cells(const ps_harvest *h, const ps_plan_wave *wave, const ps_wave_values *v, ps_err *err)
{
    gathering g = {h, wave};
    size_t values, bytes = block_bytes(h->grid, h->d_model, v->n_cells, &values);
    char *block = ps_malloc(bytes, 1, err);

    if (!block)
        return -1;
    memcpy(block, v->cells, values);
    memcpy(block + values, v->finals, bytes - values);
    int rc = ps_comm_gather(h->comm, block, bytes, take_cells, &g, err);
    ps_free(block);
    return rc;
}

uint64_t ps_harvest_bytes(const ps_grid *grid, const ps_plan *plan, size_t d_model, int rank)
{
    size_t values, most = 0;
    uint64_t own = block_bytes(grid, d_model, ps_plan_max_cells(plan, rank), &values);

    if (rank != 0)
        return own;
    for (int other = 1; other < plan->size; other++) /* blocks arrive one at a time */
        most = ps_plan_max_cells(plan, other) > most ? ps_plan_max_cells(plan, other) : most;
    uint64_t received = block_bytes(grid, d_model, most, &values);
    most = ps_plan_max_cells(plan, 0) > most ? ps_plan_max_cells(plan, 0) : most;
    return own + received + most * sizeof(ps_cell) + ps_records_bytes(grid, most, d_model);
}
