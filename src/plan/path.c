/* path.c - the label rule, forward for whose a value is, backward for who reads it. */
#include "patchsweep/path.h"

#include <string.h>

#include "patchsweep/mem.h"

struct ps_path {
    int32_t T, D, n_phases; /* of each flavour */
    int32_t first_row, entry;
    ps_phase *phases;       /* [n_phases, 2]: within the model, and its last layer */
    uint8_t *end;           /* [n_phases] whose the last row is */
    ps_stretch *stretches;  /* storage of the phases' */
};

/* A layer's values as they are worked out: [n_values, T] each. */
typedef struct sheet {
    uint8_t *whose;  /* labels, edits done */
    uint8_t *before; /* labels, edits not done */
    uint8_t *read;   /* somebody reads it */
    uint8_t *step;   /* the step is computed */
    uint8_t *edit;   /* 0: none; else 1: whole rows, 2: some columns */
} sheet;

typedef struct builder {
    const ps_step *program;
    const ps_edit *edits;
    size_t n_edits, n_values;
    int32_t T, D;
    bool forced;
    sheet s;
    int in[PS_MAX_STEPS][PS_MAX_INPUTS]; /* the values that a step reads */
    size_t n_in[PS_MAX_STEPS];
    uint8_t *entrance;                   /* [T] labels of X before the layer in hand */
    ps_stretch *stretches;
    size_t n_stretches, cap;
} builder;

/* Which value each input register holds when its step comes. */
static void resolve_inputs(builder *b)
{
    int now[PS_N_REGS] = {[PS_X] = 0};

    for (size_t i = 0; i + 1 < b->n_values; i++) {
        uint8_t in[PS_MAX_INPUTS];
        b->n_in[i] = ps_step_inputs(&b->program[i], in);
        for (size_t k = 0; k < b->n_in[i]; k++)
            b->in[i][k] = now[in[k]];
        now[b->program[i].out] = (int)i + 1;
    }
}

/* ---- labels ---- */

static void edit_value(builder *b, size_t value, enum ps_tap tap, int32_t offset)
{
    uint8_t *whose = b->s.whose + value * (size_t)b->T, *edit = b->s.edit + value * (size_t)b->T;

    memset(edit, 0, (size_t)b->T);
    for (const ps_edit *e = b->edits; e < b->edits + b->n_edits; e++)
        for (int32_t r = e->first; e->tap == tap && e->offset == offset && r < e->first + e->n; r++) {
            uint8_t source = r < b->D ? PS_BOTH : PS_SOURCE;
            whose[r] = b->forced ? PS_OWN : e->head < 0 ? source : whose[r] & source;
            edit[r] = e->head < 0 ? 1 : 2;
        }
}

static void label_attention(const builder *b, size_t step, uint8_t *to)
{
    const uint8_t *q = b->s.whose + (size_t)b->in[step][0] * (size_t)b->T;
    const uint8_t *k = b->s.whose + (size_t)b->in[step][1] * (size_t)b->T;
    const uint8_t *v = b->s.whose + (size_t)b->in[step][2] * (size_t)b->T;
    uint8_t seen = PS_BOTH;

    for (int32_t r = 0; r < b->T; r++) {
        seen &= k[r] & v[r];
        to[r] = q[r] & seen;
    }
}

static void label(builder *b, int32_t offset)
{
    size_t T = (size_t)b->T;

    memcpy(b->s.before, b->entrance, T);
    memcpy(b->s.whose, b->entrance, T);
    edit_value(b, 0, PS_TAP_RESID_PRE, offset);
    for (size_t i = 0; i + 1 < b->n_values; i++) {
        uint8_t *to = b->s.before + (i + 1) * T;
        if (b->program[i].op == PS_OP_ATTEND)
            label_attention(b, i, to);
        else {
            memset(to, PS_BOTH, T);
            for (size_t k = 0; k < b->n_in[i]; k++)
                for (size_t r = 0; r < T; r++)
                    to[r] &= b->s.whose[(size_t)b->in[i][k] * T + r];
        }
        memcpy(b->s.whose + (i + 1) * T, to, T);
        edit_value(b, i + 1, b->program[i].tap ? (enum ps_tap)b->program[i].tap : PS_N_TAPS, offset);
    }
}

/* ---- readers ---- */

/* Does the step of value v have to be computed at row r, for somebody who reads the value there? */
static bool must_step(const builder *b, size_t v, int32_t r)
{
    size_t at = v * (size_t)b->T + (size_t)r;

    return b->s.read[at] && b->s.whose[at] == PS_OWN && b->s.edit[at] != 1 && b->s.before[at] == PS_OWN;
}

/* Find the rows of value v that are computed, and mark what they read.  Attention at a row reads k and v of all rows up to it. */
static void trace_step(builder *b, size_t v)
{
    size_t T = (size_t)b->T, i = v - 1;
    bool attends = b->program[i].op == PS_OP_ATTEND;
    size_t seen = 0;

    for (int32_t r = 0; r < b->T; r++) {
        if (!must_step(b, v, r))
            continue;
        b->s.step[v * T + (size_t)r] = 1;
        for (size_t k = 0; k < (attends ? 1 : b->n_in[i]); k++)
            b->s.read[(size_t)b->in[i][k] * T + (size_t)r] = 1;
        seen = (size_t)r + 1;
    }
    for (size_t k = 1; attends && k < b->n_in[i]; k++)
        memset(b->s.read + (size_t)b->in[i][k] * T, 1, seen);
}

/* The rows of X that are read behind the layer: the last one alone behind the model's last layer, elsewhere all that
 * the next layer's edits do not replace. */
static void read_behind(builder *b, int32_t offset, bool last)
{
    size_t T = (size_t)b->T;
    uint8_t *read = b->s.read + (b->n_values - 1) * T;

    memset(read, !last, T);
    read[T - 1] = 1;
    for (const ps_edit *e = b->edits; !last && e < b->edits + b->n_edits; e++)
        if (e->tap == PS_TAP_RESID_PRE && e->offset == offset + 1 && e->head < 0)
            memset(read + e->first, 0, (size_t)e->n);
}

/* From the rows of X that are read behind the layer, back to its entrance. */
static void trace(builder *b, int32_t offset, bool last)
{
    size_t T = (size_t)b->T, n = b->n_values;

    memset(b->s.read, 0, n * T);
    memset(b->s.step, 0, n * T);
    read_behind(b, offset, last);
    for (size_t v = n - 1; v > 0; v--)
        trace_step(b, v);
}

/* ---- phases ---- */

/* Keep a value of the sheet as stretches. */
static int compress(builder *b, size_t value, ps_phase *phase, ps_err *err)
{
    size_t T = (size_t)b->T, first = b->n_stretches;

    phase->first[value] = (int32_t)first;
    phase->n_rows[value] = 0;
    for (size_t r = 0; r < T; r++) {
        size_t at = value * T + r;
        ps_stretch s = {.end = (int32_t)r + 1, .whose = b->s.whose[at], .step = b->s.step[at] != 0,
                        .put = b->s.whose[at] == PS_OWN && b->s.edit[at] && b->s.read[at]};
        ps_stretch *open = b->n_stretches > first ? &b->stretches[b->n_stretches - 1] : NULL;
        phase->n_rows[value] += s.step;
        if (open && open->whose == s.whose && open->step == s.step && open->put == s.put) {
            open->end = s.end;
            continue;
        }
        if (ps_grow(&b->stretches, b->n_stretches, &b->cap, sizeof s, err) < 0)
            return -1;
        b->stretches[b->n_stretches++] = s;
    }
    return 0;
}

static bool anything_done(const builder *b)
{
    for (size_t at = 0; at < b->n_values * (size_t)b->T; at++)
        if (b->s.step[at] || (b->s.edit[at] && b->s.whose[at] == PS_OWN))
            return true;
    return false;
}

static void note_rows(ps_path *path, const builder *b, int32_t phase)
{
    const uint8_t *x = b->s.whose + (b->n_values - 1) * (size_t)b->T;

    for (int32_t r = 0; r < b->T; r++)
        if (x[r] == PS_OWN && r < path->first_row)
            path->first_row = r;
    if (path->entry > phase && anything_done(b))
        path->entry = phase;
}

static int32_t last_edit(const builder *b)
{
    int32_t last = 0;

    for (size_t i = 0; i < b->n_edits; i++)
        last = b->edits[i].offset > last ? b->edits[i].offset : last;
    return last;
}

/* One more phase, in both flavours. */
static int add_phase(ps_path *path, builder *b, int32_t p, ps_err *err)
{
    label(b, p);
    for (int last = 0; last < 2; last++) {
        ps_phase *phase = &path->phases[2 * p + last];
        trace(b, p, last);
        for (size_t v = 0; v < b->n_values; v++)
            if (compress(b, v, phase, err) < 0)
                return -1;
        if (!last)
            note_rows(path, b, p);
    }
    path->end[p] = b->s.whose[b->n_values * (size_t)b->T - 1];
    path->n_phases = p + 1;
    return 0;
}

/* Work phases out until one repeats. */
static int find_phases(ps_path *path, builder *b, ps_err *err)
{
    size_t T = (size_t)b->T, cap = 0, end_cap = 0;
    const uint8_t *behind = b->s.whose + (b->n_values - 1) * T;
    int32_t steady = last_edit(b) + 1;

    for (int32_t p = 0;; p++) {
        if (ps_grow(&path->phases, 2 * (size_t)p, &cap, sizeof *path->phases, err) < 0 ||
            ps_grow(&path->end, (size_t)p, &end_cap, sizeof *path->end, err) < 0 || add_phase(path, b, p, err) < 0)
            return -1;
        bool same = !memcmp(b->entrance, behind, T);
        memcpy(b->entrance, behind, T);
        if (p >= steady && same)
            return 0;
    }
}

static int open_sheet(builder *b, ps_err *err)
{
    size_t bytes = b->n_values * (size_t)b->T;
    uint8_t *block = ps_calloc(5 * bytes + (size_t)b->T, 1, err);

    if (!block)
        return -1;
    b->s = (sheet){block, block + bytes, block + 2 * bytes, block + 3 * bytes, block + 4 * bytes};
    b->entrance = block + 5 * bytes;
    memset(b->entrance, PS_BASE, (size_t)b->T);
    memset(b->entrance, PS_BOTH, (size_t)b->D);
    return 0;
}

int ps_path_build(ps_path **out, const ps_step *program, int32_t T, int32_t D, const ps_edit *edits, size_t n_edits,
                  bool forced, ps_err *err)
{
    builder b = {.program = program, .edits = edits, .n_edits = n_edits, .n_values = ps_program_n(program) + 1, .T = T,
                 .D = D, .forced = forced};
    ps_path *path = ps_calloc(1, sizeof *path, err);
    int rc = -1;

    if (!path || open_sheet(&b, err) < 0)
        goto out;
    path->T = T;
    path->D = D;
    path->first_row = T;
    path->entry = INT32_MAX;
    resolve_inputs(&b);
    rc = find_phases(path, &b, err);
    path->stretches = b.stretches;
out:
    ps_free(b.s.whose);
    if (rc < 0)
        ps_path_free(path);
    else
        *out = path;
    return rc;
}

void ps_path_free(ps_path *path)
{
    if (!path)
        return;
    ps_free(path->phases);
    ps_free(path->end);
    ps_free(path->stretches);
    ps_free(path);
}

static int32_t phase_at(const ps_path *path, int32_t offset)
{
    return offset < path->n_phases ? offset : path->n_phases - 1;
}

const ps_phase *ps_path_phase(const ps_path *path, int32_t offset, bool last)
{
    return &path->phases[2 * phase_at(path, offset) + last];
}

const ps_stretch *ps_path_stretches(const ps_path *path, const ps_phase *phase, size_t value)
{
    return path->stretches + phase->first[value];
}

enum ps_whose ps_path_end(const ps_path *path, int32_t offset)
{
    return (enum ps_whose)path->end[phase_at(path, offset)];
}

int32_t ps_path_first_row(const ps_path *path)
{
    return path->first_row;
}

int32_t ps_path_entry(const ps_path *path)
{
    return path->entry;
}
