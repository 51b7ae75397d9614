/* path.c - the label rule: forward, which runs a value equals; backward, whether something reads it. */
#include "patchsweep/path.h"

#include <string.h>

#include "patchsweep/mem.h"

struct ps_path {
    int32_t T;
    int32_t n_phases; /* of each flavour */
    int32_t first_row, entry;
    ps_phase *phases;          /* [n_phases, 2]: within the model, and its last layer */
    struct end { uint8_t whose, place; } *ends; /* [n_phases] the last row behind each */
    ps_stretch *stretches;     /* storage of the phases' */
    ps_edit edits[PS_MAX_EDITS];
    size_t n_edits;
};

/* MIXED: a head attends with the source run's queries and keys, to the cell's own values. */
enum edited { NOT, WHOLE, COLUMNS, MIXED };

/* The values of the current layer: [n_values, T] each. */
typedef struct sheet {
    uint8_t *before; /* labels before edits */
    uint8_t *whose;  /* labels after edits */
    uint8_t *edited; /* enum edited */
    uint8_t *read;   /* 1: something reads the value */
} sheet;

typedef struct builder {
    const ps_step *program;
    ps_path *path;
    size_t n_values;
    int32_t T, D;
    bool forced;
    sheet s;
    ps_program_inputs in;
    uint8_t *entrance;                   /* [T] labels of X at the entrance of the current layer, before its edits */
    size_t n_stretches, stretches_cap, phases_cap, ends_cap;
} builder;

/* ---- labels ---- */

/* Is this an edit of the output of step i?  i = -1: of X at the entrance? */
static bool is_edit_of(const builder *b, const ps_edit *e, int i)
{
    enum ps_tap tap = (enum ps_tap)e->tap;

    if (i < 0)
        return ps_tap_kind(tap) == PS_TAP_OF_ENTRANCE;
    return ps_tap_kind(tap) == PS_TAP_OF_WEIGHTS ? b->program[i].op == PS_OP_ATTEND : tap && tap == b->program[i].tap;
}

/* Lay the edits of step i (-1: X at the entrance) in the layer `offset` over labels whose[T]. */
static void edit_labels(const builder *b, uint8_t *whose, uint8_t *edited, int i, int32_t offset)
{
    memset(edited, NOT, (size_t)b->T);
    for (const ps_edit *e = b->path->edits; e < b->path->edits + b->path->n_edits; e++) {
        bool mixed = ps_tap_kind((enum ps_tap)e->tap) == PS_TAP_OF_WEIGHTS, whole = e->head < 0 && !mixed;
        if (e->offset != offset || !is_edit_of(b, e, i))
            continue;
        for (int32_t r = e->first; r < e->first + e->n; r++) {
            uint8_t source = r < b->D ? PS_BOTH : PS_SOURCE;
            whose[r] = b->forced ? PS_OWN : whole ? source : whose[r] & source;
            edited[r] = whole ? WHOLE : mixed ? MIXED : COLUMNS;
        }
    }
}

static void label_attention(const builder *b, size_t step, uint8_t *to)
{
    const uint8_t *q = b->s.whose + (size_t)b->in.value[step][0] * (size_t)b->T;
    const uint8_t *k = b->s.whose + (size_t)b->in.value[step][1] * (size_t)b->T;
    const uint8_t *v = b->s.whose + (size_t)b->in.value[step][2] * (size_t)b->T;
    uint8_t seen = PS_BOTH;

    for (int32_t r = 0; r < b->T; r++) {
        seen &= k[r] & v[r];
        to[r] = q[r] & seen;
    }
}

static void label_step(const builder *b, size_t step, uint8_t *to)
{
    size_t T = (size_t)b->T;

    memcpy(to, b->s.whose + (size_t)b->in.value[step][0] * T, T);
    for (size_t k = 1; k < b->in.n[step]; k++)
        for (size_t r = 0; r < T; r++)
            to[r] &= b->s.whose[(size_t)b->in.value[step][k] * T + r];
}

static void label(builder *b, int32_t offset)
{
    size_t T = (size_t)b->T;

    memcpy(b->s.before, b->entrance, T);
    memcpy(b->s.whose, b->entrance, T);
    edit_labels(b, b->s.whose, b->s.edited, -1, offset);
    for (size_t i = 0; i + 1 < b->n_values; i++) {
        uint8_t *to = b->s.before + (i + 1) * T, *whose = b->s.whose + (i + 1) * T;
        if (b->program[i].op == PS_OP_ATTEND)
            label_attention(b, i, to);
        else
            label_step(b, i, to);
        memcpy(whose, to, T);
        edit_labels(b, whose, b->s.edited + (i + 1) * T, (int)i, offset);
    }
}

/* ---- readers ---- */

static bool computed(const builder *b, size_t v, size_t r)
{
    size_t at = v * (size_t)b->T + r;

    return v > 0 && b->s.read[at] && b->s.whose[at] == PS_OWN && b->s.edited[at] != WHOLE && b->s.before[at] == PS_OWN;
}

/* Are columns of value v computed with the source run's pattern? */
static bool mixed(const builder *b, size_t v, size_t r)
{
    size_t at = v * (size_t)b->T + r;

    return b->s.read[at] && b->s.whose[at] == PS_OWN && b->s.edited[at] == MIXED;
}

/* Mark what the step of value v reads where it is computed.  Attention at a row reads k and v of all rows up to it, a pattern
 * of the source run v alone. */
static void trace_step(builder *b, size_t v)
{
    size_t T = (size_t)b->T, i = v - 1, seen[PS_MAX_INPUTS] = {0};
    bool attends = b->program[i].op == PS_OP_ATTEND;

    for (size_t r = 0; r < T; r++) {
        if (attends && mixed(b, v, r))
            seen[2] = r + 1;
        if (!computed(b, v, r))
            continue;
        for (size_t k = 0; k < (attends ? 1 : b->in.n[i]); k++)
            b->s.read[(size_t)b->in.value[i][k] * T + r] = 1;
        seen[1] = seen[2] = r + 1;
    }
    for (size_t k = 1; attends && k < b->in.n[i]; k++)
        memset(b->s.read + (size_t)b->in.value[i][k] * T, 1, seen[k]);
}

/* Mark the values that are read in a layer, from its end back to its entrance.  After the model's last layer only the last row of
 * X is read.  After any other layer every row is read, except rows that an edit of the next entrance replaces. */
static void trace(builder *b, int32_t offset, bool last)
{
    size_t T = (size_t)b->T, n = b->n_values;
    uint8_t *behind = b->s.read + (n - 1) * T;

    memset(b->s.read, 0, n * T);
    memset(behind, !last, T);
    behind[T - 1] = 1;
    for (const ps_edit *e = b->path->edits; e < b->path->edits + b->path->n_edits; e++)
        if (ps_tap_kind((enum ps_tap)e->tap) == PS_TAP_OF_ENTRANCE && e->offset == offset + 1 && e->head < 0)
            memset(behind + e->first, 0, (size_t)e->n);
    for (size_t v = n - 1; v > 0; v--)
        trace_step(b, v);
}

/* ---- phases ---- */

static enum ps_place looked_up(uint8_t whose)
{
    return whose & PS_BASE ? PS_AT_BASE : PS_AT_SOURCE;
}

static enum ps_place place_of(const builder *b, size_t v, size_t r)
{
    size_t at = v * (size_t)b->T + r;

    if (!b->s.read[at])
        return PS_NOWHERE;
    if (b->s.edited[at] == WHOLE)
        return PS_AT_SOURCE;
    if (b->s.whose[at] != PS_OWN)
        return looked_up(b->s.whose[at]);
    if (b->s.before[at] != PS_OWN)
        return PS_AT_PUT;
    return v == 0 ? PS_AT_X : b->s.edited[at] ? PS_AT_STEP_PUT : PS_AT_STEP;
}

/* Store a value of the sheet as stretches. */
static int compress(builder *b, ps_phase *phase, size_t v, ps_err *err)
{
    ps_path *path = b->path;
    size_t first = b->n_stretches;

    phase->first[v] = (int32_t)first;
    phase->n_step[v] = phase->n_put[v] = 0;
    for (size_t r = 0; r < (size_t)b->T; r++) {
        ps_stretch s = {(int32_t)r + 1, (uint8_t)place_of(b, v, r)};
        ps_stretch *open = b->n_stretches > first ? &path->stretches[b->n_stretches - 1] : NULL;
        phase->n_step[v] += s.place == PS_AT_STEP || s.place == PS_AT_STEP_PUT;
        phase->n_put[v] += s.place == PS_AT_PUT;
        /* the last value is read by the next layer, as its value 0 */
        if (v + 1 < b->n_values && s.place != PS_NOWHERE && s.place != PS_AT_X && s.place != PS_AT_STEP)
            phase->looked_up |= 1u << v;
        if (v > 0 && b->program[v - 1].op == PS_OP_ATTEND && mixed(b, v, r))
            phase->looked_up |= 1u << b->in.value[v - 1][0];
        if (open && open->place == s.place) {
            open->end = s.end;
            continue;
        }
        if (ps_grow(&path->stretches, b->n_stretches, &b->stretches_cap, sizeof s, err) < 0)
            return -1;
        path->stretches[b->n_stretches++] = s;
    }
    return 0;
}

static void note_rows(builder *b, const ps_phase *phase, int32_t p)
{
    const uint8_t *x = b->s.whose + (b->n_values - 1) * (size_t)b->T;
    bool works = false;

    for (int32_t r = 0; r < b->T && r < b->path->first_row; r++)
        if (x[r] == PS_OWN)
            b->path->first_row = r;
    for (size_t v = 0; v < b->n_values; v++)
        works = works || phase->n_step[v] || phase->n_put[v];
    if (works && p < b->path->entry)
        b->path->entry = p;
}

/* One more phase, in both flavours, and the entrance of the next. */
static int add_phase(builder *b, int32_t p, ps_err *err)
{
    ps_path *path = b->path;
    size_t T = (size_t)b->T;

    label(b, p);
    for (int last = 1; last >= 0; last--) {
        ps_phase *phase = &path->phases[2 * p + last];
        phase->looked_up = 0;
        trace(b, p, last);
        for (size_t v = 0; v < b->n_values; v++)
            if (compress(b, phase, v, err) < 0)
                return -1;
    }
    note_rows(b, &path->phases[2 * p], p);
    memcpy(b->entrance, b->s.whose + (b->n_values - 1) * T, T);
    memcpy(b->s.whose, b->entrance, T);
    edit_labels(b, b->s.whose, b->s.edited, -1, p + 1);
    uint8_t whose = b->s.whose[T - 1];
    path->ends[p] = (struct end){whose, b->s.edited[T - 1] == WHOLE ? PS_AT_SOURCE : whose ? looked_up(whose) : PS_AT_X};
    path->n_phases = p + 1;
    return 0;
}

/* There are many paths, and they live as long as the grid: free the unused room at the ends of their arrays. */
static int fit(builder *b, ps_err *err)
{
    ps_path *path = b->path;
    ps_phase *phases = ps_realloc(path->phases, 2 * (size_t)path->n_phases, sizeof *phases, err);
    path->phases = phases ? phases : path->phases;
    struct end *ends = ps_realloc(path->ends, (size_t)path->n_phases, sizeof *ends, err);
    path->ends = ends ? ends : path->ends;
    ps_stretch *stretches = ps_realloc(path->stretches, b->n_stretches, sizeof *stretches, err);
    path->stretches = stretches ? stretches : path->stretches;
    return phases && ends && stretches ? 0 : -1;
}

/* Work out phases until one repeats: after the last edit, when X leaves a layer with the labels that it entered with. */
static int find_phases(builder *b, ps_err *err)
{
    ps_path *path = b->path;
    size_t T = (size_t)b->T;
    int32_t last_edit = 0;

    for (size_t i = 0; i < path->n_edits; i++)
        last_edit = path->edits[i].offset > last_edit ? path->edits[i].offset : last_edit;
    for (int32_t p = 0;; p++) {
        if (ps_grow(&path->phases, 2 * (size_t)p + 1, &b->phases_cap, sizeof *path->phases, err) < 0 ||
            ps_grow(&path->ends, (size_t)p, &b->ends_cap, sizeof *path->ends, err) < 0 || add_phase(b, p, err) < 0)
            return -1;
        if (p > last_edit && !memcmp(b->s.before, b->entrance, T))
            return fit(b, err);
    }
}

static int open_sheet(builder *b, ps_err *err)
{
    size_t bytes = b->n_values * (size_t)b->T;
    uint8_t *block = ps_calloc(4 * bytes + (size_t)b->T, 1, err);

    if (!block)
        return -1;
    b->s = (sheet){block, block + bytes, block + 2 * bytes, block + 3 * bytes};
    b->entrance = block + 4 * bytes;
    memset(b->entrance, PS_BASE, (size_t)b->T);
    memset(b->entrance, PS_BOTH, (size_t)b->D);
    return 0;
}

ps_edit ps_edit_canonical(ps_edit edit)
{
    enum ps_tap next = ps_tap_next((enum ps_tap)edit.tap);

    if (next) {
        edit.tap = (uint8_t)next;
        edit.offset++;
    }
    return edit;
}

int ps_path_build(ps_path **out, const ps_step *program, int32_t T, int32_t D, const ps_edit *edits, size_t n_edits,
                  bool forced, ps_err *err)
{
    ps_path *path = ps_calloc(1, sizeof *path, err);
    builder b = {.program = program, .path = path, .n_values = ps_program_n(program) + 1,
                 .in = ps_program_resolve(program), .T = T, .D = D,
                 .forced = forced};

    if (n_edits > PS_MAX_EDITS)
        PS_BUG("%zu edits of a cell", n_edits);
    for (size_t i = 0; i < n_edits; i++)
        if (edits[i].head >= 0 && ps_tap_kind((enum ps_tap)ps_edit_canonical(edits[i]).tap) == PS_TAP_OF_ENTRANCE)
            PS_BUG("an edit of a head's columns where there are no heads");
    if (!path)
        return -1;
    path->T = T;
    path->first_row = T;
    path->entry = INT32_MAX;
    for (size_t i = 0; i < n_edits; i++)
        path->edits[path->n_edits++] = ps_edit_canonical(edits[i]);
    int rc = open_sheet(&b, err) < 0 ? -1 : find_phases(&b, err);
    ps_free(b.s.before);
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
    ps_free(path->ends);
    ps_free(path->stretches);
    ps_free(path);
}

/* ---- asking ---- */

int32_t ps_path_n_phases(const ps_path *path)
{
    return path->n_phases;
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

int32_t ps_path_positions(const ps_path *path)
{
    return path->T;
}

const ps_edit *ps_path_edits(const ps_path *path, size_t *n)
{
    *n = path->n_edits;
    return path->edits;
}

uint32_t ps_path_looked_up(const ps_path *path)
{
    uint32_t values = 0;

    for (int32_t i = 0; i < 2 * path->n_phases; i++)
        values |= path->phases[i].looked_up;
    return values;
}

enum ps_whose ps_path_end(const ps_path *path, int32_t offset)
{
    return (enum ps_whose)path->ends[phase_at(path, offset)].whose;
}

enum ps_place ps_path_end_place(const ps_path *path, int32_t offset)
{
    return (enum ps_place)path->ends[phase_at(path, offset)].place;
}

int32_t ps_path_first_row(const ps_path *path)
{
    return path->first_row;
}

int32_t ps_path_entry(const ps_path *path)
{
    return path->entry;
}
