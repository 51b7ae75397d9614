/* claim.c - check every name under the lock, before the lock file names this run as the holder. */
#include "patchsweep/claim.h"

#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patchsweep/journal.h"
#include "patchsweep/mem.h"
#include "patchsweep/place.h"
#include "rows_dir.h"

static int remove_file(const char *path, ps_err *err)
{
    return unlink(path) == 0 ? 0 : ps_err_errno(err, "cannot remove '%s'", path);
}

static int settle_part(const char *path, bool dead, ps_err *err)
{
    int there = ps_place_taken(path, 0, err);
    struct stat st;

    if (there <= 0)
        return there;
    bool empty = lstat(path, &st) == 0 && st.st_size == 0; /* then removing it loses nothing */
    return dead || empty ? remove_file(path, err) : ps_place_foreign(path, "unfinished result", err);
}

static int settle_journal(const char *path, bool dead, ps_err *err)
{
    switch (ps_journal_look(path, err)) {
    case PS_JOURNAL_FAILED:
        return -1;
    case PS_JOURNAL_NONE:
    case PS_JOURNAL_BEGUN:
        return 0;
    case PS_JOURNAL_STUB:
        if (dead)
            return remove_file(path, err);
        break;
    case PS_JOURNAL_FOREIGN:
        break;
    }
    return ps_place_foreign(path, "journal", err);
}

static int settle_rows(const char *path, bool dead, ps_err *err)
{
    (void)dead; /* the folder is known by its marker, whoever held the lock */
    return ps_rows_dir_look(path, err) < 0 ? -1 : 0;
}

static int settle(void *context, bool dead, ps_err *err)
{
    static int (*const settlers[PS_N_BESIDE])(const char *path, bool dead, ps_err *err) = {
        [PS_PART] = settle_part, [PS_JOURNAL] = settle_journal, [PS_ROWS] = settle_rows};
    const char *output = context;
    int rc = 0;

    for (enum ps_beside b = 0; b < PS_N_BESIDE && rc == 0; b++) {
        char *path = settlers[b] ? ps_beside(output, b, err) : NULL;
        if (settlers[b])
            rc = path ? settlers[b](path, dead, err) : -1;
        ps_free(path);
    }
    return rc;
}

int ps_claim_output(ps_lock **lock, const char *output, double patience, ps_err *err)
{
    if (ps_place_check(output, ps_beside_suffix[PS_JOURNAL], err) < 0) /* the longest suffix */
        return -1;
    return ps_lock_take(lock, output, patience, settle, (void *)(uintptr_t)output, err);
}
