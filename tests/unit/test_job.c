/*
 * test_job.c - job files: what is read, what is refused and in which words.
 *
 * Most cases are a job in one string; they share a file in a folder of their own.
 */
#include "patchsweep/job.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

static char dir[] = "/tmp/test_job.XXXXXX";
static char job_path[64], lines_path[64];

static void write_file(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");

    CHECK(f && fwrite(text, 1, n, f) == n);
    if (f)
        fclose(f);
}

static int read_job(ps_job **out, const char *text, const char *set, ps_err *err)
{
    write_file(job_path, text, strlen(text));
    return ps_job_read(out, job_path, &set, set != NULL, err);
}

static ps_job *good_job(const char *text, const char *set)
{
    ps_err err = PS_ERR_INIT;
    ps_job *job = NULL;

    if (read_job(&job, text, set, &err) < 0) {
        printf("# %s %s: %s\n", text, set ? set : "", err.text);
        check_failed_here++;
        return NULL;
    }
    return job;
}

#define TEMPLATE   "\"model\":\"m\",\"template\":\"Is {a} like {b}?\","
#define IDS        "\"clean_ids\":[1,2],\"corrupt_ids\":[1,3]"
#define ONE_PAIR   "\"model\":\"m\",\"pairs\":[{" IDS ",\"answer_id\":7}]"
#define FOIL_PAIR  "\"model\":\"m\",\"pairs\":[{" IDS ",\"answer_id\":7,\"foil_id\":8}]"
#define PAIR(keys) "{\"model\":\"m\",\"pairs\":[{" keys "}]}"

/* ---- good jobs ---- */

static void test_defaults(void)
{
    ps_job *job = good_job("{" ONE_PAIR "}", NULL);

    if (!job)
        return;
    CHECK_STR(job->path, job_path);
    CHECK_STR(job->dir, dir);
    CHECK_STR(job->model, "m");
    CHECK(!job->output);
    CHECK_STR(job->backend, "auto");
    CHECK_INT(job->sites, 1u << PS_RESID_POST);
    CHECK_INT(job->directions, 1u << PS_DENOISE);
    CHECK_INT(job->metrics,
              1u << PS_LOGIT_ANSWER | 1u << PS_LOGPROB_ANSWER | 1u << PS_KL | 1u << PS_ANSWER_RANK);
    CHECK_INT(job->activations, 0);
    CHECK(!job->patched_final);
    CHECK_INT(job->score, PS_LOGIT_ANSWER);
    CHECK_INT(job->activation_dtype, PS_DTYPE_F32);
    CHECK_INT(job->precision, PS_FP32);
    CHECK(job->layers.all && job->heads.all && job->positions.all);
    CHECK_INT(job->n_pairs, 1);
    CHECK_STR(job->pairs[0].id, "pair0000");
    CHECK_STR(job->pairs[0].where, "pairs[0]");
    CHECK(!job->pairs[0].answer && !job->pairs[0].foil);
    CHECK_INT(job->pairs[0].answer_id, 7);
    CHECK_INT(job->pairs[0].foil_id, -1);
    CHECK_INT(job->pairs[0].prompt[PS_CORRUPT].n_ids, 2);
    CHECK_INT(job->pairs[0].prompt[PS_CORRUPT].ids[1], 3);
    CHECK(!job->pairs[0].prompt[PS_CLEAN].text);
    ps_job_free(job);
}

static void test_all_keys(void)
{
    ps_job *job = good_job(
        "{\"$schema\":\"x\",\"// why\":1,\"_comment\":[],\"model\":\"/abs\",\"pairs\":[{" IDS
        ",\"//\":\"\",\"answer\":\" a\",\"foil\":\" "
        "b\",\"id\":\"A-1.x_\"}],\"sites\":[\"mlp_out\",\"resid_pre\"],"
        "\"directions\":[\"noise\",\"denoise\",\"noise\"],\"layers\":[3,-1],\"heads\":[7,-2],\"positions\":[0],"
        "\"score\":\"logprob\","
        "\"metrics\":[\"kl\"],\"activations\":[\"corrupt\"],\"activation_dtype\":\"bf16\","
        "\"precision\":\"fp32\","
        "\"output\":\"o.h5\",\"backend\":\"ref\",\"patched_final\":true}",
        NULL);

    if (!job)
        return;
    CHECK_INT(job->sites, 1u << PS_RESID_PRE | 1u << PS_MLP_OUT);
    CHECK_INT(job->directions, 3);
    CHECK(!job->layers.all);
    CHECK_INT(job->layers.n, 2);
    CHECK_INT(job->layers.at[1], -1);
    CHECK(!job->heads.all && job->heads.n == 2);
    CHECK_INT(job->heads.at[0], 7);
    CHECK_INT(job->heads.at[1], -2);
    CHECK_INT(job->positions.n, 1);
    CHECK_INT(job->score, PS_LOGPROB_ANSWER);
    CHECK_INT(job->metrics, 1u << PS_KL | 1u << PS_LOGPROB_ANSWER);
    CHECK_INT(job->activations, 1u << PS_CORRUPT);
    CHECK_INT(job->activation_dtype, PS_DTYPE_BF16);
    CHECK(job->patched_final);
    CHECK_STR(job->backend, "ref");
    CHECK_STR(job->output, "o.h5");
    CHECK_STR(job->pairs[0].id, "A-1.x_");
    CHECK_STR(job->pairs[0].answer, " a");
    CHECK_STR(job->pairs[0].foil, " b");
    CHECK_STR(
        job->text,
        "{\"model\":\"/"
        "abs\",\"pairs\":[{\"id\":\"A-1.x_\",\"clean_ids\":[1,2],\"corrupt_ids\":[1,3],"
        "\"answer\":\" a\",\"foil\":\" b\"}],\"sites\":[\"resid_pre\",\"mlp_out\"],"
        "\"directions\":[\"denoise\",\"noise\"],\"layers\":[3,-1],\"heads\":[7,-2],\"positions\":[0],\"score\":"
        "\"logprob\","
        "\"metrics\":[\"logprob_answer\",\"kl\"],\"activations\":[\"corrupt\"],\"activation_"
        "dtype\":\"bf16\","
        "\"patched_final\":true,\"precision\":\"fp32\",\"backend\":\"ref\",\"output\":\"o.h5\"}");
    ps_job_free(job);
}

static void test_metrics(void)
{
    static const struct {
        const char *job;
        unsigned metrics;
    } cases[] = {
        {"{" FOIL_PAIR "}", (1u << PS_N_METRICS) - 1},
        {"{" FOIL_PAIR ",\"metrics\":\"all\"}", (1u << PS_N_METRICS) - 1},
        {"{" FOIL_PAIR ",\"score\":\"logit_diff\",\"metrics\":[]}", 1u << PS_LOGIT_DIFF},
        {"{" ONE_PAIR ",\"metrics\":[]}", 1u << PS_LOGIT_ANSWER},
        {"{" FOIL_PAIR ",\"metrics\":[\"logit_foil\"]}",
         1u << PS_LOGIT_FOIL | 1u << PS_LOGIT_ANSWER},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_job *job = good_job(cases[i].job, NULL);
        if (job)
            CHECK_INT(job->metrics, cases[i].metrics);
        ps_job_free(job);
    }
}

static void test_template(void)
{
    ps_job *job =
        good_job("{\"model\":\"m\",\"template\":\"{{{a}}} or {b_2}? "
                 "{a}\",\"fill\":{\"b_2\":\"B{a}\",\"a\":\"x\"},"
                 "\"pairs\":[{\"clean\":{\"a\":\"\xc3\xa9\"},\"corrupt\":{},\"answer\":\" y\"}]}",
                 NULL);

    if (!job)
        return;
    const ps_prompt *clean = &job->pairs[0].prompt[PS_CLEAN];
    CHECK_STR(clean->text, "{\xc3\xa9} or B{a}? \xc3\xa9");
    CHECK_INT(clean->n_bytes, strlen(clean->text));
    CHECK_INT(clean->n_spans, 3);
    CHECK_STR(clean->spans[0].name, "a");
    CHECK_INT(clean->spans[0].start, 1);
    CHECK_INT(clean->spans[0].end, 3);
    CHECK_STR(clean->spans[1].name, "b_2");
    CHECK_INT(clean->spans[1].start, 8);
    CHECK_INT(clean->spans[1].end, 12);
    CHECK_INT(clean->spans[2].start, 14);
    CHECK_STR(job->pairs[0].prompt[PS_CORRUPT].text, "{x} or B{a}? x");
    ps_job_free(job);
}

static void test_whole_prompts(void)
{
    ps_job *job = good_job(
        PAIR("\"clean_prompt\":\"a {b}\",\"corrupt_prompt\":\"}\",\"answer\":\"c\""), NULL);

    if (!job)
        return;
    CHECK_STR(job->pairs[0].prompt[PS_CLEAN].text, "a {b}");
    CHECK_INT(job->pairs[0].prompt[PS_CLEAN].n_bytes, 5);
    CHECK_INT(job->pairs[0].prompt[PS_CLEAN].n_spans, 0);
    CHECK_STR(job->pairs[0].prompt[PS_CORRUPT].text, "}");
    ps_job_free(job);
}

/* Unnamed pairs are numbered by place; a number that is taken is passed over. */
static void test_default_ids(void)
{
    ps_job *job =
        good_job("{\"model\":\"m\",\"pairs\":[{\"id\":\"pair0001\"," IDS ",\"answer_id\":1},{" IDS
                 ",\"answer_id\":1},{" IDS ",\"answer_id\":1}]}",
                 NULL);

    if (!job)
        return;
    CHECK_STR(job->pairs[0].id, "pair0001");
    CHECK_STR(job->pairs[1].id, "pair0004");
    CHECK_STR(job->pairs[2].id, "pair0002");
    ps_job_free(job);
}

/* ---- --set ---- */

static void test_set(void)
{
    const char *sets[] = {"sites=[\"mlp_out\"]", "output=x=y.h5",    "output=2024",
                          "layers=[0]",          "layers=all",       "score=logit_diff",
                          "patched_final=true",  "template={a} {b}", "model=\"quoted\""};
    ps_err err = PS_ERR_INIT;
    ps_job *job = NULL;
    const char *text =
        "{\"model\":\"m\",\"fill\":{\"b\":\"B\"},\"template\":\"none\",\"pairs\":["
        "{\"clean\":{\"a\":\"1\"},\"corrupt\":{\"a\":\"2\"},\"answer\":\"x\",\"foil\":\"y\"}]}";

    write_file(job_path, text, strlen(text));
    int rc = ps_job_read(&job, job_path, sets, sizeof sets / sizeof *sets, &err);
    CHECK_STR(err.text, "");
    if (rc < 0)
        return;
    CHECK_INT(job->sites, 1u << PS_MLP_OUT);
    CHECK_STR(job->output, "2024");
    CHECK(job->layers.all);
    CHECK_INT(job->score, PS_LOGIT_DIFF);
    CHECK(job->patched_final);
    CHECK_STR(job->model, "quoted");
    CHECK_STR(job->pairs[0].prompt[PS_CORRUPT].text, "2 B");
    CHECK(strstr(job->text, "\"template\":\"{a} {b}\",\"fill\":{\"b\":\"B\"}"));
    CHECK(strstr(job->text, "\"sites\":[\"mlp_out\"]"));
    ps_job_free(job);
}

static void test_bad_sets(void)
{
    static const struct {
        const char *set, *words;
    } cases[] = {
        {"sits=[]", "--set: unknown key 'sits'; did you mean 'sites'?"},
        {"zzzzzzzzzzz=1", "--set: unknown key 'zzzzzzzzzzz'"},
        {"sites", "--set 'sites': has no '='; write key=value"},
        {"sites=[\"mlp_out\"", "--set sites: 1:"},
        {"sites=mlp_out", "--set sites: is a string; write an array of resid_pre, mlp_out, "
                          "resid_post, attn_out, resid_mid, q, k, v, z, pattern, q_by_pos, k_by_pos, "
                          "v_by_pos, z_by_pos or pattern_by_pos, such as [\""},
        {"sites=[\"mlp_ot\"]", "--set sites[0]: unknown 'mlp_ot'; did you mean 'mlp_out'?"},
        {"precision=fp16", "--set precision: unknown 'fp16'; write fp32 or bf16"},
        {"patched_final=yes",
         "--set patched_final: is a string; write true or false, such as true"},
        {"output=", "--set output: is empty; write it as in \"similarity.h5\""},
        {"layers=5",
         "--set layers: is a number; write \"all\" or an array of integers, such as [0, 1, -1]"},
        {"model=\xff", "--set model: 1:1: not valid UTF-8"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_err err = PS_ERR_INIT;
        ps_job *job = NULL;
        CHECK_ERR(read_job(&job, "{" ONE_PAIR "}", cases[i].set, &err), err, PS_EINPUT,
                  cases[i].words);
    }
}

/* ---- what is refused ---- */

static const struct {
    const char *job, *words;
} bad_jobs[] = {
    /* the file */
    {"", "empty, not JSON"},
    {"{\n \"model\": x}", "job.json': 2:11: not valid JSON"},
    {"[]", "is an array, not an object; write {"},
    {"{\"model\":\"m\",\"model\":\"m\"}", "duplicate key 'model'"},
    {"{" ONE_PAIR ",\"metric\":[]}", "unknown key 'metric'; did you mean 'metrics'?"},
    {"{" ONE_PAIR ",\"qqqqqqqqqqqq\":1}",
     "unknown key 'qqqqqqqqqqqq'; a comment's key begins with '//'"},
    /* values */
    {"{\"pairs\":[]}", "model: is missing; write it as in \""},
    {"{\"model\":7}", "model: is a number; write a string, such as \""},
    {"{\"model\":\"\"}", "model: is empty"},
    {"{" ONE_PAIR ",\"sites\":[]}", "sites: is empty; write it as in"},
    {"{" ONE_PAIR ",\"sites\":[3]}", "sites[0]: is a number, not a name"},
    {"{" ONE_PAIR ",\"sites\":[\"resid_post\",\"embedding\"]}",
     "sites[1]: unknown 'embedding'; write an array of resid_pre, mlp_out, resid_post, attn_out, resid_mid, q, k,"},
    {"{" ONE_PAIR ",\"sites\":[\"scores\"]}", "sites[0]: unknown 'scores'; write an array of"},
    {"{" ONE_PAIR ",\"sites\":[\"resid_psot\"]}", "did you mean 'resid_post'"},
    {"{" ONE_PAIR ",\"sites\":[\"attn_in\"]}", "sites[0]: unknown 'attn_in'; write an array of resid_pre, "},
    {"{" ONE_PAIR ",\"sites\":[\"o_by_pos\"]}", "sites[0]: unknown 'o_by_pos'; write an array of resid_pre, "},
    {"{" ONE_PAIR ",\"sites\":[\"hook_z\"]}", "sites[0]: unknown 'hook_z'; did you mean 'z' or 'z_by_pos'?"},
    {"{" ONE_PAIR ",\"sites\":[\"blocks.7.hook_resid_mid\"]}", "did you mean 'resid_mid'?"},
    {"{" ONE_PAIR ",\"sites\":[\"model.layers[{layer}].mlp.output\"]}", "did you mean 'mlp_out'?"},
    {"{" ONE_PAIR ",\"sites\":[\"q_proj.output\"]}", "did you mean 'q' or 'q_by_pos'?"},
    {"{" ONE_PAIR ",\"sites\":[\"output\"]}", "sites[0]: unknown 'output'; write an array of resid_pre, "},
    {"{" ONE_PAIR ",\"sites\":[\"blocks.x.hook_resid_mid\"]}", "sites[0]: unknown 'blocks.x.hook_resid_mid'; write"},
    {"{" ONE_PAIR ",\"directions\":[\"both\"]}",
     "directions[0]: unknown 'both'; write an array of denoise or noise"},
    {"{" ONE_PAIR ",\"directions\":\"all\"}", "directions: is a string; write an array of"},
    {"{" ONE_PAIR ",\"layers\":\"some\"}",
     "layers: is a string; write \"all\" or an array of integers"},
    {"{" ONE_PAIR ",\"layers\":[]}", "layers: is empty"},
    {"{" ONE_PAIR ",\"layers\":[1,2.0]}", "layers[1]: is not an integer"},
    {"{" ONE_PAIR ",\"positions\":[\"1\"]}", "positions[0]: is not an integer"},
    {"{" ONE_PAIR ",\"heads\":3}", "heads: is a number; write \"all\" or an array of integers, such as [0, 3, -1]"},
    {"{" ONE_PAIR ",\"heads\":[]}", "heads: is empty"},
    {"{" ONE_PAIR ",\"heads\":[0,\"all\"]}", "heads[1]: is not an integer"},
    {"{" ONE_PAIR ",\"head\":[0]}", "unknown key 'head'; did you mean 'heads'?"},
    {"{" ONE_PAIR ",\"score\":\"logits\"}", "score: unknown 'logits'; did you mean 'logit'?"},
    {"{" ONE_PAIR ",\"score\":null}",
     "score: is null; write logit, logit_diff or logprob, such as"},
    {"{" ONE_PAIR ",\"metrics\":[\"logits\"]}", "metrics[0]: unknown 'logits'"},
    {"{" ONE_PAIR ",\"activations\":[\"base\"]}", "activations[0]: unknown 'base'"},
    {"{" ONE_PAIR ",\"activation_dtype\":\"f64\"}",
     "activation_dtype: unknown 'f64'; write f32, f16 or bf16"},
    {"{" ONE_PAIR ",\"precision\":\"fp16\"}",
     "precision: unknown 'fp16'; write fp32 or bf16"},
    {"{" ONE_PAIR ",\"backend\":\"cuda\"}", "backend: unknown 'cuda'"},
    {"{" ONE_PAIR ",\"patched_final\":1}", "patched_final: is a number; write true or false"},
    {"{" ONE_PAIR ",\"output\":\"\"}", "output: is empty"},
    /* foils */
    {"{" ONE_PAIR ",\"score\":\"logit_diff\"}",
     "score: 'logit_diff' needs a foil and pairs[0] has none"},
    {"{" ONE_PAIR ",\"metrics\":[\"logit_foil\"]}",
     "metrics: 'logit_foil' needs a foil and pairs[0] has none"},
    {"{" ONE_PAIR ",\"metrics\":[\"kl\",\"logit_diff\"]}", "metrics: 'logit_diff' needs a foil"},
    /* templates */
    {"{\"model\":\"m\",\"template\":\"a {b\",\"pairs\":[]}",
     "template: '{' at byte 2 is never closed; write '{{'"},
    {"{\"model\":\"m\",\"template\":\"a } b\",\"pairs\":[]}",
     "template: '}' at byte 2 closes nothing; write '}}'"},
    {"{\"model\":\"m\",\"template\":\"{}\",\"pairs\":[]}",
     "template: '{}' at byte 0 is not a placeholder"},
    {"{\"model\":\"m\",\"template\":\"{a b}\",\"pairs\":[]}",
     "template: '{a b}' at byte 0 is not a placeholder"},
    {"{\"model\":\"m\",\"template\":\"{last}\",\"pairs\":[]}",
     "template: '{last}' at byte 0 is the name of a role"},
    {"{\"model\":\"m\",\"template\":\"\",\"pairs\":[]}", "template: is empty"},
    {"{" ONE_PAIR ",\"fill\":{\"a\":\"x\"}}", "fill: there is no template to fill"},
    {"{" TEMPLATE "\"fill\":{\"c\":\"x\"},\"pairs\":[]}",
     "fill: the template has no placeholder '{c}'; leave 'c' out"},
    {"{\"model\":\"m\",\"template\":\"{subject}\",\"fill\":{\"subjct\":\"x\"},\"pairs\":[]}",
     "fill: the template has no placeholder '{subjct}'; did you mean '{subject}'?"},
    {"{" TEMPLATE "\"fill\":{\"a\":1},\"pairs\":[]}", "fill.a: is a number; write a string"},
    {"{" TEMPLATE "\"fill\":[],\"pairs\":[]}", "fill: is an array; write an object of strings"},
    {"{" TEMPLATE
     "\"pairs\":[{\"clean\":{\"a\":\"1\"},\"corrupt\":{\"a\":\"2\"},\"answer\":\"x\"}]}",
     "pairs[0].clean: nothing fills '{b}'; give 'b' here or in 'fill'"},
    {"{" TEMPLATE "\"pairs\":[{\"clean\":{\"a\":\"1\",\"b\":\"\"},\"corrupt\":{\"a\":\"2\",\"d\":"
     "\"\"},\"answer\":\"x\"}]}",
     "pairs[0].corrupt: the template has no placeholder '{d}'"},
    {"{" TEMPLATE "\"pairs\":[{\"clean\":{\"a\":null},\"corrupt\":{},\"answer\":\"x\"}]}",
     "pairs[0].clean.a: is null; write a string"},
    {"{\"model\":\"m\",\"template\":\"{a}\",\"fill\":{\"a\":\"\"},\"pairs\":[{\"clean\":{},"
     "\"corrupt\":{},\"answer\":\"x\"}]}",
     "pairs[0].clean: leaves the prompt empty"},
    /* pairs */
    {"{\"model\":\"m\"}", "pairs: is missing; give at least one pair"},
    {"{\"model\":\"m\",\"pairs\":[]}", "pairs: is empty; give at least one pair"},
    {"{\"model\":\"m\",\"pairs\":{}}", "pairs: is an object; write an array of objects"},
    {"{\"model\":\"m\",\"pairs\":[3]}", "pairs[0]: is a number, not an object"},
    {PAIR(""), "pairs[0]: has no prompts; give 'clean' and 'corrupt'"},
    {PAIR(IDS), "pairs[0].answer: is missing; give 'answer' or 'answer_id'"},
    {PAIR(IDS ",\"answer\":\"\""), "pairs[0].answer: is empty"},
    {PAIR(IDS ",\"answer\":\"a\",\"foil\":\"\""), "pairs[0].foil: is empty"},
    {PAIR(IDS ",\"answer\":3"), "pairs[0].answer: is a number; write a string"},
    {PAIR(IDS ",\"answer\":\"a\",\"answer_id\":3"),
     "pairs[0]: has both 'answer' and 'answer_id'; keep one"},
    {PAIR(IDS ",\"answer\":\"a\",\"foil\":\"a\",\"foil_id\":3"),
     "pairs[0]: has both 'foil' and 'foil_id'; keep one"},
    {PAIR(IDS ",\"answer_id\":-1"), "pairs[0].answer_id: is not a token id"},
    {PAIR(IDS ",\"answer_id\":1.5"), "pairs[0].answer_id: is not a token id"},
    {PAIR(IDS ",\"answr_id\":1"), "pairs[0]: unknown key 'answr_id'; did you mean 'answer_id'?"},
    {PAIR(IDS ",\"$schema\":1"), "pairs[0]: unknown key '$schema'"},
    {PAIR(IDS ",\"clean_prompt\":\"x\",\"answer\":\"a\""),
     "pairs[0]: has both 'clean_prompt' and 'clean_ids'; give both"},
    {PAIR("\"clean\":{},\"corrupt_prompt\":\"x\",\"answer\":\"a\""),
     "pairs[0]: has both 'clean' and 'corrupt_prompt'"},
    {PAIR("\"clean_ids\":[1],\"answer\":\"a\""),
     "pairs[0]: has 'clean_ids' without 'corrupt_ids'; give both"},
    {PAIR("\"corrupt_prompt\":\"a\",\"answer\":\"a\""),
     "pairs[0]: has 'corrupt_prompt' without 'clean_prompt'"},
    {PAIR("\"clean\":{\"a\":\"1\"},\"corrupt\":{\"a\":\"2\"},\"answer\":\"a\""),
     "pairs[0].clean: the job has no template"},
    {PAIR("\"clean_prompt\":\"\",\"corrupt_prompt\":\"b\",\"answer\":\"a\""),
     "pairs[0].clean_prompt: is empty"},
    {PAIR("\"clean_ids\":[],\"corrupt_ids\":[1],\"answer_id\":1"), "pairs[0].clean_ids: is empty"},
    {PAIR("\"clean_ids\":[1,\"2\"],\"corrupt_ids\":[1],\"answer_id\":1"),
     "pairs[0].clean_ids[1]: is not a token id"},
    {PAIR("\"clean_ids\":[4294967296],\"corrupt_ids\":[1],\"answer_id\":1"),
     "pairs[0].clean_ids[0]: is not a token id"},
    /* ids */
    {PAIR("\"id\":\"run\"," IDS ",\"answer_id\":1"),
     "pairs[0].id: 'run' is a name that the result file uses itself"},
    {PAIR("\"id\":\"a b\"," IDS ",\"answer_id\":1"),
     "pairs[0].id: 'a b' is not a valid pair id; use letters"},
    {PAIR("\"id\":\".a\"," IDS ",\"answer_id\":1"), "pairs[0].id: '.a' is not a valid pair id"},
    {PAIR("\"id\":\"-a\"," IDS ",\"answer_id\":1"), "pairs[0].id: '-a' is not a valid pair id"},
    {PAIR("\"id\":\"a/b\"," IDS ",\"answer_id\":1"), "pairs[0].id: 'a/b' is not a valid pair id"},
    {PAIR("\"id\":\"\\u00e9\"," IDS ",\"answer_id\":1"), "is not a valid pair id"},
    {PAIR("\"id\":\"\"," IDS ",\"answer_id\":1"), "pairs[0].id: is empty"},
    {PAIR("\"id\":\"0123456789012345678901234567890123456789012345678901234567890123x\"," IDS
          ",\"answer_id\":1"),
     "is not a valid pair id"},
    {"{\"model\":\"m\",\"pairs\":[{\"id\":\"x\"," IDS ",\"answer_id\":1},{" IDS
     ",\"answer_id\":1},{\"id\":\"x\"," IDS ",\"answer_id\":1}]}",
     "are both called 'x'; give each its own id"},
};

static void test_bad_jobs(void)
{
    for (size_t i = 0; i < sizeof bad_jobs / sizeof *bad_jobs; i++) {
        ps_err err = PS_ERR_INIT;
        ps_job *job = NULL;
        CHECK_ERR(read_job(&job, bad_jobs[i].job, NULL, &err), err, PS_EINPUT, bad_jobs[i].words);
        if (strncmp(err.text, "job '", 5) || strchr(err.text, '\n'))
            CHECK_STR(err.text, "one line that begins with job '");
        CHECK(!job);
    }
}

/* ---- pairs_file ---- */

static void test_thousand_lines(void)
{
    ps_text lines = {0};

    for (int i = 0; i < 1000; i++)
        ps_text_printf(&lines,
                       "%s{\"clean_ids\":[1,%d],\"corrupt_ids\":[1,%d],\"answer_id\":%d}%s\n",
                       i % 7 ? "" : " \t\r\n", i, i + 1, i, i % 2 ? "\r" : "");
    write_file(lines_path, lines.bytes, lines.n - 1); /* the last line without its end */
    ps_job *job = good_job("{\"model\":\"m\",\"pairs\":[{" IDS
                           ",\"answer_id\":1}],\"pairs_file\":\"many.jsonl\"}",
                           NULL);
    ps_text_release(&lines);
    if (!job)
        return;
    CHECK_INT(job->n_pairs, 1001);
    CHECK_STR(job->pairs[1000].id, "pair1000");
    CHECK_INT(job->pairs[1000].answer_id, 999);
    CHECK_STR(job->pairs[0].where, "pairs[0]");
    CHECK_STR(job->pairs[1].where, "many.jsonl:2");
    CHECK_STR(job->pairs[2].where, "many.jsonl:3");
    CHECK(!strstr(job->text, "pairs_file"));
    ps_job_free(job);
}

static void test_bad_lines(void)
{
    static const struct {
        const char *lines, *words;
    } cases[] = {
        {"", "pairs_file: 'many.jsonl' holds no pairs"},
        {"\n \n", "pairs_file: 'many.jsonl' holds no pairs"},
        {"{" IDS ",\"answer_id\":1}\n\n{\"clean_ids\":[1]}\n",
         "many.jsonl:3: has 'clean_ids' without 'corrupt_ids'"},
        {"{" IDS ",\"answer\":\"\"}", "many.jsonl:1: answer: is empty"},
        {"\n{\"id\": tru}", "many.jsonl:2:"},
        {"{\"id\":\"a\",\"id\":\"a\"}", "many.jsonl:1: duplicate key 'id'"},
        {"[]", "many.jsonl:1: is an array, not an object"},
        {"{" IDS ",\"answer_id\":1,\"id\":\"x\"}\n{" IDS ",\"answer_id\":1,\"id\":\"x\"}",
         "many.jsonl:"},
        {"{" IDS ",\"answer_id\":1} {}", "many.jsonl:1:"},
        {"{" IDS ",\"answer_id\":1}\n\xff", "many.jsonl:2:1: not valid UTF-8"},
    };
    ps_err err = PS_ERR_INIT;
    ps_job *job = NULL;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file(lines_path, cases[i].lines, strlen(cases[i].lines));
        CHECK_ERR(read_job(&job, "{\"model\":\"m\",\"pairs_file\":\"many.jsonl\"}", NULL, &err),
                  err, PS_EINPUT, cases[i].words);
    }
    CHECK_ERR(read_job(&job, "{\"model\":\"m\",\"pairs_file\":\"none.jsonl\"}", NULL, &err), err,
              PS_EINPUT, "pairs_file: cannot open '");
    CHECK_ERR(read_job(&job, "{\"model\":\"m\",\"pairs_file\":\".\"}", NULL, &err), err, PS_EINPUT,
              "is not a regular file");
    CHECK_ERR(ps_job_read(&job, "/none/x.json", NULL, 0, &err), err, PS_EINPUT,
              "job: cannot open '/none/x.json'");
}

/* ---- the job's text ---- */

/* What is printed is a job again, and the same one. */
static void test_text_is_a_job(void)
{
    static const char lines[] = "{\"clean\":{\"a\":\"\\u00e9\\n\\\"\"},\"corrupt\":{\"a\":\"z\"},"
                                "\"answer\":\" \\u2028\"}\n";

    write_file(lines_path, lines, sizeof lines - 1);
    ps_job *job = good_job("{\"// note\":\"gone\"," TEMPLATE
                           "\"pairs_file\":\"many.jsonl\",\"fill\":{\"b\":\"B\\\\\"},"
                           "\"pairs\":[{\"clean_prompt\":\"\\tx\",\"corrupt_prompt\":\"y\","
                           "\"answer\":\"b\",\"_comment\":0}]}",
                           "sites=[\"resid_pre\"]");
    if (!job)
        return;
    ps_job *again = good_job(job->text, NULL);
    if (again) {
        CHECK_STR(again->text, job->text);
        CHECK_INT(again->n_pairs, 2);
        CHECK_STR(again->pairs[1].prompt[PS_CLEAN].text, job->pairs[1].prompt[PS_CLEAN].text);
        CHECK_STR(again->pairs[1].prompt[PS_CLEAN].text, "Is \xc3\xa9\n\" like B\\?");
    }
    CHECK(!strstr(job->text, "note") && !strstr(job->text, "_comment"));
    ps_job_free(job);
    ps_job_free(again);
}

/* ---- help and lists ---- */

static void test_help(void)
{
    ps_err err = PS_ERR_INIT;
    char *help = ps_job_help(&err);

    CHECK(help && strstr(help, "  model: a string; required\n"));
    CHECK(help && strstr(help, "  precision: fp32 or bf16; default \"fp32\"\n"));
    CHECK(help && strstr(help, "  clean_ids: an array of token ids\n"));
    for (const char *line = help; line && *line; line += strcspn(line, "\n") + 1)
        CHECK(strcspn(line, "\n") <= 80);
    ps_free(help);
}

static void test_resolve(void)
{
    int64_t some[] = {3, -1, 0, 3, -4};
    const ps_index_list all = {.all = true}, list = {false, some, 5}, past = {false, some, 1},
                        far = {false, some + 4, 1};
    ps_err err = PS_ERR_INIT;
    int32_t *at = NULL;
    size_t n = 0;

    CHECK_INT(ps_index_list_resolve(&all, 3, "layers", &at, &n, &err), 0);
    CHECK(n == 3 && at[0] == 0 && at[2] == 2);
    ps_free(at);
    CHECK_INT(ps_index_list_resolve(&list, 5, "layers", &at, &n, &err), 0);
    CHECK(n == 4 && at[0] == 0 && at[1] == 1 && at[2] == 3 && at[3] == 4);
    ps_free(at);
    CHECK_ERR(ps_index_list_resolve(&past, 3, "layers", &at, &n, &err), err, PS_EINPUT,
              "layers: 3 is past the last (2)");
    CHECK_ERR(ps_index_list_resolve(&far, 3, "positions", &at, &n, &err), err, PS_EINPUT,
              "positions: -4 is past the first (-3)");
}

/* Heads are chosen as layers are, in any order. */
static void test_heads(void)
{
    ps_job *job = good_job("{" ONE_PAIR ",\"sites\":[\"pattern_by_pos\",\"z\",\"k\",\"resid_mid\"]}", "heads=[5, 0, -1, 5]");

    if (!job)
        return;
    CHECK_INT(job->sites, 1u << PS_SITE_PATTERN_BY_POS | 1u << PS_SITE_Z | 1u << PS_SITE_K | 1u << PS_RESID_MID);
    CHECK(!job->heads.all && job->heads.n == 4 && job->heads.at[0] == 5 && job->heads.at[2] == -1);
    CHECK(job->layers.all && job->positions.all);
    CHECK(strstr(job->text, "\"sites\":[\"resid_mid\",\"k\",\"z\",\"pattern_by_pos\"]"));
    CHECK(strstr(job->text, "\"layers\":\"all\",\"heads\":[5,0,-1,5],\"positions\":\"all\""));
    ps_job_free(job);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    snprintf(job_path, sizeof job_path, "%s/job.json", dir);
    snprintf(lines_path, sizeof lines_path, "%s/many.jsonl", dir);
    RUN(test_defaults);
    RUN(test_all_keys);
    RUN(test_metrics);
    RUN(test_template);
    RUN(test_whole_prompts);
    RUN(test_default_ids);
    RUN(test_set);
    RUN(test_bad_sets);
    RUN(test_bad_jobs);
    RUN(test_thousand_lines);
    RUN(test_bad_lines);
    RUN(test_text_is_a_job);
    RUN(test_help);
    RUN(test_resolve);
    RUN(test_heads);
    unlink(job_path);
    unlink(lines_path);
    rmdir(dir);
    return check_done();
}
