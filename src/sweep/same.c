/* same.c - gather checksums and values on rank 0, and compare them with rank 0's. */
#include "same.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

/* ---- tables of checksums ---- */

static const char *behind(const char *line)
{
    line += strcspn(line, "\n");
    return line + (*line == '\n');
}

/* The length of a line's checksum and name. */
static size_t compared(const char *line)
{
    size_t n = strcspn(line, " \n");

    return n + (line[n] == ' ' ? 1 + strcspn(line + n + 1, " \n") : 0);
}

static ps_sum parse(const char *line)
{
    char copy[600];
    ps_sum sum = {"", "", ""};

    snprintf(copy, sizeof copy, "%.*s", (int)strcspn(line, "\n"), line);
    sscanf(copy, "%15s %255s %255[^\n]", sum.crc, sum.name, sum.file);
    return sum;
}

size_t ps_sums_compare(const char *ours, const char *theirs, ps_sum *a, ps_sum *b)
{
    size_t n = 0;

    for (; *ours || *theirs; ours = behind(ours), theirs = behind(theirs)) {
        size_t bytes = compared(ours);
        if (bytes == compared(theirs) && !memcmp(ours, theirs, bytes))
            continue;
        if (n++)
            continue;
        *a = parse(ours);
        *b = parse(theirs);
    }
    return n;
}

/* ---- the ranks' tables ---- */

#define MISSING "missing"

/* What rank 0 has received: a host's name, a newline, the table. */
typedef struct comparison {
    const char *model_dir, *host, *ours;
} comparison;

static int tell(const comparison *c, int rank, const char *host, const ps_sum *ours, const ps_sum *theirs, size_t n,
                ps_err *err)
{
    const char *name = *theirs->name ? theirs->name : ours->name, *file = *theirs->file ? theirs->file : ours->file;
    char place[300] = "", more[64] = "";

    if (!strcmp(theirs->crc, MISSING))
        return ps_err_set(err, PS_EINPUT, "rank %d on %s: there is no '%s' in '%s', but rank 0 on %s has one; all ranks must read "
                          "the same model: copy it to %s", rank, host, name, c->model_dir, c->host, host);
    if (!strcmp(ours->crc, MISSING))
        return ps_err_set(err, PS_EINPUT, "rank 0 on %s: there is no '%s' in '%s', but rank %d on %s has one; all ranks must read "
                          "the same model: copy it to %s", c->host, name, c->model_dir, rank, host, c->host);
    if (*file)
        snprintf(place, sizeof place, " in '%s'", file);
    if (n > 1)
        snprintf(more, sizeof more, ", and so do %zu more", n - 1);
    return ps_err_set(err, PS_EINPUT, "rank %d on %s: '%s'%s differs from rank 0's on %s (CRC32C %s, not %s)%s; all ranks must read "
                      "the same model: copy '%s' to %s again", rank, host, name, place, c->host, theirs->crc, ours->crc, more,
                      c->model_dir, host);
}

static int take_table(void *context, int rank, const void *block, size_t bytes, ps_err *err)
{
    const comparison *c = context;
    const char *host = block, *table = behind(host);
    ps_sum ours, theirs;
    char name[64];

    if (rank == 0 || !bytes || err->code) /* a rank that could not make its table reports that itself */
        return 0;
    size_t n = ps_sums_compare(c->ours, table, &ours, &theirs);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(host, "\n"), host);
    return n ? tell(c, rank, name, &ours, &theirs, n, err) : 0;
}

/* Collective.  Gather and compare the tables.  A rank whose *err is set has no table. */
static int compare_tables(ps_comm *comm, const char *model_dir, const char *table, ps_err *err)
{
    comparison c = {model_dir, ps_comm_host(comm), table};
    ps_text block = {0};

    ps_text_printf(&block, "%s\n%s", c.host, table);
    ps_text_ok(&block, err);
    ps_comm_gather(comm, ps_text_str(&block), err->code ? 0 : block.n + 1, take_table, &c, err);
    ps_text_release(&block);
    return ps_comm_agree(comm, err);
}

static int add_file(ps_text *table, const char *dir, const char *name, ps_err *err)
{
    uint32_t crc;
    size_t n;
    int found = ps_file_sum(dir, name, &n, &crc, err);

    if (found > 0)
        ps_text_printf(table, "%08x %s\n", (unsigned)crc, name);
    else if (found == 0)
        ps_text_printf(table, MISSING " %s\n", name);
    return found < 0 ? -1 : 0;
}

int ps_same_files(ps_comm *comm, const char *model_dir, ps_err *err)
{
    ps_text table = {0};

    if (add_file(&table, model_dir, "config.json", err) == 0 && add_file(&table, model_dir, "tokenizer.json", err) == 0)
        ps_text_ok(&table, err);
    int rc = compare_tables(comm, model_dir, ps_text_str(&table), err);
    ps_text_release(&table);
    return rc;
}

int ps_same_weights(ps_comm *comm, const char *model_dir, const char *sums, ps_err *err)
{
    return compare_tables(comm, model_dir, sums, err);
}

/* ---- one text ---- */

typedef struct one_text {
    const char *ours;
    bool same;
} one_text;

static int take_text(void *context, int rank, const void *block, size_t bytes, ps_err *err)
{
    one_text *t = context;

    (void)rank, (void)err;
    t->same = t->same && bytes == strlen(t->ours) && !memcmp(block, t->ours, bytes);
    return 0;
}

bool ps_same_text(ps_comm *comm, const char *text)
{
    one_text t = {text, true};
    ps_err none = PS_ERR_INIT;

    ps_comm_gather(comm, text, strlen(text), take_text, &t, &none);
    return t.same;
}

/* ---- values ---- */

typedef struct outcome {
    double values[PS_N_METRICS];
    char host[sizeof ((ps_agreement *)0)->host];
} outcome;

static int take_outcome(void *context, int rank, const void *block, size_t bytes, ps_err *err)
{
    outcome *all = context;

    if (bytes != sizeof *all)
        return ps_err_set(err, PS_EFAIL, "rank %d sent %zu bytes for a cell's values", rank, bytes);
    if (all)
        memcpy(&all[rank], block, bytes);
    return 0;
}

/* Compare all ranks' values with rank 0's. */
static void judge(ps_agreement *a, const outcome *all, int size, const ps_grid *grid, int32_t pair, double limit)
{
    int first = -1, n = 0;
    bool blind = false;

    for (int rank = 1; rank < size; rank++) {
        double d = ps_check_difference(grid, pair, all[rank].values, all[0].values, &blind);
        if (d <= limit)
            continue;
        a->difference = d > a->difference ? d : a->difference;
        first = n++ ? first : rank;
    }
    a->odd = 2 * n > size ? 0 : first;
    a->blind = blind;
}

int ps_same_values(ps_comm *comm, const ps_grid *grid, const ps_cell *cell, const double values[PS_N_METRICS], double limit,
                   ps_agreement *agreement, ps_err *err)
{
    int size = ps_comm_size(comm);
    outcome mine = {.host = ""}, *all = NULL;

    memcpy(mine.values, values, sizeof mine.values);
    snprintf(mine.host, sizeof mine.host, "%.*s", (int)sizeof mine.host - 1, ps_comm_host(comm));
    if (ps_comm_rank(comm) == 0)
        all = ps_malloc((size_t)size, sizeof *all, err);
    /* gather without memory too: the other ranks send */
    int rc = ps_comm_gather(comm, &mine, sizeof mine, take_outcome, all, err);
    *agreement = (ps_agreement){.odd = -1};
    if (all && rc == 0) {
        agreement->cell = *cell;
        agreement->n_ranks = size;
        judge(agreement, all, size, grid, cell->pair, limit);
        memcpy(agreement->host, all[agreement->odd < 0 ? 0 : agreement->odd].host, sizeof agreement->host);
    }
    ps_free(all);
    return err->code ? -1 : rc;
}
