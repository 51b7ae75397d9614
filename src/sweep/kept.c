/* kept.c - the places of rows in the journal: a number for every cell, and one for every layer of a base run. */
#include "kept.h"

#include <string.h>

#include "patchsweep/mem.h"

struct ps_kept {
    ps_ledger *ledger;
    const ps_grid *grid;
    size_t d;
    /* offsets in the journal; 0: not there */
    uint64_t *finals;      /* [n_keys] a cell's row */
    uint64_t *base_finals; /* [n_pairs] two rows */
    uint64_t *activations; /* [n_pairs, PS_N_WHICH, n_layers] the first record of that layer */
    /* the current pair */
    int32_t pair;
    float *base; /* [2, d]: its base runs' final rows */
};

static size_t n_activations(const ps_grid *grid)
{
    return grid->activations ? (size_t)grid->n_pairs * PS_N_WHICH * (size_t)grid->n_layers : 0;
}

size_t ps_kept_bytes(const ps_grid *grid, size_t d_model)
{
    size_t finals = grid->patched_final ? (size_t)grid->n_keys + (size_t)grid->n_pairs : 0;

    return (finals + n_activations(grid)) * sizeof(uint64_t) + 2 * d_model * sizeof(float);
}

static uint64_t *layer_place(const ps_kept *k, int32_t pair, enum ps_which which, int32_t layer)
{
    return &k->activations[((size_t)pair * PS_N_WHICH + which) * (size_t)k->grid->n_layers + (size_t)layer];
}

/* ---- noting ---- */

typedef struct noting {
    ps_kept *kept;
    int (*stop)(void *context, ps_err *err);
    void *context;
} noting;

static uint64_t place_of(const ps_record_view *v, const void *inside)
{
    return v->at + (uint64_t)((const char *)inside - (const char *)v->payload);
}

/* The rows of a layer are recorded in one go, from position 0 on.  After an interruption they are recorded anew from
 * 0. */
static int note(void *context, const ps_record_view *v, ps_err *err)
{
    const noting *n = context;
    ps_kept *k = n->kept;

    if (n->stop(n->context, err) < 0)
        return -1;
    if (v->type == PS_RECORD_ACTIVATIONS && v->first == 0)
        *layer_place(k, v->pair, v->which, v->layer) = v->at;
    if (!v->finals)
        return 0;
    if (v->type == PS_RECORD_BASELINE)
        k->base_finals[v->pair] = place_of(v, v->finals);
    for (size_t i = 0; i < v->n_cells; i++)
        k->finals[v->keys[i]] = place_of(v, v->finals + i * k->d);
    return 0;
}

int ps_kept_open(ps_kept **out, ps_ledger *ledger, const ps_grid *grid, size_t d_model,
                 int (*stop)(void *context, ps_err *err), void *context, ps_err *err)
{
    ps_kept *k = ps_calloc(1, sizeof *k, err);
    noting n = {k, stop, context};
    int rc = -1;

    if (!k)
        return -1;
    *k = (ps_kept){.ledger = ledger, .grid = grid, .d = d_model, .pair = -1};
    k->activations = ps_calloc(n_activations(grid), sizeof *k->activations, err);
    k->base = ps_malloc(2 * d_model, sizeof *k->base, err);
    if (k->activations && k->base)
        rc = 0;
    if (rc == 0 && grid->patched_final) {
        k->finals = ps_calloc((size_t)grid->n_keys, sizeof *k->finals, err);
        k->base_finals = ps_calloc((size_t)grid->n_pairs, sizeof *k->base_finals, err);
        rc = k->finals && k->base_finals ? 0 : -1;
    }
    if (rc == 0 && (grid->patched_final || grid->activations))
        rc = ps_ledger_read(ledger, note, &n, err);
    if (rc < 0)
        ps_kept_close(k);
    else
        *out = k;
    return rc;
}

void ps_kept_close(ps_kept *k)
{
    if (!k)
        return;
    ps_free(k->finals);
    ps_free(k->base_finals);
    ps_free(k->activations);
    ps_free(k->base);
    ps_free(k);
}

/* ---- reading ---- */

/* Load the final rows of the pair's base runs, unless they are loaded already. */
static int take_pair(ps_kept *k, int32_t pair, ps_err *err)
{
    if (k->pair == pair)
        return 0;
    k->pair = -1;
    if (k->base_finals[pair] &&
        ps_ledger_pread(k->ledger, k->base, 2 * k->d * sizeof *k->base, k->base_finals[pair], err) < 0)
        return -1;
    k->pair = pair;
    return 0;
}

/* Read the final row of a cell.  A cell that was not computed has the final row of a base run.  Returns 1, or 0 if
 * there is none, or -1 with *err set. */
static int take_final(ps_kept *k, const ps_cell *cell, float *row, ps_err *err)
{
    enum ps_which which;
    ps_cell twin;

    if (ps_grid_free_cell(k->grid, cell, &which)) {
        if (!k->base_finals[cell->pair])
            return 0;
        memcpy(row, k->base + (size_t)which * k->d, k->d * sizeof *row);
        return 1;
    }
    uint64_t at = k->finals[ps_grid_key(k->grid, ps_grid_twin(k->grid, cell, &twin) ? &twin : cell)];
    if (!at)
        return 0;
    return ps_ledger_pread(k->ledger, row, k->d * sizeof *row, at, err) < 0 ? -1 : 1;
}

int ps_kept_finals(ps_kept *k, int32_t pair, enum ps_site site, enum ps_direction direction, int32_t layer,
                   float *rows, ps_err *err)
{
    const ps_grid_axis heads = ps_grid_axis_of(k->grid, pair, site, PS_AXIS_HEAD);
    const ps_grid_axis positions = ps_grid_axis_of(k->grid, pair, site, PS_AXIS_POSITION);
    ps_cell cell = {.pair = pair, .head = -1, .position = -1, .site = (uint8_t)site, .direction = (uint8_t)direction};
    int some = 0;

    if (!ps_grid_sweeps_layer(k->grid, layer))
        return 0;
    if (take_pair(k, pair, err) < 0)
        return -1;
    for (int32_t h = 0; h < heads.n_swept; h++)
        for (int32_t t = 0; t < positions.n_swept; t++) {
            cell.layer = 0; /* the row's place within a layer */
            cell.head = heads.swept[h];
            cell.position = positions.swept[t];
            float *row = rows + (size_t)ps_grid_place(k->grid, &cell) * k->d;
            cell.layer = layer;
            int rc = take_final(k, &cell, row, err);
            if (rc < 0)
                return -1;
            some |= rc;
        }
    return some;
}

/* Reads one layer of a base run into rows. */
typedef struct taking {
    const ps_kept *kept;
    int32_t pair, layer, next, n_positions;
    enum ps_which which;
    float *rows;
} taking;

static int take_piece(void *context, const ps_record_view *v, ps_err *err)
{
    taking *t = context;
    size_t d = t->kept->d;

    if (v->type != PS_RECORD_ACTIVATIONS || v->pair != t->pair || v->which != t->which || v->layer != t->layer ||
        v->first != t->next)
        return ps_err_set(err, PS_EFAIL, "the journal does not hold a layer's activations in one go");
    ps_widen(t->rows + (size_t)v->first * d, v->rows, v->dtype, (size_t)v->n * d);
    t->next += v->n;
    return t->next >= t->n_positions;
}

int ps_kept_activations(ps_kept *k, int32_t pair, enum ps_which which, int32_t layer, float *rows, ps_err *err)
{
    uint64_t at = *layer_place(k, pair, which, layer);
    taking t = {.kept = k, .pair = pair, .layer = layer, .which = which, .n_positions = k->grid->pairs[pair].n_positions,
                .rows = rows};

    if (!at)
        return 0;
    return ps_ledger_read_from(k->ledger, at, take_piece, &t, err) < 0 ? -1 : 1;
}
