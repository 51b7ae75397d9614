/* publish.c - the file in its order: what it is, pairs, what the journal keeps, grids, how it was made. */
#include "publish.h"

#include <string.h>
#include <unistd.h>

#include "patchsweep/build.h"
#include "patchsweep/file.h"
#include "patchsweep/host.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "report.h"

/* A publication on its way. */
typedef struct draft {
    const ps_publication *p;
    ps_results *results;
    float *wide; /* activations that were narrowed: room for one record's */
    size_t room;
} draft;

static int begin(draft *d, ps_err *err)
{
    const ps_publication *p = d->p;
    const ps_brief *b = p->brief;
    const ps_attr attrs[] = {
        {"title", "activation patching sweep", 0, false},
        {"history", p->history, 0, false},
        {"job", b->job->text, 0, false},
        {"identity", ps_text_str(&b->identity), 0, false},
        {"model", b->job->model, 0, false},
        {"model_revision", b->revision, 0, false},
        {"model_config", b->config->text, 0, false},
        {"precision", ps_precisions[b->job->precision].name, 0, false},
        {"program_version", ps_build_version, 0, false},
    };

    return ps_results_create(&d->results, b->part, b->config->n_layers, b->config->d_model, attrs,
                             sizeof attrs / sizeof *attrs, err);
}

static int write_pairs(const draft *d, ps_err *err)
{
    const ps_publication *p = d->p;
    const ps_brief *b = p->brief;

    for (int32_t i = 0; i < b->grid->n_pairs; i++)
        if (ps_results_add_pair(d->results, &b->pairs[i], NULL, 0, err) < 0 ||
            ps_report_attrs(d->results, &b->pairs[i], ps_ledger_scores(p->ledger)->base[i], b->tokenizer, err) < 0)
            return -1;
    return 0;
}

/* ---- what the journal keeps ---- */

static int put_final(const draft *d, const ps_cell *cell, const float *row, ps_err *err)
{
    return ps_results_put_final(d->results, &d->p->brief->pairs[cell->pair], (enum ps_site)cell->site,
                                (enum ps_direction)cell->direction, cell->layer, cell->position, row, err);
}

/* The final rows of cells that were not computed are a base run's. */
typedef struct free_finals {
    const draft *draft;
    const float *base; /* [2, d_model] */
    ps_err *err;
} free_finals;

static int put_free_final(void *context, const ps_cell *cell)
{
    const free_finals *f = context;
    const ps_brief *b = f->draft->p->brief;
    enum ps_which which;

    if (ps_grid_known(b->grid, cell, &which) == PS_LIVE)
        return 0;
    return put_final(f->draft, cell, f->base + (size_t)which * (size_t)b->config->d_model, f->err);
}

static int put_activations(draft *d, const ps_record_view *v, ps_err *err)
{
    size_t n = (size_t)v->n * (size_t)d->p->brief->config->d_model;
    const float *rows = v->rows;

    if (v->dtype != PS_DTYPE_F32) {
        if (n > d->room) {
            ps_free(d->wide);
            d->wide = ps_malloc(n, sizeof *d->wide, err);
            d->room = d->wide ? n : 0;
        }
        if (!d->wide)
            return -1;
        ps_widen(d->wide, v->rows, v->dtype, n);
        rows = d->wide;
    }
    return ps_results_put_activations(d->results, &d->p->brief->pairs[v->pair], v->which, v->dtype, v->layer, v->first, v->n,
                                      rows, err);
}

static int put_record(void *context, const ps_record_view *v, ps_err *err)
{
    draft *d = context;
    size_t width = (size_t)d->p->brief->config->d_model;

    if (v->type == PS_RECORD_ACTIVATIONS)
        return put_activations(d, v, err);
    if (!v->finals)
        return 0;
    free_finals f = {d, v->finals, err};
    if (v->type == PS_RECORD_BASELINE)
        return ps_grid_each_of_pair(d->p->brief->grid, v->pair, put_free_final, &f);
    for (size_t i = 0; i < v->n_cells; i++)
        if (!v->cells[i].check && put_final(d, &v->cells[i], v->finals + i * width, err) < 0)
            return -1;
    return 0;
}

/* ---- scores ---- */

static int write_grids(const draft *d, ps_err *err)
{
    const ps_publication *p = d->p;
    const ps_brief *b = p->brief;
    ps_scores *scores = ps_ledger_scores(p->ledger);

    ps_scores_fill_free(scores);
    for (int32_t i = 0; i < b->grid->n_pairs; i++)
        for (int site = 0; site < PS_N_SITES; site++)
            for (int dir = 0; dir < PS_N_DIRECTIONS; dir++) {
                if (!ps_grid_asks(b->grid, site, dir))
                    continue;
                ps_score_range range = ps_scores_compute(scores, i, (enum ps_site)site, (enum ps_direction)dir,
                                                         b->job->score);
                if (ps_scores_write(scores, d->results, &b->pairs[i], i, (enum ps_site)site,
                                    (enum ps_direction)dir, err) < 0)
                    return -1;
                ps_report_scores(&b->pairs[i], (enum ps_site)site, (enum ps_direction)dir, b->grid->n_layers,
                                 &range);
            }
    return 0;
}

static int write_how(const draft *d, ps_err *err)
{
    const ps_publication *p = d->p;
    size_t n = (size_t)p->size;

    p->peak[0] = (double)ps_host_peak();
    if (ps_results_put_attrs(d->results, "/run", p->run, p->n_run, err) < 0 ||
        ps_results_put_ranks(d->results, "busy_seconds", "seconds computing", p->busy, n, err) < 0 ||
        ps_results_put_ranks(d->results, "idle_seconds", "seconds waiting for other ranks", p->idle, n, err) < 0 ||
        ps_results_put_ranks(d->results, "peak_memory_bytes", "most bytes in memory", p->peak, n, err) < 0)
        return -1;
    return ps_results_put_attrs(d->results, "/", p->root, p->n_root, err);
}

int ps_publish(const ps_publication *publication, ps_err *err)
{
    draft d = {.p = publication};
    ps_err ignored = PS_ERR_INIT;
    int rc = -1;

    bool made = begin(&d, err) == 0; /* the part is this run's: nothing stood there */
    if (made && write_pairs(&d, err) == 0 &&
        ps_ledger_read(publication->ledger, put_record, &d, err) == 0 && write_grids(&d, err) == 0 &&
        write_how(&d, err) == 0)
        rc = ps_results_seal(d.results, err);
    ps_free(d.wide);
    if (ps_results_close(d.results, rc < 0 ? &ignored : err) < 0)
        rc = -1;
    if (rc == 0)
        rc = ps_file_part_commit(publication->brief->part, publication->brief->output, publication->brief->replace, err);
    if (rc < 0 && made)
        unlink(publication->brief->part);
    return rc < 0 ? ps_err_prefix(err, "result '%s'", publication->brief->output) : 0;
}
