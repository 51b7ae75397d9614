/* verdict.c - put failed checks and values that are not finite into a sentence. */
#include "verdict.h"

#include <math.h>
#include <stdlib.h>

#include "patchsweep/log.h"
#include "patchsweep/mem.h"

static void add_place(ps_text *text, const ps_pair *pairs, const ps_cell *cell)
{
    ps_text_printf(text, "'%s', %s %s", pairs[cell->pair].job->id, ps_sites[cell->site].name,
                   ps_directions[cell->direction].name);
    for (int axis = 0; axis < PS_N_AXES; axis++)
        if (ps_site_shapes[cell->site].axis[axis])
            ps_text_printf(text, ", %s %d", ps_axis_names[axis], (int)ps_cell_at(cell, (enum ps_axis)axis));
}

/* Name the rank that differs.  Of two ranks, neither is known to be the right one. */
static void add_odd_rank(ps_text *text, const ps_agreement *a)
{
    if (a->n_ranks == 2)
        ps_text_printf(text, "; rank 0 and rank %d on %s computed different values of one cell: suspect the memory or the "
                       "processor of either node", (int)a->odd, a->host);
    else
        ps_text_printf(text, "; rank %d on %s computed other values of a cell than the other %d ranks: suspect the memory or the "
                       "processor of that node", (int)a->odd, a->host, (int)a->n_ranks - 1);
}

static void add_failed_checks(ps_text *text, const ps_pair *pairs, const ps_checks *checks)
{
    ps_text_printf(text, "%zu of %zu self-checks failed, ", checks->n_failed, checks->n);
    if (isfinite(checks->worst))
        ps_text_printf(text, "by %g at most", checks->worst);
    else
        ps_text_puts(text, "a value being finite where its twin is not");
    ps_text_puts(text, "; the first at ");
    add_place(text, pairs, &checks->failed);
    if (checks->odd.n_ranks)
        add_odd_rank(text, &checks->odd);
    ps_text_puts(text, "; do not trust these results: run again elsewhere, and if checks fail there too, report it");
}

/* Look at the base runs first: if a base run's values are not finite, no cell of its pair can be. */
static const char *base_not_finite(const ps_grid *grid, const ps_pair *pairs, const ps_scores *scores)
{
    for (int32_t pair = 0; pair < grid->n_pairs; pair++)
        for (int which = 0; which < PS_N_WHICH; which++)
            if (!isfinite(scores->base[pair][which].values[PS_LOGIT_ANSWER]))
                return pairs[pair].job->id;
    return NULL;
}

static void add_not_finite(ps_text *text, const ps_grid *grid, const ps_pair *pairs, ps_ledger *ledger)
{
    ps_cell at;
    size_t n = ps_ledger_not_finite(ledger, &at), n_blind = ps_ledger_checks(ledger)->n_blind;
    const char *base = base_not_finite(grid, pairs, ps_ledger_scores(ledger));

    if (!n && !base)
        return;
    ps_text_puts(text, text->n ? "; " : "");
    if (n) {
        ps_text_printf(text, "%zu values are not finite, the first at ", n);
        add_place(text, pairs, &at);
    }
    if (base)
        ps_text_printf(text, "%sthe unpatched runs of '%s' are not finite%s", n ? "; " : "", base, n ? " either" : "");
    ps_text_printf(text, ": the model's weights are likely to hold such values, or to exceed the range of %s",
                   ps_precisions[grid->precision].name);
    if (n_blind)
        ps_text_printf(text, "; %zu of %zu self-checks can tell nothing there", n_blind, ps_ledger_checks(ledger)->n);
}

int ps_verdict_reach(ps_verdict *verdict, const ps_grid *grid, const ps_pair *pairs, ps_ledger *ledger, ps_err *err)
{
    const ps_checks *checks = ps_ledger_checks(ledger);

    verdict->failed = checks->n_failed > 0;
    if (verdict->failed)
        add_failed_checks(&verdict->text, pairs, checks);
    add_not_finite(&verdict->text, grid, pairs, ledger);
    return ps_text_ok(&verdict->text, err);
}

void ps_verdict_read(ps_verdict *verdict, const ps_result_file *file)
{
    char *failed = ps_result_attr(file, "/run", "checks_failed"), *text = ps_result_attr(file, "/run", "warning");

    verdict->failed = failed && strtod(failed, NULL) > 0;
    if (text || verdict->failed)
        ps_text_puts(&verdict->text, text ? text : "self-checks failed");
    ps_free(failed);
    ps_free(text);
}

int ps_verdict_tell(const ps_verdict *verdict, const char *path, ps_err *err)
{
    if (verdict->failed)
        return ps_err_set(err, PS_EFAIL, "'%s': %s", path, ps_text_str(&verdict->text));
    if (verdict->text.n)
        ps_warn("'%s': %s", path, ps_text_str(&verdict->text));
    return 0;
}
