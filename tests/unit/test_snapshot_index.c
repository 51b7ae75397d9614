/* test_snapshot_index.c - a part whose index cannot be read is refused with the reason, never taken for an empty one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/sweep/snapshot.h"
#include "../check.h"
#include "patchsweep/mem.h"

enum { T = 4, L = 3, D_MODEL = 2 };

static ps_comm *comm;
static ps_grid *grid;
static char folder[] = "/tmp/patchsweep-index-XXXXXX";
static bool fstat_fails;

/* In front of the C library's: every call fails while fstat_fails is set. */
int fstat(int fd, struct stat *st)
{
    if (fstat_fails) {
        errno = EIO;
        return -1;
    }
    return fstatat(fd, "", st, AT_EMPTY_PATH);
}

static void make_grid(void)
{
    static int32_t ids[PS_N_WHICH][T] = {{1, 2, 3, 4}, {1, 9, 3, 4}};
    ps_job_pair job_pair = {.where = (char[]){"a"}};
    ps_job job = {.n_pairs = 1, .pairs = &job_pair, .layers = {.all = true}, .positions = {.all = true},
                  .sites = 1u << PS_RESID_POST, .directions = 1u << PS_DENOISE, .metrics = 1u << PS_LOGIT_ANSWER};
    ps_pair pair = {.job = &job_pair, .n_positions = T, .first_difference = 1, .ids = {ids[0], ids[1]},
                    .answer_id = 1, .foil_id = -1};
    ps_err err = PS_ERR_INIT;

    const ps_grid_model model = {ps_families[0].layer, L, 1, 1};
    CHECK(ps_grid_build(&grid, &job, &pair, &model, &err) == 0);
}

static void failing_fstat_is_told(void)
{
    float state[2 * D_MODEL] = {1, 2, 3, 4};
    const ps_cell cell = {.position = 2, .site = PS_RESID_POST};
    const ps_rows rows = {.key = ps_grid_key(grid, &cell), .first = 2, .n = 2, .rows = state};
    ps_snapshot_id id = {.layer = 2, .n_parts = 1};
    ps_snapshot_part *parts = NULL;
    ps_snapshot *snapshot = NULL;
    ps_err err = PS_ERR_INIT;

    CHECK(ps_snapshot_save(&id, &parts, folder, &rows, 1, D_MODEL, comm, &err) == 0);
    CHECK(ps_snapshot_open(&snapshot, folder, &id, parts, grid, D_MODEL, comm, &err) == 0);
    ps_snapshot_close(snapshot);
    fstat_fails = true;
    CHECK_ERR(ps_snapshot_open(&snapshot, folder, &id, parts, grid, D_MODEL, comm, &err), err, PS_EFAIL,
              "Input/output error");
    fstat_fails = false;
    ps_free(parts);
}

int main(void)
{
    ps_err err = PS_ERR_INIT;

    if (ps_comm_open(&comm, &err) < 0 || !mkdtemp(folder) || ps_rows_dir_make(folder, &err) < 0)
        return 1;
    make_grid();
    RUN(failing_fstat_is_told);
    ps_grid_free(grid);
    ps_rows_dir_remove(folder);
    int rc = check_done();
    ps_comm_close(comm);
    return rc;
}
