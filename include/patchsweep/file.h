/*
 * file.h - read whole files, write and flush bytes, join paths.
 */
#ifndef PATCHSWEEP_FILE_H
#define PATCHSWEEP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

/*
 * Read all of `path` into *bytes (owned by the caller).  A NUL follows that *n does not count.  PS_EINPUT if the file is
 * missing, unreadable, not a regular file, or larger than `max_bytes`.
 */
int ps_file_read(const char *path, size_t max_bytes, char **bytes, size_t *n, ps_err *err);

/* Store size and CRC32C of the file `name` in `dir`.  Returns 1, or 0 if there is no such regular file, or -1 with *err
 * set. */
int ps_file_sum(const char *dir, const char *name, size_t *n, uint32_t *crc, ps_err *err);

/* Read exactly n bytes at `offset`; `path` is for the message. */
int ps_file_pread(int fd, void *buf, size_t n, uint64_t offset, const char *path, ps_err *err);

/* Write exactly n bytes at `offset`; `path` is for the message. */
int ps_file_pwrite(int fd, const void *buf, size_t n, uint64_t offset, const char *path, ps_err *err);
/* Flush the file's data to the disk (fsync).  Do not retry after a failure: what is on the disk is then unknown. */
int ps_file_sync(int fd, const char *path, ps_err *err);
/* Flush the directory entry of `path` after creating, renaming or removing it. */
int ps_file_sync_entry(const char *path, ps_err *err);

/* Whether this errno of a write means that the disk is full, or a quota or size limit (RLIMIT_FSIZE) reached. */
bool ps_file_full(int error);

/* The error code for this errno of opening a file for writing: PS_EFAIL if the machine is at fault (the disk is full or
 * broken, no memory), PS_EINPUT if the path is. */
int ps_file_open_code(int error);

/* 1 if `path` is a regular file, 2 if it is a folder, 0 otherwise.  Follows symbolic links. */
int ps_file_kind(const char *path);

/* Whether `name`, read from a file, is a plain file name: no slash, no leading dot, no control character. */
bool ps_file_is_name(const char *name);

/* "<dir>/<name>", or `name` alone if it is absolute or dir is "". Owned by the caller. */
char *ps_path_join(const char *dir, const char *name, ps_err *err);
/* The folder of `path` ("." if it has no slash). Owned by the caller. */
char *ps_path_dir(const char *path, ps_err *err);

/* As rename(2), but never overwrites: fails with EEXIST if `to` exists. */
int ps_file_rename_new(const char *from, const char *to);

#endif
