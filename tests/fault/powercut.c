/*
 * powercut.c - unsynced changes, and how to take them back.
 *
 * Files are taken as they lie in the page cache: to cut, the image of a file is read, its unsynced
 * changes are undone backwards by the bytes that were there before, some are done again, and the
 * image is written back.  System calls are made by number, for the calls by name are the shim's.
 */
#include "powercut.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR 512

typedef struct image {
    char *bytes;
    size_t n;
} image;

/* A write, or a truncation to `at`: what was there from `at` on, and the size there was. */
typedef struct change {
    size_t at, n, n_old, old_size;
    char *old, *bytes; /* bytes NULL: a truncation */
} change;

typedef struct file {
    char *path; /* NULL: it has no name any more, and `last` is what it held */
    image last;
    change *changes;
    size_t n_changes, cap;
} file;

enum act { CREATE, MKDIR, UNLINK, RENAME, RMDIR };

typedef struct name_change {
    enum act act;
    char *path, *to;
    file *gone; /* the file that lost its name */
} name_change;

static file **files;
static size_t n_files, files_cap;
static name_change *names;
static size_t n_names, names_cap;

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static void grow(void *vec, size_t n, size_t *cap, size_t size)
{
    void *p;

    if (n < *cap)
        return;
    *cap = *cap ? *cap * 2 : 64;
    memcpy(&p, vec, sizeof p);
    p = must(realloc(p, *cap * size));
    memcpy(vec, &p, sizeof p);
}

static void *copy(const void *bytes, size_t n)
{
    void *p = must(malloc(n + 1));

    if (n)
        memcpy(p, bytes, n);
    return p;
}

/* ---- images ---- */

static void resize(image *im, size_t n)
{
    im->bytes = must(realloc(im->bytes, n + 1));
    if (n > im->n)
        memset(im->bytes + im->n, 0, n - im->n);
    im->n = n;
}

/* A file that cannot be read is taken as empty. */
static image load(const char *path)
{
    image im = {.n = 0};
    struct stat st;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

    resize(&im, 0);
    if (fd < 0)
        return im;
    if (fstat((int)fd, &st) == 0)
        resize(&im, (size_t)st.st_size);
    for (size_t done = 0; done < im.n;) {
        long got = syscall(SYS_pread64, fd, im.bytes + done, im.n - done, done);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    syscall(SYS_close, fd);
    return im;
}

static void store(const char *path, const image *im)
{
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    for (size_t done = 0; fd >= 0 && done < im->n;) {
        long put = syscall(SYS_write, fd, im->bytes + done, im->n - done);
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
}

/* ---- remembering ---- */

static file *file_at(const char *path)
{
    for (size_t i = 0; i < n_files; i++)
        if (files[i]->path && !strcmp(files[i]->path, path))
            return files[i];
    file *f = must(calloc(1, sizeof *f));
    f->path = copy(path, strlen(path) + 1);
    grow(&files, n_files, &files_cap, sizeof(file *));
    return files[n_files++] = f;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Keep what a change at `at`, of `n` bytes or of all that follow, is about to overwrite. */
static change *remember(const char *path, size_t at, size_t n)
{
    file *f = file_at(path);
    image im = load(path);

    grow(&f->changes, f->n_changes, &f->cap, sizeof *f->changes);
    change *c = &f->changes[f->n_changes++];
    *c = (change){.at = at, .n = n, .old_size = im.n};
    c->n_old = at < im.n ? least(n, im.n - at) : 0;
    c->old = copy(im.bytes + (c->n_old ? at : 0), c->n_old);
    free(im.bytes);
    return c;
}

void power_write(const char *path, off_t at, const void *bytes, size_t n)
{
    remember(path, (size_t)at, n)->bytes = copy(bytes, n);
}

void power_truncate(const char *path, off_t size)
{
    remember(path, (size_t)size, SIZE_MAX);
}

static name_change *remember_name(enum act act, const char *path, const char *to)
{
    grow(&names, n_names, &names_cap, sizeof *names);
    names[n_names] = (name_change){.act = act, .path = copy(path, strlen(path) + 1)};
    if (to)
        names[n_names].to = copy(to, strlen(to) + 1);
    return &names[n_names++];
}

static bool exists(const char *path)
{
    return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

/* The file at `path` is about to lose that name. */
static file *lose(const char *path)
{
    file *f = file_at(path);

    f->last = load(path);
    free(f->path);
    f->path = NULL;
    return f;
}

void power_unlink(const char *path)
{
    if (exists(path))
        remember_name(UNLINK, path, NULL)->gone = lose(path);
}

void power_rename(const char *from, const char *to)
{
    if (!exists(from))
        return;
    name_change *c = remember_name(RENAME, from, to);
    if (exists(to))
        c->gone = lose(to);
    file *f = file_at(from);
    free(f->path);
    f->path = copy(to, strlen(to) + 1);
}

void power_create(const char *path)
{
    remember_name(CREATE, path, NULL);
}

void power_mkdir(const char *path)
{
    remember_name(MKDIR, path, NULL);
}

void power_rmdir(const char *path)
{
    if (exists(path))
        remember_name(RMDIR, path, NULL);
}

/* ---- what is safe is forgotten ---- */

void power_sync_file(const char *path)
{
    file *f = file_at(path);

    for (size_t i = 0; i < f->n_changes; i++) {
        free(f->changes[i].old);
        free(f->changes[i].bytes);
    }
    f->n_changes = 0;
}

static bool is_in(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;

    return n == strlen(folder) && !strncmp(path, folder, n);
}

void power_sync_folder(const char *folder)
{
    size_t kept = 0;

    for (size_t i = 0; i < n_names; i++)
        if (is_in(names[i].to ? names[i].to : names[i].path, folder)) {
            free(names[i].path);
            free(names[i].to);
        } else
            names[kept++] = names[i];
    n_names = kept;
}

/* ---- the cut ---- */

static uint64_t state;

static uint64_t roll(uint64_t n) /* 0 .. n - 1 */
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

static void undo(image *im, const change *c)
{
    resize(im, c->old_size);
    if (c->n_old)
        memcpy(im->bytes + c->at, c->old, c->n_old);
}

/* The part of a write that lies in one sector: kept, dropped, zeros or garbage. */
static void redo_sector(image *im, size_t at, const char *bytes, size_t n)
{
    uint64_t fate = roll(4);

    if (fate == 1)
        return;
    if (im->n < at + n)
        resize(im, at + n);
    for (size_t i = 0; i < n; i++)
        im->bytes[at + i] = fate == 0 ? bytes[i] : fate == 2 ? '\0' : (char)roll(256);
}

static void redo(image *im, const change *c, unsigned keep_percent)
{
    if (!c->bytes) {
        if (roll(100) < keep_percent)
            resize(im, c->at);
        return;
    }
    if (roll(100) < keep_percent) {
        if (im->n < c->at + c->n)
            resize(im, c->at + c->n);
        memcpy(im->bytes + c->at, c->bytes, c->n);
        return;
    }
    if (roll(2)) /* wholly lost */
        return;
    for (size_t done = 0; done < c->n;) {
        size_t n = least(SECTOR - (c->at + done) % SECTOR, c->n - done);
        redo_sector(im, c->at + done, c->bytes + done, n);
        done += n;
    }
}

/* A truncation bounds what may change places: where there is one, the order stays. */
static void shuffle(file *f)
{
    for (size_t i = 0; i < f->n_changes; i++)
        if (!f->changes[i].bytes)
            return;
    for (size_t i = f->n_changes; i > 1; i--) {
        size_t k = roll(i);
        change c = f->changes[k];
        f->changes[k] = f->changes[i - 1];
        f->changes[i - 1] = c;
    }
}

static void settle(file *f)
{
    static const unsigned keep[] = {0, 50, 90, 100};

    if (!f->n_changes)
        return;
    image im = f->path ? load(f->path) : f->last;
    for (size_t i = f->n_changes; i > 0; i--)
        undo(&im, &f->changes[i - 1]);
    unsigned percent = keep[roll(4)];
    shuffle(f);
    for (size_t i = 0; i < f->n_changes; i++)
        redo(&im, &f->changes[i], percent);
    if (f->path && exists(f->path))
        store(f->path, &im);
    f->last = im;
}

static void remove_tree(const char *path)
{
    char below[4096];
    struct dirent *entry;
    DIR *dir = opendir(path);

    while (dir && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        syscall(SYS_unlinkat, AT_FDCWD, below, 0);
    }
    if (dir)
        closedir(dir);
    syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

static void undo_name(const name_change *c)
{
    switch (c->act) {
    case CREATE: syscall(SYS_unlinkat, AT_FDCWD, c->path, 0); break;
    case MKDIR: remove_tree(c->path); break;
    case RMDIR: syscall(SYS_mkdirat, AT_FDCWD, c->path, 0777); break;
    case UNLINK: store(c->path, &c->gone->last); break;
    case RENAME:
        syscall(SYS_renameat, AT_FDCWD, c->to, AT_FDCWD, c->path);
        if (c->gone)
            store(c->to, &c->gone->last);
        break;
    }
}

void power_cut(uint64_t seed)
{
    state = seed;
    for (size_t i = 0; i < n_files; i++)
        settle(files[i]);
    for (size_t kept = roll(n_names + 1); n_names > kept; n_names--)
        undo_name(&names[n_names - 1]);
}
