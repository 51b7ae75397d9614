/* doubt.h - what a result says against itself.  Package-private. */
#ifndef PATCHSWEEP_CLI_DOUBT_H
#define PATCHSWEEP_CLI_DOUBT_H

#include "patchsweep/results.h"

/* Warn on stderr where the run that made `file` has left a warning: self-checks failed, values are not finite. */
void warn_of_doubt(const ps_result_file *file, const char *path);

#endif
