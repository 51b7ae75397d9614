/* summary.c - count a journal's records. */
#include "patchsweep/summary.h"

#include "patchsweep/mem.h"
#include "records.h"

static int count(void *context, uint32_t type, const void *payload, size_t bytes, ps_err *err)
{
    ps_summary *s = context;
    ps_record_view v;

    if (type == PS_RECORD_IDENTITY || type == PS_RECORD_SESSION) {
        char **text = type == PS_RECORD_IDENTITY ? &s->identity : &s->session;
        ps_free(*text);
        *text = ps_strndup(payload, bytes, err);
        s->n_sessions += type == PS_RECORD_SESSION;
        return *text ? 0 : -1;
    }
    s->replaces = s->replaces || type == PS_RECORD_REPLACES;
    if (type == PS_RECORD_WEIGHTS || type == PS_RECORD_REPLACES)
        return 0;
    if (ps_record_view_of(&v, type, payload, bytes, NULL, 0, err) < 0)
        return -1;
    s->n_pairs += v.type == PS_RECORD_BASELINE;
    s->n_checks += v.type == PS_RECORD_RANKS ? 1 : v.n_checks;
    s->n_cells += v.n_cells - v.n_checks;
    s->n_activations += v.type == PS_RECORD_ACTIVATIONS;
    if (v.type == PS_RECORD_SNAPSHOT) {
        s->n_snapshots++;
        s->layer = v.snapshot->layer;
    }
    return 0;
}

int ps_summary_read(ps_summary *summary, const char *path, ps_err *err)
{
    *summary = (ps_summary){.n_cells = 0};
    if (ps_journal_scan(path, count, summary, &summary->journal, err) == 0)
        return 0;
    ps_summary_release(summary);
    return -1;
}

void ps_summary_release(ps_summary *summary)
{
    ps_free(summary->identity);
    ps_free(summary->session);
    *summary = (ps_summary){.n_cells = 0};
}
