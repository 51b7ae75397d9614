/*
 * test_config.c - config.json: what is read, what is refused and by which name, and rope.
 *
 * A case changes single keys of one good config: `change` is JSON members, put into the file as
 * they stand; a key that they name or that stands in `without` is left out of the good ones.
 * tests/golden/rope.txt has the frequencies.
 */
#include "patchsweep/config.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/family.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))
#define GOLDEN "tests/golden/rope.txt"
#define MODELS "tests/fixtures/models"

static const char base[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"vocab_size\": 100, "
    "\"hidden_size\": 64, \"intermediate_size\": 96, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
    "\"num_key_value_heads\": 2, \"max_position_embeddings\": 512, \"rms_norm_eps\": 1e-5, "
    "\"rope_theta\": 10000.0, \"hidden_act\": \"silu\", \"tie_word_embeddings\": false}";

static char folder[] = "/tmp/test_config.XXXXXX";

/* ---- files ---- */

static void put(const char *text)
{
    char path[300];

    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void add_member(ps_text *out, const ps_node *node)
{
    ps_err err = PS_ERR_INIT;
    char *value = ps_json_print(node, &err);

    ps_text_puts(out, out->n ? ", " : "{");
    ps_text_json(out, ps_json_key(node), strlen(ps_json_key(node)));
    ps_text_printf(out, ": %s", value);
    ps_free(value);
}

static void put_changed(const char *change, const char *without)
{
    ps_json *good = NULL, *changes = NULL;
    ps_text text = {0}, object = {0};
    ps_err err = PS_ERR_INIT;

    ps_text_printf(&object, "{%s}", change);
    CHECK(ps_json_parse(&good, base, sizeof base - 1, &err) == 0);
    if (ps_json_parse(&changes, ps_text_str(&object), object.n, &err) < 0) {
        printf("# %s: %s\n", change, err.text);
        CHECK(!"a case that is no JSON");
    } else {
        for (const ps_node *n = ps_json_first(ps_json_root(good)); n; n = ps_json_next(n)) {
            if (!ps_json_get(ps_json_root(changes), ps_json_key(n)) && !strstr(without, ps_json_key(n)))
                add_member(&text, n);
        }
        ps_text_puts(&text, *change ? ", " : "");
        ps_text_puts(&text, change);
        ps_text_puts(&text, "}");
        put(ps_text_str(&text));
    }
    ps_json_free(good);
    ps_json_free(changes);
    ps_text_release(&object);
    ps_text_release(&text);
}

static ps_config *read_changed(const char *change, const char *without)
{
    ps_config *config = NULL;
    ps_err err = PS_ERR_INIT;

    put_changed(change, without);
    if (ps_config_read(&config, folder, &err) < 0)
        printf("# {%s}: %s\n", change, err.text);
    CHECK(config != NULL);
    return config;
}

/* ---- what is refused ---- */

static const struct broken {
    const char *change, *words; /* words: "this" or "this|and this" */
    const char *without;
} broken[] = {
    {"\"num_hidden_layers\": 0", "'num_hidden_layers' is 0; it must be from 1", NULL},
    {"\"num_hidden_layers\": -1", "'num_hidden_layers' is -1", NULL},
    {"\"num_hidden_layers\": 2.0", "'num_hidden_layers'|is not an integer", NULL},
    {"\"num_hidden_layers\": 2e0", "'num_hidden_layers'|is not an integer", NULL},
    {"\"num_hidden_layers\": \"2\"", "'num_hidden_layers' with value \"2\" is not an integer", NULL},
    {"\"num_hidden_layers\": [2]", "'num_hidden_layers'|is not an integer", NULL},
    {"\"num_hidden_layers\": 10001", "'num_hidden_layers' is 10001", NULL},
    {"\"num_hidden_layers\": 4294967298", "'num_hidden_layers' is 4.29496", NULL}, /* 2 in 32 bits */
    {"\"num_hidden_layers\": 18446744073709551618", "'num_hidden_layers'|is not an integer", NULL},
    {"\"num_hidden_layers\": null", "key 'num_hidden_layers' is missing", NULL},
    {"\"vocab_size\": 0", "'vocab_size' is 0", NULL},
    {"\"vocab_size\": 2147483647", "'vocab_size' is 2.147", NULL},
    {"\"hidden_size\": 0", "'hidden_size' is 0", NULL},
    {"\"hidden_size\": 65", "'num_attention_heads' is 4, which does not divide hidden_size, 65", NULL},
    {"\"hidden_size\": 2097152", "'hidden_size' is 2097152", NULL},
    {"\"intermediate_size\": 1e300", "'intermediate_size'|is not an integer", NULL},
    {"\"num_attention_heads\": 0", "'num_attention_heads' is 0", NULL},
    {"\"num_attention_heads\": 3, \"num_key_value_heads\": 3", "'num_attention_heads' is 3, which does not divide", NULL},
    {"\"num_key_value_heads\": 3", "'num_key_value_heads' is 3, which does not divide num_attention_heads, 4", NULL},
    {"\"num_key_value_heads\": 8", "'num_key_value_heads' is 8, which does not divide", NULL},
    {"\"num_key_value_heads\": 0", "'num_key_value_heads' is 0", NULL},
    {"\"head_dim\": 7", "'head_dim' is 7; rope needs it even", NULL},
    {"\"head_dim\": 0", "'head_dim' is 0", NULL},
    {"\"hidden_size\": 60, \"num_attention_heads\": 4", "'head_dim' is 15; rope needs it even", NULL},
    {"\"head_dim\": 65536, \"num_attention_heads\": 65536", "'head_dim' is 65536, which for 65536 heads", NULL},
    {"\"max_position_embeddings\": 0", "'max_position_embeddings' is 0", NULL},
    {"\"rms_norm_eps\": 0", "'rms_norm_eps' is 0", NULL},
    {"\"rms_norm_eps\": \"1e-5\"", "'rms_norm_eps'|is not a number", NULL},
    {"\"rms_norm_eps\": 1e300", "'rms_norm_eps' is 1e+300", NULL},
    {"\"tie_word_embeddings\": 1", "'tie_word_embeddings' with value 1 is neither true nor false", NULL},
    {"\"attention_bias\": \"true\"", "'attention_bias'|is neither true nor false", NULL},
    {"\"mlp_bias\": 0", "'mlp_bias'|is neither true nor false", NULL},
    {"\"hidden_act\": \"gelu\"", "'hidden_act' with value \"gelu\" would change results", NULL},
    {"\"hidden_act\": 1", "'hidden_act' with value 1 would change results", NULL},
    {"\"pretraining_tp\": 2", "'pretraining_tp' with value 2", NULL},
    {"\"sliding_window\": 4096", "'sliding_window' with value 4096", NULL},
    {"\"use_sliding_window\": true", "'use_sliding_window' with value true", NULL},
    {"\"partial_rotary_factor\": 0.5", "'partial_rotary_factor' with value 0.5", NULL},
    {"\"rope_interleaved\": true", "'rope_interleaved' with value true", NULL},
    {"\"layer_types\": [\"full_attention\", \"sliding_attention\"]", "'layer_types'|would change results", NULL},
    {"\"layer_types\": \"full_attention\"", "'layer_types'|is not an array", NULL},
    {"\"is_encoder_decoder\": true", "'is_encoder_decoder' with value true", NULL},
    {"\"quantization_config\": {\"bits\": 4}", "'quantization_config': quantized weights", NULL},
    {"\"auto_map\": {\"AutoModel\": \"x.Y\"}", "'auto_map': the model brings code of its own", NULL},
    {"\"logit_scale\": 0.5", "'logit_scale' with value 0.5 is unknown and may change results", NULL},
    {"\"Hidden_Act\": \"silu\"", "'Hidden_Act'|is unknown", NULL},
    {"\"final_logit_softcapping\": 30.0", "'final_logit_softcapping'|is unknown", NULL},
    {"\"\": 1", "key ''|is unknown", NULL},
    {"", "key 'vocab_size' is missing", "vocab_size"},
    {"", "key 'hidden_size' is missing", "hidden_size"},
    {"", "key 'intermediate_size' is missing", "intermediate_size"},
    {"", "key 'num_attention_heads' is missing", "num_attention_heads"},
    {"\"architectures\": [\"BertModel\"]", "architecture 'BertModel' is not implemented; use a model of LlamaForCausalLM, |"
                                           ", GPTNeoXForCausalLM", NULL},
    {"\"architectures\": \"LlamaForCausalLM\"", "'architectures'|is not an array", NULL},
    {"\"architectures\": [7]", "architecture '' is not implemented", NULL},
    {"\"model_type\": \"mistral\"", "'model_type' is 'mistral', which does not fit", NULL},
    {"\"model_type\": 7", "'model_type'", NULL},
    {"\"architectures\": null, \"model_type\": null", "neither 'architectures' nor 'model_type'", NULL},
    {"\"architectures\": [], \"model_type\": \"bert\"", "model_type 'bert' is not implemented", NULL},
};

#define LLAMA3 "\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0"

static const struct broken broken_rope[] = {
    {"\"rope_theta\": 0", "'rope_theta' is 0", NULL},
    {"\"rope_theta\": \"1e4\"", "'rope_theta'|is not a number", NULL},
    {"\"rope_theta\": 1e300", "'rope_theta' is 1e+300", NULL},
    {"\"rope_scaling\": 2.0", "'rope_scaling': is a number, not an object", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0}", "'rope_scaling'|\"yarn\" is not implemented", NULL},
    {"\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 4.0}", "'type' with value \"dynamic\" is not implemented", NULL},
    {"\"rope_scaling\": {\"rope_type\": 3}", "'rope_type' with value 3 is not implemented", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"linear\", \"type\": \"dynamic\", \"factor\": 2}", "'type' and 'rope_type' differ", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"linear\"}", "'factor' is missing, which the type 'linear' needs", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 0}", "'factor' is 0", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": \"2\"}", "'factor'|is not a number", NULL},
    {"\"rope_scaling\": {\"factor\": 2}", "'factor' has no meaning for the type 'default'", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 2, \"low_freq_factor\": 1}", "'low_freq_factor' has no meaning", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 2, \"beta_fast\": 32}", "'beta_fast'|is unknown", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1}", "'high_freq_factor' is missing", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4}",
     "'high_freq_factor' is 4; it must be above low_freq_factor, 4", NULL},
    {"\"rope_parameters\": {\"rope_type\": \"default\", \"partial_rotary_factor\": 0.25}", "'partial_rotary_factor' with value 0.25", NULL},
    {"\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}}", "'full_attention': settings of their own", NULL},
    {"\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 20000}", "'rope_theta' is 10000 and, in 'rope_parameters', 20000", NULL},
    {"\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 2}, "
     "\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 3}", "'rope_scaling' and 'rope_parameters' differ", "rope_theta"},
    {"\"original_max_position_embeddings\": 64, \"rope_scaling\": {" LLAMA3 ", \"original_max_position_embeddings\": 128}",
     "'original_max_position_embeddings' is 64 and, among the rope settings, 128", NULL},
};

static void refused(const struct broken *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char words[200], *rest;
        ps_config *config = NULL;
        ps_err err = PS_ERR_INIT;
        put_changed(cases[i].change, cases[i].without ? cases[i].without : "");
        snprintf(words, sizeof words, "%s", cases[i].words);
        if ((rest = strchr(words, '|')))
            *rest++ = '\0';
        int rc = ps_config_read(&config, folder, &err);
        bool good = rc == -1 && err.code == PS_EINPUT && strstr(err.text, "/config.json': ") &&
                    strstr(err.text, words) && (!rest || strstr(err.text, rest));
        if (!good)
            printf("# {%s}: gave %d '%s', wanted '%s'\n", cases[i].change, rc, err.text, cases[i].words);
        CHECK(good);
        ps_config_free(config);
    }
}

static void broken_keys_are_named(void)
{
    refused(broken, N_OF(broken));
}

static void broken_rope_is_named(void)
{
    refused(broken_rope, N_OF(broken_rope));
}

static void broken_files(void)
{
    static const struct broken files[] = {
        {"", "empty, not JSON", NULL}, {"[]", "is an array, not an object", NULL}, {"{", "not valid JSON", NULL},
        {"{\"vocab_size\": 1, \"vocab_size\": 2}", "duplicate key 'vocab_size'", NULL},
        {"{\"rope_theta\": 1e400}", "1:16: number past the largest double", NULL},
        {"{}", "neither 'architectures' nor 'model_type'", NULL},
    };
    ps_config *config = NULL;
    ps_err err = PS_ERR_INIT;

    for (size_t i = 0; i < N_OF(files); i++) {
        put(files[i].change);
        CHECK_ERR(ps_config_read(&config, folder, &err), err, PS_EINPUT, files[i].words);
        CHECK(strstr(err.text, "config.json"));
    }
    CHECK_ERR(ps_config_read(&config, "/nonexistent", &err), err, PS_EINPUT, "'/nonexistent/config.json'");
}

/* ---- what is read ---- */

static void every_field(void)
{
    ps_config *c = read_changed("\"head_dim\": 20, \"attention_bias\": true, \"mlp_bias\": true, "
                                "\"tie_word_embeddings\": true, \"rms_norm_eps\": 0.25, \"rope_theta\": 500000", "");

    if (!c)
        return;
    CHECK_STR(c->family->architecture, "LlamaForCausalLM");
    CHECK_INT(c->n_layers, 2);
    CHECK_INT(c->d_model, 64);
    CHECK_INT(c->n_heads, 4);
    CHECK_INT(c->n_kv_heads, 2);
    CHECK_INT(c->head_dim, 20);
    CHECK_INT(c->d_mlp, 96);
    CHECK_INT(c->vocab, 100);
    CHECK_INT(c->max_positions, 512);
    CHECK(c->tied && c->attention_bias && c->mlp_bias);
    CHECK(c->norm_eps == 0.25 && c->rope.theta == 500000);
    CHECK_INT(c->rope.type, PS_ROPE_DEFAULT);
    CHECK(strstr(c->text, "\"head_dim\": 20") != NULL);
    ps_config_free(c);
}

/* transformers' own, of LlamaConfig; null is "not given". */
static void defaults(void)
{
    static const char *const nothing = "\"attention_bias\": null, \"mlp_bias\": null, \"head_dim\": null";
    static const char *const without = "num_key_value_heads max_position_embeddings rms_norm_eps rope_theta "
                                       "hidden_act tie_word_embeddings model_type";

    for (int i = 0; i < 2; i++) {
        ps_config *c = read_changed(i ? nothing : "", without);
        if (!c)
            continue;
        CHECK_INT(c->n_kv_heads, 4);
        CHECK_INT(c->head_dim, 16);
        CHECK_INT(c->max_positions, 2048);
        CHECK(c->norm_eps == 1e-6 && c->rope.theta == 10000);
        CHECK(!c->tied && !c->attention_bias && !c->mlp_bias);
        ps_config_free(c);
    }
    ps_config *c = read_changed("", "architectures"); /* model_type alone */
    CHECK(c && !strcmp(c->family->model_type, "llama"));
    ps_config_free(c);
}

/* Keys that real files have and that change nothing. */
static void bookkeeping_is_accepted(void)
{
    static const char *const accepted[] = {
        "\"is_llama_config\": true, \"rope_interleaved\": false, \"rope_scaling\": null, "
        "\"transformers.js_config\": {\"kv_cache_dtype\": {\"q4f16\": \"float16\"}}, "
        "\"_attn_implementation_autoset\": true, \"torch_dtype\": \"bfloat16\", \"use_cache\": true",
        "\"bos_token_id\": 1, \"eos_token_id\": [2, 3], \"pad_token_id\": null, \"initializer_range\": 0.041666",
        "\"pretraining_tp\": 1, \"partial_rotary_factor\": 1.0, \"sliding_window\": null",
        "\"layer_types\": [\"full_attention\", \"full_attention\"], \"dtype\": \"float32\"",
        "\"quantization_config\": null, \"auto_map\": null, \"logit_scale\": null",
        "\"attention_dropout\": 0.0, \"transformers_version\": \"4.42.3\", \"_name_or_path\": \"x/y\"",
    };

    for (size_t i = 0; i < N_OF(accepted); i++)
        ps_config_free(read_changed(accepted[i], ""));
}

/* One rope, in every way in which it is written. */
static void rope_styles_agree(void)
{
#define REST "\"low_freq_factor\": 1, \"high_freq_factor\": 4"
#define ORIGINAL "\"original_max_position_embeddings\": 64"
    static const char *const styles[] = {
        "\"rope_theta\": 500.0, \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, " REST ", " ORIGINAL "}",
        "\"rope_theta\": 500, \"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8, " REST ", " ORIGINAL "}",
        "\"rope_theta\": 500, " ORIGINAL ", \"rope_scaling\": {\"type\": \"llama3\", \"rope_type\": \"llama3\", \"factor\": 8, " REST "}",
        "\"rope_parameters\": {\"rope_theta\": 500.0, \"rope_type\": \"llama3\", \"factor\": 8.0, " REST ", " ORIGINAL "}",
        "\"rope_parameters\": {\"rope_theta\": 500, \"rope_type\": \"llama3\", \"factor\": 8, " REST "}, " ORIGINAL,
        "\"rope_theta\": 500, \"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 8, " REST "}, "
        "\"max_position_embeddings\": 64",
        "\"rope_scaling\": null, \"rope_parameters\": {\"rope_theta\": 500, \"rope_type\": \"llama3\", \"factor\": 8, " REST ", " ORIGINAL "}",
    };
    float first[8], f[8];

    for (size_t i = 0; i < N_OF(styles); i++) {
        ps_config *c = read_changed(styles[i], "rope_theta");
        if (!c)
            continue;
        CHECK_INT(c->rope.type, PS_ROPE_LLAMA3);
        CHECK(c->rope.theta == 500 && c->rope.factor == 8 && c->rope.low_freq_factor == 1);
        CHECK(c->rope.high_freq_factor == 4 && c->rope.original_max_positions == 64);
        ps_config_rope(c, i ? f : first);
        CHECK(!i || !memcmp(f, first, sizeof f));
        ps_config_free(c);
    }
    CHECK(first[0] == 1 && first[7] > 0 && first[7] < 1e-3f);
}

static void fixtures_are_read(void)
{
    DIR *dir = opendir(MODELS);
    int n = 0;

    CHECK(dir != NULL);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[400];
        ps_config *config = NULL;
        ps_err err = PS_ERR_INIT;
        snprintf(path, sizeof path, MODELS "/%s", entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        if (ps_config_read(&config, path, &err) < 0)
            printf("# %s\n", err.text);
        CHECK(config && config->n_layers > 0 && config->n_layers <= 5 && config->head_dim % 2 == 0);
        ps_config_free(config);
        n++;
    }
    if (dir)
        closedir(dir);
    printf("# %d models\n", n);
    CHECK(n >= 12);
}

/* ---- frequencies ---- */

/*
 * The case's frequencies in `line` against config's; the largest distance in ulps.  torch's powf is
 * up to 1 ulp off the right float, libc's is the right one; 1 ulp of a power is up to 2 of its reciprocal.  Between llama3's two bands
 * f enters the sum twice, by itself and as the weight, and 1 ulp of f is up to 3 of the sum.
 */
static int compare_rope(const char *name, const ps_config *config, const char *line)
{
    const int allowed = config->rope.type == PS_ROPE_LLAMA3 ? 3 : 2;
    float *f = malloc(sizeof *f * (size_t)config->rotary_dim);
    int worst = 0;
    char *end;

    ps_config_rope(config, f);
    for (int i = 0; i < config->rotary_dim / 2; i++, line = end) {
        float wanted = strtof(line, &end);
        int32_t a, b;
        CHECK(end != line);
        if (end == line)
            break;
        memcpy(&a, &f[i], 4);
        memcpy(&b, &wanted, 4);
        if (abs(a - b) > allowed)
            printf("# %s: f[%d] is %.9g, not %.9g\n", name, i, f[i], wanted);
        CHECK(abs(a - b) <= allowed);
        worst = abs(a - b) > worst ? abs(a - b) : worst;
    }
    CHECK(line[strspn(line, " \n")] == '\0');
    free(f);
    return worst;
}

static void rope_as_transformers(void)
{
    static char name[100], text[4000], line[8000];
    int n = 0, worst = 0;
    FILE *file = fopen(GOLDEN, "r");

    CHECK(file != NULL);
    while (file && fgets(name, sizeof name, file) && fgets(text, sizeof text, file) && fgets(line, sizeof line, file)) {
        ps_config *config = NULL;
        ps_err err = PS_ERR_INIT;
        name[strcspn(name, "\n")] = '\0';
        put(text);
        if (ps_config_read(&config, folder, &err) < 0)
            printf("# %s: %s\n", name, err.text);
        CHECK(config != NULL);
        int ulps = config ? compare_rope(name, config, line) : 0;
        worst = ulps > worst ? ulps : worst;
        ps_config_free(config);
        n++;
    }
    if (file)
        fclose(file);
    printf("# %d cases, at most %d ulp apart\n", n, worst);
    CHECK(n >= 20);
}

int main(void)
{
    char path[300];

    if (!mkdtemp(folder))
        return 1;
    RUN(every_field);
    RUN(defaults);
    RUN(bookkeeping_is_accepted);
    RUN(fixtures_are_read);
    RUN(rope_styles_agree);
    RUN(rope_as_transformers);
    RUN(broken_keys_are_named);
    RUN(broken_rope_is_named);
    RUN(broken_files);
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    rmdir(folder);
    return check_done();
}
