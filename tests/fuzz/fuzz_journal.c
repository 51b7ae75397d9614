/*
 * fuzz_journal.c - a journal.  The first byte says of what the rest are the bytes:
 *
 *     0   the file
 *     1   the file, whose frames get the checksums that they should have
 *     2   its records behind the first, which is right: type, two bytes of length, payload, and so on
 *
 * A journal is scanned and summarized; records are replayed into a ledger.
 */
#include "../../src/sweep/ledger.h"
#include "patchsweep/crc.h"
#include "patchsweep/journal.h"
#include "patchsweep/summary.h"
#include "sweep.h"

static const char identity[] = "program: 1\njob: {}\n";

/* Make the checksums of all frames right, as far as they lie in the file. */
static void mend(uint8_t *file, size_t n)
{
    enum { HEAD = 32 };
    const uint32_t magic = 0x6d726650;

    for (size_t at = 8; at + HEAD <= n;) {
        uint64_t bytes;
        memcpy(file + at, &magic, 4);
        memcpy(&bytes, file + at + 8, 8);
        bytes %= n; /* so that there is a next frame more often */
        memcpy(file + at + 8, &bytes, 8);
        size_t padded = (bytes + 7) / 8 * 8;
        if (padded > n - at - HEAD)
            return;
        uint32_t crc = ps_crc32c(0, file + at + HEAD, padded);
        memcpy(file + at + 24, &crc, 4);
        crc = ps_crc32c(0, file + at, 28);
        memcpy(file + at + 28, &crc, 4);
        at += HEAD + padded;
    }
}

static void read_file(const uint8_t *data, size_t n, bool mended)
{
    ps_err err = PS_ERR_INIT;
    char path[256];
    ps_summary s;
    uint8_t *file = malloc(n ? n : 1);

    CLAIM(file);
    memcpy(file, data, n);
    if (mended && n >= 8) {
        memcpy(file, "psjrnl1\n", 8);
        mend(file, n);
    }
    fuzz_write("journal", file, n);
    free(file);
    int rc = ps_summary_read(&s, fuzz_path(path, "journal"), &err);
    if (rc < 0) {
        fuzz_refused(rc, &err);
        return;
    }
    CLAIM(s.journal.size == n && s.journal.good <= n);
    CLAIM((s.journal.state == PS_JOURNAL_WHOLE) == (s.journal.good == n && n > 8) || n <= 8);
    ps_summary_release(&s);
}

/* What a ledger holds after a replay is the grid's. */
static void check_ledger(ps_ledger *l, const ps_grid *grid)
{
    CLAIM((int64_t)ps_cellset_count(ps_ledger_done(l)) <= grid->n_keys);
    for (int i = 0; i < PS_GENERATIONS; i++) {
        const ps_snapshot_part *parts;
        const ps_snapshot_id *id = ps_ledger_snapshot(l, i, &parts);
        CLAIM(id->n_parts == 0 || (parts && id->layer > 0 && id->layer < grid->n_layers));
    }
    ps_scores_fill_free(ps_ledger_scores(l));
    for (int32_t pair = 0; pair < grid->n_pairs; pair++)
        ps_scores_compute(ps_ledger_scores(l), pair, PS_RESID_POST, PS_NOISE, PS_LOGIT_ANSWER);
}

/* Read every byte that a record points to, for the sanitizers to see. */
static int see(void *context, const ps_record_view *v, ps_err *err)
{
    const ps_grid *grid = context;
    uint32_t crc = 0;

    (void)err;
    if (v->finals)
        crc = ps_crc32c(crc, v->finals, (v->type == PS_RECORD_BASELINE ? PS_N_WHICH : v->n_cells) * FUZZ_D * sizeof(float));
    if (v->type == PS_RECORD_ACTIVATIONS) {
        CLAIM(v->pair < grid->n_pairs && v->first + v->n <= grid->pairs[v->pair].n_positions);
        crc = ps_crc32c(crc, v->rows, (size_t)v->n * FUZZ_D * ps_dtype_bytes(v->dtype));
    }
    volatile uint32_t used = crc;
    (void)used;
    return 0;
}

static void replay(const uint8_t *data, size_t n)
{
    const ps_grid *grid = fuzz_grid();
    ps_err err = PS_ERR_INIT;
    ps_journal *j;
    ps_ledger *l = NULL;
    char path[256];

    CLAIM(ps_journal_create(&j, fuzz_path(path, "records"), &err) == 0);
    const ps_span first = {identity, sizeof identity - 1};
    CLAIM(ps_journal_append(j, PS_RECORD_IDENTITY, &first, 1, &err) == 0);
    while (n >= 3) {
        size_t bytes = (size_t)(data[1] | data[2] << 8);
        bytes = bytes > n - 3 ? n - 3 : bytes;
        const ps_span span = {data + 3, bytes};
        CLAIM(ps_journal_append(j, data[0], &span, 1, &err) == 0);
        data += 3 + bytes;
        n -= 3 + bytes;
    }
    ps_journal_close(j);
    int rc = ps_ledger_open(&l, path, identity, grid, FUZZ_D, PS_DTYPE_F32, false, &err);
    if (rc < 0) {
        fuzz_refused(rc, &err);
        return;
    }
    check_ledger(l, grid);
    rc = ps_ledger_begin(l, "", "now", &err); /* refused where the records have checksums of weights */
    if (rc < 0)
        fuzz_refused(rc, &err);
    else
        CLAIM(ps_ledger_read(l, see, (void *)(uintptr_t)grid, &err) == 0);
    ps_ledger_close(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 0 && data[0] % 3 == 2)
        replay(data + 1, n - 1);
    else if (n > 0)
        read_file(data + 1, n - 1, data[0] % 3);
    return 0;
}
