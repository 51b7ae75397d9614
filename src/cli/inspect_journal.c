/* inspect_journal.c - describe a journal, and cut it where it is damaged. */
#include "inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/claim.h"
#include "patchsweep/mem.h"
#include "patchsweep/place.h"
#include "patchsweep/summary.h"
#include "patchsweep/text.h"

/* Add a row whose value is the first n bytes of a text. */
static void row_piece(ps_answer *a, const char *key, const char *text, size_t n)
{
    ps_err err = PS_ERR_INIT;
    char *piece = ps_strndup(text, n, &err);

    if (piece)
        ps_answer_text(a, key, piece);
    else
        a->text.failed = true;
    ps_free(piece);
}

/* Add rows of the last session: time, command line, build, machine. */
static void rows_session(ps_answer *a, const char *session)
{
    static const char build[] = "build: "; /* sessions of earlier versions have no such line */
    const char *line = session + strcspn(session, "\n");

    row_piece(a, "last_session", session, (size_t)(line - session));
    if (*line && !strncmp(line + 1, build, sizeof build - 1)) {
        line += sizeof build;
        size_t n = strcspn(line, "\n");
        row_piece(a, "build", line, n);
        line += n;
    }
    if (*line)
        row_piece(a, "machine", line + 1, strcspn(line + 1, "\n"));
}

/* Add a row for each line of "field: value".  The field's name becomes the key; a character that keys cannot have
 * becomes '_'. */
static void rows_identity(ps_answer *a, const char *line)
{
    static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    for (size_t n; *line; line += n + (line[n] == '\n')) {
        char key[128];
        size_t colon = strcspn(line, ":\n");
        n = strcspn(line, "\n");
        snprintf(key, sizeof key, "%.*s", (int)colon, line);
        for (char *c = key; *c; c++)
            *c = strchr(fit, *c) ? *c : '_';
        if (n >= colon + 2)
            row_piece(a, key, line + colon + 2, n - colon - 2);
    }
}

static void rows_summary(ps_answer *a, const ps_summary *s)
{
    static const char *const states[] = {[PS_JOURNAL_WHOLE] = "whole", [PS_JOURNAL_TORN] = "torn tail",
                                         [PS_JOURNAL_DAMAGED] = "damaged"};
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {
        {"bytes", s->journal.size},   {"good_bytes", s->journal.good}, {"records", s->journal.frames},
        {"sessions", s->n_sessions},  {"pairs_done", s->n_pairs},      {"cells_done", s->n_cells},
        {"checks_done", s->n_checks}, {"activations", s->n_activations}, {"snapshots", s->n_snapshots},
    };

    ps_answer_text(a, "state", states[s->journal.state]);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        ps_answer_count(a, counts[i].name, counts[i].n);
    if (s->n_snapshots)
        ps_answer_count(a, "before_layer", (uint64_t)s->layer);
    if (s->session)
        rows_session(a, s->session);
    if (s->identity)
        rows_identity(a, s->identity);
}

size_t ps_inspect_stem(const char *path, const char *suffix)
{
    size_t n = strlen(path), tail = strlen(suffix);

    return n > tail && !strcmp(path + n - tail, suffix) ? n - tail : 0;
}

/* Take the lock of the journal's output, so that no run writes the journal while it is scanned and cut. */
static int take_output_of(ps_lock **lock, const char *path, ps_err *err)
{
    size_t n = ps_inspect_stem(path, ps_beside_suffix[PS_JOURNAL]);
    char *output = n ? ps_strndup(path, n, err) : ps_strdup(path, err);
    int rc = output ? ps_claim_output(lock, output, 0, err) : -1;

    ps_free(output);
    return rc;
}

/* Cut off the bad end. */
static int cut(ps_answer *a, const char *path, const ps_summary *s, ps_err *err)
{
    if (s->journal.state == PS_JOURNAL_WHOLE)
        return 0;
    if (ps_journal_cut(path, s->journal.good, err) < 0)
        return -1;
    ps_answer_count(a, "cut_bytes", s->journal.size - s->journal.good);
    return 0;
}

/* Describe the journal.  Damage is part of the answer, and a failure too unless it was repaired. */
static int describe(ps_answer *a, const char *path, bool repair, ps_err *err)
{
    ps_summary s;

    if (ps_summary_read(&s, path, err) < 0)
        return ps_err_prefix(err, "journal '%s'", path);
    ps_answer_text(a, "journal", path);
    rows_summary(a, &s);
    int rc = repair ? cut(a, path, &s, err) : 0;
    if (!repair && s.journal.state == PS_JOURNAL_DAMAGED)
        rc = ps_err_set(err, PS_EINPUT, "journal '%s' is damaged at byte %" PRIu64 ", before its end; --repair cuts it there, "
                        "and the run that resumes from it computes the rest again", path, s.journal.good);
    ps_summary_release(&s);
    return rc;
}

int ps_inspect_journal(ps_answer *a, const char *path, bool repair, ps_err *err)
{
    ps_lock *lock = NULL;

    if (repair && take_output_of(&lock, path, err) < 0)
        return -1;
    int rc = describe(a, path, repair, err);
    ps_lock_release(lock);
    return rc;
}
