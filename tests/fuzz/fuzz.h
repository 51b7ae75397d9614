/*
 * fuzz.h - what every fuzz target needs: a folder for its input, and what must hold of any refusal.
 *
 * A target is one file, fuzz_<name>.c, that defines LLVMFuzzerTestOneInput().  It is linked twice: with
 * libFuzzer, which makes inputs up, and with replay.c, which reads those of corpus/<name>.  A
 * claim that does not hold aborts, and that is a finding like a sanitizer's.
 */
#ifndef PATCHSWEEP_TESTS_FUZZ_H
#define PATCHSWEEP_TESTS_FUZZ_H

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/err.h"
#include "patchsweep/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CLAIM(cond) \
    do { \
        if (!(cond)) \
            fuzz_fail(__FILE__, __LINE__, #cond); \
    } while (0)

static inline void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

static char fuzz_dir[64];

static inline int fuzz_remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static inline void fuzz_remove_dir(void)
{
    nftw(fuzz_dir, fuzz_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* This process's own folder, in memory where the system has /dev/shm; gone when the process ends. */
static inline const char *fuzz_folder(void)
{
    if (!*fuzz_dir) {
        snprintf(fuzz_dir, sizeof fuzz_dir, "%s/patchsweep-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
        CLAIM(mkdtemp(fuzz_dir));
        atexit(fuzz_remove_dir);
    }
    return fuzz_dir;
}

/* "<folder>/<name>", in the caller's path[256]. */
static inline char *fuzz_path(char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", fuzz_folder(), name);
    return path;
}

/* A file of that name with data[n]. */
static inline void fuzz_write(const char *name, const void *data, size_t n)
{
    char path[256];
    int fd = open(fuzz_path(path, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CLAIM(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    close(fd);
}

/* A failure's code is the input's or, without memory, the machine's; its text is one line that no terminal obeys. */
static inline void fuzz_refused(int rc, const ps_err *err)
{
    char shown[4 * sizeof err->text];

    CLAIM(rc == -1);
    CLAIM(err->code == PS_EINPUT || (err->code == PS_EFAIL && strstr(err->text, "out of memory")));
    CLAIM(err->text[0] && memchr(err->text, '\0', sizeof err->text));
    ps_printable(shown, sizeof shown, err->text);
    CLAIM(!strcmp(shown, err->text));
}

#endif
