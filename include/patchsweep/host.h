/*
 * host.h - the machine that a rank runs on: processors, memory, time.
 */
#ifndef PATCHSWEEP_HOST_H
#define PATCHSWEEP_HOST_H

#include <stdint.h>

/*
 * Bytes of memory that processes of this node can still allocate: the kernel's MemAvailable, or what the limits of this
 * process's control groups leave (Slurm's --mem sets one), whichever is less.  Inactive page cache counts as free.
 * UINT64_MAX if the system does not say.
 */
uint64_t ps_host_memory(void);
/* The resident memory of this process in bytes: now, and its peak since the start.  0 if the system does not say. */
uint64_t ps_host_resident(void);
uint64_t ps_host_peak(void);
/* The size in bytes of this processor's vector registers: 64, 32 or 16. */
int ps_host_vector_bytes(void);
/* The processor's name, or "unknown". A static string. */
const char *ps_host_cpu(void);

double ps_seconds(void); /* of a monotonic clock */
/* Write the time of day as "2026-03-01T12:00:00Z". */
void ps_utc(char out[21]);

#endif
