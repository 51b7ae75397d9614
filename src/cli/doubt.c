/* doubt.c - repeat the attribute `warning` of /run. */
#include "doubt.h"

#include "patchsweep/log.h"
#include "patchsweep/mem.h"

void warn_of_doubt(const ps_result_file *file, const char *path)
{
    char *text = ps_result_attr(file, "/run", "warning");

    if (text && *text)
        ps_warn("'%s': %s", path, text);
    ps_free(text);
}
