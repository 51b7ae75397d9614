/*
 * stop.h - signals that tell the program to stop.
 *
 * SIGUSR1, SIGTERM, SIGINT and SIGHUP set a flag and do nothing else.  Long work checks the flag where it can stop.
 * Another signal, one second or more after the first, ends the process at once with PS_ESTOPPED; only what was synced
 * is kept.  SIGHUP stays ignored if it was ignored at the start (nohup).
 */
#ifndef PATCHSWEEP_STOP_H
#define PATCHSWEEP_STOP_H

/* Catch these signals from now on. */
void ps_stop_catch(void);
/* The first signal caught, or 0. */
int ps_stop_signal(void);
/* "SIGUSR1"; a static string. */
const char *ps_stop_name(int signal);

/* When Slurm will end this job, in seconds since 1970 (SLURM_JOB_END_TIME); 0 if unknown. */
double ps_stop_slurm_end(void);

#endif
