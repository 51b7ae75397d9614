/*
 * memory.h - how much memory a process can still allocate, and how much it has, from Linux's /proc and /sys.
 *
 * Package-private.  `root` is prepended to every path: "" for this machine, a folder in a test.
 */
#ifndef PATCHSWEEP_BASE_MEMORY_H
#define PATCHSWEEP_BASE_MEMORY_H

#include <stdint.h>

/*
 * Bytes that can still be allocated: MemAvailable of /proc/meminfo, or what the limits of this process's control groups
 * leave, whichever is less.  A group's inactive page cache counts as free: the kernel drops it before the group runs
 * out of memory.  UINT64_MAX if neither is known.
 */
uint64_t ps_memory_available(const char *root);
/* The value in bytes of a line "key: number kB" of `file`; UINT64_MAX if there is no such line. */
uint64_t ps_memory_line(const char *root, const char *file, const char *key);

#endif
