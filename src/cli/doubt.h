/* doubt.h - warn of what a result says is wrong with it.  Package-private. */
#ifndef PATCHSWEEP_CLI_DOUBT_H
#define PATCHSWEEP_CLI_DOUBT_H

#include "patchsweep/results.h"

/* Warn on stderr if the run that made `file` left a warning: self-checks failed, or values are not finite. */
void warn_of_doubt(const ps_result_file *file, const char *path);

#endif
