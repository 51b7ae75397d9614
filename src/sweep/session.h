/*
 * session.h - what a journal records of each session: its time, command, build and machine.
 *
 * Package-private; rank 0 only.  Bits are promised for one build on one kind of processor.  A session with another
 * build or processor gets a warning, and runs.
 */
#ifndef PATCHSWEEP_SWEEP_SESSION_H
#define PATCHSWEEP_SWEEP_SESSION_H

#include <stdbool.h>

#include "patchsweep/backend.h"
#include "patchsweep/cores.h"
#include "patchsweep/text.h"

/*
 * Append this session's three lines, without a newline at the end:
 *     2026-03-01T12:00:00Z patchsweep run job.json
 *     build: patchsweep 0.1.0-92-g04fbfba, gcc 12.2.0, ARCH=native: x86-64-v3
 *     AMD EPYC 7763 64-Core Processor, own products, ...
 */
void ps_session_write(ps_text *out, const char *command, const char *build, const char *machine);
/*
 * Warn, one line each, if the build or the machine differs from the last of the `earlier` sessions.  Also warn if that
 * session names no build, because its build is unknown.  Do nothing if `earlier` is "".
 */
void ps_session_warn(const char *earlier, const char *build, const char *machine);
/*
 * Print on stderr how many cores and threads the ranks have.  Warn of what could be faster, and of results whose last
 * bits depend on the number of ranks or the memory.  `same_bits`: all ranks compute the same bits.
 */
void ps_session_describe(const ps_cores *cores, const ps_backend *backend, bool same_bits);

#endif
