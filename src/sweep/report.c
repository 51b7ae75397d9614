/* report.c - wording, and nothing else. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/log.h"
#include "patchsweep/text.h"

/* Below this difference of the baselines a score is mostly noise. */
#define SMALL_DIFFERENCE 0.1

/* Format a token for people: quoted text, or #id without a tokenizer. */
static void token_text(char *out, size_t bytes, const ps_tokenizer *tokenizer, int32_t id)
{
    ps_text raw = {0};

    if (!tokenizer) {
        snprintf(out, bytes, "#%d", (int)id);
        return;
    }
    ps_tokenizer_decode(tokenizer, id, &raw);
    ps_quoted(out, bytes, ps_text_str(&raw));
    ps_text_release(&raw);
}

static void prediction(char *out, size_t bytes, const ps_readout *r, const ps_tokenizer *tokenizer)
{
    char best[96], second[96];

    token_text(best, sizeof best, tokenizer, r->top[0].id);
    token_text(second, sizeof second, tokenizer, r->top[1].id);
    snprintf(out, bytes, "%s (%.4f, %.2f above %s)", best, (double)r->top[0].logit,
             (double)r->top[0].logit - (double)r->top[1].logit, second);
}

void ps_report_pair(const ps_pair *pair, const ps_baseline base[PS_N_WHICH], enum ps_metric score,
                    const ps_tokenizer *tokenizer)
{
    char clean[320], corrupt[320], answer[96];
    double from = base[PS_CORRUPT].values[score], to = base[PS_CLEAN].values[score];

    token_text(answer, sizeof answer, tokenizer, pair->answer_id);
    prediction(clean, sizeof clean, &base[PS_CLEAN].readout, tokenizer);
    prediction(corrupt, sizeof corrupt, &base[PS_CORRUPT].readout, tokenizer);
    ps_log_clear();
    printf("%s: clean predicts %s; corrupt predicts %s; %s of %s: %.4f clean, %.4f corrupt, "
           "difference %.4f\n", pair->job->id, clean, corrupt, ps_metrics[score].name, answer, to,
           from, to - from);
    if (base[PS_CLEAN].readout.top[0].id != pair->answer_id)
        ps_warn("%s: the clean run does not predict the answer %s but %s", pair->job->id, answer, clean);
    if (to == from)
        ps_warn("%s: %s is the same in the clean and the corrupt run; its scores are 0 and marked degenerate",
                pair->job->id, ps_metrics[score].name);
    else if (fabs(to - from) < SMALL_DIFFERENCE)
        ps_warn("%s: the clean and the corrupt run differ by only %.3g in %s; the scores are divided by that",
                pair->job->id, to - from, ps_metrics[score].name);
}

/* Format the token at the position of the largest score, in quotes; "" if the site has no positions. */
static void token_at(char *out, size_t bytes, const ps_pair *pair, int32_t position)
{
    const char *text = position < 0 ? "" : pair->token[PS_CLEAN][position];

    out[0] = ' ';
    out[1] = '\0';
    if (*text)
        ps_quoted(out + 1, bytes - 1, text);
    else if (position >= 0)
        snprintf(out + 1, bytes - 1, "#%d", (int)pair->ids[PS_CLEAN][position]);
    else
        out[0] = '\0';
}

void ps_report_scores(const ps_grid *grid, const ps_pair *pair, const ps_score_range *range)
{
    const ps_cell *at = &range->at;
    ps_text shape = {0}, place = {0};
    char token[97];

    ps_log_clear();
    printf("%s: %s %s: ", pair->job->id, ps_sites[at->site].name, ps_directions[at->direction].name);
    if (!range->n) {
        printf("no cells\n");
        return;
    }
    for (int axis = 0; axis < PS_N_AXES; axis++) {
        if (!ps_site_shapes[at->site].axis[axis])
            continue;
        ps_text_printf(&shape, "%s%d %ss", shape.n ? ", " : "",
                       (int)ps_grid_axis_of(grid, at->pair, at->site, (enum ps_axis)axis).size, ps_axis_names[axis]);
        ps_text_printf(&place, "%s%s %d", place.n ? ", " : "", ps_axis_names[axis], (int)ps_cell_at(at, (enum ps_axis)axis));
    }
    token_at(token, sizeof token, pair, ps_cell_at(at, PS_AXIS_POSITION));
    printf("scores [%s], %.4f to %.4f, most at %s%s\n", ps_text_str(&shape), range->least, range->most, ps_text_str(&place),
           token);
    ps_text_release(&shape);
    ps_text_release(&place);
}

int ps_report_begin_pair(ps_results *results, const ps_pair *pair, const ps_baseline base[PS_N_WHICH],
                         const ps_tokenizer *tokenizer, ps_err *err)
{
    char names[PS_N_WHICH][PS_N_METRICS + 3][48];
    ps_attr attrs[PS_N_WHICH * (PS_N_METRICS + 3)];
    ps_text token[PS_N_WHICH] = {{0}, {0}};
    size_t n = 0;

    for (int which = 0; which < PS_N_WHICH; which++) {
        const char *run = ps_whiches[which].name;
        const ps_readout *r = &base[which].readout;
        for (int m = 0; m < PS_N_METRICS; m++) {
            if (pair->foil_id < 0 && ps_metric_needs_foil((enum ps_metric)m))
                continue;
            snprintf(names[which][m], sizeof names[which][m], "%s_%s", run, ps_metrics[m].name);
            attrs[n++] = (ps_attr){names[which][m], NULL, base[which].values[m], m == PS_ANSWER_RANK};
        }
        if (tokenizer)
            ps_tokenizer_decode(tokenizer, r->top[0].id, &token[which]);
        char (*name)[48] = &names[which][PS_N_METRICS];
        snprintf(name[0], sizeof *name, "%s_predicts", run);
        snprintf(name[1], sizeof *name, "%s_predicts_id", run);
        snprintf(name[2], sizeof *name, "%s_predicts_logit", run);
        attrs[n++] = (ps_attr){name[0], ps_text_str(&token[which]), 0, false};
        attrs[n++] = (ps_attr){name[1], NULL, r->top[0].id, true};
        attrs[n++] = (ps_attr){name[2], NULL, (double)r->top[0].logit, false};
    }
    int rc = ps_results_begin_pair(results, pair, attrs, n, err);
    for (int which = 0; which < PS_N_WHICH; which++)
        ps_text_release(&token[which]);
    return rc;
}
