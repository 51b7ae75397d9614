/* job_diff.c - compare two objects key by key, and their `pairs` pair by pair. */
#include "job_diff.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/job.h"
#include "patchsweep/json.h"
#include "patchsweep/mem.h"
#include "patchsweep/utf8.h"

/* Print a value.  NULL is a missing key: a version that did not know the key ran the job with the present default.
 * Prints "none" where there is no default. */
static char *value_text(const ps_node *value, const char *deflt, ps_err *err)
{
    return value ? ps_json_print(value, err) : ps_strdup(deflt ? deflt : "none", err);
}

/* Compare two values; `where` is the pair they are in, or "". */
static int diff_values(const char *key, const char *where, const ps_node *theirs, const ps_node *ours, ps_err *err)
{
    char was[PS_EXCERPT], is[PS_EXCERPT];
    size_t same = 0;
    const char *deflt = *where ? NULL : ps_job_default(key);
    char *a = value_text(theirs, deflt, err), *b = value_text(ours, deflt, err);
    int rc = a && b ? 0 : -1;

    if (rc == 0 && strcmp(a, b)) {
        while (a[same] && a[same] == b[same])
            same++;
        ps_excerpt(was, a, strlen(a), same);
        ps_excerpt(is, b, strlen(b), same);
        rc = ps_err_set(err, PS_EINPUT, "its job has%s %s: %s, and this one's has %s", where, key, was, is);
    }
    ps_free(a);
    ps_free(b);
    return rc;
}

static int diff_pair(const ps_node *theirs, const ps_node *ours, ps_err *err);

static int diff_pairs(const ps_node *theirs, const ps_node *ours, ps_err *err)
{
    const ps_node *p = ps_json_first(theirs), *q = ps_json_first(ours);

    if ((theirs && !ps_json_is(theirs, PS_JSON_ARRAY)) || (ours && !ps_json_is(ours, PS_JSON_ARRAY)))
        return diff_values("pairs", "", theirs, ours, err);
    for (; p || q; p = p ? ps_json_next(p) : NULL, q = q ? ps_json_next(q) : NULL)
        if (diff_pair(p, q, err) < 0)
            return -1;
    return 0;
}

/* Every key of either object, `ours` first.  The pairs of a job are compared one by one. */
static int diff_objects(const ps_node *theirs, const ps_node *ours, const char *where, ps_err *err)
{
    const ps_node *sides[] = {ours, theirs};

    for (int side = 0; side < 2; side++)
        for (const ps_node *v = ps_json_first(sides[side]); v; v = ps_json_next(v)) {
            const char *key = ps_json_key(v);
            const ps_node *a = ps_json_get(theirs, key), *b = ps_json_get(ours, key);
            bool in_pair = *where != '\0';
            if ((side == 1 && b) || (!in_pair && !strcmp(key, "output"))) /* already compared, or not part of the sweep */
                continue;
            if ((!in_pair && !strcmp(key, "pairs") ? diff_pairs(a, b, err) : diff_values(key, where, a, b, err)) < 0)
                return -1;
        }
    return 0;
}

static int diff_pair(const ps_node *theirs, const ps_node *ours, ps_err *err)
{
    const char *was = theirs ? ps_json_string(ps_json_get(theirs, "id")) : "";
    const char *is = ours ? ps_json_string(ps_json_get(ours, "id")) : "";
    char where[120];

    if (!theirs || !ours)
        return ps_err_set(err, PS_EINPUT, theirs ? "its job has a pair '%.64s', and this one's has none"
                                                 : "its job has no pair '%.64s', and this one's has", theirs ? was : is);
    if (strcmp(was, is))
        return ps_err_set(err, PS_EINPUT, "its job has pair '%.64s' where this one's has '%.64s'", was, is);
    snprintf(where, sizeof where, ", in pair '%.64s',", is);
    return diff_objects(theirs, ours, where, err);
}

int ps_job_diff(const char *theirs, size_t n, const char *ours, size_t m, ps_err *err)
{
    ps_json *a = NULL, *b = NULL;
    ps_err unreadable = PS_ERR_INIT;
    int rc = 1;

    if (ps_json_parse(&a, theirs, n, &unreadable) == 0 && ps_json_parse(&b, ours, m, &unreadable) == 0 &&
        ps_json_is(ps_json_root(a), PS_JSON_OBJECT) && ps_json_is(ps_json_root(b), PS_JSON_OBJECT))
        rc = diff_objects(ps_json_root(a), ps_json_root(b), "", err);
    ps_json_free(a);
    ps_json_free(b);
    return rc;
}
