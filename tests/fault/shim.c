/*
 * shim.c - faults of files, for the tests: a library to put in front (LD_PRELOAD).
 *
 *   PS_SHIM_PATH=/tmp/x/out.h5  concerns files and folders whose absolute path begins so, and syncs of
 *                               the folder they are in
 *   PS_SHIM_LOG=FILE            a line for each counted call: number, kind, path, bytes
 *   PS_SHIM_AT=N                the call that something happens to, counted from 1 over all, or
 *   PS_SHIM_KIND=sync           over those of a kind, and
 *   PS_SHIM_FILE=.part          of a file, by what its path has behind the above (".rows/": any in there; "folder")
 *   PS_SHIM_MODE=fail           it fails
 *               =full           it fails, and so do all that follow; but where there is no room
 *                               (ENOSPC, EDQUOT) files can still be closed and removed
 *               =short          a write stores half of its bytes and says so
 *               =crash          the power goes, the call having begun: see powercut.h
 *   PS_SHIM_CUT_AT=M            the power goes at the M-th of the same calls as well, M > N
 *   PS_SHIM_ERRNO=28            with what it fails
 *   PS_SHIM_SEED=S              of what a cut leaves
 *   PS_SHIM_FLOCK=none          there is no flock()
 *
 * Counted is what changes something: open (that creates or truncates), write, truncate, sync, rename,
 * unlink, mkdir, rmdir, close (of a file open for writing).  Calls made inside of the C library (fopen,
 * stdio) and descriptors that were duplicated are not seen.  Below it, system calls go by number: the
 * next library's functions may be a sanitizer's, and not ready yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "powercut.h"
#include "spoil.h"

#define MAX_FD 4096

enum mode { NOTHING, FAIL, FULL, SHORT, CRASH };
enum fate { GO, REFUSE, HALF, CUT };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct settings {
    bool ready;
    const char *prefix, *kind, *file; /* kind, file: NULL for any */
    char *folder; /* that the files are in */
    enum mode mode;
    long at, cut_at, seen, matched;
    int error, log;
} the;

/* Files and folders that concern us, by descriptor. */
static struct descriptor {
    char *path; /* NULL: none of ours, or its name is gone */
    bool writes;
} fds[MAX_FD];

static long number(const char *name, long otherwise)
{
    const char *s = getenv(name);

    return s && *s ? strtol(s, NULL, 10) : otherwise;
}

static void set_up(void)
{
    static const char *const modes[] = {"", "fail", "full", "short", "crash"};
    const char *mode = getenv("PS_SHIM_MODE"), *path = getenv("PS_SHIM_PATH"), *log = getenv("PS_SHIM_LOG");

    the.ready = true;
    if (!path || *path != '/')
        return;
    the.prefix = path;
    the.folder = strndup(path, (size_t)(strrchr(path, '/') - path));
    for (int i = 0; mode && i < (int)(sizeof modes / sizeof *modes); i++)
        if (!strcmp(mode, modes[i]))
            the.mode = (enum mode)i;
    the.at = number("PS_SHIM_AT", 0);
    the.cut_at = number("PS_SHIM_CUT_AT", 0);
    the.kind = getenv("PS_SHIM_KIND");
    the.file = getenv("PS_SHIM_FILE");
    the.error = (int)number("PS_SHIM_ERRNO", EIO);
    the.log = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
}

static void enter(void)
{
    pthread_mutex_lock(&lock);
    if (!the.ready)
        set_up();
}

static long leave(long result)
{
    int saved = errno;

    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}

/* ---- which files ---- */

static bool concerns(const char *path)
{
    return the.prefix && path && !strncmp(path, the.prefix, strlen(the.prefix));
}

/* The absolute path of `path` at `dir`, into out[4096]; NULL if it is none of ours. */
static const char *ours(int dir, const char *path, char *out)
{
    char here[4096] = "";
    const char *base = here;

    if (!the.prefix || !path)
        return NULL;
    if (*path == '/')
        snprintf(out, 4096, "%s", path);
    else {
        if (dir != AT_FDCWD)
            base = dir >= 0 && dir < MAX_FD && fds[dir].path ? fds[dir].path : "";
        else if (syscall(SYS_getcwd, here, sizeof here) < 0)
            return NULL;
        snprintf(out, 4096, "%.2000s/%.2000s", base, path);
    }
    return concerns(out) || !strcmp(out, the.folder) ? out : NULL;
}

static struct descriptor *known(int fd)
{
    return fd >= 0 && fd < MAX_FD && fds[fd].path ? &fds[fd] : NULL;
}

/* Descriptors follow a file that is renamed, and lose one whose name goes (to NULL). */
static void follow(const char *from, const char *to)
{
    for (int i = 0; i < MAX_FD; i++) {
        if (!fds[i].path || strcmp(fds[i].path, from))
            continue;
        free(fds[i].path);
        fds[i].path = to ? strdup(to) : NULL;
    }
}

/* ---- what is to happen ---- */

static void note(const char *kind, const char *path, size_t bytes)
{
    char line[4200];

    if (the.log < 0)
        return;
    int n = snprintf(line, sizeof line, "%ld %s %s %zu\n", the.seen, kind, path, bytes);
    syscall(SYS_write, the.log, line, n);
}

/* A full disk lets go of files. */
static bool exempt(const char *kind)
{
    return (the.error == ENOSPC || the.error == EDQUOT) &&
           (!strcmp(kind, "unlink") || !strcmp(kind, "rmdir") || !strcmp(kind, "close"));
}

/* Is it among those that PS_SHIM_AT counts? */
static bool matches(const char *kind, const char *path)
{
    const char *rest = concerns(path) ? path + strlen(the.prefix) : "folder";
    size_t n = the.file ? strlen(the.file) : 0;

    if (the.kind && strcmp(the.kind, kind))
        return false;
    return !the.file || (n && the.file[n - 1] == '/' ? !strncmp(rest, the.file, n) : !strcmp(rest, the.file));
}

/* Count a call, and log it. */
static enum fate next(const char *kind, const char *path, size_t bytes)
{
    bool mine = matches(kind, path), now = mine && ++the.matched == the.at;

    the.seen++;
    note(kind, path, bytes);
    if (mine && the.cut_at && the.matched == the.cut_at)
        return CUT;
    if ((now && the.mode == FAIL) || (the.mode == FULL && the.at && the.matched >= the.at && !exempt(kind))) {
        errno = the.error;
        return REFUSE;
    }
    if (!now || the.mode < SHORT)
        return GO;
    return the.mode == CRASH ? CUT : HALF;
}

static void end_if(enum fate fate)
{
    if (fate != CUT)
        return;
    power_cut((uint64_t)number("PS_SHIM_SEED", 0));
    syscall(SYS_exit_group, 137);
}

static bool remembers(void)
{
    return the.mode == CRASH || the.cut_at;
}

/* ---- the calls ---- */

static long do_open(int dir, const char *path, int flags, mode_t mode)
{
    char absolute[4096];
    struct stat st;
    enum fate fate = GO;

    enter();
    const char *mine = ours(dir, path, absolute);
    bool made = false, cleared = false;
    if (mine) {
        bool there = fstatat(AT_FDCWD, mine, &st, 0) == 0;
        made = !there && flags & O_CREAT;
        cleared = there && S_ISREG(st.st_mode) && flags & O_TRUNC;
    }
    if ((made || cleared) && (fate = next("open", mine, 0)) == REFUSE)
        return leave(-1);
    if (cleared && remembers())
        power_truncate(mine, 0);
    long fd = syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && fd < MAX_FD) {
        free(fds[fd].path); /* closed without our seeing it */
        fds[fd].path = mine ? strdup(mine) : NULL;
        fds[fd].writes = (flags & O_ACCMODE) != O_RDONLY;
    }
    if (fd >= 0 && made && remembers())
        power_create(mine);
    end_if(fate);
    return leave(fd);
}

static long raw_write(int fd, const void *buf, size_t n, off_t at)
{
    return at < 0 ? syscall(SYS_write, fd, buf, n) : syscall(SYS_pwrite64, fd, buf, n, at);
}

/* at < 0: where the descriptor stands. */
static ssize_t do_write(int fd, const void *buf, size_t n, off_t at)
{
    enter();
    const struct descriptor *d = known(fd);
    if (!d)
        return leave(raw_write(fd, buf, n, at));
    enum fate fate = next("write", d->path, n);
    if (fate == REFUSE)
        return leave(-1);
    if (fate == HALF && n > 1)
        n /= 2;
    if (remembers()) {
        struct stat st;
        bool append = syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND;
        off_t place = append && fstat(fd, &st) == 0 ? st.st_size : at < 0 ? lseek(fd, 0, SEEK_CUR) : at;
        power_write(d->path, place, buf, n);
    }
    long done = raw_write(fd, buf, n, at);
    end_if(fate);
    return leave(done);
}

/* As one write of the pieces together. */
static ssize_t do_writev(int fd, const struct iovec *iov, int n_iov, off_t at)
{
    size_t n = 0;

    enter();
    bool mine = known(fd);
    leave(0);
    if (!mine) /* the kernel takes the offset in two halves, the upper of them 0 where a long holds it all */
        return at < 0 ? syscall(SYS_writev, fd, iov, n_iov) : syscall(SYS_pwritev, fd, iov, n_iov, at, 0L);
    for (int i = 0; i < n_iov; i++)
        n += iov[i].iov_len;
    char *all = malloc(n + 1);
    if (!all)
        return -1;
    n = 0;
    for (int i = 0; i < n_iov; i++) {
        memcpy(all + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    ssize_t done = do_write(fd, all, n, at);
    int saved = errno;
    free(all);
    errno = saved;
    return done;
}

static long do_sync(int fd, long call)
{
    enter();
    const struct descriptor *d = known(fd);
    if (!d)
        return leave(syscall(call, fd));
    struct stat st;
    enum fate fate = next("sync", d->path, 0);
    if (fate == REFUSE)
        return leave(-1);
    end_if(fate); /* before anything is safe */
    if (remembers() && fstat(fd, &st) == 0)
        (S_ISDIR(st.st_mode) ? power_sync_folder : power_sync_file)(d->path);
    return leave(0); /* for a test, the page cache is as good as the disk */
}

static long do_truncate(int fd, off_t size)
{
    enter();
    const struct descriptor *d = known(fd);
    if (!d)
        return leave(syscall(SYS_ftruncate, fd, size));
    enum fate fate = next("truncate", d->path, (size_t)size);
    if (fate == REFUSE)
        return leave(-1);
    if (remembers())
        power_truncate(d->path, size);
    long rc = syscall(SYS_ftruncate, fd, size);
    end_if(fate);
    return leave(rc);
}

static long do_close(int fd)
{
    enum fate fate = GO;

    enter();
    struct descriptor *d = known(fd);
    if (d) {
        if (d->writes)
            fate = next("close", d->path, 0);
        free(d->path);
        d->path = NULL;
    }
    int saved = errno;
    long rc = syscall(SYS_close, fd); /* closed even where it fails, as on Linux */
    end_if(fate);
    if (fate == REFUSE) {
        errno = saved;
        rc = -1;
    }
    return leave(rc);
}

static long do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char a[4096], b[4096];

    enter();
    const char *mine = ours(to_dir, to, b), *source = ours(from_dir, from, a);
    struct stat st;
    bool blocked = flags && mine && fstatat(AT_FDCWD, mine, &st, AT_SYMLINK_NOFOLLOW) == 0; /* RENAME_NOREPLACE */
    if (!mine || !source || blocked)
        return leave(syscall(SYS_renameat2, from_dir, from, to_dir, to, flags));
    enum fate fate = next("rename", mine, 0);
    if (fate == REFUSE)
        return leave(-1);
    if (remembers())
        power_rename(source, mine);
    long rc = syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (rc == 0) {
        follow(mine, NULL);
        follow(source, mine);
    }
    end_if(fate);
    return leave(rc);
}

static long do_unlink(int dir, const char *path, int flags)
{
    char absolute[4096];
    struct stat st;
    bool folder = flags & AT_REMOVEDIR;

    enter();
    const char *mine = ours(dir, path, absolute);
    if (!mine || fstatat(AT_FDCWD, mine, &st, AT_SYMLINK_NOFOLLOW) < 0) /* nothing changes */
        return leave(syscall(SYS_unlinkat, dir, path, flags));
    enum fate fate = next(folder ? "rmdir" : "unlink", mine, 0);
    if (fate == REFUSE)
        return leave(-1);
    if (remembers())
        (folder ? power_rmdir : power_unlink)(mine);
    long rc = syscall(SYS_unlinkat, dir, path, flags);
    if (rc == 0)
        follow(mine, NULL);
    end_if(fate);
    return leave(rc);
}

static long do_mkdir(int dir, const char *path, mode_t mode)
{
    char absolute[4096];
    struct stat st;

    enter();
    const char *mine = ours(dir, path, absolute);
    if (!mine || fstatat(AT_FDCWD, mine, &st, 0) == 0)
        return leave(syscall(SYS_mkdirat, dir, path, mode));
    enum fate fate = next("mkdir", mine, 0);
    if (fate == REFUSE)
        return leave(-1);
    long rc = syscall(SYS_mkdirat, dir, path, mode);
    if (rc == 0 && remembers())
        power_mkdir(mine);
    end_if(fate);
    return leave(rc);
}

/* ---- by the names that programs call ---- */

/* An alias need not promise all that the C library's header does. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#endif

#define MODE_OF(flags, mode)                                                                        \
    mode_t mode = 0;                                                                                \
    if ((flags) & O_CREAT) {                                                                        \
        va_list ap;                                                                                 \
        va_start(ap, flags);                                                                        \
        mode = va_arg(ap, mode_t);                                                                  \
        va_end(ap);                                                                                 \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return (int)do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return (int)do_open(dir, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return (int)do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));
int creat64(const char *path, mode_t mode) __attribute__((alias("creat")));

ssize_t write(int fd, const void *buf, size_t n)
{
    return do_write(fd, buf, n, -1);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    return do_write(fd, buf, n, at);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    return do_writev(fd, iov, n, -1);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    return do_writev(fd, iov, n, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off_t at) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *iov, int n, off_t at) __attribute__((alias("pwritev")));

int fsync(int fd)
{
    spoil_at_sync();
    return (int)do_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    spoil_at_sync();
    return (int)do_sync(fd, SYS_fdatasync);
}

int ftruncate(int fd, off_t size)
{
    return (int)do_truncate(fd, size);
}

int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

int rename(const char *from, const char *to)
{
    return (int)do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return (int)do_rename(from_dir, from, to_dir, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return (int)do_rename(from_dir, from, to_dir, to, flags);
}

/* PS_SHIM_FLOCK=none: a file system without flock(). */
int flock(int fd, int operation)
{
    const char *has = getenv("PS_SHIM_FLOCK");

    if (!has || strcmp(has, "none"))
        return (int)syscall(SYS_flock, fd, operation);
    errno = ENOLCK;
    return -1;
}

int unlink(const char *path)
{
    return (int)do_unlink(AT_FDCWD, path, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
    return (int)do_unlink(dir, path, flags);
}

int rmdir(const char *path)
{
    return (int)do_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}

/* As the C library's: it does not ask which of the two it is first. */
int remove(const char *path)
{
    int rc = unlink(path);

    return rc < 0 && (errno == EISDIR || errno == EPERM) ? rmdir(path) : rc;
}

int mkdir(const char *path, mode_t mode)
{
    return (int)do_mkdir(AT_FDCWD, path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    return (int)do_mkdir(dir, path, mode);
}

int close(int fd)
{
    return (int)do_close(fd);
}
