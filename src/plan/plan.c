/*
 * plan.c - enumerate, cut into waves, sort by entry, deal to the lightest rank.
 */
#include "patchsweep/plan.h"

#include <string.h>

#include "patchsweep/check.h"
#include "patchsweep/mem.h"
#include "patchsweep/minmax.h"

/* A cell's entry and the rows that it carries: looked up once for each cell. */
typedef struct weight {
    int32_t entry, rows;
} weight;

typedef struct builder {
    const ps_grid *grid;
    ps_plan *plan;
    ps_plan_options options;
    bool flight;       /* placing the cells of the snapshot, not the others */
    int64_t max_rows;
    int64_t rows;      /* of the open wave, base runs included */
    bool closed;       /* the next pair opens a wave */
    bool *placed;      /* [n_pairs] its base runs are in some wave */
    size_t *in_wave;   /* [n_nodes] the last wave, from 1, whose base runs have that prefix */
    weight *loads;       /* [plan->n_cells] */
    size_t cells_cap, loads_cap, waves_cap;
    ps_err *err;
} builder;

/* ---- cells ---- */

/* Does the cell belong to the waves being made?  These are first the waves of the snapshot, then all others. */
static bool in_turn(const builder *b, const ps_cell *cell)
{
    const ps_plan_options *o = &b->options;

    if (o->done && ps_cellset_has(o->done, cell))
        return false;
    return b->flight == (o->flight && ps_cellset_has(o->flight, cell));
}

static int append(builder *b, const ps_cell *cell)
{
    ps_plan *plan = b->plan;

    if (!in_turn(b, cell))
        return 0;
    const ps_path *path = ps_grid_path(b->grid, cell, b->err);
    if (!path || ps_grow(&plan->cells, plan->n_cells, &b->cells_cap, sizeof *plan->cells, b->err) < 0 ||
        ps_grow(&b->loads, plan->n_cells, &b->loads_cap, sizeof *b->loads, b->err) < 0)
        return -1;
    b->loads[plan->n_cells] = (weight){ps_grid_entry(b->grid, cell, path), ps_path_positions(path) - ps_path_first_row(path)};
    plan->cells[plan->n_cells++] = *cell;
    plan->n_checks += cell->check != PS_NO_CHECK;
    return 0;
}

static int add_cell(void *context, const ps_cell *cell)
{
    builder *b = context;
    ps_cell twin;

    if (ps_grid_free_cell(b->grid, cell, NULL) || ps_grid_twin(b->grid, cell, &twin)) {
        b->plan->n_free += !b->flight;
        if (!b->options.free_too)
            return 0;
    }
    return append(b, cell);
}

static int add_cells_of_pair(builder *b, int32_t pair)
{
    ps_cell checks[PS_MAX_CHECKS];
    size_t n = b->options.checks ? ps_check_cells(b->grid, pair, checks) : 0;

    if (ps_grid_each_of_pair(b->grid, pair, add_cell, b) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (append(b, &checks[i]) < 0)
            return -1;
    return 0;
}

/* ---- waves ---- */

static int open_wave(builder *b, int32_t pair, size_t first_cell)
{
    ps_plan *plan = b->plan;

    if (ps_grow(&plan->waves, plan->n_waves, &b->waves_cap, sizeof *plan->waves, b->err) < 0)
        return -1;
    plan->waves[plan->n_waves++] = (ps_plan_wave){.first_pair = pair, .first_cell = first_cell,
                                                  .start = b->flight ? b->options.layer : 0};
    b->rows = 0;
    b->closed = false;
    return 0;
}

/* Count the base rows that a pair would add to the open wave; add them where `join`. */
static int64_t new_base_rows(builder *b, int32_t pair, bool join)
{
    const ps_grid_pair *p = &b->grid->pairs[pair];
    size_t wave = b->plan->n_waves;
    int64_t n = 0;

    for (int which = 0; which < PS_N_WHICH; which++) {
        /* the two runs share their rows before D */
        for (int32_t t = which ? p->first_difference : 0; t < p->n_positions; t++) {
            n += b->in_wave[p->nodes[which][t]] != wave;
            if (join)
                b->in_wave[p->nodes[which][t]] = wave;
        }
    }
    return n;
}

static void join_wave(builder *b, int32_t pair)
{
    ps_plan_wave *wave = &b->plan->waves[b->plan->n_waves - 1];
    int64_t rows = new_base_rows(b, pair, true);

    b->placed[pair] = true;
    wave->n_pairs++;
    wave->trunk_rows += rows;
    b->rows += rows;
}

/* Place a pair without cells: only its base runs are computed. */
static bool in_place(const builder *b, int32_t pair, size_t at)
{
    bool cells = at < b->plan->n_cells;
    bool known = b->placed[pair] || (b->options.done && ps_cellset_has_pair(b->options.done, pair));

    return cells || (!b->flight && !known);
}

/* Put a pair's cells, from *at on, into the open wave or into new ones. */
static int place_pair(builder *b, int32_t pair, size_t *at)
{
    ps_plan *plan = b->plan;
    int64_t rows = new_base_rows(b, pair, false);

    for (size_t i = *at; i < plan->n_cells && plan->cells[i].pair == pair; i++)
        rows += b->loads[i].rows;
    if ((b->closed || (b->rows > 0 && b->rows + rows > b->max_rows) ||
         plan->waves[plan->n_waves - 1].n_pairs == PS_PLAN_MAX_PAIRS) &&
        open_wave(b, pair, *at) < 0)
        return -1;
    join_wave(b, pair);
    for (; *at < plan->n_cells && plan->cells[*at].pair == pair; ++*at) {
        int64_t more = b->loads[*at].rows;
        if (b->rows + more > b->max_rows && plan->waves[plan->n_waves - 1].n_cells > 0) {
            if (open_wave(b, pair, *at) < 0)
                return -1;
            join_wave(b, pair);
        }
        b->rows += more;
        plan->waves[plan->n_waves - 1].n_cells++;
    }
    return 0;
}

/* ---- ranks ---- */

/* Memory to sort the cells of a wave. */
typedef struct sorter {
    uint32_t *order, *next; /* [cells] */
    size_t *count;          /* [bins + 1] of entries or rows */
    ps_cell *cells;         /* [cells] */
    weight *loads;
    size_t bins;
} sorter;

static void close_sorter(sorter *s)
{
    ps_free(s->order);
    ps_free(s->next);
    ps_free(s->count);
    ps_free(s->cells);
    ps_free(s->loads);
}

static int open_sorter(sorter *s, const builder *b, ps_err *err)
{
    size_t n = 0, bins = ps_max((size_t)b->grid->n_layers, (size_t)ps_grid_max_positions(b->grid)) + 1;

    for (const ps_plan_wave *w = b->plan->waves; w < b->plan->waves + b->plan->n_waves; w++)
        n = w->n_cells > n ? w->n_cells : n;
    *s = (sorter){ps_malloc(n, sizeof *s->order, err), ps_malloc(n, sizeof *s->next, err),
                  ps_malloc(bins + 1, sizeof *s->count, err), ps_malloc(n, sizeof *s->cells, err),
                  ps_malloc(n, sizeof *s->loads, err), bins};
    if (s->order && s->next && s->count && s->cells && s->loads)
        return 0;
    close_sorter(s);
    return -1;
}

static size_t bin_of(const sorter *s, const weight *l, bool by_rows)
{
    return by_rows ? s->bins - 1 - (size_t)l->rows : (size_t)l->entry;
}

/* Sort s->order by rows, most first, or by entry.  The sort is stable. */
static void sort_by(sorter *s, const weight *loads, size_t n, bool by_rows)
{
    memset(s->count, 0, (s->bins + 1) * sizeof *s->count);
    for (size_t i = 0; i < n; i++)
        s->count[bin_of(s, &loads[i], by_rows) + 1]++;
    for (size_t i = 0; i < s->bins; i++)
        s->count[i + 1] += s->count[i];
    for (size_t i = 0; i < n; i++)
        s->next[s->count[bin_of(s, &loads[s->order[i]], by_rows)]++] = s->order[i];
    uint32_t *was = s->order;
    s->order = s->next;
    s->next = was;
}

/* Sort a wave's cells by entry, then by rows. */
static void sort_wave(sorter *s, builder *b, const ps_plan_wave *wave)
{
    ps_cell *cells = b->plan->cells + wave->first_cell;
    weight *loads = b->loads + wave->first_cell;
    size_t n = wave->n_cells;

    for (size_t i = 0; i < n; i++)
        s->order[i] = (uint32_t)i;
    sort_by(s, loads, n, true);
    sort_by(s, loads, n, false);
    for (size_t i = 0; i < n; i++) {
        s->cells[i] = cells[s->order[i]];
        s->loads[i] = loads[s->order[i]];
    }
    memcpy(cells, s->cells, n * sizeof *cells);
    memcpy(loads, s->loads, n * sizeof *loads);
}

/* A heap of ranks by their rows at the current layer, the lightest first; of equals, the lowest rank. */
typedef struct dealer {
    ps_plan_share *load; /* [size] */
    int32_t *heap;       /* [size] */
    int size;
} dealer;

static bool is_lighter(const dealer *r, int32_t a, int32_t b)
{
    return r->load[a].rows != r->load[b].rows ? r->load[a].rows < r->load[b].rows : a < b;
}

/* Move the rank at `at` down the heap to its place. */
static void sift(dealer *r, int at)
{
    int32_t rank = r->heap[at];

    for (int child; (child = 2 * at + 1) < r->size; at = child) {
        child += child + 1 < r->size && is_lighter(r, r->heap[child + 1], r->heap[child]);
        if (!is_lighter(r, r->heap[child], rank))
            break;
        r->heap[at] = r->heap[child];
    }
    r->heap[at] = rank;
}

static void begin_dealer(dealer *r, int64_t trunk_rows)
{
    memset(r->load, 0, (size_t)r->size * sizeof *r->load);
    r->load[0].rows = trunk_rows;
    for (int rank = 0; rank < r->size; rank++)
        r->heap[rank] = rank;
    for (int at = r->size / 2; at >= 0; at--)
        sift(r, at);
}

/* Give a cell to the lightest rank.  Returns the rank. */
static int32_t give(dealer *r, int32_t rows)
{
    int32_t rank = r->heap[0];

    r->load[rank].rows += rows;
    r->load[rank].cells++;
    sift(r, 0);
    return rank;
}

/* Note what each rank carries of a wave that is dealt.  Rank 0's load includes the base runs. */
static void note_shares(ps_plan *plan, const ps_plan_wave *wave, ps_plan_share *load)
{
    load[0].rows -= wave->trunk_rows;
    for (int rank = 0; rank < plan->size; rank++) {
        ps_plan_share *most = &plan->shares[rank];
        most->rows = load[rank].rows > most->rows ? load[rank].rows : most->rows;
        most->cells = load[rank].cells > most->cells ? load[rank].cells : most->cells;
    }
}

/*
 * Deal a wave's cells and count its work.  r->load[] has each rank's rows at the current layer; rank 0
 * starts with the base runs.  *busiest gets the sum over layers of the largest load.
 */
static void deal_wave(builder *b, const ps_plan_wave *wave, dealer *r, int64_t *busiest)
{
    ps_plan *plan = b->plan;
    size_t i = wave->first_cell, end = i + wave->n_cells;

    begin_dealer(r, wave->trunk_rows);
    for (int32_t layer = wave->start; layer <= b->grid->n_layers; layer++) {
        int64_t most = 0;
        for (; i < end && b->loads[i].entry <= layer; i++)
            plan->owner[i] = give(r, b->loads[i].rows);
        if (layer == b->grid->n_layers)
            break; /* cells may enter at boundary L, but no layer follows it */
        for (int rank = 0; rank < plan->size; rank++) {
            plan->work += r->load[rank].rows;
            most = r->load[rank].rows > most ? r->load[rank].rows : most;
        }
        *busiest += most;
    }
    note_shares(plan, wave, r->load);
}

static int deal(builder *b, ps_err *err)
{
    ps_plan *plan = b->plan;
    int64_t busiest = 0;
    sorter s;
    dealer r = {ps_malloc((size_t)plan->size, sizeof *r.load, err), ps_malloc((size_t)plan->size, sizeof *r.heap, err), plan->size};
    int rc = -1;

    plan->owner = ps_calloc(plan->n_cells, sizeof *plan->owner, err);
    plan->shares = ps_calloc((size_t)plan->size, sizeof *plan->shares, err);
    if (r.load && r.heap && plan->owner && plan->shares && open_sorter(&s, b, err) == 0) {
        for (const ps_plan_wave *w = plan->waves; w < plan->waves + plan->n_waves; w++) {
            sort_wave(&s, b, w);
            deal_wave(b, w, &r, &busiest);
        }
        plan->efficiency = busiest ? (double)plan->work / plan->size / (double)busiest : 1;
        close_sorter(&s);
        rc = 0;
    }
    ps_free(r.load);
    ps_free(r.heap);
    return rc;
}

/* Place the cells of the snapshot, or all others, into waves. */
static int place(builder *b)
{
    size_t at = b->plan->n_cells;

    b->closed = true;
    for (int32_t pair = 0; pair < b->grid->n_pairs; pair++) {
        if (add_cells_of_pair(b, pair) < 0)
            return -1;
        if (!in_place(b, pair, at))
            b->closed = true; /* a wave's pairs are consecutive */
        else if (place_pair(b, pair, &at) < 0)
            return -1;
    }
    return 0;
}

static int build(builder *b, ps_err *err)
{
    b->in_wave = ps_calloc((size_t)b->grid->n_nodes, sizeof *b->in_wave, err);
    b->placed = ps_calloc((size_t)b->grid->n_pairs, sizeof *b->placed, err);
    if (!b->in_wave || !b->placed)
        return -1;
    if (b->options.flight) {
        b->flight = true;
        if (place(b) < 0)
            return -1;
        b->flight = false;
    }
    return place(b) < 0 ? -1 : deal(b, err);
}

int ps_plan_build(ps_plan **out, const ps_grid *grid, int size, int64_t max_rows,
                  const ps_plan_options *options, ps_err *err)
{
    ps_plan *plan = ps_calloc(1, sizeof *plan, err);
    builder b = {.grid = grid, .plan = plan, .max_rows = max_rows, .err = err};

    if (!plan)
        return -1;
    if (options)
        b.options = *options;
    plan->size = size;
    int rc = build(&b, err);
    ps_free(b.in_wave);
    ps_free(b.placed);
    ps_free(b.loads);
    if (rc < 0)
        ps_plan_free(plan);
    else
        *out = plan;
    return rc;
}

void ps_plan_free(ps_plan *plan)
{
    if (!plan)
        return;
    ps_free(plan->cells);
    ps_free(plan->owner);
    ps_free(plan->shares);
    ps_free(plan->waves);
    ps_free(plan);
}

/* 1 if `size` ranks are useful, 0 if not, -1 on failure. */
static int useful(const ps_grid *grid, int64_t max_rows, int size, ps_err *err)
{
    ps_plan *plan;

    if (ps_plan_build(&plan, grid, size, max_rows, NULL, err) < 0)
        return -1;
    int yes = plan->efficiency >= PS_PLAN_USEFUL;
    ps_plan_free(plan);
    return yes;
}

int ps_plan_useful_ranks(const ps_grid *grid, int64_t max_rows, int most, int *ranks, ps_err *err)
{
    int good = 1, bad = 2, is = 1;

    while (bad <= most && (is = useful(grid, max_rows, bad, err)) > 0) {
        good = bad;
        bad = good < most && 2 * good > most ? most : 2 * good;
    }
    while (is >= 0 && good < most && bad - good > 1) {
        int middle = good + (bad - good) / 2;
        is = useful(grid, max_rows, middle, err);
        *(is > 0 ? &good : &bad) = middle;
    }
    *ranks = good;
    return is < 0 ? -1 : 0;
}

/* ---- sizes ---- */

/* Cells that every rank computes in each wave, to compare the values (ps_check_of_ranks). */
static unsigned shared_cells(const ps_plan *plan)
{
    return plan->size > 1;
}

uint64_t ps_plan_bytes(const ps_plan *plan)
{
    return plan->n_cells * (sizeof *plan->cells + sizeof *plan->owner) + plan->n_waves * sizeof *plan->waves +
           (size_t)plan->size * sizeof *plan->shares;
}

int64_t ps_plan_rows(const ps_plan *plan, int rank)
{
    return plan->shares[rank].rows + shared_cells(plan); /* of one row */
}

size_t ps_plan_max_cells(const ps_plan *plan, int rank)
{
    return plan->shares[rank].cells + shared_cells(plan);
}

int32_t ps_plan_max_pairs(const ps_plan *plan)
{
    int32_t most = 0;

    for (size_t w = 0; w < plan->n_waves; w++)
        most = plan->waves[w].n_pairs > most ? plan->waves[w].n_pairs : most;
    return most;
}

int64_t ps_plan_max_rows(const ps_plan *plan, const ps_grid *grid)
{
    int64_t most = 0;

    for (const ps_plan_wave *w = plan->waves; w < plan->waves + plan->n_waves; w++) {
        int64_t rows = w->trunk_rows;
        for (size_t i = w->first_cell; i < w->first_cell + w->n_cells; i++)
            rows += ps_grid_cell_rows(grid, &plan->cells[i]);
        most = rows > most ? rows : most;
    }
    return most;
}

int64_t ps_plan_max_trunk_rows(const ps_plan *plan)
{
    int64_t most = 0;

    for (size_t w = 0; w < plan->n_waves; w++)
        most = plan->waves[w].trunk_rows > most ? plan->waves[w].trunk_rows : most;
    return most;
}
