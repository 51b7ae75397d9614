/*
 * memory.h - the memory that a process may still take, and what it has taken, as Linux's files say.
 *
 * Package-private.  `root` stands in front of every path: "" for this machine, a folder for a test.
 */
#ifndef PATCHSWEEP_BASE_MEMORY_H
#define PATCHSWEEP_BASE_MEMORY_H

#include <stdint.h>

/*
 * Bytes that the control groups of this process and MemAvailable of /proc/meminfo leave, whichever is less.  Inactive
 * page cache of a group counts as free: the kernel drops it before the group runs out of memory.  UINT64_MAX where
 * neither says.
 */
uint64_t ps_memory_available(const char *root);
/* The number in kB of a "key: number kB" line of the file, in bytes; UINT64_MAX where there is none. */
uint64_t ps_memory_line(const char *root, const char *file, const char *key);

#endif
