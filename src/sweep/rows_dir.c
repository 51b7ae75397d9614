/* rows_dir.c - the marker is written before all other files and removed after them, with a sync in between. */
#include "rows_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "patchsweep/place.h"

void ps_rows_part_name(char name[PS_ROWS_NAME], int generation, int rank)
{
    snprintf(name, PS_ROWS_NAME, "%d.%d", generation, rank);
}

static bool is_regular(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* Whether the name is that of a part or of an unfinished result. */
static bool is_ours(const char *name)
{
    char part[PS_ROWS_NAME];
    int generation, rank;

    if (!strcmp(name, PS_ROWS_RESULT))
        return true;
    if (sscanf(name, "%d.%d", &generation, &rank) != 2 || generation < 0 || generation >= PS_GENERATIONS || rank < 0)
        return false;
    ps_rows_part_name(part, generation, rank);
    return !strcmp(name, part);
}

static int open_folder(const char *path, ps_err *err)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return dir < 0 ? ps_err_errno(err, "cannot open '%s'", path) : dir;
}

/* Whether the folder has no file in it.  A folder that cannot be read counts as not empty. */
static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *d;
    int n = 0;

    if (!dir)
        return false;
    while ((d = readdir(dir)))
        n += strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
    closedir(dir);
    return n == 0;
}

static int refuse(const char *path, ps_err *err)
{
    return ps_place_foreign(path, "folder, which has a '" PS_ROWS_MARKER "' in it,", err);
}

int ps_rows_dir_look(const char *path, ps_err *err)
{
    int there = ps_place_taken(path, 1, err);
    int dir = there > 0 ? open_folder(path, err) : -1;

    if (there <= 0 || dir < 0)
        return there <= 0 ? there : -1;
    bool ours = is_regular(dir, PS_ROWS_MARKER) || is_empty(path);
    close(dir);
    return ours ? 1 : refuse(path, err);
}

int ps_rows_dir_open(const char *path, ps_err *err)
{
    int dir = open_folder(path, err);

    if (dir < 0 || is_regular(dir, PS_ROWS_MARKER))
        return dir;
    close(dir);
    return refuse(path, err);
}

/* Put the marker into a folder of ours, and sync the folder's entry and the marker's. */
static int mark(const char *path, const char *marker, ps_err *err)
{
    int fd = ps_place_open(AT_FDCWD, marker, O_WRONLY | O_CREAT, marker, err);

    if (fd < 0)
        return -1;
    int rc = ps_file_sync(fd, marker, err);
    close(fd);
    return rc < 0 || ps_file_sync_entry(marker, err) < 0 ? -1 : ps_file_sync_entry(path, err);
}

int ps_rows_dir_make(const char *path, ps_err *err)
{
    char *marker = ps_path_join(path, PS_ROWS_MARKER, err);
    int rc = -1;

    if (marker && mkdir(path, 0777) < 0 && errno != EEXIST)
        ps_err_errno(err, "cannot make '%s'", path);
    else if (marker && ps_rows_dir_look(path, err) > 0) {
        bool fresh = is_empty(path);
        rc = mark(path, marker, err);
        if (rc < 0 && fresh) {
            unlink(marker);
            rmdir(path);
        }
    }
    ps_free(marker);
    return rc;
}

/* Remove our files, and then the marker: a power cut must not leave a file of ours without it. */
static void empty(DIR *list)
{
    int dir = dirfd(list);
    bool gone = true;
    struct dirent *d;

    while ((d = readdir(list)))
        if (is_ours(d->d_name) && is_regular(dir, d->d_name) && unlinkat(dir, d->d_name, 0) < 0)
            gone = false;
    if (gone && (fsync(dir) == 0 || errno == EINVAL || errno == ENOTSUP)) /* some file systems cannot sync folders */
        unlinkat(dir, PS_ROWS_MARKER, 0);
}

void ps_rows_dir_remove(const char *path)
{
    ps_err ignored = PS_ERR_INIT;
    int dir = ps_rows_dir_open(path, &ignored);
    DIR *list = dir < 0 ? NULL : fdopendir(dir);

    if (list) {
        empty(list);
        closedir(list);
    } else if (dir >= 0) {
        close(dir);
    }
    rmdir(path); /* an empty folder without a marker may be ours too, after a power cut */
}
