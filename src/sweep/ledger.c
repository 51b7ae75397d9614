/* ledger.c - records in, state out.  Replayed records and new ones pass through the same functions. */
#include "ledger.h"

#include <math.h>
#include <string.h>

#include "identity.h"
#include "patchsweep/file.h"
#include "patchsweep/journal.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"
#include "same.h"

struct ps_ledger {
    const char *path, *own_identity;
    const ps_grid *grid;
    size_t d;
    enum ps_dtype activation_dtype;
    bool replaces;       /* the run was begun with --force, and may replace the file at the output's name */
    ps_journal *journal; /* NULL before ps_ledger_begin() */
    uint64_t good;       /* bytes of good frames in the journal that was read; 0: there was none */
    char *identity;      /* of that journal */
    char *weights;       /* likewise: checksums of tensors */
    ps_text sessions;
    ps_scores scores;
    ps_cellset *done;
    ps_checks checks;
    size_t n_not_finite;
    ps_cell not_finite;
    struct snapshot {
        ps_snapshot_id id;
        ps_snapshot_part *parts;
        int32_t since; /* cells that were added after it */
    } snapshots[PS_GENERATIONS]; /* by generation */
    int newest;
    ps_unfinished unfinished;
};

/* ---- state ---- */

static void take_baseline(ps_ledger *l, int32_t pair, const ps_baseline base[PS_N_WHICH])
{
    memcpy(l->scores.base[pair], base, sizeof *l->scores.base);
    ps_cellset_add_pair(l->done, pair);
}

static void count_not_finite(ps_ledger *l, const ps_cell *cell, const double values[PS_N_METRICS])
{
    bool foil = l->grid->pairs[cell->pair].foil_id >= 0;

    for (int m = 0; m < PS_N_METRICS; m++) {
        if (!(l->grid->metrics >> m & 1) || (!foil && ps_metric_needs_foil((enum ps_metric)m)) || isfinite(values[m]))
            continue;
        if (!l->n_not_finite++)
            l->not_finite = *cell;
    }
}

/* The baselines of a check's pair always come before its cells, in the journal as in a wave. */
static void take_cell(ps_ledger *l, const ps_cell *cell, const double values[PS_N_METRICS])
{
    /* The cells that follow a snapshot are those of its wave.  Once all of them are there, the snapshots are of no
     * use. */
    for (struct snapshot *s = l->snapshots; s < l->snapshots + PS_GENERATIONS; s++)
        if (s->id.n_parts && ++s->since >= s->id.n_cells)
            s->id.n_parts = 0;
    ps_cellset_add(l->done, cell);
    count_not_finite(l, cell, values);
    if (!cell->check) {
        ps_scores_put(&l->scores, cell, values);
        return;
    }
    const ps_baseline *base = &l->scores.base[cell->pair][ps_check_expects(cell)];
    ps_check_compare(&l->checks, l->grid, cell, values, base->values, base->readout.largest);
}

static int take_snapshot(ps_ledger *l, const ps_snapshot_id *id, const ps_snapshot_part *parts, ps_err *err)
{
    size_t bytes = (size_t)id->n_parts * sizeof *parts;
    ps_snapshot_part *copy = ps_malloc(bytes, 1, err);

    if (!copy)
        return -1;
    memcpy(copy, parts, bytes);
    ps_free(l->snapshots[id->generation].parts); /* the new snapshot has overwritten its files */
    l->snapshots[id->generation] = (struct snapshot){*id, copy, 0};
    l->newest = id->generation;
    return 0;
}

/* ---- replay ---- */

static int take_session(ps_ledger *l, const char *text, size_t bytes, ps_err *err)
{
    ps_text_printf(&l->sessions, "%s%.*s", l->sessions.n ? "\n" : "", (int)bytes, text);
    return ps_text_ok(&l->sessions, err);
}

/* The journal of another run: its records need not fit this grid. */
static int check_identity(const ps_ledger *l, ps_err *err)
{
    ps_err why = PS_ERR_INIT;

    if (ps_identity_compare(ps_identity_of_job(l->identity), ps_identity_of_job(l->own_identity), &why) == 0)
        return 0;
    return ps_err_set(err, why.code, "%s; run the command line that began it, name another output with -o, or start over with "
                      "--force", why.text);
}

/* Keep the last text of a kind that a journal has once. */
static int keep_text(char **to, const char *text, size_t bytes, ps_err *err)
{
    ps_free(*to);
    *to = ps_strndup(text, bytes, err);
    return *to ? 0 : -1;
}

static int replay(void *context, uint32_t type, const void *payload, size_t bytes, ps_err *err)
{
    ps_ledger *l = context;
    ps_record_view v;

    if (!l->identity && type != PS_RECORD_IDENTITY)
        return ps_err_set(err, PS_EINPUT, "it does not begin as a journal of a run does");
    if (type == PS_RECORD_IDENTITY)
        return keep_text(&l->identity, payload, bytes, err) < 0 ? -1 : check_identity(l, err);
    if (type == PS_RECORD_REPLACES)
        return 0;
    if (type == PS_RECORD_WEIGHTS)
        return keep_text(&l->weights, payload, bytes, err);
    if (type == PS_RECORD_SESSION)
        return take_session(l, payload, bytes, err);
    if (ps_record_view_of(&v, type, payload, bytes, l->grid, l->d, err) < 0)
        return -1;
    if (v.type == PS_RECORD_BASELINE)
        take_baseline(l, v.pair, v.base);
    if (v.type == PS_RECORD_RANKS)
        ps_check_count(&l->checks, &v.agreement);
    for (size_t i = 0; i < v.n_cells; i++) {
        ps_cell cell;
        ps_grid_cell(l->grid, v.keys[i], &cell);
        take_cell(l, &cell, v.values[i]);
    }
    if (v.type == PS_RECORD_UNFINISHED)
        l->unfinished = *v.unfinished;
    return v.type == PS_RECORD_SNAPSHOT ? take_snapshot(l, v.snapshot, v.parts, err) : 0;
}

static int read_journal(ps_ledger *l, ps_err *err)
{
    ps_journal_report report;

    if (ps_journal_scan(l->path, replay, l, &report, err) < 0)
        return ps_err_prefix(err, "journal '%s'", l->path);
    if (report.state == PS_JOURNAL_DAMAGED)
        return ps_err_set(err, PS_EINPUT, "journal '%s' is damaged at byte %llu, before its end; 'patchsweep inspect --repair' "
                          "cuts it there, and the next run computes the rest again", l->path,
                          (unsigned long long)report.good);
    if (report.state == PS_JOURNAL_TORN)
        ps_warn("the journal '%s' has a torn tail: %llu bytes of an interrupted write are cut off", l->path,
                (unsigned long long)(report.size - report.good));
    l->good = l->identity ? report.good : 0;
    return 0;
}

int ps_ledger_open(ps_ledger **out, const char *path, const char *identity, const ps_grid *grid, size_t d_model,
                   enum ps_dtype activation_dtype, bool start_over, ps_err *err)
{
    ps_ledger *l = ps_calloc(1, sizeof *l, err);

    if (!l)
        return -1;
    l->path = path;
    l->own_identity = identity;
    l->grid = grid;
    l->d = d_model;
    l->activation_dtype = activation_dtype;
    l->replaces = start_over;
    if (ps_scores_init(&l->scores, grid, err) < 0 || ps_cellset_open(&l->done, grid, err) < 0 ||
        (!start_over && ps_file_kind(path) && read_journal(l, err) < 0)) {
        ps_ledger_close(l);
        return -1;
    }
    *out = l;
    return 0;
}

static int note(ps_ledger *l, enum ps_record type, const char *text, ps_err *err)
{
    const ps_span span = {text, strlen(text)};

    return ps_journal_append(l->journal, type, &span, 1, err);
}

/* Compare the loaded weights with those that the journal's cells were computed with. */
static int check_weights(const ps_ledger *l, const char *weights, ps_err *err)
{
    ps_sum now, then;
    size_t n = l->weights ? ps_sums_compare(weights, l->weights, &now, &then) : 0;

    if (!n)
        return 0;
    return ps_err_set(err, PS_EINPUT, "cannot resume '%s': tensor '%s' in '%s' has changed since it was begun (CRC32C %s, and "
                      "%s then; %zu tensors differ); restore the model, name another output with -o, or start over with "
                      "--force", l->path, now.name, now.file, now.crc, then.crc, n);
}

int ps_ledger_begin(ps_ledger *l, const char *weights, const char *session, ps_err *err)
{
    if (weights && check_weights(l, weights, err) < 0)
        return -1;
    if (l->good ? ps_journal_open(&l->journal, l->path, l->good, err) < 0
                : ps_journal_create(&l->journal, l->path, err) < 0 ||
                      note(l, PS_RECORD_IDENTITY, l->own_identity, err) < 0 ||
                      (l->replaces && note(l, PS_RECORD_REPLACES, "", err) < 0))
        return -1;
    if ((weights && !l->weights && note(l, PS_RECORD_WEIGHTS, weights, err) < 0) || note(l, PS_RECORD_SESSION, session, err) < 0)
        return -1;
    return ps_journal_sync(l->journal, err);
}

void ps_ledger_close(ps_ledger *l)
{
    if (!l)
        return;
    ps_journal_close(l->journal);
    ps_cellset_close(l->done);
    ps_scores_release(&l->scores);
    ps_text_release(&l->sessions);
    ps_free(l->identity);
    ps_free(l->weights);
    for (int i = 0; i < PS_GENERATIONS; i++)
        ps_free(l->snapshots[i].parts);
    ps_free(l);
}

/* ---- what has been computed ---- */

ps_cellset *ps_ledger_done(const ps_ledger *l)
{
    return l->done;
}

const char *ps_ledger_sessions(const ps_ledger *l)
{
    return ps_text_str(&l->sessions);
}

const char *ps_ledger_weights(const ps_ledger *l)
{
    return l->weights ? l->weights : "";
}

ps_scores *ps_ledger_scores(ps_ledger *l)
{
    return &l->scores;
}

const ps_checks *ps_ledger_checks(const ps_ledger *l)
{
    return &l->checks;
}

size_t ps_ledger_not_finite(const ps_ledger *l, ps_cell *first)
{
    *first = l->not_finite;
    return l->n_not_finite;
}

const ps_snapshot_id *ps_ledger_snapshot(const ps_ledger *l, int i, const ps_snapshot_part **parts)
{
    const struct snapshot *s = &l->snapshots[(l->newest + i) % PS_GENERATIONS];

    *parts = s->parts;
    return &s->id;
}

/* ---- adding ---- */

int ps_ledger_add_baseline(ps_ledger *l, int32_t pair, const ps_baseline base[PS_N_WHICH], const float *finals,
                           ps_err *err)
{
    if (ps_record_baseline(l->journal, pair, base, l->grid->patched_final ? finals : NULL, l->d, err) < 0)
        return -1;
    take_baseline(l, pair, base);
    return 0;
}

int ps_ledger_add_cells(ps_ledger *l, const ps_cell *cells, const double (*values)[PS_N_METRICS],
                        const float *finals, size_t n, ps_err *err)
{
    const ps_cells all = {cells, values, l->grid->patched_final ? finals : NULL, n};

    if (ps_record_cells(l->journal, l->grid, &all, l->d, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        take_cell(l, &cells[i], values[i]);
    return 0;
}

int ps_ledger_add_activations(ps_ledger *l, const ps_activations *states, ps_err *err)
{
    return ps_record_activations(l->journal, states, l->activation_dtype, l->d, err);
}

int ps_ledger_add_snapshot(ps_ledger *l, const ps_snapshot_id *id, const ps_snapshot_part *parts, ps_err *err)
{
    if (ps_record_snapshot(l->journal, id, parts, err) < 0 || ps_journal_sync(l->journal, err) < 0)
        return -1;
    return take_snapshot(l, id, parts, err);
}

int ps_ledger_add_agreement(ps_ledger *l, const ps_agreement *agreement, ps_err *err)
{
    if (ps_record_agreement(l->journal, l->grid, agreement, err) < 0)
        return -1;
    ps_check_count(&l->checks, agreement);
    return 0;
}

int ps_ledger_sync(ps_ledger *l, ps_err *err)
{
    return ps_journal_sync(l->journal, err);
}

ps_unfinished ps_ledger_unfinished(const ps_ledger *l)
{
    return l->unfinished;
}

int ps_ledger_add_unfinished(ps_ledger *l, const ps_unfinished *unfinished, ps_err *err)
{
    if (ps_record_unfinished(l->journal, unfinished, err) < 0)
        return -1;
    l->unfinished = *unfinished;
    return ps_journal_sync(l->journal, err);
}

/* ---- reading back ---- */

typedef struct reading {
    ps_ledger *ledger;
    ps_ledger_visit *visit;
    void *context;
} reading;

static int visit_record(void *context, uint32_t type, const void *payload, size_t bytes, ps_err *err)
{
    const reading *r = context;
    ps_record_view v;

    if (type == PS_RECORD_IDENTITY || type == PS_RECORD_SESSION || type == PS_RECORD_SNAPSHOT || type == PS_RECORD_WEIGHTS ||
        type == PS_RECORD_UNFINISHED || type == PS_RECORD_REPLACES)
        return 0;
    if (ps_record_view_of(&v, type, payload, bytes, r->ledger->grid, r->ledger->d, err) < 0)
        return -1;
    v.at = ps_journal_payload_at(r->ledger->journal);
    return r->visit(r->context, &v, err);
}

int ps_ledger_read(ps_ledger *l, ps_ledger_visit *visit, void *context, ps_err *err)
{
    reading r = {l, visit, context};

    return ps_journal_read(l->journal, visit_record, &r, err);
}

int ps_ledger_read_from(ps_ledger *l, uint64_t at, ps_ledger_visit *visit, void *context, ps_err *err)
{
    reading r = {l, visit, context};

    return ps_journal_read_from(l->journal, at, visit_record, &r, err);
}

int ps_ledger_pread(ps_ledger *l, void *bytes, size_t n, uint64_t at, ps_err *err)
{
    return ps_journal_pread(l->journal, bytes, n, at, err);
}
