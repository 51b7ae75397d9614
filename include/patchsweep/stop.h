/*
 * stop.h - being told to stop.
 *
 * SIGUSR1, SIGTERM and SIGINT leave a mark and nothing else; whoever does the work looks at it where it can
 * stop.  A second one, a second or more behind the first, ends the process at once with PS_ESTOPPED: what is
 * safe by then is safe.
 */
#ifndef PATCHSWEEP_STOP_H
#define PATCHSWEEP_STOP_H

/* From now on. */
void ps_stop_catch(void);
/* The signal that came, or 0. */
int ps_stop_signal(void);
/* "SIGUSR1"; a static string. */
const char *ps_stop_name(int signal);

/* Seconds since 1970 at which Slurm will end this job (SLURM_JOB_END_TIME), or 0. */
double ps_stop_slurm_end(void);

#endif
