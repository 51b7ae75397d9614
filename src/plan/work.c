/*
 * work.c - a panel's steps as lists of rows.
 *
 * The stretches of a strand's path tell where a value lies (place_of).  Compact rows are counted along the stretches, so nothing
 * is stored for each row.
 */
#include "patchsweep/mem.h"
#include "strands.h"

static int32_t sooner(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static bool is_step(uint8_t place)
{
    return place == PS_AT_STEP || place == PS_AT_STEP_PUT;
}

/* A walk along the rows of a strand's value, in ascending order. */
typedef struct cursor {
    const strand *strand;
    size_t value;
    const ps_stretch *stretch;
    int32_t begin, n_step, n_put; /* of the stretch, and rows in front of it */
    ps_stretch whole;             /* all rows are base rows */
} cursor;

/* `from`: the first step of the current call.  Outputs of earlier steps of a base panel are base rows by now. */
static void begin_at(cursor *c, const strand *t, size_t value, size_t from)
{
    *c = (cursor){.strand = t, .value = value, .whole = {t->T, PS_AT_BASE}};
    c->stretch = t->phase      ? ps_path_stretches(t->cell->path, t->phase, value)
                 : value == 0  ? t->of_x
                 : value > from ? t->of_step
                                : &c->whole;
}

static void next_stretch(cursor *c)
{
    int32_t n = c->stretch->end - c->begin;

    c->n_step += is_step(c->stretch->place) ? n : 0;
    c->n_put += c->stretch->place == PS_AT_PUT ? n : 0;
    c->begin = c->stretch->end;
    c->stretch++;
}

static void move_to(cursor *c, int32_t row)
{
    while (row >= c->stretch->end)
        next_stretch(c);
}

/* Where the cursor's value lies at `row`, a row of the current stretch: as ps_step_work.in. */
static int32_t place_of(const ps_schedule *s, const cursor *c, int32_t row)
{
    const strand *t = c->strand;

    switch (c->stretch->place) {
    case PS_AT_BASE:
        return ~ps_strand_base_row(s, t, t->base, row);
    case PS_AT_SOURCE:
        return ~ps_strand_base_row(s, t, t->source, row);
    case PS_AT_X:
        return t->row + row - t->first;
    case PS_AT_STEP:
    case PS_AT_STEP_PUT:
        return t->places->at[c->value] + c->n_step + row - c->begin;
    case PS_AT_PUT:
        return t->places->put_at[c->value] + c->n_put + row - c->begin;
    }
    PS_BUG("a step reads value %zu at row %d, which is nowhere", c->value, (int)row);
}

static int32_t *take_ints(ps_schedule *s, size_t n)
{
    int32_t *at = s->ints + s->n_ints;

    s->n_ints += n;
    return at;
}

static strand **strands_of(const ps_schedule *s, const panel *p)
{
    return s->order + p->first;
}

/* Number the compact rows of step i: first the computed rows of all strands, then their put rows. */
static void number_rows(ps_schedule *s, const panel *p, size_t i)
{
    ps_step_work *step = &s->work.step[i];
    strand **strands = strands_of(s, p);
    int32_t put = 0;

    *step = (ps_step_work){0};
    for (size_t k = 0; k < p->n; k++) {
        strands[k]->places->at[i + 1] = step->n;
        step->n += strands[k]->phase ? strands[k]->phase->n_step[i + 1] : strands[k]->n;
    }
    for (size_t k = 0; k < p->n; k++) {
        strands[k]->places->put_at[i + 1] = step->n + put;
        put += strands[k]->phase ? strands[k]->phase->n_put[i + 1] : 0;
    }
    step->n_put_rows = put;
}

/* Call `visit` for every range of rows at which a strand computes step i. */
typedef void range_visitor(void *context, const strand *t, int32_t begin, int32_t end);

static void each_range(ps_schedule *s, const panel *p, size_t i, size_t from, range_visitor *visit, void *context)
{
    strand **strands = strands_of(s, p);
    cursor c;

    for (size_t k = 0; k < p->n; k++)
        for (begin_at(&c, strands[k], i + 1, from); c.begin < strands[k]->T; next_stretch(&c))
            if (is_step(c.stretch->place) && c.begin < c.stretch->end)
                visit(context, strands[k], c.begin, c.stretch->end);
}

typedef struct listing {
    const ps_schedule *schedule;
    size_t value, from;
    int32_t *to, n;
    bool plain;  /* so far the list is 0, 1, 2 ..., and nothing is written */
    cursor at;
} listing;

static void add_ramp(listing *l, int32_t first, int32_t n)
{
    if (l->plain && first == l->n) {
        l->n += n;
        return;
    }
    for (int32_t i = 0; l->plain && i < l->n; i++)
        l->to[i] = i;
    l->plain = false;
    for (int32_t i = 0; i < n; i++)
        l->to[l->n++] = first + i;
}

/* List where rows begin .. end - 1 of the value lie.  Base rows are looked up one by one: those of a run are not consecutive. */
static void list_input(void *context, const strand *t, int32_t begin, int32_t end)
{
    listing *l = context;

    if (l->at.strand != t)
        begin_at(&l->at, t, l->value, l->from);
    while (begin < end) {
        move_to(&l->at, begin);
        int32_t stop = l->at.stretch->end < end ? l->at.stretch->end : end;
        bool own = l->at.stretch->place != PS_AT_BASE && l->at.stretch->place != PS_AT_SOURCE;
        if (own)
            add_ramp(l, place_of(l->schedule, &l->at, begin), stop - begin);
        for (int32_t r = begin; !own && r < stop; r++)
            add_ramp(l, place_of(l->schedule, &l->at, r), 1);
        begin = stop;
    }
}

static void list_positions(void *context, const strand *t, int32_t begin, int32_t end)
{
    listing *l = context;

    (void)t;
    while (begin < end)
        l->to[l->n++] = begin++;
}

/* List where step i finds its inputs.  X's store is not a register, so value 0 always has a list. */
static void list_inputs(ps_schedule *s, const panel *p, size_t i, size_t from)
{
    ps_step_work *step = &s->work.step[i];
    size_t n_in = s->needs.program[i].op == PS_OP_ATTEND ? 1 : s->in.n[i], n = (size_t)step->n;

    for (size_t k = 0; k < n_in; k++) {
        listing l = {.schedule = s, .value = (size_t)s->in.value[i][k], .from = from, .to = take_ints(s, n),
                     .plain = s->in.value[i][k] > 0};
        each_range(s, p, i, from, list_input, &l);
        step->in[k] = l.plain ? NULL : l.to;
    }
    if (s->needs.program[i].op == PS_OP_ROPE) {
        listing l = {.to = take_ints(s, n)};
        each_range(s, p, i, from, list_positions, &l);
        step->positions = l.to;
    }
}

/* ---- edits of some columns ---- */

static void put_row(ps_schedule *s, ps_step_work *step, const strand *t, const cursor *c, int32_t row)
{
    int32_t to = place_of(s, c, row);

    s->puts[s->n_puts++] = (ps_put){to, ps_strand_base_row(s, t, t->source, row), t->cell->head};
    step->n_puts++;
}

static bool is_put(uint8_t place)
{
    return place == PS_AT_PUT || place == PS_AT_STEP_PUT;
}

static void list_puts_of(ps_schedule *s, ps_step_work *step, const strand *t, size_t i)
{
    size_t n_edits;
    const ps_edit *edits = ps_path_edits(t->cell->path, &n_edits);

    for (const ps_edit *e = edits; e < edits + n_edits; e++) {
        cursor c;
        if (e->head < 0 || e->tap != s->needs.program[i].tap || t->cell->layer + e->offset != s->layer)
            continue;
        begin_at(&c, t, i + 1, 0);
        for (int32_t r = e->first; r < e->first + e->n; r++) {
            move_to(&c, r);
            if (is_put(c.stretch->place))
                put_row(s, step, t, &c, r);
        }
    }
}

static void list_puts(ps_schedule *s, const panel *p, size_t i)
{
    ps_step_work *step = &s->work.step[i];
    strand **strands = strands_of(s, p);
    int32_t *rows = take_ints(s, (size_t)step->n_put_rows);
    cursor c;

    step->put_rows = rows;
    step->puts = s->puts + s->n_puts;
    for (size_t k = 0; k < p->n; k++) {
        const strand *t = strands[k];
        if (!t->phase)
            continue;
        if (t->phase->n_put[i + 1])
            for (begin_at(&c, t, i + 1, 0); c.begin < t->T; next_stretch(&c))
                for (int32_t r = c.begin; c.stretch->place == PS_AT_PUT && r < c.stretch->end; r++)
                    *rows++ = ps_strand_base_row(s, t, t->base, r);
        list_puts_of(s, step, t, i);
    }
}

/* ---- attention ---- */

static void add_span(ps_schedule *s, int32_t row, int32_t n)
{
    if (s->n_spans == s->most_spans)
        PS_BUG("more than %zu spans", s->n_spans);
    s->spans[s->n_spans++] = (ps_key_span){row, n};
}

static void add_base_spans(ps_schedule *s, const strand *t, enum ps_which which, int32_t first, int32_t end)
{
    for (int32_t piece; first < end; first += piece) {
        piece = ps_base_piece(s->needs.base, t->pair, which, first, end);
        add_span(s, ps_strand_base_row(s, t, which, first), piece);
    }
}

/* Rows 0 .. n - 1 of value v, which is K or V; returns the first span. */
static int32_t add_spans(ps_schedule *s, const strand *t, size_t v, int32_t n, size_t from)
{
    int32_t first = (int32_t)s->n_spans;
    cursor c;

    for (begin_at(&c, t, v, from); c.begin < n; next_stretch(&c)) {
        int32_t end = c.stretch->end < n ? c.stretch->end : n;
        if (c.stretch->end == c.begin)
            continue;
        if (c.stretch->place == PS_AT_BASE || c.stretch->place == PS_AT_SOURCE)
            add_base_spans(s, t, c.stretch->place == PS_AT_BASE ? t->base : t->source, c.begin, end);
        else
            add_span(s, s->work.kv_row + place_of(s, &c, c.begin), end - c.begin);
    }
    return first;
}

static void list_queries(ps_schedule *s, const panel *p, size_t from)
{
    strand **strands = strands_of(s, p);
    ps_query *query = s->queries;
    int32_t n = 0;
    cursor c;

    for (size_t k = 0; k < p->n; k++) {
        const strand *t = strands[k];
        int32_t last = -1, kv[2] = {0, 0};
        for (begin_at(&c, t, s->in.attend + 1, from); c.begin < t->T; next_stretch(&c))
            last = is_step(c.stretch->place) ? c.stretch->end - 1 : last;
        if (last < 0)
            continue;
        for (int i = 0; i < 2; i++)
            kv[i] = add_spans(s, t, (size_t)s->in.value[s->in.attend][1 + i], last + 1, from);
        for (begin_at(&c, t, s->in.attend + 1, from); c.begin < t->T; next_stretch(&c)) {
            if (!is_step(c.stretch->place) || c.stretch->end == c.begin)
                continue;
            *query++ = (ps_query){n, c.begin, c.stretch->end - c.begin, kv[0], kv[1]};
            n += c.stretch->end - c.begin;
        }
    }
    s->work.n_queries = (int32_t)(query - s->queries);
}

/* Add queries for rows first .. end - 1 of a pattern.  Their outputs are consecutive rows of attention's register.  `query` has the
 * first spans. */
static void add_pattern(ps_schedule *s, const cursor *c, int32_t first, int32_t end, ps_query query, int32_t head)
{
    const strand *t = c->strand;
    ps_pattern_work *p = &s->work.pattern;
    int32_t n = end - first, *q = take_ints(s, (size_t)n);

    if (p->n + n > s->needs.panel_rows)
        PS_BUG("%d rows of patterns in a panel of %d", (int)(p->n + n), (int)s->needs.panel_rows);
    query.q = p->n;
    query.first = first;
    query.n = n;
    s->queries[s->work.n_queries + p->n_queries] = query;
    s->heads[p->n_queries++] = (ps_one_head){.head = head, .out = place_of(s, c, first)};
    for (int32_t r = first; r < end; r++)
        *q++ = ps_strand_base_row(s, t, t->source, r);
    p->n += n;
}

/* One more than the last row in which the edit puts columns. */
static int32_t end_of_puts(ps_schedule *s, const strand *t, const ps_edit *e)
{
    int32_t end = 0, limit = e->first + e->n;
    cursor c;

    for (begin_at(&c, t, s->in.attend + 1, 0); c.begin < limit; next_stretch(&c))
        if (is_put(c.stretch->place) && c.stretch->end > e->first)
            end = sooner(c.stretch->end, limit);
    return end;
}

static void list_patterns_of(ps_schedule *s, const strand *t, const ps_edit *e)
{
    int32_t end = end_of_puts(s, t, e);
    ps_query query = {.k = (int32_t)s->n_spans};
    cursor c;

    add_base_spans(s, t, t->source, 0, end);
    query.v = end ? add_spans(s, t, (size_t)s->in.value[s->in.attend][2], end, 0) : 0;
    begin_at(&c, t, s->in.attend + 1, 0);
    for (int32_t r = e->first; r < end; r = c.stretch->end) {
        move_to(&c, r);
        if (is_put(c.stretch->place))
            add_pattern(s, &c, r, sooner(c.stretch->end, end), query, e->head < 0 ? -1 : t->cell->head);
    }
}

/* List the queries of edited patterns. */
static void list_patterns(ps_schedule *s, const panel *p)
{
    strand **strands = strands_of(s, p);

    if (!s->needs.patterns)
        return;
    s->work.pattern = (ps_pattern_work){.q = s->ints + s->n_ints, .queries = s->queries + s->work.n_queries, .heads = s->heads};
    for (size_t k = 0; k < p->n; k++) {
        size_t n_edits = 0;
        const ps_edit *edits = strands[k]->phase ? ps_path_edits(strands[k]->cell->path, &n_edits) : NULL;
        for (const ps_edit *e = edits; e < edits + n_edits; e++)
            if (ps_tap_kind((enum ps_tap)e->tap) == PS_TAP_OF_WEIGHTS && strands[k]->cell->layer + e->offset == s->layer)
                list_patterns_of(s, strands[k], e);
    }
}

/* ---- the panel ---- */

static void list_x_rows(void *context, const strand *t, int32_t begin, int32_t end)
{
    add_ramp(context, t->row + begin - t->first, end - begin);
}

const ps_work *ps_schedule_panel(ps_schedule *s, size_t index, size_t from, size_t to)
{
    const panel *p = &s->panels[index];
    strand **strands = strands_of(s, p);

    s->n_ints = s->n_puts = s->n_spans = 0;
    s->work.queries = s->queries;
    s->work.spans = s->spans;
    s->work.n_queries = s->work.n_base = s->work.n_out = 0;
    s->work.pattern = (ps_pattern_work){.n = 0};
    s->work.rows = 0;
    for (size_t k = 0; k < p->n; k++) {
        strands[k]->places = &s->places[k];
        s->work.rows += strands[k]->n;
    }
    s->work.base_row = s->work.kv_row = s->needs.base->n;
    if (!strands[0]->phase)
        s->work.base_row = s->work.kv_row = strands[0]->row;
    for (size_t k = 0; k < p->n && !strands[k]->phase; k++)
        s->work.n_base += strands[k]->n;
    for (size_t i = from; i < to; i++) {
        number_rows(s, p, i);
        list_inputs(s, p, i, from);
        list_puts(s, p, i);
        if (i == s->in.attend) {
            list_queries(s, p, from);
            list_patterns(s, p);
        }
    }
    if (to == s->in.n_steps) {
        listing l = {.to = take_ints(s, (size_t)s->work.step[to - 1].n)};
        each_range(s, p, to - 1, from, list_x_rows, &l);
        s->work.out = l.to;
        s->work.n_out = l.n;
    }
    return &s->work;
}
