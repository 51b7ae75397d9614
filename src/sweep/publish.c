/*
 * publish.c - write the result file in steps, so that writing can stop between any two.
 *
 *     step 0 .. P-1      write pair i: its prompts, grids and activations
 *     step P             write /run, and close the file
 *     step P+1 .. 2P     read pair i back, and compare it with its checksums
 *     step 2P+1          read /run back, add the times, and give the file its name
 */
#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kept.h"
#include "patchsweep/build.h"
#include "patchsweep/crc.h"
#include "patchsweep/file.h"
#include "patchsweep/host.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/part.h"
#include "patchsweep/progress.h"
#include "patchsweep/stop.h"
#include "report.h"
#include "rows_dir.h"

#define LAYOUT 1                  /* number of this sequence of steps; no other sequence's file is resumed */
#define DISK_BYTES_PER_SECOND 5e7 /* assumed speed of a slow disk, to close and sync an unfinished file before the deadline */

/* A publication in progress. */
typedef struct draft {
    const ps_publication *p;
    int32_t n_pairs, step;
    bool moved;           /* this session has done at least one step */
    bool ours;            /* this run created the part file */
    double began;
    ps_unfinished sealed; /* the part file that is resumed, until this session writes to it; then bytes 0 */
    int64_t begun_at;     /* bytes of the part file when it was opened for writing */
    double takes_to_read; /* seconds that reading the resumed file took */
    ps_results *results;  /* open for writing, or NULL */
    ps_result_file *back; /* open for reading back, or NULL */
    ps_kept *kept;
    ps_progress progress;
} draft;

/* ---- stopping ---- */

/* Estimate the seconds to close a file that is being written: to write this session's bytes to the disk, and to read
 * the whole file for the checksum. */
static double closing_seconds(const draft *d)
{
    struct stat st;

    if (!d->results || stat(d->p->brief->part, &st) < 0 || st.st_size < d->begun_at)
        return 0;
    return (double)(st.st_size - d->begun_at) / DISK_BYTES_PER_SECOND + d->takes_to_read;
}

/* Return -1 with PS_ESTOPPED if it is time to stop.  A deadline still leaves each session one step, so that repeated
 * sessions finish. */
static int check_stop(void *context, ps_err *err)
{
    const draft *d = context;

    if (!ps_stop_signal() && !d->moved)
        return 0;
    if (!ps_watch_over(d->p->watch, closing_seconds(d)))
        return 0;
    return ps_err_set(err, PS_ESTOPPED, "stopped");
}

/*
 * Sync a file, and compute its size and checksum.  `what` is the name in the progress line.  With `may_stop`, return
 * -1 with PS_ESTOPPED if it is time to stop.  A GiB takes about 0.3 s from the page cache; otherwise the speed is the
 * disk's.
 */
static int seal_file(draft *d, const char *path, const char *what, bool may_stop, ps_unfinished *u, ps_err *err)
{
    enum { BLOCK = 1 << 20 };
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    char *block = fd < 0 ? NULL : ps_malloc(BLOCK, 1, err);
    struct stat st;
    int rc = -1;

    if (fd < 0 || fstat(fd, &st) < 0)
        ps_err_errno(err, "cannot open '%s'", path);
    else if (block)
        rc = ps_file_sync(fd, path, err);
    u->crc = 0;
    u->bytes = rc == 0 ? (uint64_t)st.st_size : 0;
    ps_progress_begin(&d->progress, what, NULL, (int64_t)u->bytes, 1, 0, d->p->quiet);
    for (uint64_t at = 0; rc == 0 && at < u->bytes; at += BLOCK) {
        size_t n = u->bytes - at < BLOCK ? (size_t)(u->bytes - at) : BLOCK;
        rc = may_stop && check_stop(d, err) < 0 ? -1 : ps_file_pread(fd, block, n, at, path, err);
        if (rc == 0) {
            u->crc = ps_crc32c(u->crc, block, n);
            ps_progress_add(&d->progress, (int64_t)n);
        }
    }
    if (rc == 0)
        ps_progress_end(&d->progress);
    ps_free(block);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int move(const char *from, const char *to, int (*rename_it)(const char *from, const char *to), ps_err *err)
{
    if (rename_it(from, to) < 0)
        return ps_err_errno(err, "cannot rename '%s' to '%s'", from, to);
    return ps_file_sync_entry(to, err) < 0 || ps_file_sync_entry(from, err) < 0 ? -1 : 0;
}

static int close_all(draft *d, int rc, ps_err *err)
{
    rc = ps_results_close(d->results, rc, err);
    d->results = NULL;
    ps_result_close(d->back);
    d->back = NULL;
    return rc;
}

/* Move the unfinished file to where the next session finds it. */
static int set_aside(draft *d, ps_err *err)
{
    const ps_brief *b = d->p->brief;
    ps_unfinished u = {.layout = LAYOUT, .step = d->step, .bytes = d->sealed.bytes, .crc = d->sealed.crc};
    char *place = ps_path_join(b->rows_dir, PS_ROWS_RESULT, err);
    int rc = -1;

    if (place && ps_rows_dir_make(b->rows_dir, err) == 0 && close_all(d, 0, err) == 0 &&
        (u.bytes || seal_file(d, b->part, "keep the unfinished result", false, &u, err) == 0) &&
        move(b->part, place, rename, err) == 0) {
        d->ours = false; /* the part file has been renamed */
        rc = ps_ledger_add_unfinished(d->p->ledger, &u, err);
    }
    ps_free(place);
    return rc;
}

static int stop(draft *d)
{
    ps_err why = PS_ERR_INIT;
    int32_t n = d->n_pairs, step = d->step;
    bool writing = step <= n;

    ps_info("stopped by %s while %s: %d of %d pairs are %s; run the same command line again%s to resume", d->p->watch->why,
            writing ? "writing the result" : "reading the result back", (int)(writing ? step : step - n - 1), (int)n,
            writing ? "written" : "checked", d->p->brief->replace ? " without --force" : "");
    if (d->ours && set_aside(d, &why) < 0)
        ps_warn("the unfinished result is not kept, and the next run writes it anew: %s", why.text);
    return -1;
}

/* ---- beginning ---- */

/* Whether the file at `place` is as the journal records it.  If not, *why has the reason. */
static bool is_as_left(draft *d, const char *place, const ps_unfinished *u, ps_err *why)
{
    ps_unfinished seen = {.bytes = 0};
    double began = ps_seconds();

    if (u->layout != LAYOUT || u->step > 2 * d->n_pairs + 1) {
        ps_err_set(why, PS_EINPUT, "another patchsweep began it");
        return false;
    }
    d->step = u->step;
    if (seal_file(d, place, "check the unfinished result", true, &seen, why) < 0)
        return false;
    d->takes_to_read = ps_seconds() - began;
    bool same = seen.bytes == u->bytes && seen.crc == u->crc;
    if (!same)
        ps_err_set(why, PS_EINPUT, "it has changed since");
    return same;
}

/*
 * Move an unfinished file into place if it is as it was left: return 1.  Return 0 if none can be used, which is no
 * failure.  Return -1 if it is time to stop; the file then stays where it is.
 */
static int take_up(draft *d, ps_err *err)
{
    const ps_brief *b = d->p->brief;
    ps_unfinished u = ps_ledger_unfinished(d->p->ledger);
    ps_err why = PS_ERR_INIT;

    if (!u.bytes)
        return 0;
    char *place = ps_path_join(b->rows_dir, PS_ROWS_RESULT, &why);
    int found = place && is_as_left(d, place, &u, &why) && move(place, b->part, ps_file_rename_new, &why) == 0;
    ps_free(place);
    if (found) {
        d->sealed = u;
        return 1;
    }
    if (why.code == PS_ESTOPPED) {
        *err = why;
        return -1;
    }
    d->step = 0;
    ps_warn("the unfinished result of an earlier run cannot be used (%s): writing it anew", why.text);
    return 0;
}

static ps_results_shape shape_of(const ps_config *config)
{
    return (ps_results_shape){config->n_layers, config->n_heads, config->n_kv_heads, config->d_model};
}

static int create(draft *d, ps_err *err)
{
    const ps_brief *b = d->p->brief;
    const ps_attr attrs[] = {
        {"title", "activation patching sweep", 0, false},
        {"job", b->job->text, 0, false},
        {"identity", ps_text_str(&b->identity), 0, false},
        {"model", b->job->model, 0, false},
        {"model_revision", b->revision, 0, false},
        {"model_config", b->config->text, 0, false},
        {"precision", ps_precisions[b->job->precision].name, 0, false},
        {"program_version", ps_build_version, 0, false},
    };

    const ps_results_shape shape = shape_of(b->config);

    return ps_results_create(&d->results, b->part, &shape, attrs, sizeof attrs / sizeof *attrs, err);
}

/* Open the part file for writing.  From here on it differs from what the journal records. */
static int reopen(draft *d, ps_err *err)
{
    const ps_brief *b = d->p->brief;
    const ps_results_shape shape = shape_of(b->config);
    struct stat st;

    d->sealed.bytes = 0;
    d->begun_at = stat(b->part, &st) < 0 ? 0 : (int64_t)st.st_size;
    return ps_results_reopen(&d->results, b->part, &shape, err);
}

static int begin(draft *d, ps_err *err)
{
    const ps_brief *b = d->p->brief;

    ps_scores_fill_free(ps_ledger_scores(d->p->ledger));
    int found = take_up(d, err);
    if (found < 0)
        return -1;
    d->ours = found;
    if ((!found || d->step < d->n_pairs) &&
        ps_kept_open(&d->kept, d->p->ledger, b->grid, (size_t)b->config->d_model, check_stop, d, err) < 0)
        return -1;
    if (found && d->step <= d->n_pairs)
        return reopen(d, err);
    if (!found && create(d, err) < 0)
        return -1;
    d->ours = true;
    return 0;
}

/* ---- a pair ---- */

/* A source of rows of the current pair. */
typedef struct source {
    ps_kept *kept;
    int32_t pair;
    enum ps_site site;
    enum ps_direction direction;
    enum ps_which which;
} source;

static int final_layer(void *context, int32_t layer, float *rows, ps_err *err)
{
    const source *s = context;

    return ps_kept_finals(s->kept, s->pair, s->site, s->direction, layer, rows, err);
}

static int activations_layer(void *context, int32_t layer, float *rows, ps_err *err)
{
    const source *s = context;

    return ps_kept_activations(s->kept, s->pair, s->which, layer, rows, err);
}

static int write_grid(const draft *d, int32_t i, enum ps_site site, enum ps_direction direction, ps_err *err)
{
    const ps_brief *b = d->p->brief;
    ps_scores *scores = ps_ledger_scores(d->p->ledger);
    source s = {.kept = d->kept, .pair = i, .site = site, .direction = direction};
    const ps_row_source finals = {final_layer, &s};
    ps_score_range range = ps_scores_compute(scores, i, site, direction, b->job->score);

    if (ps_scores_write(scores, d->results, i, site, direction, b->grid->patched_final ? &finals : NULL, err) < 0)
        return -1;
    ps_report_scores(b->grid, &b->pairs[i], &range);
    return 0;
}

static int write_activations(const draft *d, int32_t i, ps_err *err)
{
    const ps_brief *b = d->p->brief;
    source s[PS_N_WHICH];
    ps_row_source rows[PS_N_WHICH];
    const ps_row_source *runs[PS_N_WHICH] = {NULL};

    for (int which = 0; which < PS_N_WHICH; which++) {
        s[which] = (source){.kept = d->kept, .pair = i, .which = (enum ps_which)which};
        rows[which] = (ps_row_source){activations_layer, &s[which]};
        if (b->grid->activations >> which & 1)
            runs[which] = &rows[which];
    }
    return ps_results_add_activations(d->results, b->job->activation_dtype, runs, err);
}

static int write_pair(draft *d, int32_t i, ps_err *err)
{
    const ps_brief *b = d->p->brief;

    if (ps_report_begin_pair(d->results, &b->pairs[i], ps_ledger_scores(d->p->ledger)->base[i], b->tokenizer, err) < 0)
        return -1;
    for (int site = 0; site < PS_N_SITES; site++)
        for (int dir = 0; dir < PS_N_DIRECTIONS; dir++)
            if (ps_grid_asks(b->grid, site, dir) &&
                write_grid(d, i, (enum ps_site)site, (enum ps_direction)dir, err) < 0)
                return -1;
    if (b->grid->activations && write_activations(d, i, err) < 0)
        return -1;
    return ps_results_end_pair(d->results, err);
}

/* ---- the end ---- */

static int write_how(draft *d, ps_err *err)
{
    const ps_publication *p = d->p;
    const ps_column ranks[] = {{"busy_seconds", "seconds computing", p->busy},
                               {"idle_seconds", "seconds waiting for other ranks", p->idle},
                               {"peak_memory_bytes", "most bytes in memory", p->peak}};

    p->peak[0] = (double)ps_host_peak();
    if (ps_results_add_run(d->results, p->run, p->n_run, ranks, 3, p->size, err) < 0)
        return -1;
    return close_all(d, 0, err);
}

static int check_group(draft *d, const char *group, ps_err *err)
{
    if (!d->back && ps_result_reread(&d->back, d->p->brief->part, err) < 0)
        return -1;
    return ps_result_verify_group(d->back, group, err);
}

/* Add the times of this session.  They do not include syncing and renaming the file. */
static int finish(draft *d, ps_err *err)
{
    const ps_publication *p = d->p;
    const ps_brief *b = p->brief;

    if (check_group(d, "run", err) < 0 || close_all(d, 0, err) < 0 || reopen(d, err) < 0)
        return -1;
    const ps_attr attrs[] = {
        {"history", p->history, 0, false},
        {"load_seconds", NULL, p->load_seconds, false},
        {"sweep_seconds", NULL, p->sweep_seconds, false},
        {"publish_seconds", NULL, ps_seconds() - d->began, false},
        {"total_seconds", NULL, ps_seconds() - p->start, false},
    };
    if (ps_results_put_attrs(d->results, attrs, sizeof attrs / sizeof *attrs, err) < 0 ||
        ps_results_seal(d->results, err) < 0 || close_all(d, 0, err) < 0)
        return -1;
    return ps_part_commit(b->part, b->output, b->replace, err);
}

/* ---- the whole ---- */

static int make_step(draft *d, ps_err *err)
{
    int32_t n = d->n_pairs, step = d->step;

    if (step < n)
        return write_pair(d, step, err);
    if (step == n)
        return write_how(d, err);
    if (step <= 2 * n)
        return check_group(d, d->p->brief->pairs[step - n - 1].job->id, err);
    return finish(d, err);
}

static int make_steps(draft *d, ps_err *err)
{
    int32_t n = 2 * d->n_pairs + 2, first = d->step;

    ps_progress_begin(&d->progress, "publish", NULL, n - first, 1, 0, d->p->quiet);
    while (d->step < n) {
        if (check_stop(d, err) < 0 || make_step(d, err) < 0)
            return -1;
        d->step++;
        d->moved = true;
        ps_progress_add(&d->progress, 1);
    }
    ps_progress_end(&d->progress);
    return 0;
}

int ps_publish(const ps_publication *publication, ps_err *err)
{
    draft d = {.p = publication, .n_pairs = publication->brief->grid->n_pairs, .began = ps_seconds()};
    int rc = begin(&d, err);

    if (rc == 0)
        rc = make_steps(&d, err);
    if (rc < 0 && err->code == PS_ESTOPPED)
        rc = stop(&d);
    rc = close_all(&d, rc, err);
    if (rc < 0 && d.ours) {
        ps_err ignored = PS_ERR_INIT;
        /* sync the removal before the lock is released: without the lock the file would count as the user's */
        unlink(publication->brief->part);
        ps_file_sync_entry(publication->brief->part, &ignored);
    }
    ps_kept_close(d.kept);
    return rc == 0 || err->code == PS_ESTOPPED ? rc : ps_err_prefix(err, "result '%s'", publication->brief->output);
}

size_t ps_publish_bytes(const ps_grid *grid, const ps_config *config)
{
    const ps_results_shape shape = shape_of(config);

    return ps_kept_bytes(grid, (size_t)config->d_model) +
           ps_results_bytes(&shape, grid->sites, grid->patched_final, ps_grid_max_positions(grid));
}
