/*
 * session.h - what a journal notes of each run that wrote to it: when, by what command, by what build, on what machine.
 *
 * Package-private; rank 0 only.  Bits are promised for one build on one kind of processor: a session under another one
 * is warned of, and goes on.
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
 * Warn, a line each, where the build or the machine is not the one that the last of the `earlier` sessions had.  Sessions that
 * name no build are of a build that is not known, and warned of.  Nothing is said where `earlier` is "".
 */
void ps_session_warn(const char *earlier, const char *build, const char *machine);
/*
 * Say on stderr how many cores and threads the ranks have, and warn of what could be faster, and of results whose last bits
 * other ranks or another memory would change.  `same_bits`: all ranks compute the same bits.
 */
void ps_session_describe(const ps_cores *cores, const ps_backend *backend, bool same_bits);

#endif
