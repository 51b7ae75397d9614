/*
 * check.h - what a unit test needs: checks that count, and one line at the end.
 *
 *     int main(void) { RUN(test_bounds); RUN(test_names); return check_done(); }
 *
 * A failed check prints file, line and what was seen, and fails the test function it stands in;
 * the function goes on, so that one run shows all.  Checks outside of RUN() that fail count as one
 * failed test wherever the next RUN() or check_done() finds them.  check_skip() counts the running
 * test function as skipped.  check_done() prints "N passed, N failed[, N skipped]" (a test function
 * is one) and returns the exit status.
 */
#ifndef PATCHSWEEP_TESTS_CHECK_H
#define PATCHSWEEP_TESTS_CHECK_H

#include <math.h>
#include <stdio.h>
#include <string.h>

static int check_failed_here, check_passed, check_failed, check_skipped;
static const char *check_skipped_here;

#define CHECK(cond) \
    do { \
        if (!(cond)) { \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
            check_failed_here++; \
        } \
    } while (0)

#define CHECK_INT(seen, wanted) \
    do { \
        long long s_ = (long long)(seen), w_ = (long long)(wanted); \
        if (s_ != w_) { \
            printf("# %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #seen, s_, w_); \
            check_failed_here++; \
        } \
    } while (0)

#define CHECK_STR(seen, wanted) \
    do { \
        const char *s_ = (seen), *w_ = (wanted); \
        if (!s_ || strcmp(s_, w_)) { \
            printf("# %s:%d: %s is '%s', not '%s'\n", __FILE__, __LINE__, #seen, s_ ? s_ : "(null)", w_); \
            check_failed_here++; \
        } \
    } while (0)

/* |seen - wanted| <= tol; false for NaN. */
#define CHECK_CLOSE(seen, wanted, tol) \
    do { \
        double s_ = (seen), w_ = (wanted); \
        if (!(fabs(s_ - w_) <= (tol))) { \
            printf("# %s:%d: %s is %.9g, not %.9g within %g\n", __FILE__, __LINE__, #seen, s_, w_, \
                   (double)(tol)); \
            check_failed_here++; \
        } \
    } while (0)

/* The call failed with `code` and a message that holds `words`. */
#define CHECK_ERR(call, err, wanted, words) \
    do { \
        (err).code = 0; \
        int rc_ = (call); \
        if (rc_ != -1 || (err).code != (wanted) || !strstr((err).text, (words))) { \
            printf("# %s:%d: %s gave %d, code %d, '%s'; wanted code %d with '%s'\n", __FILE__, \
                   __LINE__, #call, rc_, (err).code, (err).text, (wanted), (words)); \
            check_failed_here++; \
        } \
    } while (0)

/* Count the failed checks that stood outside of any test function. */
static inline void check_outside(void)
{
    if (check_failed_here)
        printf("not ok - %d checks outside of a test\n", check_failed_here);
    check_failed += check_failed_here > 0;
    check_failed_here = 0;
}

/* Count the test function that just ended. */
static inline void check_end(const char *test)
{
    int *sum = check_failed_here ? &check_failed : check_skipped_here ? &check_skipped : &check_passed;

    ++*sum;
    printf("%s - %s%s%s\n", check_failed_here ? "not ok" : "ok", test, check_skipped_here ? ": skipped, " : "",
           check_skipped_here ? check_skipped_here : "");
    check_failed_here = 0;
    check_skipped_here = NULL;
    fflush(stdout);
}

/* What the running test needs is not to be had here. */
static inline void check_skip(const char *why)
{
    check_skipped_here = why;
}

#define RUN(test) \
    do { \
        check_outside(); \
        test(); \
        check_end(#test); \
    } while (0)

static inline int check_done(void)
{
    check_outside();
    printf("%d passed, %d failed", check_passed, check_failed);
    if (check_skipped)
        printf(", %d skipped", check_skipped);
    printf("\n");
    return check_failed != 0;
}

#endif
