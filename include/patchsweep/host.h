/*
 * host.h - the machine that a rank runs on: processors, memory, time.
 */
#ifndef PATCHSWEEP_HOST_H
#define PATCHSWEEP_HOST_H

#include <stdint.h>

/*
 * Bytes of memory that processes of this node could still take: what the kernel calls available, or what the control groups
 * above this process leave (Slurm's --mem is one), whichever is less.  Page cache that nobody uses counts as free.
 * UINT64_MAX where the system does not say.
 */
uint64_t ps_host_memory(void);
/* Bytes of this process in memory now, and the most since it began; 0 where the system does not say. */
uint64_t ps_host_resident(void);
uint64_t ps_host_peak(void);
/* Bytes of the widest vectors that this processor computes with: 64, 32 or 16. */
int ps_host_vector_bytes(void);
/* The processor's name, or "unknown". A static string. */
const char *ps_host_cpu(void);

double ps_seconds(void); /* of a clock that only goes forward */
/* "2026-03-01T12:00:00Z" into out[21]. */
void ps_utc(char out[21]);

#endif
