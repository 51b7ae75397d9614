/* lock.c - flock() on a file that tells who holds it. */
#include "patchsweep/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/file.h"
#include "patchsweep/host.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"

#define SUFFIX ".lock"

struct ps_lock {
    int fd;
    char *path;
};

typedef struct holder {
    char host[256], job[64], since[32]; /* host "": nobody */
    long pid;
} holder;

/* What became of an attempt. */
enum attempt { TAKEN, HELD, GONE };

static void own_host(char host[256])
{
    memset(host, 0, 256);
    if (gethostname(host, 255) < 0 || !*host)
        snprintf(host, 256, "unknown");
}

/* The Slurm job that this process is of, and how often it was started over: "99", "99+1", or "-". */
static void own_job(char job[64])
{
    const char *id = getenv("SLURM_JOB_ID"), *restarts = getenv("SLURM_RESTART_COUNT");

    if (!id || !*id)
        snprintf(job, 64, "-");
    else
        snprintf(job, 64, restarts && atoi(restarts) > 0 ? "%.40s+%d" : "%.40s", id, restarts ? atoi(restarts) : 0);
}

/* Slurm runs a job once at a time: an earlier start of ours is over, wherever it was. */
static bool started_over(const holder *h)
{
    char own[64];
    size_t id = strcspn(h->job, "+");

    own_job(own);
    return strcmp(own, "-") && id == strcspn(own, "+") && !strncmp(h->job, own, id) &&
           atoi(own + id + (own[id] == '+')) > atoi(h->job + id + (h->job[id] == '+'));
}

static holder read_holder(int fd)
{
    char text[512] = "";
    holder h = {.pid = 0};

    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "host %255s pid %ld job %63s since %31s", h.host, &h.pid, h.job, h.since) != 4)
        h.host[0] = '\0';
    return h;
}

static int write_holder(int fd, const char *path, ps_err *err)
{
    char host[256], job[64], utc[21], text[512];

    own_host(host);
    own_job(job);
    ps_utc(utc);
    int n = snprintf(text, sizeof text, "host %s pid %ld job %.60s since %s\n", host, (long)getpid(),
                     job, utc);
    if (ftruncate(fd, 0) < 0)
        return ps_err_errno(err, "cannot write '%s'", path);
    return ps_file_pwrite(fd, text, (size_t)n, 0, path, err) < 0 ? -1 : ps_file_sync(fd, path, err);
}

static bool on_this_host(const holder *h)
{
    char host[256];

    own_host(host);
    return !strcmp(h->host, host);
}

/* One try, with the file open at lock->fd; *who is the holder that was found. */
static enum attempt attempt(const ps_lock *lock, holder *who)
{
    struct stat mine, there;
    bool locks = true;

    if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK || errno == EINTR) {
            *who = read_holder(lock->fd);
            return HELD;
        }
        locks = false; /* this file system has none: what the file says must do */
    }
    if (fstat(lock->fd, &mine) < 0 || stat(lock->path, &there) < 0 || mine.st_ino != there.st_ino)
        return GONE; /* its holder has just removed it */
    *who = read_holder(lock->fd);
    if (!*who->host)
        return TAKEN;
    if (started_over(who))
        return TAKEN;
    if (!on_this_host(who))
        return HELD; /* locks of another host may not reach us */
    return locks || (kill((pid_t)who->pid, 0) < 0 && errno == ESRCH) ? TAKEN : HELD;
}

static int refuse(const ps_lock *lock, const holder *who, ps_err *err)
{
    if (!*who->host)
        return ps_err_set(err, PS_EINPUT, "'%s' is held by another run; wait for it, or name another output with -o",
                          lock->path);
    return ps_err_set(err, PS_EINPUT, "another run writes this output: process %ld on %s%s%s, since %s; wait for it, name another "
                      "output with -o, or, if it is gone, remove '%s'", who->pid, who->host,
                      strcmp(who->job, "-") ? ", Slurm job " : "", strcmp(who->job, "-") ? who->job : "", who->since,
                      lock->path);
}

static int open_lock(ps_lock *lock, ps_err *err)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock->fd >= 0)
        return 0;
    return ps_err_set(err, ps_file_open_code(errno), "cannot write '%.*s': %s; name another file with -o",
                      (int)(strlen(lock->path) - strlen(SUFFIX)), lock->path, strerror(errno));
}

/* Try until it is taken, or is not to be had. */
static int take(ps_lock *lock, double patience, ps_err *err)
{
    double start = ps_seconds();
    bool said = false;

    for (;;) {
        holder who = {.pid = 0};
        if (open_lock(lock, err) < 0)
            return -1;
        enum attempt got = attempt(lock, &who);
        if (got == TAKEN && *who.host)
            ps_warn("taking the place of process %ld, which held '%s' and is gone", who.pid, lock->path);
        if (got == TAKEN)
            return write_holder(lock->fd, lock->path, err);
        if (got == HELD && ((*who.host && !on_this_host(&who)) || ps_seconds() - start > patience))
            return refuse(lock, &who, err);
        if (got == HELD && !said)
            ps_info("process %ld on this host still holds '%s'; waiting up to %.0f s", who.pid, lock->path, patience);
        said = said || got == HELD;
        usleep(100000);
    }
}

int ps_lock_take(ps_lock **out, const char *path, double patience, ps_err *err)
{
    size_t bytes = strlen(path) + sizeof SUFFIX;
    ps_lock *lock = ps_calloc(1, sizeof *lock, err);

    if (!lock)
        return -1;
    lock->fd = -1;
    lock->path = ps_malloc(bytes, 1, err);
    if (lock->path)
        snprintf(lock->path, bytes, "%s" SUFFIX, path);
    if (!lock->path || take(lock, patience, err) < 0) {
        if (lock->fd >= 0)
            close(lock->fd); /* the file is another's */
        ps_free(lock->path);
        ps_free(lock);
        return -1;
    }
    *out = lock;
    return 0;
}

void ps_lock_release(ps_lock *lock)
{
    if (!lock)
        return;
    unlink(lock->path); /* before the lock goes: whoever opened it sees that it is gone */
    close(lock->fd);
    ps_free(lock->path);
    ps_free(lock);
}
