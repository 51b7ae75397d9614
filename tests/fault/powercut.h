/*
 * powercut.h - what a disk may hold after the power went.
 *
 * The shim tells of every change before it is made; a change counts as safe once its file was
 * synced, or, for a name, the folder it is in.  power_cut() then makes of all the others what a
 * disk is allowed to make of them:
 *
 *   - of each file's unsynced writes any are kept, dropped, or replaced by zeros or garbage in
 *     sectors of 512 bytes, in any order; bytes outside of a write are left alone
 *   - names (create, rename, unlink, mkdir, rmdir) are kept up to one of them, as a file system's
 *     own log does, and all later ones undone
 *
 * One process; the caller holds a lock.
 */
#ifndef PATCHSWEEP_TESTS_POWERCUT_H
#define PATCHSWEEP_TESTS_POWERCUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

void power_write(const char *path, off_t at, const void *bytes, size_t n);
void power_truncate(const char *path, off_t size);
void power_unlink(const char *path);
void power_rename(const char *from, const char *to);
void power_rmdir(const char *path);
/* These two after the fact: they have nothing to remember. */
void power_create(const char *path);
void power_mkdir(const char *path);

void power_sync_file(const char *path);
void power_sync_folder(const char *path);

/* Leave the disk as a cut may; the caller ends the process. */
void power_cut(uint64_t seed);

#endif
