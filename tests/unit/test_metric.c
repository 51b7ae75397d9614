/* test_metric.c - readouts by panels against whole rows in double; the score's edges. */
#include <stdlib.h>

#include "../check.h"
#include "patchsweep/metric.h"
#include "rand.h"

enum { VOCAB = 1000, ANSWER = 617, FOIL = 3 };

static ps_readout read_by(size_t panel, const float *z, const float *clean, ps_readout *clean_out)
{
    ps_reference ref = {.answer_id = ANSWER, .largest = -INFINITY};
    ps_readout start = {.largest = -INFINITY, .top = {{0, -1}, {0, -1}}}, r = start, c = start;
    float *w = malloc(VOCAB * sizeof *w);

    r.answer = z[ANSWER], r.foil = z[FOIL];
    c.answer = clean[ANSWER], c.foil = clean[FOIL];
    for (size_t at = 0; at < VOCAB; at += panel) {
        size_t n = VOCAB - at < panel ? VOCAB - at : panel;
        ps_reference_panel(&ref, clean + at, w, n);
        ps_readout_panel(&c, &ref, clean + at, w, clean + at, n, (int32_t)at);
        ps_readout_panel(&r, &ref, clean + at, w, z + at, n, (int32_t)at);
    }
    free(w);
    *clean_out = c;
    return r;
}

static void panels_give_what_whole_rows_do(void)
{
    static const size_t panels[] = {1, 7, 256, 999, 1000};
    float z[VOCAB], clean[VOCAB];
    double sum = 0, sum_clean = 0, kl = 0, values[PS_N_METRICS];
    int rank = 0, best = 0;

    for (int i = 0; i < VOCAB; i++) {
        z[i] = 20 * rand_float();
        clean[i] = 20 * rand_float() + 80; /* far from the others' range: nothing may overflow */
        sum += exp(z[i]);
        sum_clean += exp(clean[i]);
        best = z[i] > z[best] ? i : best;
    }
    for (int i = 0; i < VOCAB; i++) {
        kl += exp(clean[i]) / sum_clean * (clean[i] - log(sum_clean) - z[i] + log(sum));
        rank += z[i] > z[ANSWER];
    }
    for (size_t p = 0; p < sizeof panels / sizeof *panels; p++) {
        ps_readout c, r = read_by(panels[p], z, clean, &c);
        ps_metric_values(values, &r, &c);
        CHECK_CLOSE(values[PS_LOGIT_ANSWER], z[ANSWER], 0);
        CHECK_CLOSE(values[PS_LOGIT_DIFF], (double)z[ANSWER] - z[FOIL], 0);
        CHECK_CLOSE(values[PS_LOGPROB_ANSWER], z[ANSWER] - log(sum), 1e-5);
        CHECK_CLOSE(values[PS_KL], kl, 1e-4);
        CHECK_INT(values[PS_ANSWER_RANK], rank);
        CHECK_INT(r.top[0].id, best);
        CHECK(r.top[1].logit <= r.top[0].logit && r.top[1].id != best);
        ps_metric_values(values, &c, &c);
        CHECK_CLOSE(values[PS_KL], 0, 0);
    }
}

static void ties_go_to_the_first(void)
{
    float z[VOCAB] = {0};
    ps_readout c, r;

    z[20] = z[700] = 5;
    r = read_by(100, z, z, &c);
    CHECK_INT(r.top[0].id, 20);
    CHECK_INT(r.top[1].id, 700);
}

static void scores(void)
{
    int degenerate;

    CHECK_CLOSE(ps_score(3, 5, 1, &degenerate), 0.5, 0);
    CHECK_INT(degenerate, 0);
    CHECK_CLOSE(ps_score(3, 2, 2, &degenerate), 0, 0);
    CHECK_INT(degenerate, 1);
    CHECK_CLOSE(ps_score(-1, 5, 1, &degenerate), -0.5, 0); /* not clamped */
    CHECK_CLOSE(ps_score(1, 5, 1, &degenerate), 0, 0);
    CHECK_CLOSE(ps_score(5, 5, 1, &degenerate), 1, 0);
}

int main(void)
{
    RUN(panels_give_what_whole_rows_do);
    RUN(ties_go_to_the_first);
    RUN(scores);
    return check_done();
}
