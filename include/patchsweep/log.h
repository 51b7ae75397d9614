/*
 * log.h - the chatter on stderr; answers go to stdout and never through here.
 *
 * Every line begins with "patchsweep: ".  Control characters in a message are
 * shown as \xNN, so that no token or prompt can steer a terminal.  The level is
 * one of the program's two globals: it is set once, before any work.
 */
#ifndef PATCHSWEEP_LOG_H
#define PATCHSWEEP_LOG_H

#include "patchsweep/err.h"

enum ps_log_level { PS_LOG_ERROR, PS_LOG_WARN, PS_LOG_INFO, PS_LOG_DEBUG };

void ps_log_set_level(enum ps_log_level level); /* default PS_LOG_INFO */
/* Only errors and what is said with `everywhere` come from ranks above 0. */
void ps_log_set_rank(int rank, int size);

void ps_log(enum ps_log_level level, const char *fmt, ...) PS_PRINTF(2, 3);
#define ps_error(...) ps_log(PS_LOG_ERROR, __VA_ARGS__)
#define ps_warn(...) ps_log(PS_LOG_WARN, __VA_ARGS__)
#define ps_info(...) ps_log(PS_LOG_INFO, __VA_ARGS__)
#define ps_debug(...) ps_log(PS_LOG_DEBUG, __VA_ARGS__)

#endif
