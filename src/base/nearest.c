/* nearest.c - which name a mistyped word was meant to be. */
#include <string.h>

#include "patchsweep/text.h"

enum { MOST_LETTERS = 63, TOO_MANY = 1000 };

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Two letters in the other order. */
static bool exchanged(const char *a, const char *b)
{
    return lower(a[0]) == lower(b[1]) && lower(a[1]) == lower(b[0]);
}

/* Count letters that are wrong, missing or superfluous.  Two exchanged letters count once. */
static int distance(const char *a, size_t m, const char *b, size_t n)
{
    int row[3][MOST_LETTERS + 1]; /* of the last three letters of a */

    for (size_t j = 0; j <= n; j++)
        row[0][j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int best = before[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && exchanged(a + i - 2, b + j - 2) && earlier[j - 2] + 1 < best)
                best = earlier[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[m % 3][n];
}

static bool has_digit(const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (word[i] >= '0' && word[i] <= '9')
            return true;
    return false;
}

/*
 * Count the mistakes of someone who meant the word b and typed a.  TOO_MANY if a is probably another word:
 *   - words of one or two letters, and words with digits, must be equal;
 *   - words of up to four letters must begin alike, or with their first two letters exchanged;
 *   - words of up to seven letters may have one mistake, longer ones two.
 */
static int word_mistakes(const char *a, size_t m, const char *b, size_t n)
{
    size_t longer = m > n ? m : n;

    if (longer > MOST_LETTERS)
        return TOO_MANY;
    int d = distance(a, m, b, n);
    if (d == 0)
        return 0;
    if (!m || !n || longer < 3 || has_digit(a, m) || has_digit(b, n))
        return TOO_MANY;
    if (longer < 5 && lower(a[0]) != lower(b[0]) && !(m > 1 && n > 1 && exchanged(a, b)))
        return TOO_MANY;
    return d <= (n < 8 ? 1 : 2) ? d : TOO_MANY;
}

/* Compare two names without their separators. */
static bool same_letters(const char *a, const char *b)
{
    static const char apart[] = "_-. ";

    for (;; a++, b++) {
        a += strspn(a, apart);
        b += strspn(b, apart);
        if (!*a || lower(*a) != lower(*b))
            return *a == *b;
    }
}

/* Count the mistakes in typing `name` as `word`: the sum over the words between separators. */
static int name_mistakes(const char *word, const char *name)
{
    static const char apart[] = "_-. ";
    const char *a = word, *b = name;
    int sum = 0;

    if (same_letters(word, name))
        return strcmp(word, name) != 0;
    for (;;) {
        size_t m = strcspn(a, apart), n = strcspn(b, apart);
        sum += word_mistakes(a, m, b, n);
        a += m;
        b += n;
        if (sum > 2 || !*a != !*b)
            return TOO_MANY;
        if (!*a)
            return sum;
        a++;
        b++;
    }
}

const char *ps_nearest(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    int least = TOO_MANY;

    for (size_t i = 0; i < n; i++) {
        int mistakes = name_mistakes(word, names[i]);
        if (mistakes == TOO_MANY || mistakes > least)
            continue;
        best = mistakes < least || !strcmp(best ? best : "", names[i]) ? names[i] : NULL;
        least = mistakes;
    }
    return best;
}
