/*
 * fuzz_index.c - a model.safetensors.index.json over shards that are there.
 *
 * The folder is a snapshot in a cache, so that hub.c's look at the index is fuzzed with
 * safetensors.c's.  Whatever the index says, the files opened are in that folder.
 */
#include "fuzz.h"
#include "patchsweep/hub.h"
#include "patchsweep/mem.h"
#include "patchsweep/safetensors.h"

#define MODEL "models--o--m"
#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define SNAPSHOT MODEL "/snapshots/" COMMIT

/* A shard of one-byte tensors, named a letter each. */
static void write_shard(const char *name, const char *letters)
{
    char bytes[512], header[480] = "{";
    size_t n = strlen(letters), used = 1;

    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(header + used, sizeof header - used,
                                 "%s\"%c\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}", i ? "," : "",
                                 letters[i], i, i + 1);
    header[used++] = '}';
    memset(bytes, 0, sizeof bytes);
    bytes[0] = (char)(used & 0xff);
    bytes[1] = (char)(used >> 8);
    memcpy(bytes + 8, header, used);
    fuzz_write(name, bytes, 8 + used + n);
}

/* The cache as huggingface_hub lays it out: shards are links into blobs/. */
static void make_cache(void)
{
    static const char *const folders[] = {MODEL, MODEL "/refs", MODEL "/blobs", MODEL "/snapshots", SNAPSHOT};
    char path[256];

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        CLAIM(mkdir(fuzz_path(path, folders[i]), 0700) == 0);
    fuzz_write(MODEL "/refs/main", COMMIT, strlen(COMMIT));
    fuzz_write(SNAPSHOT "/config.json", "{}", 2);
    write_shard(MODEL "/blobs/1", "ab");
    write_shard(MODEL "/blobs/2", "c");
    write_shard("outside.safetensors", "ab");
    CLAIM(symlink("../../blobs/1", fuzz_path(path, SNAPSHOT "/1.safetensors")) == 0);
    CLAIM(symlink("../../blobs/2", fuzz_path(path, SNAPSHOT "/2.safetensors")) == 0);
    CLAIM(setenv("HF_HUB_CACHE", fuzz_folder(), 1) == 0);
}

static void check_shards(const ps_safetensors *st, const char *dir)
{
    size_t n = strlen(dir);

    CLAIM(ps_safetensors_n_shards(st) > 0);
    for (int i = 0; i < ps_safetensors_n_shards(st); i++) {
        const char *path = ps_safetensors_shard_path(st, i);
        CLAIM(!strncmp(path, dir, n) && path[n] == '/' && !strchr(path + n + 1, '/') && path[n + 1] != '.');
    }
    for (int i = 0; i < ps_safetensors_n(st); i++)
        CLAIM(ps_safetensors_find(st, ps_safetensors_at(st, i)->name) == ps_safetensors_at(st, i));
}

static void resolve(void)
{
    ps_err err = PS_ERR_INIT;
    char *dir = NULL, *revision = NULL;

    int rc = ps_hub_resolve(&dir, &revision, "o/m", "", NULL, &err);
    if (rc < 0)
        fuzz_refused(rc, &err);
    ps_free(dir);
    ps_free(revision);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool made;
    char dir[256];
    ps_err err = PS_ERR_INIT;
    ps_safetensors *st = NULL;

    if (!made)
        make_cache();
    made = true;
    fuzz_write(SNAPSHOT "/model.safetensors.index.json", data, n);
    int rc = ps_safetensors_open(&st, fuzz_path(dir, SNAPSHOT), &err);
    if (rc < 0)
        fuzz_refused(rc, &err);
    else
        check_shards(st, dir);
    ps_safetensors_close(st);
    resolve();
    return 0;
}
