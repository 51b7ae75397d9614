/* test_journal.c - frames come back; a torn tail is told from damage at every byte. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../check.h"
#include "patchsweep/file.h"
#include "patchsweep/journal.h"
#include "patchsweep/mem.h"

static char folder[] = "/tmp/patchsweep-journal-XXXXXX";
static char path[64];

/* What a scan saw: types and payload bytes, added up in order. */
typedef struct seen {
    uint32_t type[16];
    size_t bytes[16];
    char first[16];
    size_t n;
} seen;

static int see(void *context, uint32_t type, const void *payload, size_t bytes, ps_err *err)
{
    seen *s = context;

    if (s->n == 16)
        return ps_err_set(err, PS_EFAIL, "too many frames");
    s->type[s->n] = type;
    s->bytes[s->n] = bytes;
    s->first[s->n++] = bytes ? *(const char *)payload : '-';
    return 0;
}

static ps_journal_report scan(seen *s)
{
    ps_err err = PS_ERR_INIT;
    ps_journal_report report = {.size = 0};

    *s = (seen){.n = 0};
    CHECK(ps_journal_scan(path, see, s, &report, &err) == 0);
    return report;
}

static void append(ps_journal *j, uint32_t type, const char *text)
{
    ps_err err = PS_ERR_INIT;
    const ps_span spans[] = {{text, 1}, {text + 1, strlen(text + 1)}};

    CHECK(ps_journal_append(j, type, spans, 2, &err) == 0);
}

/* Three frames, synced after the first and the second. */
static void write_three(bool sync_last)
{
    ps_err err = PS_ERR_INIT;
    ps_journal *j;

    CHECK(ps_journal_create(&j, path, &err) == 0);
    append(j, 1, "alpha");
    CHECK(ps_journal_sync(j, &err) == 0);
    append(j, 2, "beta and more");
    CHECK(ps_journal_sync(j, &err) == 0);
    append(j, 3, "gamma");
    if (sync_last)
        CHECK(ps_journal_sync(j, &err) == 0);
    ps_journal_close(j);
}

static void test_round_trip(void)
{
    seen s;

    write_three(true);
    ps_journal_report report = scan(&s);
    CHECK(report.state == PS_JOURNAL_WHOLE && report.frames == 3 && report.good == report.size);
    CHECK(s.n == 3 && s.type[0] == 1 && s.type[2] == 3 && s.bytes[1] == 13 && s.first[2] == 'g');
    CHECK(ps_journal_is(path) && !ps_journal_is(folder) && !ps_journal_is("/nonexistent"));
}

static void test_every_cut(void)
{
    ps_err err = PS_ERR_INIT;
    char *bytes = NULL;
    size_t n = 0;
    seen s;

    write_three(true);
    CHECK(ps_file_read(path, 1 << 20, &bytes, &n, &err) == 0);
    for (size_t cut = 8; cut < n; cut++) {
        write_three(true);
        CHECK(truncate(path, (off_t)cut) == 0);
        ps_journal_report report = scan(&s);
        /* a shorter file is whole or torn, never damaged: nothing behind the cut speaks against it */
        CHECK(report.state != PS_JOURNAL_DAMAGED && report.good <= cut && s.n <= 3);
        ps_journal *j;
        CHECK(ps_journal_open(&j, path, report.good, &err) == 0);
        append(j, 9, "later");
        ps_journal_close(j);
        size_t before = s.n;
        report = scan(&s);
        CHECK(report.state == PS_JOURNAL_WHOLE && s.n == before + 1 && s.type[before] == 9);
    }
    ps_free(bytes);
}

static void flip(size_t at)
{
    int fd = open(path, O_RDWR);
    char c = 0;

    CHECK(fd >= 0 && pread(fd, &c, 1, (off_t)at) == 1);
    c ^= 0x40;
    CHECK(pwrite(fd, &c, 1, (off_t)at) == 1);
    close(fd);
}

static void test_every_flip(void)
{
    ps_err err = PS_ERR_INIT;
    struct stat st;
    seen s;

    write_three(true);
    CHECK(stat(path, &st) == 0);
    size_t last = (size_t)st.st_size - 32; /* the frame that says that all is synced */
    for (size_t at = 8; at < (size_t)st.st_size; at++) {
        write_three(true);
        flip(at);
        ps_journal_report report = scan(&s);
        CHECK(report.good <= at);
        CHECK(report.state == (at >= last ? PS_JOURNAL_TORN : PS_JOURNAL_DAMAGED));
        if (at >= last)
            CHECK(s.n == 3);
    }
    for (size_t at = 0; at < 8; at++) {
        ps_journal_report report;
        write_three(true);
        flip(at);
        err.code = 0;
        CHECK(ps_journal_scan(path, NULL, NULL, &report, &err) < 0 && err.code == PS_EINPUT);
    }
}

/* Behind the last sync anything may be: a bad frame before a good one is a torn tail all the same. */
static void test_unsynced_disorder(void)
{
    struct stat st;
    seen s;
    ps_err err = PS_ERR_INIT;
    ps_journal *j;

    write_three(false);
    CHECK(stat(path, &st) == 0);
    ps_journal_report whole = scan(&s);
    CHECK(whole.state == PS_JOURNAL_WHOLE && s.n == 3);
    CHECK(ps_journal_open(&j, path, whole.good, &err) == 0); /* which syncs */
    size_t begin = whole.good + 32;
    append(j, 4, "delta");
    append(j, 5, "epsilon");
    ps_journal_close(j);
    flip(begin + 3);
    ps_journal_report report = scan(&s);
    CHECK(report.state == PS_JOURNAL_TORN && s.n == 3 && report.good == begin);
}

static int stop_at_two(void *context, uint32_t type, const void *payload, size_t bytes, ps_err *err)
{
    (void)context, (void)payload, (void)bytes;
    return type == 2 ? ps_err_set(err, PS_EINPUT, "two") : 0;
}

static void test_visit_fails(void)
{
    ps_err err = PS_ERR_INIT;
    ps_journal_report report;

    write_three(true);
    CHECK(ps_journal_scan(path, stop_at_two, NULL, &report, &err) < 0);
    CHECK(!strcmp(err.text, "two"));
}

static void test_read_back(void)
{
    ps_err err = PS_ERR_INIT;
    ps_journal *j;
    seen s = {.n = 0};

    CHECK(ps_journal_create(&j, path, &err) == 0);
    append(j, 7, "seven");
    CHECK(ps_journal_sync(j, &err) == 0);
    append(j, 8, "eight");
    CHECK(ps_journal_read(j, see, &s, &err) == 0);
    CHECK(s.n == 2 && s.type[1] == 8);
    flip(20);
    CHECK(ps_journal_read(j, see, &s, &err) < 0 && err.code == PS_EFAIL);
    ps_journal_close(j);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/j", folder);
    RUN(test_round_trip);
    RUN(test_every_cut);
    RUN(test_every_flip);
    RUN(test_unsynced_disorder);
    RUN(test_visit_fails);
    RUN(test_read_back);
    unlink(path);
    rmdir(folder);
    return check_done();
}
