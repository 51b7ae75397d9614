/*
 * err.h - a failure: an exit status and one line for a person.
 *
 * A function that can fail returns int: 0, or -1 with *err filled; it never
 * prints.  A callee describes its own failure; its callers put their context in
 * front of it.  The user reads one line:
 *
 *     job 'jobs/ioi.json': pairs[1].answer: is empty; write the answer's text
 *
 * Wording: lower case, no full stop, what failed first, the subject in single
 * quotes, the remedy last.  PS_BUG is for our own mistakes and aborts.
 */
#ifndef PATCHSWEEP_ERR_H
#define PATCHSWEEP_ERR_H

/* Error codes, which are exit statuses too.  They do not change: scripts rely on them. */
enum ps_code {
    PS_OK = 0,
    PS_EFAIL = 1,     /* the machine's fault: no memory, a full disk */
    PS_EINPUT = 2,    /* the input's fault: usage, job, model */
    PS_ESTOPPED = 75, /* stopped early; run again to resume (sysexits EX_TEMPFAIL) */
};

typedef struct ps_err {
    int code;        /* enum ps_code; PS_OK while nothing has failed */
    char text[1400]; /* one line, NUL-terminated, truncated if it is too long */
} ps_err;

#define PS_ERR_INIT {PS_OK, ""}

#if defined(__GNUC__)
#define PS_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define PS_PRINTF(f, a)
#endif

/* Fill in *err.  Always returns -1, for use as `return ps_err_set(...)`; so do the two functions below. */
int ps_err_set(ps_err *err, int code, const char *fmt, ...) PS_PRINTF(3, 4);

/* Put "<formatted>: " in front of the message. */
int ps_err_prefix(ps_err *err, const char *fmt, ...) PS_PRINTF(2, 3);

/* Fill in *err with PS_EFAIL and "<formatted>: <strerror(errno)>". */
int ps_err_errno(ps_err *err, const char *fmt, ...) PS_PRINTF(2, 3);

/* Print a message for a mistake of the program's own, and abort. */
void ps_bug(const char *file, int line, const char *fmt, ...) PS_PRINTF(3, 4)
    __attribute__((noreturn));
#define PS_BUG(...) ps_bug(__FILE__, __LINE__, __VA_ARGS__)

#endif
