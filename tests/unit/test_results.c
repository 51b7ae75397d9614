/*
 * test_results.c - the result file, written and read back.
 *
 * With an argument, that file is written and kept, and beside it one with each narrower type of
 * activations: tests/readers/test_readers.py opens them with the tools that people use.
 */
#include "patchsweep/results.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/file.h"
#include "patchsweep/mem.h"

/* The contracts' texts are char *; nobody writes to these. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

enum { L = 6, H = 4, KV = 2, D = 4, T0 = 12, T1 = 3 };

static const ps_results_shape shape = {L, H, KV, D};

static char path[256];
static bool keep;

/* Half characters, a NUL, quotes, line ends, an escape sequence, a C1 CSI, an emoji, right to left, markup, and nothing. */
static char *tokens0[] = {"<|begin_of_text|>", " Albert", "\xef\xbf\xbd", "\xe2\x90\x80", "\"quoted\"", "\n",
                          "\x1b[31m", "\xc2\x9b" "5m", "\xf0\x9f\x98\x80", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
                          " <b>&\xef\xbf\xbe\xe2\x80\xae", ""};
static char *corrupt0[] = {"<|begin_of_text|>", " Taylor", "\xef\xbf\xbd", "\xe2\x90\x80", "'quoted',", "\n",
                           "\x1b[31m", "\xc2\x9b" "5m", "\xf0\x9f\x98\x80", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
                           " <b>&\xef\xbf\xbe\xe2\x80\xae", ""};
static char *pieces0[] = {"<|begin_of_text|>", "\xc4\xa0" "Albert", "\xc2\xa9", "\xc4\x80", "\"quoted\"", "\xc4\x8a",
                          "x", "x", "x", "x", "x", "x"};
static char *roles0[] = {"bos", "subject", "subject", "text", "text", "text", "text", "text", "text", "text", "text", "last"};
static char *spans0[] = {"", "first", "last", "", "", "", "", "", "", "", "", ""};
static int32_t ids0[T0] = {128000, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
static int32_t ids0b[T0] = {128000, 100, 2, 3, 40, 5, 6, 7, 8, 9, 10, 11};
static char *tokens1[] = {"a", "b", "c"}, *roles1[] = {"text", "text", "last"}, *spans1[] = {"", "", ""};
static int32_t ids1[T1] = {1, 2, 3}, ids1b[T1] = {1, 20, 3};

static const ps_job_pair jobs[2] = {
    {.id = "einstein-swift",
     .prompt = {{.text = "Albert \xc3\xa9 and a \0 NUL", .n_bytes = 21}, {.text = "Taylor", .n_bytes = 6}},
     .answer = " Isaac", .foil = "", .answer_id = -1, .foil_id = -1},
    {.id = "pair0001", .answer_id = 7, .foil_id = -1},
};
static const ps_pair pairs[2] = {
    {.job = &jobs[0], .n_positions = T0, .first_difference = 1, .ids = {ids0, ids0b},
     .token = {tokens0, corrupt0}, .piece = {pieces0, pieces0}, .role = roles0, .span = spans0,
     .answer_id = 42, .foil_id = 43, .answer_token = " Isaac", .foil_token = " Michael"},
    {.job = &jobs[1], .n_positions = T1, .first_difference = 1, .ids = {ids1, ids1b},
     .token = {tokens1, tokens1}, .piece = {tokens1, tokens1}, .role = roles1, .span = spans1,
     .answer_id = 7, .foil_id = -1, .answer_token = "", .foil_token = ""},
};

/* A made-up score: two bumps on the way from the subject to the last position, beyond 0..1 at two cells. */
static double score_at(int l, int t, int n)
{
    double early = t > 0 && t < 3 ? 0.9 * (1 - l / (L - 1.0)) : 0, late = t == n - 1 ? l / (L - 1.0) : 0;
    return l == 2 && t == 4 ? -0.25 : l == 3 && t == 1 ? 1.2 : early + late;
}

static int add_grid(ps_results *results, const ps_pair *pair, enum ps_site site, enum ps_direction direction,
                    const ps_row_source *finals, ps_err *err)
{
    double score[L * T0], rank[L * T0], flag[L * T0], done[L * T0];
    const ps_column columns[] = {
        {"score", "normalized logit of the answer", score}, {"degenerate", "the denominator is zero", flag},
        {"logit_answer", NULL, score}, {"logit_foil", NULL, NULL}, {"answer_rank", NULL, rank},
        {"done", "the cell is finished", done},
    };
    int n = pair->n_positions;

    for (int i = 0; i < L * n; i++) {
        score[i] = score_at(i / n, i % n, n);
        rank[i] = i;
        flag[i] = 0;
        done[i] = 1;
    }
    score[1] = rank[1] = NAN; /* layer 0, position 1: not done */
    flag[1] = done[1] = 0;
    return ps_results_add_grid(results, site, direction, columns, sizeof columns / sizeof *columns, finals, err);
}

static float state_at(int l, int t, int i)
{
    return (float)(l * 100 + t) + (float)i * 0.125f;
}

/* The last layer has no rows, and stays NaN. */
static int layer_of_states(void *context, int32_t layer, float *rows, ps_err *err)
{
    const ps_pair *pair = context;

    (void)err;
    for (int i = 0; layer < L - 1 && i < pair->n_positions * D; i++)
        rows[i] = state_at(layer, i / D, i % D);
    return layer < L - 1;
}

/* One layer has two rows. */
static int layer_of_finals(void *context, int32_t layer, float *rows, ps_err *err)
{
    (void)context;
    (void)err;
    for (int i = 0; layer == 2 && i < 2 * D; i++)
        rows[3 * D + i] = (float)(i % D + 1);
    return layer == 2;
}

/* All of the first pair: grids of two sites in turn, final rows, activations of both runs. */
static int add_first(ps_results *results, const ps_attr *attrs, size_t n, enum ps_dtype dtype, ps_err *err)
{
    const ps_row_source states = {layer_of_states, (void *)(uintptr_t)&pairs[0]}, finals = {layer_of_finals, NULL};
    const ps_row_source *runs[PS_N_WHICH] = {&states, &states};

    if (ps_results_begin_pair(results, &pairs[0], attrs, n, err) < 0 ||
        add_grid(results, &pairs[0], PS_RESID_POST, PS_DENOISE, &finals, err) < 0 ||
        add_grid(results, &pairs[0], PS_MLP_OUT, PS_DENOISE, NULL, err) < 0 ||
        add_grid(results, &pairs[0], PS_RESID_POST, PS_NOISE, NULL, err) < 0 ||
        ps_results_add_activations(results, dtype, runs, err) < 0)
        return -1;
    return ps_results_end_pair(results, err);
}

static int write_file(const char *name, enum ps_dtype dtype, ps_err *err)
{
    const ps_attr root[] = {{"history", "made by a test", 0, false}, {"job", "{\"pairs\": []}", 0, false},
                            {"score", "logit_answer", 0, false}, {"broken", "caf\xe9", 0, false},
                            {"empty", "", 0, false}, {"sweep_seconds", NULL, 1.5, false}};
    const ps_attr baselines[] = {{"clean_logit_answer", NULL, 17.25, false},
                                 {"corrupt_logit_answer", NULL, 12.125, false}, {"count", NULL, 3, true}};
    const double busy[] = {1, 2, 3};
    const ps_column ranks[] = {{"busy_seconds", "seconds of work", busy}, {"idle_seconds", "seconds of waiting", busy}};
    ps_results *results;
    int rc = -1;

    if (ps_results_create(&results, name, &shape, root, 6, err) < 0)
        return -1;
    rc = add_first(results, baselines, 3, dtype, err);
    /* Closed between two pairs, and gone on with. */
    if (ps_results_close(results, rc, err) < 0 || ps_results_reopen(&results, name, &shape, err) < 0)
        return -1;
    rc = -1;
    if (ps_results_begin_pair(results, &pairs[1], baselines, 3, err) == 0 &&
        add_grid(results, &pairs[1], PS_RESID_POST, PS_DENOISE, NULL, err) == 0 &&
        ps_results_end_pair(results, err) == 0 &&
        ps_results_add_run(results, baselines, 1, ranks, 2, 3, err) == 0 &&
        ps_results_put_attrs(results, &root[5], 1, err) == 0) /* replaces */
        rc = ps_results_seal(results, err);
    return ps_results_close(results, rc, err);
}

static void test_writes(void)
{
    ps_err err = PS_ERR_INIT;

    for (int dtype = PS_N_DTYPES - 1; dtype >= 0; dtype--) { /* the last one is read back */
        char name[300];
        snprintf(name, sizeof name, "%s%s%s", path, dtype ? "." : "", dtype ? ps_dtype_names[dtype] : "");
        CHECK_INT(write_file(name, (enum ps_dtype)dtype, &err), 0);
        CHECK_STR(err.text, "");
        if (dtype && !keep)
            unlink(name);
    }
}

/* What was written reads back as it was meant, values and attributes. */
static void test_verifies(void)
{
    ps_err err = PS_ERR_INIT;
    ps_result_file *file = NULL;
    bool attributes = false;
    size_t n = 0;

    CHECK_INT(ps_result_open(&file, path, &err), 0);
    CHECK_INT(ps_result_verify(file, &n, &attributes, &err), 0);
    CHECK_STR(err.text, "");
    CHECK(n == 64 && attributes);
    ps_result_close(file);
    CHECK_INT(ps_result_reread(&file, path, &err), 0);
    CHECK_INT(ps_result_verify_group(file, "einstein-swift", &err), 0);
    CHECK_INT(ps_result_verify_group(file, "run", &err), 0);
    CHECK_ERR(ps_result_verify_group(file, "no-such", &err), err, PS_EINPUT, "no-such");
    ps_result_close(file);
}

static void test_lists(void)
{
    ps_err err = PS_ERR_INIT;
    ps_result_file *file = NULL;
    const char *pair, *site, *direction;

    if (ps_result_open(&file, path, &err) < 0) {
        CHECK_STR(err.text, "");
        return;
    }
    CHECK_INT(ps_result_n_grids(file), 4);
    ps_result_grid_name(file, 1, &pair, &site, &direction);
    CHECK_STR(pair, "einstein-swift");
    CHECK_STR(site, "resid_post");
    CHECK_STR(direction, "noise"); /* in order of creation within each group */
    ps_result_grid_name(file, 3, &pair, &site, &direction);
    CHECK_STR(pair, "pair0001");
    ps_result_close(file);
}

static void check_attr(const ps_result_file *file, const char *object, const char *name, const char *wanted)
{
    char *text = ps_result_attr(file, object, name);

    CHECK_STR(text, wanted);
    ps_free(text);
}

static void test_attributes(void)
{
    ps_err err;
    ps_result_file *file = NULL;

    if (ps_result_open(&file, path, &err) < 0) {
        CHECK_STR(err.text, "");
        return;
    }
    check_attr(file, "/", "format", "patchsweep-results");
    check_attr(file, "/", "format_version", "1.0");
    check_attr(file, "/", "sweep_seconds", "1.5");
    check_attr(file, "/", "broken", "caf\xef\xbf\xbd");
    check_attr(file, "/", "empty", "");
    check_attr(file, "/einstein-swift", "clean_prompt", "Albert \xc3\xa9 and a \xe2\x90\x80 NUL");
    check_attr(file, "/einstein-swift", "answer_id", "42");
    check_attr(file, "/einstein-swift", "count", "3");
    check_attr(file, "/einstein-swift", "clean_logit_answer", "17.25");
    check_attr(file, "/run", "clean_logit_answer", "17.25");
    check_attr(file, "/einstein-swift/resid_post/denoise", "site_aliases",
               "blocks.{layer}.hook_resid_post; model.layers[{layer}].output");
    CHECK(!ps_result_attr(file, "/", "no_such"));
    CHECK(!ps_result_attr(file, "/no/such", "format"));
    CHECK(!ps_result_attr(file, "/pair0001", "clean_prompt"));
    ps_result_close(file);
}

static void check_values(const ps_result_grid *grid)
{
    for (int i = 0; i < L * T0; i++) {
        double wanted = i == 1 ? NAN : score_at(i / T0, i % T0, T0);
        CHECK(i == 1 ? isnan(grid->score[i]) : grid->score[i] == wanted);
        CHECK(i == 1 ? isnan(grid->columns[3].values[i]) : grid->columns[3].values[i] == i);
        CHECK(grid->columns[4].values[i] == (i != 1));
    }
}

static void test_grid(void)
{
    static const char *const names[] = {"score", "degenerate", "logit_answer", "answer_rank", "done"};
    ps_err err;
    ps_result_file *file = NULL;
    ps_result_grid grid;

    if (ps_result_open(&file, path, &err) < 0 || ps_result_grid_read(file, 0, &grid, &err) < 0) {
        CHECK_STR(err.text, "");
        ps_result_close(file);
        return;
    }
    CHECK_STR(grid.pair, "einstein-swift");
    CHECK(grid.axes.has[PS_AXIS_LAYER] && !grid.axes.has[PS_AXIS_HEAD] && grid.axes.has[PS_AXIS_POSITION]);
    CHECK_INT(grid.axes.size[PS_AXIS_LAYER], L);
    CHECK_INT(grid.axes.size[PS_AXIS_HEAD], 1);
    CHECK_INT(grid.axes.size[PS_AXIS_POSITION], T0);
    CHECK_INT(grid.n_positions, T0);
    CHECK_INT(grid.first_difference, 1);
    CHECK_INT(grid.n_columns, 5);
    for (size_t i = 0; i < grid.n_columns && i < 5; i++)
        CHECK_STR(grid.columns[i].name, names[i]);
    for (int t = 0; t < T0; t++) {
        CHECK_STR(grid.token_clean[t], tokens0[t]);
        CHECK_STR(grid.token_corrupt[t], corrupt0[t]);
        CHECK_STR(grid.role[t], roles0[t]);
    }
    if (grid.n_columns == 5)
        check_values(&grid);
    ps_result_grid_release(&grid);
    ps_result_close(file);
}

static void test_refuses(void)
{
    ps_err err;
    ps_result_file *file = NULL;
    char other[300];
    static const ps_job_pair job = {.id = "run"};
    ps_pair pair = pairs[1];
    ps_results *results;

    CHECK_ERR(ps_result_open(&file, "/nonexistent.h5", &err), err, PS_EINPUT, "no such file");
    CHECK_ERR(ps_result_open(&file, "/", &err), err, PS_EINPUT, "is a folder");
    snprintf(other, sizeof other, "%s.other", path);
    FILE *f = fopen(other, "w");
    fputs("no HDF5", f);
    fclose(f);
    CHECK_ERR(ps_result_open(&file, other, &err), err, PS_EINPUT, "as an HDF5 file");
    CHECK_ERR(ps_results_create(&results, "/nonexistent/x.h5", &shape, NULL, 0, &err), err, PS_EFAIL,
              "No such file or directory");
    CHECK_ERR(ps_results_create(&results, other, &shape, NULL, 0, &err), err, PS_EFAIL, "File exists");
    CHECK(unlink(other) == 0 && symlink("nowhere", other) == 0);
    CHECK_ERR(ps_results_create(&results, other, &shape, NULL, 0, &err), err, PS_EFAIL, "File exists");
    CHECK(unlink(other) == 0);
    CHECK_INT(ps_results_create(&results, other, &shape, NULL, 0, &err), 0);
    pair.job = &job;
    CHECK_ERR(ps_results_begin_pair(results, &pair, NULL, 0, &err), err, PS_EINPUT, "rename the pair");
    ps_attr version = {"format_version", "2.0", 0, false}, format = {"format", "other", 0, false};
    CHECK_INT(ps_results_put_attrs(results, &version, 1, &err), 0);
    CHECK_INT(ps_results_close(results, 0, &err), 0);
    CHECK_ERR(ps_result_open(&file, other, &err), err, PS_EINPUT, "newer patchsweep");
    CHECK(unlink(other) == 0);
    CHECK_INT(ps_results_create(&results, other, &shape, &format, 1, &err), 0);
    CHECK_INT(ps_results_close(results, 0, &err), 0);
    CHECK_ERR(ps_result_open(&file, other, &err), err, PS_EINPUT, "not from 'patchsweep run'");
    unlink(other);
}

/* A file that is not ours stays, even if it came just after someone looked and saw none. */
static bool blind;

int lstat(const char *restrict name, struct stat *restrict st)
{
    if (blind) {
        errno = ENOENT;
        return -1;
    }
    return fstatat(AT_FDCWD, name, st, AT_SYMLINK_NOFOLLOW);
}

static void test_leaves_others_files(void)
{
    ps_err err = PS_ERR_INIT;
    ps_results *results;
    char other[300], text[8] = "";

    snprintf(other, sizeof other, "%s.other", path);
    FILE *f = fopen(other, "w");
    CHECK(f && fputs("mine", f) >= 0 && fclose(f) == 0);
    blind = true;
    CHECK_ERR(ps_results_create(&results, other, &shape, NULL, 0, &err), err, PS_EFAIL, "cannot create");
    blind = false;
    f = fopen(other, "r");
    CHECK(f && fread(text, 1, sizeof text - 1, f) == 4 && fclose(f) == 0);
    CHECK_STR(text, "mine");
    char another[320];
    snprintf(another, sizeof another, "%s2", other);
    f = fopen(another, "w");
    CHECK(f && fclose(f) == 0);
    CHECK(ps_file_rename_new(another, other) == -1 && errno == EEXIST);
    CHECK(unlink(other) == 0 && ps_file_rename_new(another, other) == 0 && unlink(other) == 0);
}

/* A disk that is full, played by a limit on the size of files. */
static void fill_disk(const char *name)
{
    ps_err err = PS_ERR_INIT;
    struct rlimit old, small;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 6000;
    setrlimit(RLIMIT_FSIZE, &small);
    CHECK_ERR(write_file(name, PS_DTYPE_F32, &err), err, PS_EFAIL, "free some space");
    setrlimit(RLIMIT_FSIZE, &old);
    unlink(name);
    CHECK_INT(write_file(name, PS_DTYPE_F32, &err), 0); /* and the next file is fine */
    unlink(name);
}

/* fn(name) in a process of its own, for HDF5 leaks what belonged to a file that failed. */
static void run_apart(void (*fn)(const char *name), const char *name)
{
    int status = -1;

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        fn(name);
        fflush(stdout);
        _exit(check_failed_here ? 1 : 0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
}

static void test_full_disk(void)
{
    char other[300];

    snprintf(other, sizeof other, "%s.full", path);
    run_apart(fill_disk, other);
}

/* A copy that was cut short is refused, wherever. */
static void cut_short(const char *other)
{
    static char bytes[1 << 18];
    ps_result_file *file;
    ps_err err;

    FILE *f = fopen(path, "rb");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    CHECK(n > 10000 && n < sizeof bytes);
    for (size_t part = 0; part < 8; part++) {
        f = fopen(other, "wb");
        fwrite(bytes, 1, part ? n * part / 8 : n - 1, f);
        fclose(f);
        CHECK_ERR(ps_result_open(&file, other, &err), err, PS_EINPUT, "cannot open");
    }
    unlink(other);
}

static void test_cut_short(void)
{
    char other[300];

    snprintf(other, sizeof other, "%s.cut", path);
    run_apart(cut_short, other);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/patchsweep-XXXXXX";

    keep = argc > 1;
    if (keep)
        snprintf(path, sizeof path, "%s", argv[1]);
    else if (mkdtemp(folder))
        snprintf(path, sizeof path, "%s/results.h5", folder);
    RUN(test_writes);
    RUN(test_verifies);
    RUN(test_lists);
    RUN(test_attributes);
    RUN(test_grid);
    RUN(test_refuses);
    RUN(test_leaves_others_files);
    RUN(test_full_disk);
    RUN(test_cut_short);
    if (!keep) {
        unlink(path);
        rmdir(folder);
    }
    return check_done();
}
