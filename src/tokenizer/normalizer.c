/* normalizer.c - run the steps over aligned text, one after another. */
#include "normalizer.h"

#include <string.h>

#include "patchsweep/mem.h"
#include "unicode.h"

#define MAX_STEPS 8
#define MAX_PREPEND 16
#define NFC_GROWTH 3 /* how much longer UTF-8 may get at most, as Unicode guarantees (UAX #15) */

enum step_type { STEP_SEQUENCE, STEP_NFC, STEP_PREPEND, STEP_REPLACE };
static const char *const step_names[] = {"Sequence", "NFC", "Prepend", "Replace", NULL};

typedef struct step {
    enum step_type type;
    char *what, *with; /* Prepend: with; Replace: both */
} step;

struct ps_normalizer {
    step steps[MAX_STEPS];
    size_t n;
    size_t growth; /* for ps_field_grow() */
};

/* ---- loading ---- */

static int load_prepend(const ps_field *field, step *s, ps_err *err)
{
    static const char *const keys[] = {"type", "prepend", NULL};
    const char *with;

    if (ps_field_keys(field, keys, err) < 0 || ps_field_string(field, "prepend", &with, err) < 0)
        return -1;
    if (strlen(with) > MAX_PREPEND) /* it may be added to each stretch of a text */
        return ps_field_refuse(field, err, "prepends more than %d bytes; give token ids instead", MAX_PREPEND);
    s->with = ps_strdup(with, err);
    return s->with ? 0 : -1;
}

static int load_step(void *context, const ps_field *field, int type, ps_err *err)
{
    static const char *const nfc_keys[] = {"type", NULL};
    ps_normalizer *n = context;

    if (n->n == MAX_STEPS)
        return ps_field_refuse(field, err, "is the ninth step; eight are supported");
    step *s = &n->steps[n->n++];
    s->type = (enum step_type)type;
    return type == STEP_PREPEND   ? load_prepend(field, s, err)
           : type == STEP_REPLACE ? ps_field_replace(field, &s->what, &s->with, &n->growth, err)
           : ps_field_keys(field, nfc_keys, err) < 0 ? -1
                                  : ps_field_grow(field, NFC_GROWTH, &n->growth, err);
}

int ps_normalizer_load(ps_normalizer **out, const ps_field *field, ps_err *err)
{
    *out = NULL;
    if (ps_field_empty(field))
        return 0;
    ps_normalizer *n = ps_calloc(1, sizeof *n, err);
    if (!n)
        return -1;
    if (ps_field_steps(field, step_names, "normalizers", load_step, n, err) < 0) {
        ps_normalizer_free(n);
        return -1;
    }
    *out = n;
    return 0;
}

void ps_normalizer_free(ps_normalizer *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n; i++) {
        ps_free(n->steps[i].what);
        ps_free(n->steps[i].with);
    }
    ps_free(n);
}

/* ---- running ---- */

/* Prepend a string to a text that is not empty. */
static int prepend(const step *s, const ps_aligned *source, ps_aligned *out, ps_err *err)
{
    if (!source->n)
        return 0;
    ps_origin origin = {source->from[0].start, source->from[0].start};
    if (ps_aligned_add(out, s->with, strlen(s->with), origin, err) < 0)
        return -1;
    return ps_aligned_copy(out, source, 0, source->n, err);
}

static int replace(const step *s, const ps_aligned *source, ps_aligned *out, ps_err *err)
{
    size_t n = strlen(s->what), copied = 0;

    for (size_t i = 0; i + n <= source->n;) {
        if (memcmp(source->bytes + i, s->what, n)) {
            i++;
            continue;
        }
        ps_origin origin = {source->from[i].start, source->from[i + n - 1].end};
        if (ps_aligned_copy(out, source, copied, i, err) < 0 ||
            ps_aligned_add(out, s->with, strlen(s->with), origin, err) < 0)
            return -1;
        copied = i += n;
    }
    return ps_aligned_copy(out, source, copied, source->n, err);
}

static int run_step(const step *s, const ps_aligned *source, ps_aligned *out, ps_err *err)
{
    return s->type == STEP_NFC       ? ps_nfc(out, source, err)
           : s->type == STEP_PREPEND ? prepend(s, source, out, err)
                                     : replace(s, source, out, err);
}

int ps_normalizer_run(const ps_normalizer *n, const ps_aligned *source, ps_aligned *out, ps_err *err)
{
    ps_aligned room[2] = {{0}, {0}};
    const ps_aligned *from = source;
    int rc = 0;

    if (!n || !n->n)
        return ps_aligned_copy(out, source, 0, source->n, err);
    for (size_t i = 0; i < n->n && rc == 0; i++) {
        ps_aligned *to = i + 1 == n->n ? out : &room[i % 2];
        if (to != out)
            to->n = 0;
        rc = run_step(&n->steps[i], from, to, err);
        from = to;
    }
    ps_aligned_release(&room[0]);
    ps_aligned_release(&room[1]);
    return rc;
}
