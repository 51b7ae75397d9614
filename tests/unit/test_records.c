/* test_records.c - a cell is journalled as defined bytes, whatever memory it was made in. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/sweep/records.h"
#include "../check.h"
#include "patchsweep/mem.h"

static char path[] = "/tmp/patchsweep-records-XXXXXX";

static int keep(void *context, uint32_t type, const void *payload, size_t bytes, ps_err *err)
{
    (void)err;
    CHECK_INT(type, PS_RECORD_CELLS);
    CHECK(bytes >= 8 + 16);
    memcpy(context, (const char *)payload + 8, 16);
    return 0;
}

static void cells_have_no_bytes_of_chance(void)
{
    static const unsigned char wanted[16] = {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, PS_RESID_POST, PS_NOISE, PS_CHECK_SELF, 0};
    const double values[1][PS_N_METRICS] = {{0}};
    unsigned char seen[16];
    ps_journal_report report;
    ps_journal *journal = NULL;
    ps_err err = PS_ERR_INIT;
    ps_cell cell;

    memset(&cell, 0xff, sizeof cell);
    cell.pair = 1;
    cell.layer = 2;
    cell.position = 3;
    cell.site = PS_RESID_POST;
    cell.direction = PS_NOISE;
    cell.check = PS_CHECK_SELF;
    CHECK(ps_journal_create(&journal, path, &err) == 0);
    CHECK(ps_record_cells(journal, &cell, values, NULL, 1, 0, &err) == 0);
    ps_journal_close(journal);
    CHECK(ps_journal_scan(path, keep, seen, &report, &err) == 0);
    CHECK(!memcmp(seen, wanted, sizeof wanted));
}

int main(void)
{
    int fd = mkstemp(path);

    if (fd < 0)
        return 1;
    close(fd);
    RUN(cells_have_no_bytes_of_chance);
    unlink(path);
    return check_done();
}
