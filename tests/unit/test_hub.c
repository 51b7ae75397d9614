/*
 * test_hub.c - caches as huggingface_hub lays them out, complete and not, found by every variable.
 *
 * All in a folder of its own: HOME points there, and each test sets the variables it is about.
 */
#include "patchsweep/hub.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/mem.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))
#define SHA "0123456789abcdef0123456789abcdef01234567"
#define OTHER "89abcdef0123456789abcdef0123456789abcdef"

static char folder[] = "/tmp/test_hub.XXXXXX";

/* ---- files ---- */

static const char *const variables[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
    (void)st, (void)flag, (void)walk;
    return remove(path);
}

/* An empty folder, and no variable but HOME. */
static void start(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    CHECK(mkdir(folder, 0777) == 0 && chdir(folder) == 0);
    for (size_t i = 0; i < N_OF(variables); i++)
        unsetenv(variables[i]);
    setenv("HOME", folder, 1);
}

/* The folders above `path` (relative to our own). */
static void make_parents(const char *path)
{
    char part[400];

    for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0777);
    }
}

static void put(const char *path, const char *text)
{
    make_parents(path);
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* A file of a snapshot: a link to a blob, or the file itself. */
static void put_file(const char *snapshot, const char *name, const char *text, bool linked)
{
    char path[400], blob[400], target[100];

    snprintf(path, sizeof path, "%s/%s", snapshot, name);
    if (!linked) {
        put(path, text);
        return;
    }
    snprintf(blob, sizeof blob, "%s/../../blobs/%s", snapshot, name);
    snprintf(target, sizeof target, "../../blobs/%s", name);
    make_parents(path);
    put(blob, text);
    CHECK(symlink(target, path) == 0);
}

/* <cache>/models--org--model with one snapshot that refs/main names. */
static void put_model(const char *cache, bool linked)
{
    char path[400];

    snprintf(path, sizeof path, "%s/models--org--model/snapshots/" SHA, cache);
    put_file(path, "config.json", "{}", linked);
    put_file(path, "tokenizer.json", "{}", linked);
    put_file(path, "model.safetensors", "x", linked);
    snprintf(path, sizeof path, "%s/models--org--model/refs/main", cache);
    put(path, SHA);
}

/* ---- checks ---- */

/* `name` is found in `dir` (relative to our folder, or absolute), of commit `revision`. */
static void found(const char *name, const char *dir, const char *revision)
{
    char *seen_dir = NULL, *seen_revision = NULL, wanted[500], *real = NULL;
    ps_err err = PS_ERR_INIT;

    if (ps_hub_resolve(&seen_dir, &seen_revision, name, "", NULL, &err) < 0) {
        printf("# '%s': %s\n", name, err.text);
        CHECK(!"not found");
        return;
    }
    real = realpath(seen_dir, NULL);
    char *wanted_real = realpath(dir, wanted) ? wanted : NULL;
    CHECK(real && wanted_real);
    if (real && wanted_real)
        CHECK_STR(real, wanted_real);
    CHECK_STR(seen_revision, revision);
    free(real);
    ps_free(seen_dir);
    ps_free(seen_revision);
}

static void refused(const char *name, const char *words)
{
    char *dir = NULL, *revision = NULL;
    ps_err err = PS_ERR_INIT;

    CHECK_ERR(ps_hub_resolve(&dir, &revision, name, "", NULL, &err), err, PS_EINPUT, words);
    CHECK(!dir && !revision);
}

#define HUB ".cache/huggingface/hub"
#define SNAPSHOT HUB "/models--org--model/snapshots/" SHA

/* ---- folders ---- */

static void a_folder_is_taken_as_it_is(void)
{
    char *dir = NULL, *revision = NULL;
    ps_err err = PS_ERR_INIT;

    start();
    put("models/mine/config.json", "{}");
    found("models/mine", "models/mine", "");
    found("./models/../models/mine/", "models/mine", "");
    CHECK(ps_hub_resolve(&dir, &revision, "mine", "models", NULL, &err) == 0); /* relative to base_dir */
    CHECK_STR(dir, "models/mine");
    ps_free(dir);
    ps_free(revision);

    put_model(HUB, true);
    put("org/model/config.json", "{}"); /* a folder goes before the cache */
    found("org/model", "org/model", "");
    found(SNAPSHOT, SNAPSHOT, SHA); /* a snapshot's folder tells its commit */
    found(SNAPSHOT "//", SNAPSHOT, SHA);

    put("empty.d/readme", "x");
    put("file", "x");
    refused("file", "'file' is a file; name the model's folder");
    refused("models/mine/config.json", "is a file");
    refused("./empty.d", "'./empty.d' is a folder without a config.json");
    refused("", "the model's name is empty");
}

/* ---- layouts ---- */

static void links_and_copies(void)
{
    for (int linked = 0; linked < 2; linked++) {
        start();
        put_model(HUB, linked);
        found("org/model", SNAPSHOT, SHA);
        found("org/model@main", SNAPSHOT, SHA);
        found("org/model@" SHA, SNAPSHOT, SHA);
    }
}

static void revisions(void)
{
    start();
    put_model(HUB, true);
    put(HUB "/models--org--model/refs/pr/1", SHA "\n"); /* nested; with an editor's newline */
    put(HUB "/models--org--model/refs/v1.0", OTHER);
    put(HUB "/models--org--model/refs/empty", "");
    put(HUB "/models--org--model/refs/odd", "../../../etc");
    found("org/model@pr/1", SNAPSHOT, SHA);
    refused("org/model@v1.0", "the cache has the model but not the revision 'v1.0'; run 'hf download org/model --revision v1.0'");
    refused("org/model@" OTHER, "but not the revision '" OTHER "'; run 'hf download org/model --revision " OTHER "'");
    refused("org/model@0123456", "but not the revision '0123456'"); /* no short commits, as huggingface_hub */
    refused("org/model@pr", "but not the revision 'pr'");
    refused("org/model@empty", "holds no commit");
    refused("org/model@odd", "holds no commit");
    unlink(HUB "/models--org--model/refs/main"); /* another revision is never taken instead */
    refused("org/model", "the cache has the model but not the revision 'main'; run 'hf download org/model'");
    found("org/model@" SHA, SNAPSHOT, SHA);
    /* Folders named like a hub's */
    put_file(HUB "/models--gpt2/snapshots/" SHA, "config.json", "{}", true);
    put_file(HUB "/models--gpt2/snapshots/" SHA, "model.safetensors", "x", true);
    put(HUB "/models--gpt2/refs/main", SHA);
    found("gpt2", HUB "/models--gpt2/snapshots/" SHA, SHA); /* no tokenizer: a job of ids needs none */
}

static void incomplete_downloads(void)
{
    static const char *const linked[] = {"config.json", "tokenizer.json", "model.safetensors"};
    char path[400];

    for (size_t i = 0; i < N_OF(linked); i++) {
        start();
        put_model(HUB, true);
        snprintf(path, sizeof path, HUB "/models--org--model/blobs/%s", linked[i]);
        CHECK(unlink(path) == 0);
        refused("org/model", "incomplete download: broken link");
        refused("org/model", linked[i]);
        refused("org/model", "run 'hf download org/model'");
    }
    start();
    put_model(HUB, false);
    unlink(SNAPSHOT "/model.safetensors");
    refused("org/model", "incomplete download: no weights in");
    unlink(SNAPSHOT "/config.json");
    refused("org/model", "incomplete download: no config.json in");

    start(); /* the folder is there, the model is not */
    put(HUB "/models--org--model/refs/main", SHA);
    refused("org/model", "the cache has the model but not the revision 'main'");
}

static void shards(void)
{
    static const char *const index = "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}}";
    static const char *const outside[] = {"/etc/passwd", "../../blobs/one.safetensors", "../" SHA "/one.safetensors",
                                          "./one.safetensors", "..", ""};
    char named[200];

    start();
    put_model(HUB, false);
    unlink(SNAPSHOT "/model.safetensors");
    put_file(SNAPSHOT, "model.safetensors.index.json", index, true);
    put_file(SNAPSHOT, "one.safetensors", "x", true);
    refused("org/model", "the index names a shard that is missing, 'two.safetensors'");
    put_file(SNAPSHOT, "two.safetensors", "x", true);
    found("org/model", SNAPSHOT, SHA);
    CHECK(unlink(HUB "/models--org--model/blobs/two.safetensors") == 0);
    refused("org/model", "broken link");
    put(HUB "/models--org--model/blobs/model.safetensors.index.json", "{");
    refused("org/model", "not valid JSON");
    for (size_t i = 0; i < N_OF(outside); i++) { /* refused by its name, though the file is there */
        snprintf(named, sizeof named, "{\"weight_map\": {\"a\": \"%s\"}}", outside[i]);
        put(HUB "/models--org--model/blobs/model.safetensors.index.json", named);
        refused("org/model", "which is not a plain file name");
        refused("org/model", SNAPSHOT "/model.safetensors.index.json': weight_map: 'a' names '");
    }
    unlink(SNAPSHOT "/model.safetensors.index.json");
    put_file(SNAPSHOT, "pytorch_model.bin", "x", true); /* safetensors.c tells how to convert it */
    found("org/model", SNAPSHOT, SHA);
}

/* ---- where the cache is ---- */

static void variables_in_order(void)
{
    static const struct {
        const char *cache; /* where the model is, relative to our folder */
        const char *name, *value; /* the variable that leads there; %s: our folder */
    } steps[] = {
        {".cache/huggingface/hub", NULL, NULL},
        {"xdg/huggingface/hub", "XDG_CACHE_HOME", "%s/xdg"},
        {"home/hub", "HF_HOME", "%s/home"},
        {"old", "HUGGINGFACE_HUB_CACHE", "%s/old"},
        {"new", "HF_HUB_CACHE", "%s/new"},
    };
    char value[300], dir[400];

    start();
    for (size_t i = 0; i < N_OF(steps); i++)
        put_model(steps[i].cache, true);
    for (size_t i = 0; i < N_OF(steps); i++) { /* each variable goes before those set until now */
        if (steps[i].name) {
            snprintf(value, sizeof value, "%s/%s", folder, steps[i].value + 3);
            setenv(steps[i].name, value, 1);
        }
        snprintf(dir, sizeof dir, "%s/models--org--model/snapshots/" SHA, steps[i].cache);
        found("org/model", dir, SHA);
    }
    for (size_t i = N_OF(steps) - 1; i > 0; i--) { /* set to nothing is not set */
        setenv(steps[i].name, "", 1);
        snprintf(dir, sizeof dir, "%s/models--org--model/snapshots/" SHA, steps[i - 1].cache);
        found("org/model", dir, SHA);
    }
}

static void home_and_variables_expand(void)
{
    static const struct {
        const char *value, *cache;
    } cases[] = {
        {"~/one", "one"},           {"$PS_TEST/two", "PS/two"},   {"${PS_TEST}/three", "PS/three"},
        {"~/$PS_TAIL/x", "tail/x"}, {"$PS_TEST$PS_TAIL", "PStail"}, {"$HOME/four", "four"},
        {"$PS_NOT_SET/five", "$PS_NOT_SET/five"}, {"${PS_NOT_SET}/six", "${PS_NOT_SET}/six"},
        {"a$/seven", "a$/seven"},   {"${open/eight", "${open/eight"}, {"a~/nine", "a~/nine"},
        {"~ps_no_such_user/ten", "~ps_no_such_user/ten"}, {"$", "$"},
    };
    char dir[400], test[300];

    start();
    snprintf(test, sizeof test, "%s/PS", folder);
    setenv("PS_TEST", test, 1);
    setenv("PS_TAIL", "tail", 1);
    unsetenv("PS_NOT_SET");
    for (size_t i = 0; i < N_OF(cases); i++) {
        put_model(cases[i].cache, true);
        setenv("HF_HUB_CACHE", cases[i].value, 1);
        snprintf(dir, sizeof dir, "%s/models--org--model/snapshots/" SHA, cases[i].cache);
        found("org/model", dir, SHA);
    }
}

/* ---- names ---- */

static void bad_names(void)
{
    static const char *const names[] = {
        "../model", "org/../model", "org/model/more", "/nowhere/model", "org//model", "org/", "-model",
        "org/-model", "org/model-", ".org/model", "org/model.", "org--x/model", "org/mo..del", "or g/model",
        "org/model;ls", "org/$(ls)", "org/m\xc3\xa9l", "org\\model", "@main", "org/model@", "org/model@../../x",
        "org/model@/etc", "org/model@-f", "org/model@.", "org/model@a\\b", "org/model@a b", "org/model@a;ls",
        "org/model@$(ls)", "org/model@a'b", "org/model@a\nb",
    };
    char longest[400];

    start();
    put_model(HUB, true);
    for (size_t i = 0; i < N_OF(names); i++)
        refused(names[i], "is neither a folder nor a hub name like 'org/model'");
    for (size_t n = 90; n < sizeof longest - 1; n++) {
        memset(longest, 'a', n);
        longest[n] = '\0';
        refused(longest, n > 96 ? "is neither a folder nor a hub name" : "not in the cache");
    }
    memcpy(longest, "org/model@", 10);
    refused(longest, "is neither a folder nor a hub name");
}

static void a_miss_tells_the_command(void)
{
    start();
    refused("org/other", "model 'org/other': no folder with a config.json, and not in the cache: no '");
    refused("org/other", "/.cache/huggingface/hub/models--org--other'; run 'hf download org/other' where there is a network");
    refused("org/other@v2", "run 'hf download org/other --revision v2' where there is a network");
    refused("SmolLM2_1.7B-x", "models--SmolLM2_1.7B-x'; run 'hf download SmolLM2_1.7B-x'");
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    RUN(a_folder_is_taken_as_it_is);
    RUN(links_and_copies);
    RUN(revisions);
    RUN(incomplete_downloads);
    RUN(shards);
    RUN(variables_in_order);
    RUN(home_and_variables_expand);
    RUN(bad_names);
    RUN(a_miss_tells_the_command);
    if (chdir("/") == 0)
        nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return check_done();
}
