/*
 * panel.c - carry out a panel's work: turn lists of rows into calls of the backend.
 *
 * A register's rows are compact: row i is the i-th row that the step computed.  If a step reads other rows, they are gathered
 * first: from the register, from X's store, or from kept base rows.
 */
#include "engine.h"
#include "patchsweep/program.h"

/* The register whose first rows are the base rows of value v: PS_K or PS_V for what attention reads, else PS_NO_REG. */
static enum ps_reg store_of(const ps_wave *w, size_t v)
{
    return v == (size_t)w->in.value[w->in.attend][1] ? PS_K : v == (size_t)w->in.value[w->in.attend][2] ? PS_V : PS_NO_REG;
}

float *ps_panel_base(ps_wave *w, size_t v)
{
    enum ps_reg reg = store_of(w, v);

    return reg == PS_NO_REG ? w->kept.at[v] : w->reg[reg];
}

/* Row 0 of the panel's rows in a register. */
static float *rows_of(ps_wave *w, const ps_work *work, uint8_t reg)
{
    size_t first = reg == PS_K || reg == PS_V ? (size_t)work->kv_row : 0;

    return w->reg[reg] + first * ps_program_width(w->config, (enum ps_reg)reg);
}

/* The k-th input of step i: in place, or gathered. */
static const float *input(ps_wave *w, const ps_work *work, size_t i, size_t k)
{
    size_t v = (size_t)w->in.value[i][k];
    uint8_t reg = v ? w->program[v - 1].out : PS_X;
    const float *own = v ? rows_of(w, work, reg) : w->x;
    size_t width = ps_program_width(w->config, (enum ps_reg)reg);

    if (!work->step[i].in[k])
        return own;
    if (width > w->scratch_width)
        PS_BUG("step %zu gathers rows of %zu floats", i, width);
    w->backend->ops.move(w->scratch[k], NULL, own, ps_panel_base(w, v), work->step[i].in[k], (size_t)work->step[i].n, width);
    return w->scratch[k];
}

static void attend(ps_wave *w, const ps_work *work, size_t i)
{
    const ps_attention a = {.out = w->reg[w->program[i].out], .q = input(w, work, i, 0), .k = w->reg[PS_K], .v = w->reg[PS_V],
                            .queries = work->queries, .n_queries = (size_t)work->n_queries, .spans = work->spans};

    ps_forward_attend(w->forward, &a);
}

static void compute(ps_wave *w, const ps_work *work, size_t i, float *out)
{
    uint8_t in[PS_MAX_INPUTS];
    ps_step_rows rows = {.out = out, .positions = work->step[i].positions, .n = (size_t)work->step[i].n};

    if (ps_step_inputs(&w->program[i], in) > 1)
        rows.in2 = input(w, work, i, 1);
    rows.in = input(w, work, i, 0);
    ps_forward_step(w->forward, i, &rows);
}

/* Keep the base rows of value v that the panel computed, for the cells that read them. */
static void keep(ps_wave *w, const ps_work *work, size_t v, const float *out, size_t width)
{
    if (work->n_base && w->kept.values >> v & 1 && store_of(w, v) == PS_NO_REG)
        w->backend->ops.move(w->kept.at[v] + (size_t)work->base_row * width, NULL, out, NULL, NULL, (size_t)work->n_base,
                             width);
}

/* Copy base rows to after the computed rows, then put heads' columns into rows. */
static void lay_puts(ps_wave *w, const ps_step_work *step, size_t v, float *out, size_t width)
{
    const ps_backend_ops *op = &w->backend->ops;

    if (!step->n_puts && !step->n_put_rows)
        return;
    const float *base = ps_panel_base(w, v);
    op->move(out + (size_t)step->n * width, NULL, base, NULL, step->put_rows, (size_t)step->n_put_rows, width);
    op->put_heads(out, base, step->puts, (size_t)step->n_puts, (size_t)w->config->head_dim, width);
}

/* Compute a head's columns of attention's rows with the source run's queries and keys and the cell's own values. */
static void lay_patterns(ps_wave *w, const ps_work *work, size_t i, float *out)
{
    const ps_pattern_work *p = &work->pattern;
    size_t q = (size_t)w->in.value[i][0], width = ps_program_width(w->config, PS_Q);
    const ps_attention a = {.out = out, .q = w->scratch[0], .k = w->reg[PS_K], .v = w->reg[PS_V], .queries = p->queries,
                            .n_queries = (size_t)p->n_queries, .spans = work->spans, .only = p->heads};

    if (!p->n)
        return;
    w->backend->ops.move(w->scratch[0], NULL, ps_panel_base(w, q), NULL, p->q, (size_t)p->n, width);
    ps_forward_attend(w->forward, &a);
}

void ps_panel_run(ps_wave *w, const ps_work *work, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        float *out = rows_of(w, work, w->program[i].out);
        size_t width = ps_program_width(w->config, (enum ps_reg)w->program[i].out);
        if (w->program[i].op == PS_OP_ATTEND)
            attend(w, work, i);
        else if (work->step[i].n)
            compute(w, work, i, out);
        keep(w, work, i + 1, out, width);
        lay_puts(w, &work->step[i], i + 1, out, width);
        if (w->program[i].op == PS_OP_ATTEND)
            lay_patterns(w, work, i, out);
    }
    if (to == w->in.n_steps)
        w->backend->ops.move(w->x, work->out, w->reg[PS_X], NULL, NULL, (size_t)work->n_out, w->d);
}
