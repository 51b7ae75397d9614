/*
 * log.h - messages on stderr; answers go to stdout without it.
 *
 * Every line begins with "patchsweep: ".  Control characters in a message are
 * shown as \xNN, so that no token or prompt can steer a terminal.  The rank is a global,
 * set once, before any work.
 */
#ifndef PATCHSWEEP_LOG_H
#define PATCHSWEEP_LOG_H

#include "patchsweep/err.h"

enum ps_log_level { PS_LOG_ERROR, PS_LOG_WARN, PS_LOG_INFO };

/* Ranks above 0 print errors only. */
void ps_log_set_rank(int rank, int size);

void ps_log(enum ps_log_level level, const char *fmt, ...) PS_PRINTF(2, 3);
#define ps_error(...) ps_log(PS_LOG_ERROR, __VA_ARGS__)
#define ps_warn(...) ps_log(PS_LOG_WARN, __VA_ARGS__)
#define ps_info(...) ps_log(PS_LOG_INFO, __VA_ARGS__)

/*
 * Show `line` on the terminal as the current status, instead of the status shown before.  The next message removes it.
 * Call ps_log_clear() before printing to stdout.  Only for a stderr that is a terminal.
 */
void ps_log_status(const char *line);
void ps_log_clear(void);

#endif
