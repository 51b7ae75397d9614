/*
 * process.h - how a process begins and ends, whatever started it.
 */
#ifndef PATCHSWEEP_PROCESS_H
#define PATCHSWEEP_PROCESS_H

/*
 * Call first in main(), before anything is opened.
 *   - Open closed standard descriptors on /dev/null.  Otherwise a file of ours could get their numbers, and messages
 *     would be written into it.  A closed stdout is opened such that writing to it fails.
 *   - Ignore SIGXFSZ, so that a write past the size limit fails like a write to a full disk.
 */
void ps_process_begin(void);
/* For commands whose result is not on stdout.  If stdout was closed at the start, drop what is written to it. */
void ps_process_without_stdout(void);

/*
 * Call last in main().  Flush and close stdout, and return `status`.  If `status` is 0 but not all of stdout could be
 * written, print an error and return PS_EFAIL.
 */
int ps_process_end(int status);

#endif
