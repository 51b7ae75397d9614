/*
 * decoder.c - from a piece back to text.
 *
 * Bytes that are not UTF-8 become U+FFFD, one for each maximal part of a character, as in Rust's from_utf8_lossy
 * (Unicode's substitution of maximal subparts).
 */
#include "decoder.h"

#include <stdio.h>
#include <string.h>

#include "byte_level.h"
#include "patchsweep/mem.h"

#define MAX_STEPS 8

enum step_type { STEP_SEQUENCE, STEP_BYTE_LEVEL, STEP_METASPACE, STEP_REPLACE, STEP_BYTE_FALLBACK,
                 STEP_FUSE, STEP_STRIP };
static const char *const step_names[] = {"Sequence", "ByteLevel", "Metaspace", "Replace",
                                         "ByteFallback", "Fuse", "Strip", NULL};

typedef struct step {
    enum step_type type;
    char *what, *with;   /* Replace: both; Strip and Metaspace: what */
    int32_t start, stop; /* Strip: how many to remove at most from the start and from the end */
    bool drop_first;     /* Metaspace: remove the marks of the first token */
} step;

struct ps_decoder {
    step steps[MAX_STEPS];
    size_t n;
    size_t growth; /* for ps_field_grow() */
};

/* ---- loading ---- */

static int load_strip(const ps_field *field, step *s, ps_err *err)
{
    static const char *const keys[] = {"type", "content", "start", "stop", NULL};
    char what[5];
    int n;

    if (ps_field_keys(field, keys, err) < 0 || ps_field_char(field, "content", what, &n, err) < 0 ||
        ps_field_int(field, "start", 1 << 20, &s->start, err) < 0 ||
        ps_field_int(field, "stop", 1 << 20, &s->stop, err) < 0)
        return -1;
    s->what = ps_strndup(what, (size_t)n, err);
    return s->what ? 0 : -1;
}

static int load_metaspace(const ps_field *field, step *s, ps_err *err)
{
    static const char *const keys[] = {"type", "replacement", "prepend_scheme", "add_prefix_space",
                                       "split", "str_rep", NULL};
    ps_field scheme = ps_field_get(field, "prepend_scheme");
    char what[5];
    int n;

    s->drop_first = true;
    if (ps_field_keys(field, keys, err) < 0 || ps_field_char(field, "replacement", what, &n, err) < 0 ||
        ps_field_bool_or(field, "add_prefix_space", &s->drop_first, err) < 0)
        return -1;
    if (!ps_field_empty(&scheme))
        s->drop_first = strcmp(ps_json_string(scheme.node), "never") != 0;
    s->what = ps_strndup(what, (size_t)n, err);
    return s->what ? 0 : -1;
}

static int load_step(void *context, const ps_field *field, int type, ps_err *err)
{
    static const char *const plain[] = {"type", "add_prefix_space", "trim_offsets", "use_regex", NULL};
    ps_decoder *d = context;

    if (d->n == MAX_STEPS)
        return ps_field_refuse(field, err, "is the ninth step; eight are supported");
    step *s = &d->steps[d->n++];
    s->type = (enum step_type)type;
    return type == STEP_REPLACE     ? ps_field_replace(field, &s->what, &s->with, &d->growth, err)
           : type == STEP_STRIP     ? load_strip(field, s, err)
           : type == STEP_METASPACE ? load_metaspace(field, s, err)
                                    : ps_field_keys(field, plain, err);
}

int ps_decoder_load(ps_decoder **out, const ps_field *field, ps_err *err)
{
    *out = NULL;
    if (ps_field_empty(field))
        return 0;
    ps_decoder *d = ps_calloc(1, sizeof *d, err);
    if (!d)
        return -1;
    if (ps_field_steps(field, step_names, "decoders", load_step, d, err) < 0) {
        ps_decoder_free(d);
        return -1;
    }
    *out = d;
    return 0;
}

void ps_decoder_free(ps_decoder *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++) {
        ps_free(d->steps[i].what);
        ps_free(d->steps[i].with);
    }
    ps_free(d);
}

/* ---- running ---- */

/* The length of the longest proper beginning of a character at s[0..n), which begins with no valid character. */
static size_t broken_part(const char *s, size_t n)
{
    static const unsigned char low[] = {[0xe0 - 0xe0] = 0xa0, [0xf0 - 0xe0] = 0x90};
    unsigned char lead = (unsigned char)s[0];
    size_t wanted = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1, i;

    for (i = 1; i < wanted && i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        unsigned char least = i == 1 && (lead == 0xe0 || lead == 0xf0) ? low[lead - 0xe0] : 0x80;
        unsigned char most = i == 1 && lead == 0xed ? 0x9f : i == 1 && lead == 0xf4 ? 0x8f : 0xbf;
        if (c < least || c > most)
            break;
    }
    return i;
}

static void add_lossy(ps_text *out, const char *s, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t good = ps_utf8_check(s + at, n - at);
        ps_text_add(out, s + at, good);
        at += good;
        if (at < n) {
            ps_text_puts(out, "\xef\xbf\xbd");
            at += broken_part(s + at, n - at);
        }
    }
}

/* Map the alphabet's characters back to bytes.  A piece with any other character is appended as it is. */
static void byte_level(const char *piece, size_t n, ps_text *out)
{
    ps_text bytes = {0};
    int len;

    for (size_t i = 0; i < n; i += (size_t)len) {
        int byte = ps_byte_level_byte(ps_utf8_decode(piece + i, &len));
        if (byte < 0) {
            ps_text_add(out, piece, n);
            ps_text_release(&bytes);
            return;
        }
        char c = (char)byte;
        ps_text_add(&bytes, &c, 1);
    }
    add_lossy(out, ps_text_str(&bytes), bytes.n);
    ps_text_release(&bytes);
}

static void replace(const char *s, size_t n, const char *what, const char *with, ps_text *out)
{
    size_t m = strlen(what);

    for (size_t i = 0; i < n;)
        if (n - i >= m && !memcmp(s + i, what, m)) {
            ps_text_puts(out, with);
            i += m;
        } else
            ps_text_add(out, s + i++, 1);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* Map "<0x0A>" to its byte.  A byte from 0x80 on is no character by itself, and becomes U+FFFD. */
static void byte_fallback(const char *s, size_t n, ps_text *out)
{
    bool framed = n == 6 && !memcmp(s, "<0x", 3) && s[5] == '>';
    int high = !framed ? -1 : s[3] == '+' ? 0 : hex_digit(s[3]); /* Rust's parser reads +A as 0A */
    int low = framed ? hex_digit(s[4]) : -1;
    char c = (char)(high * 16 + low);

    if (high < 0 || low < 0)
        ps_text_add(out, s, n);
    else
        add_lossy(out, &c, 1);
}

static void strip(const step *st, const char *s, size_t n, ps_text *out)
{
    size_t m = strlen(st->what), from = 0;

    for (int32_t i = 0; i < st->start && n - from >= m && !memcmp(s + from, st->what, m); i++)
        from += m;
    for (int32_t i = 0; i < st->stop && n - from >= m && !memcmp(s + n - m, st->what, m); i++)
        n -= m;
    ps_text_add(out, s + from, n - from);
}

static void run_step(const step *st, const char *s, size_t n, ps_text *out)
{
    switch (st->type) {
    case STEP_BYTE_LEVEL:
        byte_level(s, n, out);
        break;
    case STEP_METASPACE:
        replace(s, n, st->what, st->drop_first ? "" : " ", out);
        break;
    case STEP_REPLACE:
        replace(s, n, st->what, st->with, out);
        break;
    case STEP_BYTE_FALLBACK:
        byte_fallback(s, n, out);
        break;
    case STEP_STRIP:
        strip(st, s, n, out);
        break;
    case STEP_FUSE: /* joins tokens; here there is one */
    case STEP_SEQUENCE:
        ps_text_add(out, s, n);
        break;
    }
}

void ps_decoder_run(const ps_decoder *d, const char *piece, ps_text *out)
{
    ps_text room[2] = {{0}, {0}};
    const char *s = piece;
    size_t n = strlen(piece);

    for (size_t i = 0; d && i < d->n; i++) {
        ps_text *to = &room[i % 2];
        to->n = 0;
        run_step(&d->steps[i], s, n, to);
        s = ps_text_str(to);
        n = to->n;
    }
    ps_text_add(out, s, n);
    ps_text_release(&room[0]);
    ps_text_release(&room[1]);
}
