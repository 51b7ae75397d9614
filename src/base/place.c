/* place.c - lstat() before open, to say what is in the way; fstat() after it, because that may have changed meanwhile. */
#include "patchsweep/place.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/file.h"
#include "patchsweep/mem.h"

#define LONGEST_PATH (PATH_MAX - 32) /* leaves room for a suffix and for the names in the folder of rows */

const char *const ps_beside_suffix[PS_N_BESIDE] = {
    [PS_LOCK] = ".lock", [PS_PART] = ".part", [PS_JOURNAL] = ".journal", [PS_ROWS] = ".rows"};

char *ps_beside(const char *output, enum ps_beside which, ps_err *err)
{
    size_t bytes = strlen(output) + strlen(ps_beside_suffix[which]) + 1;
    char *name = ps_malloc(bytes, 1, err);

    if (name)
        snprintf(name, bytes, "%s%s", output, ps_beside_suffix[which]);
    return name;
}

static const char *kind_name(mode_t mode)
{
    static const struct {
        mode_t type;
        const char *name;
    } kinds[] = {{S_IFREG, "a file"}, {S_IFDIR, "a folder"}, {S_IFLNK, "a symbolic link"}, {S_IFIFO, "a FIFO"},
                 {S_IFSOCK, "a socket"}, {S_IFCHR, "a character device"}, {S_IFBLK, "a block device"}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((mode & S_IFMT) == kinds[i].type)
            return kinds[i].name;
    return "no regular file";
}

static int refuse_kind(const char *path, mode_t mode, ps_err *err)
{
    return ps_err_set(err, PS_EINPUT, "'%s' is %s, which a run neither follows nor replaces; name another file with -o",
                      path, kind_name(mode));
}

static int cannot_write(const char *path, int error, ps_err *err)
{
    return ps_err_set(err, ps_file_open_code(error), "cannot write '%s': %s; name another file with -o", path,
                      strerror(error));
}

int ps_place_taken(const char *path, int folder, ps_err *err)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : cannot_write(path, errno, err);
    return (st.st_mode & S_IFMT) == (folder ? S_IFDIR : S_IFREG) ? 1 : refuse_kind(path, st.st_mode, err);
}

/* The longest file name in bytes that the file system of `path` allows; -1 if unknown. */
static long longest_name(const char *path, ps_err *err)
{
    char *dir = ps_path_dir(path, err);
    long most = dir ? pathconf(dir, _PC_NAME_MAX) : -1;

    ps_free(dir);
    return most;
}

int ps_place_check(const char *output, const char *suffix, ps_err *err)
{
    const char *slash = strrchr(output, '/');
    size_t n = strlen(slash ? slash + 1 : output);

    if (!*output)
        return ps_err_set(err, PS_EINPUT, "the output's name is empty; name a file with -o");
    long most = longest_name(output, err);
    if (err->code)
        return -1;
    if (most > 0 && n + strlen(suffix) > (size_t)most)
        return ps_err_set(err, PS_EINPUT, "the output's name '%.40s...' has %zu bytes; before '%s' this file system allows "
                          "%zu; name a shorter one with -o", slash ? slash + 1 : output, n, suffix,
                          (size_t)most - strlen(suffix));
    if (strlen(output) > LONGEST_PATH)
        return ps_err_set(err, PS_EINPUT, "the output's path has %zu bytes; at most %d are allowed; name a shorter one with -o",
                          strlen(output), LONGEST_PATH);
    return ps_place_taken(output, 0, err) < 0 ? -1 : 0;
}

int ps_place_open(int dir, const char *name, int flags, const char *shown, ps_err *err)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        return refuse_kind(shown, st.st_mode, err);
    int fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (fd < 0 && (flags & O_ACCMODE) == O_RDONLY)
        return ps_err_errno(err, "cannot open '%s'", shown);
    if (fd < 0)
        return cannot_write(shown, errno, err);
    if (fstat(fd, &st) < 0)
        ps_err_errno(err, "cannot examine '%s'", shown);
    else if (S_ISREG(st.st_mode))
        return fd;
    else
        refuse_kind(shown, st.st_mode, err);
    close(fd);
    return -1;
}

enum ps_leads ps_place_leads(const char *path, int fd, ps_err *err)
{
    struct stat mine, there;
    bool found = lstat(path, &there) == 0;

    if ((!found && errno != ENOENT) || fstat(fd, &mine) < 0) {
        ps_err_errno(err, "cannot look up '%s'", path);
        return PS_LEADS_UNKNOWN;
    }
    if (!found)
        return PS_LEADS_NOWHERE;
    return mine.st_ino == there.st_ino && mine.st_dev == there.st_dev ? PS_LEADS_HERE : PS_LEADS_ELSEWHERE;
}

int ps_place_foreign(const char *path, const char *what, ps_err *err)
{
    return ps_err_set(err, PS_EINPUT, "'%s' is not a patchsweep %s but has the name of one; move it away, or name another "
                      "output with -o", path, what);
}
