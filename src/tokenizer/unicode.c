/*
 * unicode.c - utf8proc's categories, and its NFC applied run by run.
 *
 * Text is cut into runs, before each character that cannot combine with anything before it.  Each run is composed by
 * itself, so its origin in the text is known.
 */
#define PS_UNICODE_TABLES
#include "unicode.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "patchsweep/mem.h"
#include "patchsweep/text.h"
#include "patchsweep/width.h"
#include "unicode_ranges.h"

#define N_RANGES(table) (sizeof(table) / sizeof *(table))

static bool within(const uint32_t (*table)[2], size_t n, uint32_t cp)
{
    for (size_t low = 0, high = n; low < high;) {
        size_t middle = (low + high) / 2;
        if (cp < table[middle][0])
            high = middle;
        else if (cp > table[middle][1])
            low = middle + 1;
        else
            return true;
    }
    return false;
}

bool ps_is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
           cp == 0x205f || cp == 0x3000;
}

bool ps_is_word(uint32_t cp)
{
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_LO: case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME: case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_PC:
        return true;
    default: /* joiners, and symbols with Other_Alphabetic: circled and squared letters */
        return cp == 0x200c || cp == 0x200d || (cp >= 0x24b6 && cp <= 0x24e9) ||
               (cp >= 0x1f130 && cp <= 0x1f149) || (cp >= 0x1f150 && cp <= 0x1f169) ||
               (cp >= 0x1f170 && cp <= 0x1f189) || within(newer_words, N_RANGES(newer_words), cp);
    }
}

bool ps_is_numeric(uint32_t cp)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)cp);

    return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
           category == UTF8PROC_CATEGORY_NO || within(newer_numeric, N_RANGES(newer_numeric), cp);
}

int ps_width(uint32_t cp)
{
    int width = utf8proc_charwidth((utf8proc_int32_t)cp);

    return width < 0 ? 0 : width;
}

/*
 * Whether the `tokenizers` package treats this as an ordinary letter: nothing is reordered past it or composed with it.
 * U+11A7 precedes the first final consonant of Hangul and is none itself.  utf8proc 2.8 treats it as one, and drops it.
 */
static bool is_inert(uint32_t cp)
{
    return cp == 0x11a7 || within(inert_marks, N_RANGES(inert_marks), cp);
}

/* Whether a run can begin with this character.  Marks, and vowels and final consonants of Hangul, combine with the
 * character before them or are reordered past it.  The letters since Unicode 16 that do so are in inert_marks. */
static bool begins_run(uint32_t cp)
{
    if (cp < 0x300 || is_inert(cp))
        return true;
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME:
        return false;
    default:
        return cp < 0x1160 || cp > 0x11ff;
    }
}

/* ---- composing a run ---- */

#define NFC (UTF8PROC_STABLE | UTF8PROC_COMPOSE)
#define SHORT_RUN 256 /* bytes */

/* Return the concatenated canonical decompositions of s[n]: *n_codes code points, owned by the caller. */
static utf8proc_int32_t *decompose(const char *s, size_t n, size_t *n_codes, ps_err *err)
{
    utf8proc_int32_t *codes = ps_malloc(4 * n + 1, sizeof *codes, err); /* 4 is Unicode's longest */
    int len, class = 0;

    *n_codes = 0;
    for (size_t i = 0; codes && i < n; i += (size_t)len) {
        uint32_t cp = ps_utf8_decode(s + i, &len);
        *n_codes += (size_t)utf8proc_decompose_char((utf8proc_int32_t)cp, codes + *n_codes,
                                                    (utf8proc_ssize_t)(4 * n - *n_codes), NFC, &class);
    }
    return codes;
}

static int combining_class(utf8proc_int32_t cp)
{
    return utf8proc_get_property(cp)->combining_class;
}

/* Sort marks[n] by combining class, stably (a counting sort).  room[n] is scratch memory. */
static void order_marks(utf8proc_int32_t *marks, size_t n, utf8proc_int32_t *room)
{
    size_t at[256] = {0}, sum = 0;

    for (size_t i = 0; i < n; i++)
        at[combining_class(marks[i])]++;
    for (int c = 0; c < 256; c++) {
        size_t here = at[c];
        at[c] = sum;
        sum += here;
    }
    for (size_t i = 0; i < n; i++)
        room[at[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, room, n * sizeof *marks);
}

static int order(utf8proc_int32_t *codes, size_t n, ps_err *err)
{
    utf8proc_int32_t *room = ps_malloc(n, sizeof *room, err);

    for (size_t i = 0, first = 0; room && i <= n; i++) {
        if (i < n && combining_class(codes[i]) > 0)
            continue;
        if (i > first + 1)
            order_marks(codes + first, i - first, room);
        first = i + 1;
    }
    ps_free(room);
    return room ? 0 : -1;
}

/* As utf8proc_map(), but not quadratic: utf8proc sorts marks by swapping neighbours, so a long text of marks would take
 * days. */
static utf8proc_ssize_t compose_long(const char *s, size_t n, utf8proc_uint8_t **out, ps_err *err)
{
    size_t n_codes;
    utf8proc_int32_t *codes = decompose(s, n, &n_codes, err);

    *out = (utf8proc_uint8_t *)codes;
    if (!codes || order(codes, n_codes, err) < 0)
        return -1;
    return utf8proc_reencode(codes, (utf8proc_ssize_t)n_codes, NFC); /* NUL-terminated */
}

static utf8proc_ssize_t compose(const char *s, size_t n, utf8proc_uint8_t **out, ps_err *err)
{
    if (n > SHORT_RUN)
        return compose_long(s, n, out, err);
    utf8proc_ssize_t done = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, out, NFC);
    return done < 0 ? ps_err_set(err, PS_EFAIL, "cannot normalize text: %s", utf8proc_errmsg(done)) : done;
}

/* Compose source[start..end) and append it. */
static int add_run(ps_aligned *out, const ps_aligned *source, size_t start, size_t end, ps_err *err)
{
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t n = compose(source->bytes + start, end - start, &composed, err);
    int rc = -1;

    if (n >= 0 && (size_t)n == end - start && !memcmp(composed, source->bytes + start, (size_t)n))
        rc = ps_aligned_copy(out, source, start, end, err);
    else if (n >= 0)
        rc = ps_aligned_add(out, (const char *)composed, (size_t)n,
                            (ps_origin){source->from[start].start, source->from[end - 1].end}, err);
    free(composed); /* from utf8proc's malloc or ours, which are the same */
    return rc;
}

int ps_nfc(ps_aligned *out, const ps_aligned *source, ps_err *err)
{
    size_t start = 0;
    bool inert = false; /* whether the character before is inert; if so, any character begins a run */
    int len;

    for (size_t i = 0; i < source->n; i += (size_t)len) {
        uint32_t cp = ps_utf8_decode(source->bytes + i, &len);
        bool begins = inert || begins_run(cp);
        inert = is_inert(cp);
        if (!begins)
            continue;
        if (i > start && add_run(out, source, start, i, err) < 0)
            return -1;
        start = i;
    }
    return source->n > start ? add_run(out, source, start, source->n, err) : 0;
}
