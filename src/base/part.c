/* part.c - check the name before the work, rename after it. */
#include "patchsweep/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "patchsweep/place.h"

int ps_part_begin(char **part, const char *path, ps_err *err)
{
    if (ps_place_check(path, ps_beside_suffix[PS_PART], err) < 0)
        return -1;
    char *name = ps_beside(path, PS_PART, err);
    int there = name ? ps_place_taken(name, 0, err) : -1;
    if (there > 0)
        ps_err_set(err, PS_EINPUT, "'%s' exists already, and '%s' is written under that name first; move it away, or "
                   "name another file with -o", name, path);
    int fd = there == 0 ? ps_place_open(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL, name, err) : -1;
    if (fd < 0) {
        ps_free(name);
        return -1;
    }
    close(fd);
    unlink(name);
    *part = name;
    return 0;
}

static int sync_path(const char *path, ps_err *err)
{
    int fd = ps_place_open(AT_FDCWD, path, O_RDWR, path, err);

    if (fd < 0)
        return -1;
    int rc = ps_file_sync(fd, path, err);
    close(fd);
    return rc;
}

int ps_part_commit(const char *part, const char *path, bool replace, ps_err *err)
{
    if (sync_path(part, err) < 0 || ps_place_taken(path, 0, err) < 0)
        return -1;
    if ((replace ? rename(part, path) : ps_file_rename_new(part, path)) == 0)
        return ps_file_sync_entry(path, err);
    if (errno == EEXIST)
        return ps_err_set(err, PS_EINPUT, "'%s' appeared during this run, and is not replaced; move it away", path);
    return ps_err_errno(err, "cannot rename '%s' to '%s'", part, path);
}
