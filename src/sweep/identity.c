/* identity.c - write the fields one after the other; find the first that differs. */
#include "identity.h"

#include <stdio.h>
#include <string.h>

#include "job_diff.h"
#include "patchsweep/build.h"
#include "patchsweep/crc.h"
#include "patchsweep/file.h"
#include "patchsweep/safetensors.h"
#include "patchsweep/utf8.h"

/* Checksum the pairs' tokens and names. */
static uint32_t crc_of_pairs(const ps_job *job, const ps_grid *grid)
{
    uint32_t crc = ps_crc32c(0, grid->numbers, grid->n_identity * sizeof *grid->numbers);

    for (size_t i = 0; i < job->n_pairs; i++)
        crc = ps_crc32c(crc, job->pairs[i].id, strlen(job->pairs[i].id) + 1);
    return crc;
}

/* Describe a file of the model by size and checksum; "none" where there is none. */
static int add_file(ps_text *out, const char *field, const char *dir, const char *name, ps_err *err)
{
    uint32_t crc;
    size_t n;
    int found = ps_file_sum(dir, name, &n, &crc, err);

    if (found > 0)
        ps_text_printf(out, "%s: %zu bytes, %08x\n", field, n, (unsigned)crc);
    else if (found == 0)
        ps_text_printf(out, "%s: none\n", field);
    return found < 0 ? -1 : 0;
}

static int add_weights(ps_text *out, const char *dir, ps_err *err)
{
    ps_safetensors *st;

    if (ps_safetensors_open(&st, dir, err) < 0)
        return -1;
    int rc = 0;
    for (int i = 0; i < ps_safetensors_n_shards(st) && rc == 0; i++) {
        const char *path = ps_safetensors_shard_path(st, i), *slash = strrchr(path, '/');
        char print[64];
        rc = ps_safetensors_fingerprint(st, i, print, err);
        if (rc == 0)
            ps_text_printf(out, "weights %s: %s\n", slash ? slash + 1 : path, print);
    }
    ps_safetensors_close(st);
    return rc;
}

int ps_identity_build(ps_text *out, const ps_job *job, const ps_grid *grid, const char *model_dir, ps_err *err)
{
    ps_text_printf(out, "program: %s\n", ps_build_version);
    ps_text_printf(out, "job: %s\n", job->text);
    ps_text_printf(out, "pairs: %d, %08x\n", (int)grid->n_pairs, (unsigned)crc_of_pairs(job, grid));
    ps_text_printf(out, "precision: %s\n", ps_precisions[grid->precision].name);
    if (add_file(out, "config", model_dir, "config.json", err) < 0 ||
        add_file(out, "tokenizer", model_dir, "tokenizer.json", err) < 0 ||
        add_weights(out, model_dir, err) < 0)
        return -1;
    return ps_text_ok(out, err);
}

const char *ps_identity_of_job(const char *identity)
{
    const char *end = strchr(identity, '\n');

    return end ? end + 1 : identity;
}

/* A line of "field: value". */
typedef struct line {
    const char *at;
    size_t n, colon;
} line;

/* Split off the line at *at, and move *at past it. */
static line next_line(const char **at)
{
    line l = {*at, strcspn(*at, "\n"), strcspn(*at, ":\n")};

    *at += l.n + ((*at)[l.n] == '\n');
    return l;
}

/* Whether the line's field is the job. */
static bool is_job(const line *l)
{
    return l->colon == 3 && !strncmp(l->at, "job", 3) && l->n > 5;
}

/* Cut the part of a line's value around byte `from`, for a message. */
static void value_excerpt(char out[PS_EXCERPT], const line *l, size_t from)
{
    size_t begin = l->colon + 2 < l->n ? l->colon + 2 : l->n;

    ps_excerpt(out, l->at + begin, l->n - begin, from > begin ? from - begin : 0);
}

int ps_identity_compare(const char *theirs, const char *ours, ps_err *err)
{
    char was[PS_EXCERPT], is[PS_EXCERPT];

    while (*theirs || *ours) {
        line a = next_line(&theirs), b = next_line(&ours);
        size_t same = 0;
        while (same < a.n && same < b.n && a.at[same] == b.at[same])
            same++;
        if (same == a.n && same == b.n)
            continue;
        int diff = is_job(&a) && is_job(&b) ? ps_job_diff(a.at + 5, a.n - 5, b.at + 5, b.n - 5, err) : 1;
        if (diff == 0)
            continue;
        if (diff < 0)
            return ps_err_prefix(err, "it belongs to another run");
        if (same <= a.colon || same <= b.colon)
            return ps_err_set(err, PS_EINPUT, "it belongs to another run: it has '%.*s' where this one has '%.*s'", (int)a.colon,
                              a.at, (int)b.colon, b.at);
        value_excerpt(was, &a, same);
        value_excerpt(is, &b, same);
        return ps_err_set(err, PS_EINPUT, "it belongs to another run: its %.*s has '%s', and this one's '%s'", (int)a.colon, a.at,
                          was, is);
    }
    return 0;
}
