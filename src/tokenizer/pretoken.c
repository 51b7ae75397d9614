/*
 * pretoken.c - cut text, step by step.  The only file that includes pcre2.h.
 *
 * The patterns of tokenizers are written for Oniguruma.  PCRE2 differs in details: its \s matches U+180E besides
 * White_Space, and its letters are those of another Unicode version.  So a table has each known pattern translated into
 * explicit characters.  Any other pattern is refused.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "pretoken.h"

#include <stdio.h>
#include <string.h>

#include <pcre2.h>

#include "byte_level.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"
#include "unicode.h"
#include "unicode_ranges.h"

#define MAX_STEPS 8

enum step_type { STEP_SEQUENCE, STEP_SPLIT, STEP_DIGITS, STEP_BYTE_LEVEL, STEP_METASPACE };
static const char *const step_names[] = {"Sequence", "Split", "Digits", "ByteLevel", "Metaspace", NULL};

enum scheme { SCHEME_ALWAYS, SCHEME_FIRST, SCHEME_NEVER };

typedef struct step {
    enum step_type type;
    pcre2_code *pattern;         /* Split; ByteLevel with its own pattern */
    pcre2_match_data *match;
    bool drop_between;           /* Split: drop the text between matches */
    bool individual;             /* Digits: each digit is a piece */
    bool add_prefix_space;       /* ByteLevel */
    char space[5];               /* Metaspace: the mark that replaces a space */
    int space_bytes;
    enum scheme scheme;          /* Metaspace: which texts begin with a mark */
    bool split;                  /* Metaspace: cut before each mark */
} step;

struct ps_pretoken {
    step steps[MAX_STEPS];
    size_t n;
    size_t growth; /* for ps_field_grow() */
};

/* ---- patterns ---- */

#define SPACES "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define LETTERS "\\p{L}" PS_NEWER_LETTERS
#define NUMBERS "\\p{N}" PS_NEWER_NUMBERS
#define SPACE "[" SPACES "]"
#define OTHERS "[^" SPACES LETTERS NUMBERS "]"
#define TRAILING_SPACES SPACE "+(?![^" SPACES "])|" SPACE "+"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?[" LETTERS "]+| ?[" NUMBERS "]+| ?" OTHERS "+|" TRAILING_SPACES
#define LLAMA3(number) \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n" LETTERS NUMBERS "]?[" LETTERS "]+|" number "| ?" OTHERS \
    "+[\\r\\n]*|" SPACE "*[\\r\\n]+|" TRAILING_SPACES

/* Each known pattern as tokenizer.json spells it, and its translation for PCRE2. */
static const struct {
    const char *oniguruma, *pcre;
} patterns[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", GPT2},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", GPT2},
    /* Llama-3 */
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
     "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", LLAMA3("[" NUMBERS "]{1,3}")},
    /* Qwen2: digits one by one */
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
     "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", LLAMA3("[" NUMBERS "]")},
};

static int compile(step *s, const char *pattern, const ps_field *field, ps_err *err)
{
    int code;
    PCRE2_SIZE at;

    s->pattern = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                               &code, &at, NULL);
    if (!s->pattern)
        return ps_field_refuse(field, err, "PCRE2 cannot compile the pattern (error %d at %zu)", code, at);
    pcre2_jit_compile(s->pattern, PCRE2_JIT_COMPLETE); /* may fail: matching is then slower */
    s->match = pcre2_match_data_create_from_pattern(s->pattern, NULL);
    return s->match ? 0 : ps_err_set(err, PS_EFAIL, "out of memory for a pattern's matches");
}

static int compile_known(step *s, const char *pattern, const ps_field *field, ps_err *err)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (!strcmp(pattern, patterns[i].oniguruma))
            return compile(s, patterns[i].pcre, field, err);
    return ps_field_refuse(field, err, "the pattern '%.200s' is not supported; give token ids instead", pattern);
}

/* ---- loading ---- */

static int load_split(const ps_field *field, step *s, ps_err *err)
{
    static const char *const keys[] = {"type", "pattern", "behavior", "invert", NULL};
    static const char *const kinds[] = {"Regex", NULL};
    ps_field pattern = ps_field_get(field, "pattern"), behavior = ps_field_get(field, "behavior");
    const char *text, *how;
    bool invert = false;

    if (ps_field_keys(field, keys, err) < 0 || ps_field_want(&pattern, PS_JSON_OBJECT, err) < 0 ||
        ps_field_keys(&pattern, kinds, err) < 0 || ps_field_string(&pattern, "Regex", &text, err) < 0 ||
        ps_field_string(field, "behavior", &how, err) < 0 ||
        ps_field_bool_or(field, "invert", &invert, err) < 0)
        return -1;
    s->drop_between = !strcmp(how, "Removed") && invert;
    if (!s->drop_between && (strcmp(how, "Isolated") || invert))
        return ps_field_refuse(&behavior, err, "'%s'%s is not supported; Isolated, or Removed with invert",
                               how, invert ? " with invert" : "");
    return compile_known(s, text, &pattern, err);
}

static int load_digits(const ps_field *field, step *s, ps_err *err)
{
    static const char *const keys[] = {"type", "individual_digits", NULL};

    return ps_field_keys(field, keys, err) < 0 ||
                   ps_field_bool_or(field, "individual_digits", &s->individual, err) < 0 ? -1 : 0;
}

static int load_byte_level(const ps_field *field, step *s, ps_err *err)
{
    static const char *const keys[] = {"type", "add_prefix_space", "trim_offsets", "use_regex", NULL};
    bool use_regex = true, trim; /* trimming changes offsets, never ids */

    s->add_prefix_space = true;
    if (ps_field_keys(field, keys, err) < 0 ||
        ps_field_bool_or(field, "add_prefix_space", &s->add_prefix_space, err) < 0 ||
        ps_field_bool_or(field, "trim_offsets", &trim, err) < 0 ||
        ps_field_bool_or(field, "use_regex", &use_regex, err) < 0)
        return -1;
    return use_regex ? compile(s, GPT2, field, err) : 0;
}

static int load_metaspace(const ps_field *field, step *s, ps_err *err)
{
    static const char *const keys[] = {"type", "replacement", "prepend_scheme", "add_prefix_space",
                                       "split", "str_rep", NULL};
    static const char *const schemes[] = {"always", "first", "never", NULL};
    ps_field scheme = ps_field_get(field, "prepend_scheme");
    bool old_style = true;

    s->split = true;
    if (ps_field_keys(field, keys, err) < 0 ||
        ps_field_char(field, "replacement", s->space, &s->space_bytes, err) < 0 ||
        ps_field_bool_or(field, "add_prefix_space", &old_style, err) < 0 ||
        ps_field_bool_or(field, "split", &s->split, err) < 0)
        return -1;
    s->scheme = old_style ? SCHEME_ALWAYS : SCHEME_NEVER;
    if (ps_field_empty(&scheme))
        return 0;
    if (ps_field_want(&scheme, PS_JSON_STRING, err) < 0)
        return -1;
    for (int i = 0; schemes[i]; i++)
        if (!strcmp(ps_json_string(scheme.node), schemes[i])) {
            s->scheme = (enum scheme)i;
            return 0;
        }
    return ps_field_refuse(&scheme, err, "'%s' is not always, first or never", ps_json_string(scheme.node));
}

static int load_step(void *context, const ps_field *field, int type, ps_err *err)
{
    /* a byte becomes a character of two bytes, a space a mark of up to four; either may be prepended once more */
    static const size_t growths[] = {
        [STEP_SPLIT] = 1, [STEP_DIGITS] = 1, [STEP_BYTE_LEVEL] = 4, [STEP_METASPACE] = 8};
    ps_pretoken *p = context;

    if (p->n == MAX_STEPS)
        return ps_field_refuse(field, err, "is the ninth step; eight are supported");
    if (ps_field_grow(field, growths[type], &p->growth, err) < 0)
        return -1;
    step *s = &p->steps[p->n++];
    s->type = (enum step_type)type;
    return type == STEP_SPLIT        ? load_split(field, s, err)
           : type == STEP_DIGITS     ? load_digits(field, s, err)
           : type == STEP_BYTE_LEVEL ? load_byte_level(field, s, err)
                                     : load_metaspace(field, s, err);
}

int ps_pretoken_load(ps_pretoken **out, const ps_field *field, ps_err *err)
{
    *out = NULL;
    if (ps_field_empty(field))
        return 0;
    ps_pretoken *p = ps_calloc(1, sizeof *p, err);
    if (!p)
        return -1;
    if (ps_field_steps(field, step_names, "pretokenizers", load_step, p, err) < 0) {
        ps_pretoken_free(p);
        return -1;
    }
    *out = p;
    return 0;
}

void ps_pretoken_free(ps_pretoken *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++) {
        pcre2_match_data_free(p->steps[i].match);
        pcre2_code_free(p->steps[i].pattern);
    }
    ps_free(p);
}

/* ---- pieces ---- */

void ps_pieces_release(ps_pieces *pieces)
{
    ps_aligned_release(&pieces->text);
    ps_free(pieces->cut);
    *pieces = (ps_pieces){0};
}

/* End a piece at the end of the text, unless it would be empty. */
static int cut(ps_pieces *p, ps_err *err)
{
    if (p->n && p->cut[p->n] == p->text.n)
        return 0;
    if (!p->n && !p->text.n)
        return 0;
    if (ps_grow(&p->cut, p->n + 1, &p->cap, sizeof *p->cut, err) < 0)
        return -1;
    if (!p->n)
        p->cut[0] = 0;
    p->cut[++p->n] = p->text.n;
    return 0;
}

static void clear(ps_pieces *p)
{
    p->text.n = p->n = 0;
}

/* Add text[start..end) as a piece. */
static int add_piece(ps_pieces *to, const ps_aligned *text, size_t start, size_t end, ps_err *err)
{
    if (ps_aligned_copy(&to->text, text, start, end, err) < 0)
        return -1;
    return cut(to, err);
}

/* ---- running ---- */

static int split_pattern(const step *s, const ps_aligned *text, ps_pieces *to, ps_err *err)
{
    PCRE2_SIZE at = 0, *range = pcre2_get_ovector_pointer(s->match);

    while (at < text->n) {
        int rc = pcre2_match(s->pattern, (PCRE2_SPTR)text->bytes, text->n, at, PCRE2_NO_UTF_CHECK,
                             s->match, NULL);
        if (rc == PCRE2_ERROR_NOMATCH)
            break;
        if (rc < 0)
            return ps_err_set(err, PS_EFAIL, "cannot split text: PCRE2 error %d", rc);
        if ((!s->drop_between && add_piece(to, text, at, range[0], err) < 0) ||
            add_piece(to, text, range[0], range[1], err) < 0)
            return -1;
        at = range[1]; /* no pattern in the table matches an empty text, so this advances */
    }
    return s->drop_between ? 0 : add_piece(to, text, at, text->n, err);
}

static int split_digits(const step *s, const ps_aligned *text, ps_pieces *to, ps_err *err)
{
    size_t start = 0;
    bool was = false;
    int len;

    for (size_t i = 0; i < text->n; i += (size_t)len) {
        bool is = ps_is_numeric(ps_utf8_decode(text->bytes + i, &len));
        if ((is != was || (is && s->individual)) && i > start) {
            if (add_piece(to, text, start, i, err) < 0)
                return -1;
            start = i;
        }
        was = is;
    }
    return add_piece(to, text, start, text->n, err);
}

static int add_prefix(const char *prefix, size_t n, const ps_aligned *text, ps_aligned *out, ps_err *err)
{
    ps_origin origin = {text->from[0].start, text->from[0].start};

    return ps_aligned_add(out, prefix, n, origin, err);
}

/* Append the character of the byte-level alphabet for each byte. */
static int to_alphabet(const ps_aligned *text, size_t start, size_t end, ps_aligned *out, ps_err *err)
{
    for (size_t i = start; i < end; i++) {
        char c[4];
        int len = ps_utf8_encode(c, ps_byte_level_char((unsigned char)text->bytes[i]));
        if (ps_aligned_add(out, c, (size_t)len, text->from[i], err) < 0)
            return -1;
    }
    return 0;
}

static int run_byte_level(const step *s, const ps_aligned *text, ps_pieces *to, ps_err *err)
{
    ps_aligned prefixed = {0};
    ps_pieces pieces = {0};
    int rc = -1;

    if (s->add_prefix_space && text->bytes[0] != ' ' && add_prefix(" ", 1, text, &prefixed, err) < 0)
        goto out;
    if (ps_aligned_copy(&prefixed, text, 0, text->n, err) < 0)
        goto out;
    if (s->pattern ? split_pattern(s, &prefixed, &pieces, err) < 0
                   : add_piece(&pieces, &prefixed, 0, prefixed.n, err) < 0)
        goto out;
    for (size_t i = 0; i < pieces.n; i++)
        if (to_alphabet(&pieces.text, pieces.cut[i], pieces.cut[i + 1], &to->text, err) < 0 ||
            cut(to, err) < 0)
            goto out;
    rc = 0;
out:
    ps_aligned_release(&prefixed);
    ps_pieces_release(&pieces);
    return rc;
}

static bool begins_with(const step *s, const ps_aligned *text)
{
    return text->n >= (size_t)s->space_bytes && !memcmp(text->bytes, s->space, (size_t)s->space_bytes);
}

static int run_metaspace(const step *s, const ps_aligned *text, ps_pieces *to, ps_err *err)
{
    bool first = s->scheme == SCHEME_ALWAYS || (s->scheme == SCHEME_FIRST && text->from[0].start == 0);
    size_t n = (size_t)s->space_bytes;

    if (first && text->bytes[0] != ' ' && !begins_with(s, text) &&
        add_prefix(s->space, n, text, &to->text, err) < 0)
        return -1;
    for (size_t i = 0; i < text->n; i++) {
        bool space = text->bytes[i] == ' ';
        bool mark = space || (i + n <= text->n && !memcmp(text->bytes + i, s->space, n));
        if (mark && s->split && i && cut(to, err) < 0) /* each mark begins a piece */
            return -1;
        if (space ? ps_aligned_add(&to->text, s->space, n, text->from[i], err) < 0
                  : ps_aligned_copy(&to->text, text, i, i + 1, err) < 0)
            return -1;
    }
    return cut(to, err);
}

static int run_step(const step *s, const ps_aligned *text, ps_pieces *to, ps_err *err)
{
    return s->type == STEP_SPLIT        ? split_pattern(s, text, to, err)
           : s->type == STEP_DIGITS     ? split_digits(s, text, to, err)
           : s->type == STEP_BYTE_LEVEL ? run_byte_level(s, text, to, err)
                                        : run_metaspace(s, text, to, err);
}

/* Run one step over all pieces. */
static int run_over(const step *s, const ps_pieces *from, ps_pieces *to, ps_err *err)
{
    clear(to);
    for (size_t i = 0; i < from->n; i++) {
        size_t start = from->cut[i];
        ps_aligned piece = {from->text.bytes + start, from->text.from + start, from->cut[i + 1] - start, 0};
        if (run_step(s, &piece, to, err) < 0)
            return -1;
    }
    return 0;
}

int ps_pretoken_run(const ps_pretoken *p, const ps_aligned *source, ps_pieces *out, ps_err *err)
{
    ps_pieces room = {0};
    int rc;

    clear(out);
    rc = add_piece(out, source, 0, source->n, err);
    for (size_t i = 0; p && i < p->n && rc == 0; i++) {
        rc = run_over(&p->steps[i], out, &room, err);
        ps_pieces was = *out;
        *out = room;
        room = was;
    }
    ps_pieces_release(&room);
    return rc;
}
