/*
 * job_keys.c - the two key tables, and the functions that need nothing else.
 *
 * To add a key, add a row here, to jobs/job.schema.json and to jobs/README.md.  tests/unit/test_job_docs.c reports
 * what is missing.
 */
#include "job_keys.h"

#include <string.h>

#include "patchsweep/job.h"
#include "patchsweep/mem.h"

#define MAX_KEYS 40

static const ps_term backends[] = {
    {"auto", "the fastest that this machine has", NULL},
    {"cpu", "our own kernels; bf16 products are oneDNN's", NULL},
    {"openblas", "the same with OpenBLAS's fp32 products", NULL},
    {"ref", "plain C, slow, to compare with", NULL},
};

/* The values that a score can be computed from. */
static const ps_term scores[] = {
    {"logit", "the answer's logit", NULL},
    {"logit_diff", "the answer's logit less the foil's", NULL},
    {"logprob", "log of the answer's probability", NULL},
};
static const int score_metrics[] = {PS_LOGIT_ANSWER, PS_LOGIT_DIFF, PS_LOGPROB_ANSWER};

/* As ps_dtype_names; the long names say which precision is lost. */
static const ps_term dtypes[PS_N_DTYPES] = {
    [PS_DTYPE_F32] = {"f32", "exact", NULL},
    [PS_DTYPE_F16] = {"f16", "half precision", NULL},
    [PS_DTYPE_BF16] = {"bf16", "bfloat16", NULL},
};

#define TERMS(t) .terms = t, .n_terms = (int)(sizeof t / sizeof *t)
#define JOB(field) offsetof(ps_job, field)
#define PAIR(field) offsetof(ps_job_pair, field)

const ps_job_key ps_job_keys[] = {
    {"model", PS_KEY_STRING, JOB(model), NULL, "\"meta-llama/Llama-3.2-1B-Instruct\"",
     .help =
         "The model: a folder, relative to the job file, or a hub name found in the local cache.",
     .required = true},
    {"template", PS_KEY_STRING, PS_NO_TARGET, NULL, "\"Q: Who is like {subject}?\\nA:\"",
     .help = "The text of prompts with placeholders in braces; {{ and }} stand for single braces."},
    {"fill", PS_KEY_STRINGS, PS_NO_TARGET, NULL, "{\"entities\": \"Brad Pitt, Isaac Newton\"}",
     .help = "The texts of placeholders that a pair does not fill itself."},
    {"pairs", PS_KEY_PAIRS, PS_NO_TARGET, NULL,
     "[{\"clean_ids\": [1, 7], \"corrupt_ids\": [1, 8], \"answer_id\": 5}]",
     .help = "The pairs of prompts; see the keys of a pair."},
    {"pairs_file", PS_KEY_STRING, PS_NO_TARGET, NULL, "\"many.jsonl\"",
     .help = "A file of more pairs, relative to the job file: one object a line."},
    {"sites", PS_KEY_WORDS, JOB(sites), "[\"resid_post\"]", "[\"resid_pre\", \"resid_post\"]",
     .help = "Where in a layer a state is replaced; one grid of scores for each.", TERMS(ps_sites)},
    {"directions", PS_KEY_WORDS, JOB(directions), "[\"denoise\"]", "[\"denoise\", \"noise\"]",
     .help =
         "Clean states into the corrupt run (denoise), corrupt states into the clean run (noise).",
     TERMS(ps_directions)},
    {"layers", PS_KEY_INDICES, JOB(layers), "\"all\"", "[0, 1, -1]",
     .help = "The layers to patch in, from 0; negative numbers count from the last.", .all = true},
    {"heads", PS_KEY_INDICES, JOB(heads), "\"all\"", "[0, 3, -1]",
     .help = "The heads to patch, from 0, at sites that have heads; negative numbers count from the last.",
     .all = true},
    {"positions", PS_KEY_INDICES, JOB(positions), "\"all\"", "[-2, -1]",
     .help = "The token positions to patch at, from 0; negative numbers count from the last.",
     .all = true},
    {"score", PS_KEY_WORD, JOB(score), "\"logit\"", "\"logit_diff\"",
     .help = "The value that the score is computed from; the score is 0 in the corrupt run and 1 in the clean run.",
     TERMS(scores), .numbers = score_metrics},
    {"metrics", PS_KEY_WORDS, JOB(metrics), "\"all\"", "[\"logit_answer\", \"kl\"]",
     .help = "The values kept beside the score; \"all\" leaves out logit_foil and logit_diff where a "
             "pair has no foil.",
     TERMS(ps_metrics), .all = true, .may_be_empty = true},
    {"activations", PS_KEY_WORDS, JOB(activations), "[]", "[\"clean\", \"corrupt\"]",
     .help = "The unpatched runs whose residual stream after every layer is kept.",
     TERMS(ps_whiches), .may_be_empty = true},
    {"activation_dtype", PS_KEY_WORD, JOB(activation_dtype), "\"f32\"", "\"f16\"",
     .help = "The element type in which activations are stored.", TERMS(dtypes)},
    {"patched_final", PS_KEY_BOOL, JOB(patched_final), "false", "true",
     .help = "Keep each patched run's last row as it is before the final norm."},
    {"precision", PS_KEY_WORD, JOB(precision), "\"fp32\"", "\"fp32\"",
     .help = "Operands of the matrix products: fp32, or bf16 where the processor has it.", TERMS(ps_precisions)},
    {"backend", PS_KEY_NAME, JOB(backend), "\"auto\"", "\"ref\"",
     .help = "The implementation: auto takes the fastest available, ref is plain C to compare with.",
     TERMS(backends)},
    {"output", PS_KEY_STRING, JOB(output), NULL, "\"similarity.h5\"",
     .help = "The result file, relative to the current folder; -o overrides it."},
    {0},
};

const ps_job_key ps_pair_keys[] = {
    {"id", PS_KEY_STRING, PAIR(id), NULL, "\"einstein-swift\"",
     .help = "The pair's name in the result: letters, digits, _ . and -, 64 at most, not beginning "
             "with . or -; pair0000 and on by default."},
    {"clean", PS_KEY_STRINGS, PS_NO_TARGET, NULL, "{\"subject\": \"Albert Einstein\"}",
     .help = "The texts of the template's placeholders in the clean prompt."},
    {"corrupt", PS_KEY_STRINGS, PS_NO_TARGET, NULL, "{\"subject\": \"Taylor Swift\"}",
     .help = "The texts of the template's placeholders in the corrupt prompt."},
    {"clean_prompt", PS_KEY_STRING, PS_NO_TARGET, NULL, "\"The capital of France is\"",
     .help = "The whole clean prompt; braces in it are plain text."},
    {"corrupt_prompt", PS_KEY_STRING, PS_NO_TARGET, NULL, "\"The capital of Italy is\"",
     .help = "The whole corrupt prompt; braces in it are plain text."},
    {"clean_ids", PS_KEY_IDS, PS_NO_TARGET, NULL, "[1, 17, 4]",
     .help = "The clean prompt as token ids, used as they are: no token is added."},
    {"corrupt_ids", PS_KEY_IDS, PS_NO_TARGET, NULL, "[1, 18, 4]",
     .help = "The corrupt prompt as token ids, used as they are: no token is added."},
    {"answer", PS_KEY_STRING, PAIR(answer), NULL, "\" Isaac\"",
     .help = "The continuation of the clean prompt; its first token counts."},
    {"foil", PS_KEY_STRING, PAIR(foil), NULL, "\" Michael\"",
     .help = "The continuation of the corrupt prompt; its first token counts."},
    {"answer_id", PS_KEY_ID, PAIR(answer_id), NULL, "42", .help = "The answer as a token id."},
    {"foil_id", PS_KEY_ID, PAIR(foil_id), NULL, "43", .help = "The foil as a token id."},
    {0},
};

const ps_job_key *ps_job_key_find(const ps_job_key *keys, const char *name)
{
    for (const ps_job_key *key = keys; key->name; key++)
        if (!strcmp(key->name, name))
            return key;
    return NULL;
}

bool ps_job_key_ignored(const ps_job_key *keys, const char *name)
{
    return !strncmp(name, "//", 2) || !strncmp(name, "_comment", 8) ||
           (keys == ps_job_keys && !strcmp(name, "$schema"));
}

int ps_job_key_unknown(const ps_job_key *keys, const char *name, ps_err *err)
{
    const char *names[MAX_KEYS];
    char shown[80];
    size_t n = 0;

    for (const ps_job_key *key = keys; key->name; key++)
        names[n++] = key->name;
    ps_printable(shown, sizeof shown, name);
    const char *near = ps_nearest(name, names, n);
    if (near)
        return ps_err_set(err, PS_EINPUT, "unknown key '%s'; did you mean '%s'?", shown, near);
    return ps_err_set(err, PS_EINPUT, "unknown key '%s'; a comment's key begins with '//'", shown);
}

void ps_job_key_kind(const ps_job_key *key, ps_text *out)
{
    static const char *const kinds[] = {
        [PS_KEY_STRING] = "a string",
        [PS_KEY_NAME] = "",
        [PS_KEY_WORD] = "",
        [PS_KEY_WORDS] = "an array of ",
        [PS_KEY_INDICES] = "an array of integers",
        [PS_KEY_BOOL] = "true or false",
        [PS_KEY_ID] = "a token id",
        [PS_KEY_IDS] = "an array of token ids",
        [PS_KEY_STRINGS] = "an object of strings",
        [PS_KEY_PAIRS] = "an array of objects",
    };
    int n = key->n_terms;

    ps_text_printf(out, "%s%s", key->all ? "\"all\" or " : "", kinds[key->type]);
    for (int i = 0; i < n; i++)
        ps_text_printf(out, "%s%s", i == 0 ? "" : i == n - 1 ? " or " : ", ", key->terms[i].name);
}

/* Append words up to column 78.  Further lines begin behind an indent. */
static void fold(const char *words, size_t column, ps_text *out)
{
    while (*words) {
        size_t n = strcspn(words, " ");
        bool fits = column + 1 + n <= 78;
        ps_text_printf(out, "%s%.*s", fits ? " " : "\n      ", (int)n, words);
        column = (fits ? column + 1 : 6) + n;
        words += n + (words[n] == ' ');
    }
}

static void describe(const ps_job_key *keys, ps_text *out)
{
    for (const ps_job_key *key = keys; key->name; key++) {
        ps_text kind = {0};
        ps_job_key_kind(key, &kind);
        if (key->deflt)
            ps_text_printf(&kind, "; default %s", key->deflt);
        if (key->required)
            ps_text_puts(&kind, "; required");
        ps_text_printf(out, "  %s:", key->name);
        fold(ps_text_str(&kind), strlen(key->name) + 3, out);
        ps_text_puts(out, "\n     ");
        fold(key->help, 5, out);
        ps_text_puts(out, "\n");
        out->failed |= kind.failed;
        ps_text_release(&kind);
    }
}

const char *ps_job_default(const char *key)
{
    const ps_job_key *row = ps_job_key_find(ps_job_keys, key);

    return row ? row->deflt : NULL;
}

char *ps_job_help(ps_err *err)
{
    ps_text out = {0};

    ps_text_puts(&out, "keys of a job file, each also settable by --set key=value:\n\n");
    describe(ps_job_keys, &out);
    ps_text_puts(&out, "\nkeys of a pair: two prompts (clean and corrupt, clean_prompt and "
                       "corrupt_prompt,\nor clean_ids and corrupt_ids) and an answer:\n\n");
    describe(ps_pair_keys, &out);
    if (ps_text_ok(&out, err) < 0) {
        ps_text_release(&out);
        return NULL;
    }
    return out.bytes; /* from mem.h's allocator, as any ps_text */
}
