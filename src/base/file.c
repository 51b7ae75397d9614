/* file.c - read with a limit, write in full. */
#include "patchsweep/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/crc.h"
#include "patchsweep/mem.h"

int ps_file_pread(int fd, void *buf, size_t n, uint64_t offset, const char *path, ps_err *err)
{
    char *p = buf;
    const size_t most = (size_t)64 << 20; /* Linux reads at most 2 GiB per call */

    while (n > 0) {
        ssize_t got = pread(fd, p, n < most ? n : most, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ps_err_errno(err, "cannot read '%s' at byte %llu", path,
                                (unsigned long long)offset);
        if (got == 0)
            return ps_err_set(err, PS_EINPUT, "'%s' ends at byte %llu, %zu bytes early; copy it again",
                              path, (unsigned long long)offset, n);
        p += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

int ps_file_pwrite(int fd, const void *buf, size_t n, uint64_t offset, const char *path, ps_err *err)
{
    const char *p = buf;
    const size_t most = (size_t)64 << 20;

    while (n > 0) {
        ssize_t put = pwrite(fd, p, n < most ? n : most, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && ps_file_full(errno))
            return ps_err_set(err, PS_EFAIL, "cannot write '%s' at byte %llu: %s; free some space", path,
                              (unsigned long long)offset, strerror(errno));
        if (put <= 0)
            return ps_err_errno(err, "cannot write '%s' at byte %llu", path, (unsigned long long)offset);
        p += put;
        offset += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

int ps_file_sync(int fd, const char *path, ps_err *err)
{
    return fsync(fd) == 0 ? 0 : ps_err_errno(err, "cannot flush '%s' to the disk", path);
}

/* Open a regular file for reading; refuse anything else. */
static int open_regular(const char *path, struct stat *st, ps_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return ps_err_set(err, PS_EINPUT, "cannot open '%s': %s", path, strerror(errno));
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        return fd;
    close(fd);
    return ps_err_set(err, PS_EINPUT, "'%s' is not a regular file", path);
}

int ps_file_read(const char *path, size_t max_bytes, char **bytes, size_t *n, ps_err *err)
{
    struct stat st;
    char *buf = NULL;
    int rc = -1;

    int fd = open_regular(path, &st, err);
    if (fd < 0)
        return -1;
    if ((uint64_t)st.st_size > max_bytes) {
        ps_err_set(err, PS_EINPUT, "'%s' has %llu bytes, more than the %zu that such a file may have",
                   path, (unsigned long long)st.st_size, max_bytes);
        goto out;
    }
    buf = ps_malloc((size_t)st.st_size + 1, 1, err);
    if (!buf || ps_file_pread(fd, buf, (size_t)st.st_size, 0, path, err) < 0)
        goto out;
    buf[st.st_size] = '\0';
    *n = (size_t)st.st_size;
    *bytes = buf;
    buf = NULL;
    rc = 0;
out:
    ps_free(buf);
    close(fd);
    return rc;
}

int ps_file_sum(const char *dir, const char *name, size_t *n, uint32_t *crc, ps_err *err)
{
    char *path = ps_path_join(dir, name, err), *bytes = NULL;
    int found = !path ? -1 : ps_file_kind(path) == 1;

    if (found > 0 && ps_file_read(path, (size_t)1 << 30, &bytes, n, err) < 0)
        found = -1;
    if (found > 0)
        *crc = ps_crc32c(0, bytes, *n);
    ps_free(bytes);
    ps_free(path);
    return found;
}

bool ps_file_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

int ps_file_open_code(int error)
{
    static const int machine[] = {EIO, ENOSPC, EDQUOT, ENOMEM, EMFILE, ENFILE, EINTR, ESTALE};

    for (size_t i = 0; i < sizeof machine / sizeof *machine; i++)
        if (error == machine[i])
            return PS_EFAIL;
    return PS_EINPUT;
}

int ps_file_kind(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return 0;
    return S_ISREG(st.st_mode) ? 1 : S_ISDIR(st.st_mode) ? 2 : 0;
}

bool ps_file_is_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || strchr("/\\\x7f", *c))
            return false;
    return *name && *name != '.';
}

char *ps_path_join(const char *dir, const char *name, ps_err *err)
{
    size_t n = strlen(dir), bytes = n + strlen(name) + 2;

    if (n == 0 || name[0] == '/')
        return ps_strdup(name, err);
    char *path = ps_malloc(bytes, 1, err);
    if (path)
        snprintf(path, bytes, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
    return path;
}

char *ps_path_dir(const char *path, ps_err *err)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return ps_strdup(".", err);
    return ps_strndup(path, slash == path ? 1 : (size_t)(slash - path), err);
}

int ps_file_sync_entry(const char *path, ps_err *err)
{
    char *dir = ps_path_dir(path, err);
    int rc = -1, fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (dir && fd < 0)
        ps_err_errno(err, "cannot open '%s'", dir);
    else if (dir) /* some file systems cannot fsync a folder, and return EINVAL */
        rc = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP
                 ? 0
                 : ps_err_errno(err, "cannot flush '%s' to the disk", dir);
    if (fd >= 0)
        close(fd);
    ps_free(dir);
    return rc;
}

/* Without RENAME_NOREPLACE, which some file systems and kernels lack, look first and then rename. */
int ps_file_rename_new(const char *from, const char *to)
{
    struct stat st;

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (lstat(to, &st) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}
