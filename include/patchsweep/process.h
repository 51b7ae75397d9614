/*
 * process.h - how a process begins and ends, whatever started it.
 */
#ifndef PATCHSWEEP_PROCESS_H
#define PATCHSWEEP_PROCESS_H

/*
 * Called by main() before anything is opened.  Opens standard descriptors that are closed on /dev/null, so that no file of ours gets
 * their numbers and no message goes into it; a closed stdout so that writing to it fails.  Ignores SIGXFSZ: a write beyond
 * the limit fails as on a full disk.
 */
void ps_process_begin(void);
/* What this command makes is not on stdout: if that was closed, drop what is written there, and do not fail. */
void ps_process_without_stdout(void);

/*
 * The last act of main(): flush and close stdout.  Returns `status`; where that is 0 and some of stdout could not be
 * written, says so in one line and returns PS_EFAIL.
 */
int ps_process_end(int status);

#endif
