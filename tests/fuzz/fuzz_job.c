/*
 * fuzz_job.c - a job file; or, where a '=' comes before any '{', a --set laid over a good one.
 *
 * What is accepted must be accepted again as it is printed, and print the same.
 */
#include "fuzz.h"
#include "patchsweep/job.h"
#include "patchsweep/mem.h"

static const char good[] = "{\"model\": \"m\", \"template\": \"Q: {a}\\nA:\", \"pairs\": [{\"id\": \"p\", \"clean\": {\"a\": \"x\"}, "
                           "\"corrupt\": {\"a\": \"y\"}, \"answer\": \" z\", \"foil\": \"w\"}]}";

static const char line[] = "{\"clean_ids\": [1], \"corrupt_ids\": [2], \"answer_id\": 3}\n"; /* of a pairs_file */

static void check_prompt(const ps_prompt *prompt)
{
    for (size_t i = 0; i < prompt->n_ids; i++)
        CLAIM(prompt->ids[i] >= 0);
    CLAIM(prompt->text ? !prompt->ids : prompt->n_ids > 0);
    if (!prompt->text)
        return;
    CLAIM(strlen(prompt->text) == prompt->n_bytes && prompt->n_bytes > 0);
    CLAIM(ps_utf8_check(prompt->text, prompt->n_bytes) == prompt->n_bytes);
    for (size_t i = 0; i < prompt->n_spans; i++)
        CLAIM(prompt->spans[i].start <= prompt->spans[i].end && prompt->spans[i].end <= prompt->n_bytes);
}

static void check_job(const ps_job *job)
{
    CLAIM(job->model && *job->model && job->n_pairs > 0);
    CLAIM(job->sites && job->directions && (job->metrics & 1u << job->score));
    CLAIM((unsigned)job->activation_dtype < PS_N_DTYPES && (unsigned)job->precision < PS_N_PRECISIONS);
    for (size_t i = 0; i < job->n_pairs; i++) {
        const ps_job_pair *pair = &job->pairs[i];
        CLAIM(pair->id && *pair->id && strlen(pair->id) <= 64 && pair->where);
        CLAIM(!pair->answer != (pair->answer_id < 0));
        CLAIM(!pair->foil || pair->foil_id < 0);
        for (int w = 0; w < PS_N_WHICH; w++)
            check_prompt(&pair->prompt[w]);
    }
}

static void check_reread(const ps_job *job)
{
    ps_job *again = NULL;
    ps_err err = PS_ERR_INIT;
    char path[256];

    fuzz_write("again.json", job->text, strlen(job->text));
    int rc = ps_job_read(&again, fuzz_path(path, "again.json"), NULL, 0, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n%s\n", job->text, err.text);
    CLAIM(rc == 0 && !strcmp(job->text, again->text));
    ps_job_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[256], *text = n ? strndup((const char *)data, n) : strdup("");
    const char *overrides[] = {text}, *equals = strchr(text, '='), *brace = strchr(text, '{');
    bool set = equals && (!brace || equals < brace) && strlen(text) == n;
    ps_err err = PS_ERR_INIT;
    ps_job *job = NULL;

    fuzz_write("job.json", set ? good : (const char *)data, set ? sizeof good - 1 : n);
    fuzz_write("many.jsonl", line, sizeof line - 1);
    int rc = ps_job_read(&job, fuzz_path(path, "job.json"), overrides, set, &err);
    if (rc < 0)
        fuzz_refused(rc, &err);
    else {
        check_job(job);
        check_reread(job);
    }
    ps_job_free(job);
    free(text);
    return 0;
}
