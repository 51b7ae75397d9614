/*
 * stop.h - being told to stop.
 *
 * SIGUSR1, SIGTERM, SIGINT and SIGHUP set a flag and do nothing else.  Whoever does the work looks at the flag where
 * it can stop.  A second signal, a second or more behind the first, ends the process at once with PS_ESTOPPED: what
 * is safe by then is safe.  SIGHUP stays ignored where it was ignored at start (nohup).
 */
#ifndef PATCHSWEEP_STOP_H
#define PATCHSWEEP_STOP_H

/* Catch them from now on. */
void ps_stop_catch(void);
/* The signal that came, or 0. */
int ps_stop_signal(void);
/* "SIGUSR1"; a static string. */
const char *ps_stop_name(int signal);

/* Seconds since 1970 at which Slurm will end this job (SLURM_JOB_END_TIME), or 0. */
double ps_stop_slurm_end(void);

#endif
