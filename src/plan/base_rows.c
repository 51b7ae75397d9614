/* base_rows.c - from prefixes to base rows. */
#include "patchsweep/base_rows.h"

#include "patchsweep/mem.h"

int ps_base_rows_init(ps_base_rows *rows, const ps_grid *grid, ps_err *err)
{
    *rows = (ps_base_rows){.grid = grid, .row_of = ps_malloc((size_t)grid->n_nodes, sizeof *rows->row_of, err)};
    return rows->row_of ? 0 : -1;
}

void ps_base_rows_release(ps_base_rows *rows)
{
    ps_free(rows->row_of);
}

uint64_t ps_base_rows_bytes(const ps_grid *grid)
{
    return (uint64_t)grid->n_nodes * sizeof(int32_t);
}

static void forget(ps_base_rows *rows)
{
    for (int32_t pair = rows->first_pair; pair < rows->first_pair + rows->n_pairs; pair++)
        for (int which = 0; which < PS_N_WHICH; which++)
            for (int32_t i = 0; i < rows->grid->pairs[pair].n_positions; i++)
                rows->row_of[rows->grid->pairs[pair].nodes[which][i]] = -1;
}

/* Number the rows that no earlier run has.  Returns the first of them; T if there is none. */
static int32_t number_run(ps_base_rows *rows, int32_t pair, enum ps_which which)
{
    const int32_t *nodes = rows->grid->pairs[pair].nodes[which];
    int32_t T = rows->grid->pairs[pair].n_positions, first = 0, pieces = 0;

    while (first < T && rows->row_of[nodes[first]] >= 0)
        first++;
    for (int32_t i = first; i < T; i++)
        rows->row_of[nodes[i]] = rows->n++;
    for (int32_t i = 0; i < T; i += ps_base_piece(rows, pair, which, i, T))
        pieces++;
    rows->most_pieces = pieces > rows->most_pieces ? pieces : rows->most_pieces;
    return first;
}

void ps_base_rows_number(ps_base_rows *rows, int32_t first_pair, int32_t n_pairs, ps_base_rows_visit *visit, void *context)
{
    rows->first_pair = first_pair;
    rows->n_pairs = n_pairs;
    rows->n = rows->most_pieces = 0;
    forget(rows);
    for (int32_t pair = first_pair; pair < first_pair + n_pairs; pair++)
        for (int which = 0; which < PS_N_WHICH; which++) {
            int32_t first = number_run(rows, pair, (enum ps_which)which);
            if (visit && first < rows->grid->pairs[pair].n_positions)
                visit(context, pair, (enum ps_which)which, first);
        }
}

int32_t ps_base_row(const ps_base_rows *rows, int32_t pair, enum ps_which which, int32_t position)
{
    return rows->row_of[rows->grid->pairs[pair].nodes[which][position]];
}

int32_t ps_base_piece(const ps_base_rows *rows, int32_t pair, enum ps_which which, int32_t position, int32_t end)
{
    const int32_t *nodes = rows->grid->pairs[pair].nodes[which];
    int32_t next = position + 1;

    while (next < end && rows->row_of[nodes[next]] == rows->row_of[nodes[next - 1]] + 1)
        next++;
    return next - position;
}
