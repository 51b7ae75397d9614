/*
 * hub.c - the local Hugging Face cache, read as huggingface_hub lays it out.
 *
 *     <cache>/models--org--model/refs/main                    a commit
 *     <cache>/models--org--model/snapshots/<commit>/<file>    a link into blobs/, or the file itself
 *
 * A revision is a commit, or a name under refs/ (which may be nested: refs/pr/1).  Like huggingface_hub, we never fall
 * back to another revision in the cache.  A snapshot is accepted only if its weights are complete and no needed link
 * is broken.  An error now is better than a job that waits an hour in a queue and then fails on a missing shard.
 */
#include "patchsweep/hub.h"

#include <ctype.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/file.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define MAX_NAME 200
#define MAX_INDEX 100000000
#define INDEX "model.safetensors.index.json"

/* "org/model@revision", taken apart. */
typedef struct wanted {
    char id[MAX_NAME];       /* "org/model" */
    char revision[MAX_NAME]; /* "main" where none was given */
    bool named_revision;
    const char *const *supported; /* architectures, NULL behind the last; or NULL: any */
} wanted;

/* ---- where the cache is ---- */

/* Expand a leading ~ or ~user, as Python's expanduser does. */
static void add_home(ps_text *out, const char **path)
{
    char user[64];
    size_t n = strcspn(*path, "/");
    const char *home = n == 1 ? getenv("HOME") : NULL;

    if (**path != '~' || n > sizeof user)
        return;
    memcpy(user, *path + 1, n - 1);
    user[n - 1] = '\0';
    if (!home || !*home) {
        const struct passwd *entry = n == 1 ? getpwuid(getuid()) : getpwnam(user);
        home = entry ? entry->pw_dir : NULL;
    }
    if (home) {
        ps_text_puts(out, home);
        *path += n;
    }
}

/* Expand $NAME and ${NAME}, as Python's expandvars does: unknown names stay as they are. */
static void add_variable(ps_text *out, const char **at)
{
    char name[MAX_NAME];
    bool braces = (*at)[1] == '{';
    const char *start = *at + 1 + braces, *end = start;

    while (braces ? *end && *end != '}' : isalnum((unsigned char)*end) || *end == '_')
        end++;
    size_t n = (size_t)(end - start), whole = n + 1 + 2u * braces;
    if (n == 0 || n >= sizeof name || (braces && !*end)) {
        ps_text_add(out, (*at)++, 1);
        return;
    }
    memcpy(name, start, n);
    name[n] = '\0';
    const char *value = getenv(name);
    if (value)
        ps_text_puts(out, value);
    else
        ps_text_add(out, *at, whole);
    *at += whole;
}

static void add_expanded(ps_text *out, const char *path)
{
    ps_text at_home = {0};

    add_home(&at_home, &path);
    ps_text_puts(&at_home, path);
    for (const char *c = ps_text_str(&at_home); *c;)
        if (*c == '$')
            add_variable(out, &c);
        else
            ps_text_add(out, c++, 1);
    out->failed |= at_home.failed;
    ps_text_release(&at_home);
}

/* Read a variable.  An empty value counts as not set. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static void add_cache(ps_text *out)
{
    const char *hub = variable("HF_HUB_CACHE"), *home = variable("HF_HOME"), *xdg = variable("XDG_CACHE_HOME");

    if (!hub)
        hub = variable("HUGGINGFACE_HUB_CACHE"); /* the older name of HF_HUB_CACHE */
    if (hub) {
        add_expanded(out, hub);
        return;
    }
    add_expanded(out, home ? home : xdg ? xdg : "~/.cache");
    ps_text_puts(out, home ? "/hub" : "/huggingface/hub");
}

/* ---- the name ---- */

/* One part of a hub name: letters, digits, '_', '-' and '.', no mark at either end. */
static bool good_part(const char *s, size_t n)
{
    if (n == 0 || n > 96 || strchr("-.", s[0]) || strchr("-.", s[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("_-.", s[i]))
            return false;
    return true;
}

static bool good_id(const char *id)
{
    size_t n = strcspn(id, "/");

    if (strstr(id, "--") || strstr(id, ".."))
        return false;
    return good_part(id, n) && (!id[n] || (!strchr(id + n + 1, '/') && good_part(id + n + 1, strlen(id + n + 1))));
}

/* Whether the text is a revision: a path below refs/ that does not lead out of it.  Messages put it into a command
 * to run, so no character may mean anything to a shell. */
static bool good_revision(const char *s)
{
    for (const char *c = s; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_.-/+=@", *c))
            return false;
    return *s && *s != '/' && *s != '-' && strcmp(s, ".") && !strstr(s, "..");
}

/* Take a hub name apart.  False if `name` cannot be one. */
static bool take_apart(wanted *w, const char *name)
{
    const char *at = strchr(name, '@');
    size_t n = at ? (size_t)(at - name) : strlen(name);

    if (n >= sizeof w->id || (at && strlen(at + 1) >= sizeof w->revision))
        return false;
    memcpy(w->id, name, n);
    w->id[n] = '\0';
    w->named_revision = at != NULL;
    snprintf(w->revision, sizeof w->revision, "%s", at ? at + 1 : "main");
    return good_id(w->id) && good_revision(w->revision);
}

/* ---- the snapshot ---- */

/* "AForCausalLM, BForCausalLM or CForCausalLM". */
static void list_supported(const wanted *w, char *out, size_t bytes)
{
    size_t used = 0;

    out[0] = '\0';
    for (const char *const *name = w->supported; *name && used < bytes; name++)
        used += (size_t)snprintf(out + used, bytes - used, "%s%s", !used ? "" : name[1] ? ", " : " or ", *name);
}

static int miss(const wanted *w, ps_err *err, const char *what, const char *where)
{
    char list[300] = "", note[400] = "";

    if (w->supported) {
        list_supported(w, list, sizeof list);
        snprintf(note, sizeof note, ", if its architecture is %s", list);
    }
    return ps_err_set(err, PS_EINPUT, "model '%s': %s '%s'; run 'hf download %s%s%s' where there is a network%s",
                      w->id, what, where, w->id, w->named_revision ? " --revision " : "",
                      w->named_revision ? w->revision : "", note);
}

/* Refuse the model if its config.json names an unsupported architecture: do not ask for the rest of its download. */
static int refuse_architecture(const char *dir, const wanted *w, ps_err *err)
{
    char *path = ps_path_join(dir, "config.json", err), list[300];
    ps_err unreadable = PS_ERR_INIT;
    ps_json *json = NULL;
    bool known = false;

    if (!path)
        return -1;
    if (ps_json_read(&json, path, MAX_INDEX, &unreadable) == 0) {
        const char *name = ps_json_string(ps_json_first(ps_json_get(ps_json_root(json), "architectures")));
        known = !*name;
        for (const char *const *s = w->supported; *s; s++)
            known = known || !strcmp(*s, name);
        list_supported(w, list, sizeof list);
        if (!known)
            ps_err_set(err, PS_EINPUT, "model '%s': its architecture %.100s is not supported; use a model of %s", w->id, name, list);
    }
    ps_json_free(json);
    ps_free(path);
    return -1;
}

/* Find the commit that refs/<revision> has.  If there is no such ref, the revision itself is the commit. */
static int read_commit(char **commit, const char *folder, const wanted *w, ps_err *err)
{
    char *bytes = NULL;
    size_t n = 0;
    ps_text path = {0};

    ps_text_printf(&path, "%s/refs/%s", folder, w->revision);
    int rc = ps_text_ok(&path, err);
    if (rc == 0 && ps_file_kind(ps_text_str(&path)) == 1) {
        rc = ps_file_read(ps_text_str(&path), 1000, &bytes, &n, err);
        while (n > 0 && isspace((unsigned char)bytes[n - 1]))
            bytes[--n] = '\0';
        if (rc == 0 && (n == 0 || strspn(bytes, "0123456789abcdefABCDEF") != n))
            rc = ps_err_set(err, PS_EINPUT, "'%s' holds no commit; run 'hf download %s'", ps_text_str(&path), w->id);
    } else if (rc == 0) {
        bytes = ps_strdup(w->revision, err);
        rc = bytes ? 0 : -1;
    }
    ps_text_release(&path);
    if (rc == 0)
        *commit = bytes;
    else
        ps_free(bytes);
    return rc;
}

/* Return 1 if <dir>/<name> is a regular file, 0 if there is no such name, -1 if it is a broken link: the cache lost
 * the blob, or never had it. */
static int has(const char *dir, const char *name, const wanted *w, ps_err *err)
{
    struct stat info;

    char *path = ps_path_join(dir, name, err);
    if (!path)
        return -1;
    int found = ps_file_kind(path) == 1;
    if (!found && lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
        found = miss(w, err, "incomplete download: broken link", path);
    ps_free(path);
    return found;
}

/* Check that every shard named in the index is there. */
static int check_shards(const char *dir, const wanted *w, ps_err *err)
{
    ps_json *json = NULL;
    const char *last = NULL;
    int rc = -1;

    char *path = ps_path_join(dir, INDEX, err);
    if (!path || ps_json_read(&json, path, MAX_INDEX, err) < 0)
        goto out;
    rc = 0;
    const ps_node *map = ps_json_get(ps_json_root(json), "weight_map");
    for (const ps_node *m = ps_json_first(map); m && rc == 0; m = ps_json_next(m)) {
        const char *file = ps_json_string(m);
        if (last && !strcmp(file, last)) /* neighbouring tensors are mostly in one shard */
            continue;
        last = file;
        if (!ps_file_is_name(file)) {
            rc = ps_err_set(err, PS_EINPUT, "'%s': weight_map: '%.200s' names '%.200s', which is not a plain file name", path,
                            ps_json_key(m), file);
            break;
        }
        int found = has(dir, file, w, err);
        if (found <= 0)
            rc = found < 0 ? -1 : miss(w, err, "incomplete download: the index names a shard that is missing,", file);
    }
out:
    ps_json_free(json);
    ps_free(path);
    return rc;
}

static int check_complete(const char *dir, const wanted *w, ps_err *err)
{
    static const char *const weights[] = {"model.safetensors", INDEX,
                                          /* safetensors.c says what to do with these */
                                          "pytorch_model.bin", "pytorch_model.bin.index.json", NULL};
    int found = has(dir, "config.json", w, err);

    if (found < 0 || has(dir, "tokenizer.json", w, err) < 0)
        return -1;
    if (!found)
        return miss(w, err, "incomplete download: no config.json in", dir);
    for (const char *const *name = weights; *name; name++) {
        found = has(dir, *name, w, err);
        if (found > 0 && !strcmp(*name, INDEX))
            return check_shards(dir, w, err);
        if (found != 0)
            return found < 0 ? -1 : 0;
    }
    return miss(w, err, "incomplete download: no weights in", dir);
}

static int resolve_cached(char **dir, char **revision, const wanted *w, ps_err *err)
{
    ps_text folder = {0}, snapshot = {0};
    char *commit = NULL;
    int rc = -1;

    add_cache(&folder);
    ps_text_puts(&folder, "/models--");
    for (const char *c = w->id; *c; c++)
        ps_text_puts(&folder, *c == '/' ? "--" : (char[]){*c, '\0'});
    if (ps_text_ok(&folder, err) < 0)
        goto out;
    if (ps_file_kind(ps_text_str(&folder)) != 2) {
        miss(w, err, "no folder with a config.json, and not in the cache: no", ps_text_str(&folder));
        goto out;
    }
    if (read_commit(&commit, ps_text_str(&folder), w, err) < 0)
        goto out;
    ps_text_printf(&snapshot, "%s/snapshots/%s", ps_text_str(&folder), commit);
    if (ps_text_ok(&snapshot, err) < 0)
        goto out;
    if (strchr(commit, '/') || ps_file_kind(ps_text_str(&snapshot)) != 2) {
        miss(w, err, "the cache has the model but not the revision", w->revision);
        goto out;
    }
    if (check_complete(ps_text_str(&snapshot), w, err) < 0) {
        if (w->supported)
            refuse_architecture(ps_text_str(&snapshot), w, err);
        goto out;
    }
    *dir = ps_strdup(ps_text_str(&snapshot), err);
    if (!*dir)
        goto out;
    *revision = commit;
    commit = NULL;
    rc = 0;
out:
    ps_free(commit);
    ps_text_release(&folder);
    ps_text_release(&snapshot);
    return rc;
}

/* ---- folders ---- */

/* Return the commit of a folder that is a snapshot in a cache, else "". */
static char *folder_commit(const char *path, ps_err *err)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    bool snapshot = n > 50 && !strncmp(path + n - 51, "/snapshots/", 11) &&
                    strspn(path + n - 40, "0123456789abcdef") >= 40;
    return ps_strndup(snapshot ? path + n - 40 : "", snapshot ? 40 : 0, err);
}

/* Refuse a file.  For a GGUF file, say how to make a model folder of it. */
static int refuse_file(const char *path, ps_err *err)
{
    char magic[4] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool gguf = fd >= 0 && pread(fd, magic, sizeof magic, 0) == sizeof magic && !memcmp(magic, "GGUF", sizeof magic);

    if (fd >= 0)
        close(fd);
    if (gguf)
        return ps_err_set(err, PS_EINPUT, "'%s' is a GGUF file; make a model's folder of it with scripts/gguf_to_hf.py and name "
                          "that", path);
    return ps_err_set(err, PS_EINPUT, "'%s' is a file; name the model's folder", path);
}

/* Refuse a model that is in the current folder but not beside the job file.  Say where it was looked for. */
static bool is_elsewhere(const char *name, const char *path, ps_err *err)
{
    char *config = ps_path_join(name, "config.json", err), *whole = NULL;

    if (config && strcmp(name, path) && ps_file_kind(config) == 1 && (whole = realpath(name, NULL)))
        ps_err_set(err, PS_EINPUT, "no model '%s': names are relative to the job file's folder, and there is no '%s'; for the "
                   "one in the current folder write '%s'", name, path, whole);
    free(whole);
    ps_free(config);
    return err->code != PS_OK;
}

int ps_hub_resolve(char **dir, char **revision, const char *name, const char *base_dir, const char *const *supported,
                   ps_err *err)
{
    wanted w;
    int rc = -1;

    if (!*name)
        return ps_err_set(err, PS_EINPUT, "the model's name is empty; give a folder or a hub name");
    char *path = ps_path_join(base_dir, name, err);
    char *config = path ? ps_path_join(path, "config.json", err) : NULL;
    if (!config)
        goto out;
    int kind = ps_file_kind(path);
    if (kind == 2 && ps_file_kind(config) == 1) {
        *revision = folder_commit(path, err);
        if (!*revision)
            goto out;
        *dir = path;
        path = NULL;
        rc = 0;
    } else if (kind == 1)
        refuse_file(path, err);
    else if (take_apart(&w, name)) {
        w.supported = supported;
        rc = resolve_cached(dir, revision, &w, err);
        ps_err why = PS_ERR_INIT;
        if (rc < 0 && is_elsewhere(name, path, &why))
            *err = why;
    } else if (kind == 0 && is_elsewhere(name, path, err))
        goto out;
    else if (kind == 0 && *base_dir)
        ps_err_set(err, PS_EINPUT, "no model '%s': there is no folder '%s' (names are relative to the job file's folder), and "
                   "a hub name looks like 'org/model' or 'org/model@revision'", name, path);
    else if (kind == 2)
        ps_err_set(err, PS_EINPUT, "'%s' is a folder without a config.json; name a model's folder", path);
    else
        ps_err_set(err, PS_EINPUT, "'%s' is neither a folder nor a hub name like 'org/model' or "
                   "'org/model@revision'", name);
out:
    ps_free(config);
    ps_free(path);
    return rc;
}
