/* brief.c - the job, its model's small files, its pairs, and the place of its output. */
#include "brief.h"

#include <stdio.h>
#include <string.h>

#include "identity.h"
#include "patchsweep/child.h"
#include "patchsweep/claim.h"
#include "patchsweep/family.h"
#include "patchsweep/file.h"
#include "patchsweep/hub.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/part.h"
#include "patchsweep/place.h"
#include "patchsweep/results.h"
#include "patchsweep/summary.h"

#define LOCK_PATIENCE 15 /* seconds: by then the ranks of a killed mpirun have ended */

/* Find the output's name: -o, else the job's `output`, else the job file's name with .h5, in the current folder. */
static char *output_name(const ps_brief *b, const ps_run_options *o, ps_err *err)
{
    const char *base = strrchr(o->job, '/'), *dot;

    if (o->output || b->job->output)
        return ps_strdup(o->output ? o->output : b->job->output, err);
    base = base ? base + 1 : o->job;
    dot = strrchr(base, '.');
    size_t n = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    char *name = ps_malloc(n + sizeof ".h5", 1, err);
    if (name)
        snprintf(name, n + sizeof ".h5", "%.*s.h5", (int)n, base);
    return name;
}

/* Check in a child process whether a result can be read: a damaged file may crash the process.  If not, *why may
 * have the reason. */
static bool readable(const char *path, ps_err *why)
{
    const char *const argv[] = {"patchsweep", "inspect", "--identity", "--", path, NULL};
    ps_text identity = {0};

    int rc = ps_result_is(path) ? ps_child_run(argv, path, PS_CHILD_SECONDS, &identity, why) : 1;
    ps_text_release(&identity);
    return rc == 0 || rc == -2; /* -2: no child process could be started */
}

static bool same_job(const ps_brief *b, const char *identity, ps_err *why)
{
    return ps_identity_compare(ps_identity_of_job(identity), ps_identity_of_job(ps_text_str(&b->identity)), why) == 0;
}

/* Read whose journal lies beside an existing output: another job's, or that of a run of this job begun with --force. */
static void look_at_journal(ps_brief *b)
{
    ps_err why = PS_ERR_INIT;
    ps_summary s;

    if (!ps_file_kind(b->journal))
        return;
    if (ps_summary_read(&s, b->journal, &why) < 0) {
        b->other_journal = true;
        return;
    }
    b->other_journal = s.identity && !same_job(b, s.identity, &why);
    b->replace = s.identity && !b->other_journal && s.replaces;
    ps_summary_release(&s);
}

/* Examine a file at the output's name: is it the result of this job, or of another? */
static int check_output(ps_brief *b, const ps_run_options *o, ps_err *err)
{
    ps_result_file *file = NULL;
    ps_err ignored = PS_ERR_INIT, why = PS_ERR_INIT;

    if (o->force || !ps_file_kind(b->output))
        return 0;
    look_at_journal(b);
    if (b->replace) /* resume what --force began */
        return 0;
    if (readable(b->output, &why) && ps_result_open(&file, b->output, &ignored) == 0) {
        char *text = ps_result_attr(file, "/", "identity");
        b->complete = text && same_job(b, text, &why);
        ps_free(text);
        ps_verdict_read(&b->verdict, file);
        ps_result_close(file);
    }
    if (b->complete)
        return 0;
    if (why.code == PS_ESTOPPED)
        ps_info("%s", why.text);
    if (why.code == PS_ESTOPPED || why.code == PS_EFAIL) { /* the check itself failed, so nothing is known of the file */
        *err = why;
        return -1;
    }
    return ps_err_set(err, PS_EINPUT, "'%s' exists and is not a result of this job%s%s; name another "
                      "with -o, or use --force to replace it", b->output, why.code ? ": " : "", why.text);
}

static bool needs_tokenizer(const ps_job *job)
{
    for (size_t i = 0; i < job->n_pairs; i++)
        if (job->pairs[i].prompt[PS_CLEAN].text || job->pairs[i].answer)
            return true;
    return false;
}

/* Open the tokenizer.  A job with text needs one.  For a job of ids it only gives tokens their labels. */
static int open_tokenizer(ps_brief *b, ps_err *err)
{
    char *path = ps_path_join(b->model_dir, "tokenizer.json", err);
    bool needed = needs_tokenizer(b->job);
    int rc = 0;

    if (!path)
        return -1;
    if (needed || ps_file_kind(path) == 1) {
        rc = ps_tokenizer_open(&b->tokenizer, path, err);
        if (rc < 0 && !needed) {
            ps_warn("%s; tokens have no labels", err->text);
            *err = (ps_err)PS_ERR_INIT;
            rc = 0;
        }
    }
    ps_free(path);
    return rc;
}

static void show_pairs(const ps_brief *b)
{
    ps_text table = {0};

    ps_pairs_table(b->pairs, b->job->n_pairs, &table);
    fprintf(stderr, "%s", ps_text_str(&table));
    ps_text_release(&table);
}

/* Make the names of the files that a run keeps beside its output, and take the output's lock. */
static int take_output(ps_brief *b, const ps_run_options *o, ps_err *err)
{
    b->replace = o->force;
    b->output = output_name(b, o, err);
    if (!b->output || ps_claim_output(&b->lock, b->output, LOCK_PATIENCE, err) < 0)
        return -1;
    b->journal = ps_beside(b->output, PS_JOURNAL, err);
    b->rows_dir = b->journal ? ps_beside(b->output, PS_ROWS, err) : NULL;
    return b->rows_dir ? 0 : -1;
}

static int read_model_and_pairs(ps_brief *b, const ps_run_options *o, ps_err *err)
{
    if (ps_hub_resolve(&b->model_dir, &b->revision, b->job->model, b->job->dir, ps_family_architectures(), err) < 0 ||
        ps_config_read(&b->config, b->model_dir, err) < 0 || open_tokenizer(b, err) < 0)
        return -1;
    const ps_grid_model model = ps_grid_model_of(b->config);
    if (ps_pairs_build(&b->pairs, b->job, b->tokenizer, b->config->vocab, err) < 0 ||
        ps_grid_build(&b->grid, b->job, b->pairs, &model, err) < 0)
        return ps_err_prefix(err, "job '%s'", o->job);
    return ps_identity_build(&b->identity, b->job, b->grid, b->model_dir, err);
}

int ps_brief_read(ps_brief *b, const ps_run_options *o, ps_err *err)
{
    if (ps_job_read(&b->job, o->job, o->overrides, o->n_overrides, err) < 0 || take_output(b, o, err) < 0)
        return -1;
    b->backend_name = ps_strdup(b->job->backend, err);
    if (!b->backend_name || ps_part_begin(&b->part, b->output, err) < 0 ||
        read_model_and_pairs(b, o, err) < 0 || check_output(b, o, err) < 0)
        return -1;
    if (!b->complete && !o->quiet)
        show_pairs(b);
    return 0;
}

void ps_brief_let_go(ps_brief *b)
{
    ps_lock_release(b->lock);
    b->lock = NULL;
}

void ps_brief_release(ps_brief *b)
{
    char *names[] = {b->model_dir, b->revision, b->backend_name, b->output, b->part, b->journal, b->rows_dir};

    ps_brief_let_go(b);
    ps_grid_free(b->grid);
    ps_config_free(b->config);
    ps_pairs_free(b->pairs, b->job ? b->job->n_pairs : 0);
    ps_tokenizer_close(b->tokenizer);
    ps_job_free(b->job);
    ps_text_release(&b->identity);
    ps_text_release(&b->verdict.text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ps_free(names[i]);
}
