/* test_check.c - check.h itself: a program whose checks fail, wherever they stand, ends as failed. */
#include "../check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>

static const char *self;

static void passes(void)
{
    CHECK(1 + 1 == 2);
    CHECK_INT(2, 2);
    CHECK_STR("a", "a");
    CHECK_CLOSE(1, 1.1, 0.2);
}

static void fails(void)
{
    CHECK_INT(1, 2);
    CHECK_STR(NULL, "a");
}

static void is_skipped(void)
{
    check_skip("there is no moon");
}

static void skips_and_fails(void)
{
    check_skip("there is no moon");
    CHECK_CLOSE(NAN, 1, 1);
}

/* A failed check before, between and after the tests; and in tests. */
static int play(const char *part)
{
    if (strchr(part, 'b'))
        CHECK(!"before");
    RUN(passes);
    CHECK(!strchr(part, 'm'));
    CHECK_INT(strchr(part, 'm') != NULL, 0);
    if (strchr(part, 'f'))
        RUN(fails);
    if (strchr(part, 's'))
        RUN(is_skipped);
    if (strchr(part, 'x'))
        RUN(skips_and_fails);
    RUN(passes);
    if (strchr(part, 'a'))
        CHECK_INT(3, 4);
    return check_done();
}

/* The last line and the exit status of this program playing that part. */
static int played(const char *part, char line[128])
{
    char command[4200], next[128];

    snprintf(command, sizeof command, "'%s' %s", self, part);
    FILE *out = popen(command, "r");
    line[0] = '\0';
    while (out && fgets(next, sizeof next, out))
        strcpy(line, next);
    line[strcspn(line, "\n")] = '\0';
    int status = out ? pclose(out) : -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void failures_count_wherever_they_stand(void)
{
    static const struct {
        const char *part, *line;
        int status;
    } plays[] = {
        {"-", "2 passed, 0 failed", 0},
        {"b", "2 passed, 1 failed", 1},
        {"m", "2 passed, 1 failed", 1}, /* two checks in one place are one */
        {"a", "2 passed, 1 failed", 1},
        {"f", "2 passed, 1 failed", 1},
        {"bmfa", "2 passed, 4 failed", 1},
        {"s", "2 passed, 0 failed, 1 skipped", 0},
        {"x", "2 passed, 1 failed", 1}, /* a failure is never hidden by a skip */
        {"sbx", "2 passed, 2 failed, 1 skipped", 1},
    };
    char line[128];

    for (size_t i = 0; i < sizeof plays / sizeof *plays; i++) {
        CHECK_INT(played(plays[i].part, line), plays[i].status);
        CHECK_STR(line, plays[i].line);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return play(argv[1]);
    self = argv[0];
    RUN(failures_count_wherever_they_stand);
    return check_done();
}
