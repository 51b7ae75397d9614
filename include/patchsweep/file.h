/*
 * file.h - files read whole, bytes written and flushed, paths put together.
 */
#ifndef PATCHSWEEP_FILE_H
#define PATCHSWEEP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

/*
 * Read all of `path`, at most `max_bytes` of it, into *bytes (owned by the caller, one NUL
 * behind it that *n does not count).  PS_EINPUT where the file is missing,
 * unreadable, no regular file, or larger.
 */
int ps_file_read(const char *path, size_t max_bytes, char **bytes, size_t *n, ps_err *err);

/* Size and CRC32C of the file `name` in `dir`: 1; 0 where no regular file is there; -1 with *err set. */
int ps_file_sum(const char *dir, const char *name, size_t *n, uint32_t *crc, ps_err *err);

/* Read exactly n bytes at `offset`; `path` is for the message. */
int ps_file_pread(int fd, void *buf, size_t n, uint64_t offset, const char *path, ps_err *err);

/* Write exactly n bytes at `offset`; `path` is for the message. */
int ps_file_pwrite(int fd, const void *buf, size_t n, uint64_t offset, const char *path, ps_err *err);
/* Flush the file's data to the disk (fsync).  After a failure the file's state on the disk is unknown: do not
 * try again. */
int ps_file_sync(int fd, const char *path, ps_err *err);
/* Flush the directory entry of `path` after creating, renaming or removing it. */
int ps_file_sync_entry(const char *path, ps_err *err);

/* Does this errno of a write say that the disk, a quota or a size limit (RLIMIT_FSIZE) is used up? */
bool ps_file_full(int error);

/* The error code for an errno from opening a file for writing: PS_EFAIL where the disk is full or broken, PS_EINPUT where
 * the path is wrong. */
int ps_file_open_code(int error);

/* 1 if `path` exists as a regular file, 2 if as a folder, 0 otherwise. */
int ps_file_kind(const char *path);

/* Whether `name` is a plain file name that an index may give: no path, no dot in front, no character that steers a
 * terminal. */
bool ps_file_is_name(const char *name);

/* "<dir>/<name>", or `name` alone where it is absolute or dir is "". Owned by the caller. */
char *ps_path_join(const char *dir, const char *name, ps_err *err);
/* The folder of `path` ("." where it has none). Owned by the caller. */
char *ps_path_dir(const char *path, ps_err *err);

/* As rename(2), but EEXIST where anything stands at `to`. */
int ps_file_rename_new(const char *from, const char *to);

#endif
