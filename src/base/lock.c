/* lock.c - flock() on a file that names its holder. */
#include "patchsweep/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "patchsweep/file.h"
#include "patchsweep/host.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/place.h"

#define MOST_BYTES 512 /* of a line in a lock file */

struct ps_lock {
    int fd;
    char *path;
    bool fresh; /* this process created the file, or found it empty */
};

typedef struct holder {
    char host[256], job[64], since[32]; /* host "": none */
    long pid;
} holder;

/* The outcome of an attempt: held by another run, removed by its holder meanwhile, or no lock of ours. */
enum attempt { TAKEN, HELD, GONE, FOREIGN };

static void own_host(char host[256])
{
    memset(host, 0, 256);
    if (gethostname(host, 255) < 0 || !*host)
        snprintf(host, 256, "unknown");
}

/* This process's Slurm job, and how often Slurm restarted it: "99", "99+1"; "-" outside of Slurm. */
static void own_job(char job[64])
{
    const char *id = getenv("SLURM_JOB_ID"), *restarts = getenv("SLURM_RESTART_COUNT");

    if (!id || !*id)
        snprintf(job, 64, "-");
    else
        snprintf(job, 64, restarts && atoi(restarts) > 0 ? "%.40s+%d" : "%.40s", id, restarts ? atoi(restarts) : 0);
}

/* Whether the holder is an earlier start of this Slurm job.  Slurm has ended it, on whatever host it ran. */
static bool is_earlier_start(const holder *h)
{
    char own[64];
    size_t id = strcspn(h->job, "+");

    own_job(own);
    return strcmp(own, "-") && id == strcspn(own, "+") && !strncmp(h->job, own, id) &&
           atoi(own + id + (own[id] == '+')) > atoi(h->job + id + (h->job[id] == '+'));
}

/* Whether this may be what a power cut left of a holder's line: nothing or its beginning, then NULs. */
static bool may_be_torn(const char *text, size_t n)
{
    size_t used = strnlen(text, n);

    for (size_t i = used; i < n; i++)
        if (text[i])
            return false;
    return !strncmp(text, "host ", used < 5 ? used : 5) && !memchr(text, '\n', used);
}

/* Parse a holder's line, which ends at a newline or at the end of the text.  False if it is none; *h is then as before. */
static bool parse_line(const char *line, holder *h)
{
    holder read = {.pid = 0};

    if (sscanf(line, "host %255s pid %ld job %63s since %31s", read.host, &read.pid, read.job, read.since) != 4)
        return false;
    *h = read;
    return true;
}

/* Read the last holder's line.  *ours: the file begins with a holder's line, or with what may be left of one. */
static holder read_holder(int fd, bool *ours)
{
    char text[2 * MOST_BYTES + 1] = "";
    holder h = {.pid = 0};
    ssize_t n = pread(fd, text, MOST_BYTES, 0);

    text[n > 0 ? n : 0] = '\0';
    *ours = parse_line(text, &h) || (n >= 0 && n < MOST_BYTES && may_be_torn(text, (size_t)n));
    off_t size = lseek(fd, 0, SEEK_END), at = size > 2 * MOST_BYTES ? size - 2 * MOST_BYTES : 0;
    n = *h.host ? pread(fd, text, 2 * MOST_BYTES, at) : 0;
    text[n > 0 ? n : 0] = '\0';
    for (char *line = text; line < text + n; line += strcspn(line, "\n") + 1) /* a power cut may leave NULs between lines */
        parse_line(line, &h);
    return h;
}

/* Whether the file ends within a line: a power cut may leave anything after what was synced. */
static bool ends_within_line(int fd, off_t size)
{
    char last = '\n';

    return size > 0 && (pread(fd, &last, 1, size - 1) != 1 || last != '\n');
}

/* Append this process's line after that of `before`.  The earlier line must survive a power cut: it shows that the file is
 * ours. */
static int write_holder(int fd, const holder *before, const char *path, ps_err *err)
{
    char host[256], job[64], utc[21], text[MOST_BYTES];
    off_t at = *before->host ? lseek(fd, 0, SEEK_END) : 0;

    own_host(host);
    own_job(job);
    ps_utc(utc);
    int n = snprintf(text, sizeof text, "%shost %s pid %ld job %.60s since %s\n", ends_within_line(fd, at) ? "\n" : "", host,
                     (long)getpid(), job, utc);
    if (ps_file_pwrite(fd, text, (size_t)n, (uint64_t)at, path, err) < 0)
        return -1;
    if (ftruncate(fd, at + n) < 0) /* drop what a power cut left of an earlier first line */
        return ps_err_errno(err, "cannot write '%s'", path);
    /* The lock tells the next run that the files beside it are ours.  After a power cut they must not be there without
     * the lock, so sync it before they are created. */
    return ps_file_sync(fd, path, err) < 0 ? -1 : ps_file_sync_entry(path, err);
}

static bool on_this_host(const holder *h)
{
    char host[256];

    own_host(host);
    return !strcmp(h->host, host);
}

/* Whether the lock's name still leads to the open file. */
static bool has_its_name(const ps_lock *lock)
{
    ps_err ignored = PS_ERR_INIT;

    return ps_place_leads(lock->path, lock->fd, &ignored) == PS_LEADS_HERE;
}

/* Try once to lock the file open at lock->fd.  *who: the holder that its line names. */
static enum attempt attempt(const ps_lock *lock, holder *who)
{
    bool locks = true, ours;

    if (flock(lock->fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK || errno == EINTR) {
            *who = read_holder(lock->fd, &ours);
            return HELD;
        }
        locks = false; /* this file system has no flock(): the file's text decides */
    }
    if (!has_its_name(lock))
        return GONE; /* the holder has just removed it */
    *who = read_holder(lock->fd, &ours);
    if (!ours)
        return FOREIGN;
    if (!*who->host || locks || is_earlier_start(who))
        return TAKEN;
    return on_this_host(who) && kill((pid_t)who->pid, 0) < 0 && errno == ESRCH ? TAKEN : HELD;
}

static int refuse(const ps_lock *lock, const holder *who, ps_err *err)
{
    if (!*who->host)
        return ps_err_set(err, PS_EINPUT, "'%s' is held by another run; wait for it, or name another output with -o",
                          lock->path);
    return ps_err_set(err, PS_EINPUT, "another run is writing this output: process %ld on %s%s%s, since %s; wait for it, "
                      "name another output with -o, or, if that process is gone, remove '%s'", who->pid, who->host,
                      strcmp(who->job, "-") ? ", Slurm job " : "", strcmp(who->job, "-") ? who->job : "", who->since,
                      lock->path);
}

static int open_lock(ps_lock *lock, ps_err *err)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = ps_place_open(AT_FDCWD, lock->path, O_RDWR | O_CREAT, lock->path, err);
    return lock->fd < 0 ? -1 : 0;
}

static void tell_taken(const ps_lock *lock, const holder *who)
{
    if (on_this_host(who))
        ps_warn("taking over '%s' from process %ld, which is gone", lock->path, who->pid);
    else
        ps_warn("taking over '%s' from process %ld on %s: the lock is free, so that process is gone", lock->path, who->pid,
                who->host);
}

static void tell_waiting(const ps_lock *lock, const holder *who, double patience)
{
    if (*who->host)
        ps_info("process %ld on this host still holds '%s'; waiting up to %.0f s", who->pid, lock->path, patience);
    else
        ps_info("another run still holds '%s'; waiting up to %.0f s", lock->path, patience);
}

/* Finish taking the lock.  It is held, and the file still names the previous holder. */
static int settle_in(ps_lock *lock, const holder *before, ps_lock_settle *settle, void *context, ps_err *err)
{
    lock->fresh = !*before->host;
    if (*before->host)
        tell_taken(lock, before);
    if (settle && settle(context, *before->host, err) < 0)
        return -1;
    return write_holder(lock->fd, before, lock->path, err);
}

/* Try until the lock is taken or must be refused. */
static int take(ps_lock *lock, double patience, ps_lock_settle *settle, void *context, ps_err *err)
{
    double start = ps_seconds();
    bool said = false;

    for (;;) {
        holder who = {.pid = 0};
        if (open_lock(lock, err) < 0)
            return -1;
        enum attempt got = attempt(lock, &who);
        if (got == TAKEN)
            return settle_in(lock, &who, settle, context, err);
        if (got == FOREIGN)
            return ps_place_foreign(lock->path, "lock", err);
        if (got == HELD && ((*who.host && !on_this_host(&who)) || ps_seconds() - start > patience))
            return refuse(lock, &who, err);
        if (got == HELD && !said)
            tell_waiting(lock, &who, patience);
        said = said || got == HELD;
        usleep(100000);
    }
}

int ps_lock_take(ps_lock **out, const char *output, double patience, ps_lock_settle *settle, void *context, ps_err *err)
{
    ps_lock *lock = ps_calloc(1, sizeof *lock, err);

    if (!lock)
        return -1;
    lock->fd = -1;
    lock->path = ps_beside(output, PS_LOCK, err);
    if (!lock->path || take(lock, patience, settle, context, err) < 0) {
        if (lock->fresh)
            unlink(lock->path);
        if (lock->fd >= 0)
            close(lock->fd); /* keep the file: it is another run's, or names the previous holder for the next run */
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
    if (has_its_name(lock))
        unlink(lock->path); /* before the lock is free, so a run that has opened the file notices that it is removed */
    close(lock->fd);
    ps_free(lock->path);
    ps_free(lock);
}
