/*
 * cmd_inspect.c - describe a model directory, a result file or a journal.
 *
 * A journal is recognised by its first bytes.  Any other regular file is read as a result, anything else as a model.
 */
#include <stdio.h>

#include "inspect.h"
#include "opt.h"
#include "patchsweep/file.h"
#include "patchsweep/journal.h"
#include "patchsweep/mem.h"
#include "patchsweep/place.h"
#include "patchsweep/text.h"

typedef struct options {
    bool tensors;  /* model: list the tensors */
    bool verify;   /* result: compare checksums */
    bool repair;   /* journal: cut it at the first bad frame */
    bool identity; /* result: print that attribute alone */
} options;

/* Refuse a missing `path` whose name is a journal's or a result's. */
static int refuse_missing(const char *path, ps_err *err)
{
    size_t n = ps_inspect_stem(path, ps_beside_suffix[PS_JOURNAL]);
    char *output = n ? ps_strndup(path, n, err) : NULL;

    if (n && !output)
        return -1;
    if (output && ps_file_kind(output) == 1)
        ps_err_set(err, PS_EINPUT, "there is no file '%s': the run has finished, and its result is '%s'", path, output);
    else if (output)
        ps_err_set(err, PS_EINPUT, "there is no file '%s'; a journal is beside the output only until the run has finished",
                   path);
    else
        ps_err_set(err, PS_EINPUT, "there is no file '%s'", path);
    ps_free(output);
    return -1;
}

static int inspect(ps_answer *a, const options *o, const char *path)
{
    ps_err err = PS_ERR_INIT;
    int rc, kind = ps_file_kind(path);

    if (o->identity)
        return ps_inspect_identity(path, &err) < 0 ? ps_fail(&err) : 0;
    if (ps_journal_is(path))
        rc = ps_inspect_journal(a, path, o->repair, &err);
    else if (kind == 1)
        rc = ps_inspect_result(a, path, o->verify, &err);
    else if (kind == 0 && (ps_inspect_stem(path, ps_beside_suffix[PS_JOURNAL]) || ps_inspect_stem(path, ".h5")))
        rc = refuse_missing(path, &err);
    else
        rc = ps_inspect_model(a, path, o->tensors, &err);

    ps_text_puts(&a->text, a->json ? "\n}\n" : "\n");
    if (rc == 0)
        rc = ps_text_ok(&a->text, &err);
    if (rc == 0 && (fputs(ps_text_str(&a->text), stdout) < 0 || fflush(stdout) < 0))
        rc = ps_err_errno(&err, "cannot write the answer");
    return rc < 0 ? ps_fail(&err) : 0;
}

int cmd_inspect(int argc, char **argv)
{
    ps_err err = PS_ERR_INIT;
    ps_answer a = {.json = false};
    options o = {.verify = false};
    int n_args = 0;
    const ps_opt opts[] = {
        {0, "tensors", PS_OPT_FLAG, &o.tensors, NULL, "list a model's tensors: name, dtype, shape"},
        {0, "verify", PS_OPT_FLAG, &o.verify, NULL,
         "compare a result's datasets and attributes with their\n"
         "checksums"},
        {0, "repair", PS_OPT_FLAG, &o.repair, NULL,
         "cut a torn or damaged journal at its first bad record; the\n"
         "resumed run computes the rest again"},
        {0, "identity", PS_OPT_FLAG, &o.identity, NULL,
         "print only what a result was made from: job, model, tokens"},
        {0, "json", PS_OPT_FLAG, &a.json, NULL, "one JSON object instead of text"},
        {0, NULL, PS_OPT_FLAG, NULL, NULL, NULL},
    };
    const ps_usage usage = {
        "patchsweep inspect [options] PATH",
        "Describe a model (a directory, or a hub name in the local cache), the result file of\n"
        "a sweep, or the journal of an unfinished sweep.  Checks config.json and every header\n"
        "as 'run' does, and every record of a journal.",
        opts,
        "examples:\n"
        "  patchsweep inspect HuggingFaceTB/SmolLM2-135M --tensors\n"
        "  patchsweep inspect sweep.h5 --json\n"
        "  patchsweep inspect sweep.h5 --verify\n"
        "  patchsweep inspect sweep.h5.journal --repair\n\n"
        "exit status: 0 described, 1 failed, 2 bad usage, model, result or journal"};

    int rc = ps_opt_parse(&usage, argc, argv, &n_args, &err);
    if (rc == 0 && n_args != 1)
        rc = ps_err_set(&err, PS_EINPUT, "inspect takes one model, result or journal, not %d; see 'patchsweep inspect --help'",
                        n_args);
    rc = rc == 0 ? inspect(&a, &o, argv[0]) : rc > 0 ? 0 : ps_fail(&err);
    ps_text_release(&a.text);
    return rc;
}
