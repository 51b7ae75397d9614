/* records.c - write, size and check each kind of record. */
#include "records.h"

#include <string.h>

#include "patchsweep/mem.h"

#define MOST_CELLS_BYTES ((size_t)16 << 20) /* most bytes of a record, unless one cell has more */

/* A base run: its metrics and predictions. */
typedef struct run_record {
    double values[PS_N_METRICS];
    double largest;
    float logit[2];
    int32_t id[2];
} run_record;

typedef struct baseline_head {
    int32_t pair;
    uint32_t d_model; /* 0: no final rows */
    run_record run[PS_N_WHICH];
} baseline_head;

typedef struct cells_head {
    uint32_t n, n_checks, d_model /* 0: no final rows */, zero;
} cells_head;

typedef struct activations_head {
    int32_t pair, which, layer, first, n, dtype;
    uint32_t d_model, pad;
} activations_head;

/* ---- writing ---- */

int ps_record_baseline(ps_journal *journal, int32_t pair, const ps_baseline base[PS_N_WHICH], const float *finals,
                       size_t d_model, ps_err *err)
{
    baseline_head head;

    memset(&head, 0, sizeof head);
    head.pair = pair;
    head.d_model = finals ? (uint32_t)d_model : 0;
    for (int which = 0; which < PS_N_WHICH; which++) {
        const ps_readout *r = &base[which].readout;
        memcpy(head.run[which].values, base[which].values, sizeof head.run[which].values);
        head.run[which].largest = r->largest;
        for (int i = 0; i < 2; i++) {
            head.run[which].logit[i] = r->top[i].logit;
            head.run[which].id[i] = r->top[i].id;
        }
    }
    const ps_span spans[] = {{&head, sizeof head}, {finals, PS_N_WHICH * head.d_model * sizeof *finals}};
    return ps_journal_append(journal, PS_RECORD_BASELINE, spans, 2, err);
}

int ps_record_cells(ps_journal *journal, const ps_grid *grid, const ps_cells *cells, size_t d_model, ps_err *err)
{
    const float *finals = cells->finals;
    size_t n = cells->n, each = sizeof(int64_t) + sizeof *cells->values + (finals ? d_model * sizeof *finals : 0);
    size_t most = MOST_CELLS_BYTES / each ? MOST_CELLS_BYTES / each : 1;
    int64_t *keys = ps_malloc(n < most ? n : most, sizeof *keys, err);
    int rc = keys ? 0 : -1;

    for (size_t at = 0, some; at < n && rc == 0; at += some) {
        some = n - at < most ? n - at : most;
        cells_head head = {.n = (uint32_t)some, .d_model = finals ? (uint32_t)d_model : 0};
        for (size_t i = 0; i < some; i++) {
            keys[i] = ps_grid_key(grid, &cells->at[at + i]);
            head.n_checks += cells->at[at + i].check != PS_NO_CHECK;
        }
        const ps_span spans[] = {{&head, sizeof head},
                                 {keys, some * sizeof *keys},
                                 {cells->values + at, some * sizeof *cells->values},
                                 {finals ? finals + at * d_model : NULL, some * head.d_model * sizeof *finals}};
        rc = ps_journal_append(journal, PS_RECORD_CELLS, spans, 4, err);
    }
    ps_free(keys);
    return rc;
}

int ps_record_activations(ps_journal *journal, const ps_activations *states, enum ps_dtype dtype, size_t d_model,
                          ps_err *err)
{
    const activations_head head = {.pair = states->pair, .which = (int32_t)states->which, .layer = states->layer,
                                   .first = states->first, .n = states->n, .dtype = (int32_t)dtype,
                                   .d_model = (uint32_t)d_model};
    size_t elements = (size_t)states->n * d_model, bytes = elements * ps_dtype_bytes(dtype);
    void *narrow = NULL;

    if (dtype != PS_DTYPE_F32) {
        narrow = ps_malloc(bytes, 1, err);
        if (!narrow)
            return -1;
        ps_narrow(narrow, states->rows, dtype, elements);
    }
    const ps_span spans[] = {{&head, sizeof head}, {narrow ? narrow : states->rows, bytes}};
    int rc = ps_journal_append(journal, PS_RECORD_ACTIVATIONS, spans, 2, err);
    ps_free(narrow);
    return rc;
}

int ps_record_snapshot(ps_journal *journal, const ps_snapshot_id *id, const ps_snapshot_part *parts, ps_err *err)
{
    const ps_span spans[] = {{id, sizeof *id}, {parts, (size_t)id->n_parts * sizeof *parts}};

    return ps_journal_append(journal, PS_RECORD_SNAPSHOT, spans, 2, err);
}

/* The part of an agreement that follows its cell.  The cell is recorded as its key. */
enum { AGREEMENT_AT = offsetof(ps_agreement, n_ranks), AGREEMENT_BYTES = sizeof(ps_agreement) - AGREEMENT_AT };

int ps_record_agreement(ps_journal *journal, const ps_grid *grid, const ps_agreement *agreement, ps_err *err)
{
    const int64_t key = ps_grid_key(grid, &agreement->cell);
    const ps_span spans[] = {{&key, sizeof key}, {(const char *)agreement + AGREEMENT_AT, AGREEMENT_BYTES}};

    return ps_journal_append(journal, PS_RECORD_RANKS, spans, 2, err);
}

uint64_t ps_records_bytes(const ps_grid *grid, size_t most_cells, size_t d_model)
{
    uint64_t row = d_model * sizeof(float), T = (uint64_t)ps_grid_max_positions(grid);
    uint64_t each = sizeof(int64_t) + PS_N_METRICS * sizeof(double) + (grid->patched_final ? row : 0);
    uint64_t cells = most_cells * each, rows = grid->activations ? T * row : 0;

    if (cells > MOST_CELLS_BYTES)
        cells = each > MOST_CELLS_BYTES ? each : MOST_CELLS_BYTES;
    return cells > rows ? cells : rows;
}

int ps_record_unfinished(ps_journal *journal, const ps_unfinished *unfinished, ps_err *err)
{
    const ps_span span = {unfinished, sizeof *unfinished};

    return ps_journal_append(journal, PS_RECORD_UNFINISHED, &span, 1, err);
}

/* ---- reading ---- */

/* A record, and what to check it against. */
typedef struct source {
    const char *payload;
    size_t bytes;
    const ps_grid *grid;
    size_t d_model;
} source;

/* Whether a record's d_model (0: no rows) is the model's. */
static bool width_fits(const source *s, uint32_t d)
{
    return !s->grid || !d || d == s->d_model;
}

static bool pair_fits(const source *s, int32_t pair)
{
    return pair >= 0 && (!s->grid || pair < s->grid->n_pairs);
}

/* Whether exactly n rows of d elements of `size` bytes follow the first `head` bytes. */
static bool ends(const source *s, size_t head, uint64_t n, uint64_t d, size_t size)
{
    uint64_t left = s->bytes - head;

    return d == 0 || n == 0 ? left == 0 : left / size / d == n && left % (size * d) == 0;
}

static bool view_baseline(ps_record_view *v, const source *s)
{
    const baseline_head *head = (const void *)s->payload;

    if (s->bytes < sizeof *head || !pair_fits(s, head->pair) || !width_fits(s, head->d_model) ||
        !ends(s, sizeof *head, PS_N_WHICH, head->d_model, sizeof(float)))
        return false;
    v->pair = head->pair;
    v->finals = head->d_model ? (const float *)(const void *)(s->payload + sizeof *head) : NULL;
    for (int which = 0; which < PS_N_WHICH; which++) {
        const run_record *run = &head->run[which];
        ps_baseline *base = &v->base[which];
        *base = (ps_baseline){.readout = {.largest = run->largest}};
        memcpy(base->values, run->values, sizeof base->values);
        for (int i = 0; i < 2; i++) {
            base->readout.top[i].logit = run->logit[i];
            base->readout.top[i].id = run->id[i];
        }
    }
    return true;
}

/* Whether all keys are cells of the grid, and as many of these are checks as the record says. */
static bool keys_fit(const ps_record_view *v, const ps_grid *grid)
{
    size_t n_checks = 0;

    for (size_t i = 0; i < v->n_cells; i++) {
        ps_cell cell;
        if (ps_grid_cell(grid, v->keys[i], &cell) < 0)
            return false;
        n_checks += cell.check != PS_NO_CHECK;
    }
    return n_checks == v->n_checks;
}

static bool view_cells(ps_record_view *v, const source *s)
{
    const cells_head *head = (const void *)s->payload;

    if (s->bytes < sizeof *head || !width_fits(s, head->d_model) || head->n_checks > head->n)
        return false;
    uint64_t fixed = sizeof *head + (uint64_t)head->n * (sizeof *v->keys + sizeof *v->values);
    if (fixed > s->bytes || !ends(s, fixed, head->n, head->d_model, sizeof(float)))
        return false;
    v->n_cells = head->n;
    v->n_checks = head->n_checks;
    v->keys = (const void *)(s->payload + sizeof *head);
    v->values = (const void *)(v->keys + head->n);
    v->finals = head->d_model ? (const void *)(v->values + head->n) : NULL;
    return !s->grid || keys_fit(v, s->grid);
}

static bool view_activations(ps_record_view *v, const source *s)
{
    const activations_head *head = (const void *)s->payload;

    if (s->bytes < sizeof *head || !pair_fits(s, head->pair) || !head->d_model || !width_fits(s, head->d_model) ||
        head->which < 0 || head->which >= PS_N_WHICH || head->layer < 0 || head->first < 0 || head->n < 1 ||
        (head->dtype != PS_DTYPE_F32 && head->dtype != PS_DTYPE_F16 && head->dtype != PS_DTYPE_BF16) ||
        !ends(s, sizeof *head, (uint64_t)head->n, head->d_model, ps_dtype_bytes((enum ps_dtype)head->dtype)))
        return false;
    if (s->grid && (head->layer >= s->grid->n_layers ||
                    head->first > s->grid->pairs[head->pair].n_positions - head->n))
        return false;
    v->pair = head->pair;
    v->which = (enum ps_which)head->which;
    v->layer = head->layer;
    v->first = head->first;
    v->n = head->n;
    v->dtype = (enum ps_dtype)head->dtype;
    v->rows = s->payload + sizeof *head;
    return true;
}

static bool view_snapshot(ps_record_view *v, const source *s)
{
    const ps_snapshot_id *id = (const void *)s->payload;

    if (s->bytes < sizeof *id || id->n_parts < 1 || id->generation < 0 || id->generation >= PS_GENERATIONS ||
        id->layer < 1 || id->n_cells < 1 || (s->grid && id->layer >= s->grid->n_layers) ||
        !ends(s, sizeof *id, (uint64_t)id->n_parts, 1, sizeof *v->parts))
        return false;
    v->snapshot = id;
    v->parts = (const void *)(id + 1);
    return true;
}

static bool view_agreement(ps_record_view *v, const source *s)
{
    ps_agreement *a = &v->agreement;
    int64_t key;

    if (s->bytes != sizeof key + AGREEMENT_BYTES)
        return false;
    memcpy(&key, s->payload, sizeof key);
    memcpy((char *)a + AGREEMENT_AT, s->payload + sizeof key, AGREEMENT_BYTES);
    if (s->grid && (ps_grid_cell(s->grid, key, &a->cell) < 0 || a->cell.check != PS_CHECK_RANKS))
        return false;
    return a->n_ranks > 1 && a->odd >= -1 && a->odd < a->n_ranks && a->blind <= 1 && memchr(a->host, '\0', sizeof a->host);
}

static bool view_unfinished(ps_record_view *v, const source *s)
{
    v->unfinished = (const void *)s->payload;
    return s->bytes == sizeof *v->unfinished && v->unfinished->step >= 0;
}

int ps_record_view_of(ps_record_view *view, uint32_t type, const void *payload, size_t bytes, const ps_grid *grid,
                      size_t d_model, ps_err *err)
{
    static const struct {
        enum ps_record type;
        bool (*view)(ps_record_view *v, const source *s);
        const char *what;
    } kinds[] = {
        {PS_RECORD_BASELINE, view_baseline, "base runs"},
        {PS_RECORD_CELLS, view_cells, "cells"},
        {PS_RECORD_ACTIVATIONS, view_activations, "activations"},
        {PS_RECORD_SNAPSHOT, view_snapshot, "a snapshot"},
        {PS_RECORD_RANKS, view_agreement, "a comparison of ranks"},
        {PS_RECORD_UNFINISHED, view_unfinished, "an unfinished result"},
    };
    const source s = {payload, bytes, grid, d_model};

    memset(view, 0, sizeof *view);
    if (type == PS_RECORD_OLD_CELLS || type == PS_RECORD_OLD_RANKS)
        return ps_err_set(err, PS_EINPUT, "an older patchsweep wrote its cells in another layout; finish the run with that "
                          "version, or start over with --force");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if ((uint32_t)kinds[i].type != type)
            continue;
        view->type = kinds[i].type;
        view->payload = payload;
        return kinds[i].view(view, &s)
                   ? 0
                   : ps_err_set(err, PS_EINPUT, "a record of %s does not fit this sweep", kinds[i].what);
    }
    return ps_err_set(err, PS_EINPUT, "a record of type %u is not known; a newer patchsweep wrote it", (unsigned)type);
}
