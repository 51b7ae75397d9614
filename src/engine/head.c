/*
 * head.c - final norm, the answer's and foil's logits, then the vocabulary by panels.
 */
#include "head.h"

#include <math.h>
#include <string.h>

#include "patchsweep/mem.h"

#define CHUNK_ROWS (2 * PS_PLAN_MAX_PAIRS) /* logits are [1024, PS_HEAD_PANEL_TOKENS]: 16 MiB */

struct ps_head {
    const ps_grid *grid;
    const ps_config *config;
    ps_weights *weights;
    ps_forward *forward;
    size_t d;
    int32_t panel_tokens;
    float *h;              /* [rows, d] normed: final rows of the largest wave */
    float *target;         /* [pairs, 2, d] the head's rows of answer and foil */
    float *logits;         /* [CHUNK_ROWS, panel_tokens] */
    float *clean_z, *clean_w; /* [pairs, panel_tokens] */
    ps_reference *references; /* [pairs] */
    ps_readout *readouts;     /* [rows] */
};

#define N_BLOCKS 7

static void list_blocks(ps_head *head, const ps_config *config, size_t rows, size_t pairs, ps_block blocks[N_BLOCKS])
{
    size_t d = (size_t)config->d_model, tokens = (size_t)ps_forward_panel_tokens(config);
    const ps_block all[N_BLOCKS] = {
        {&head->h, rows * d, sizeof(float)},
        {&head->target, pairs * 2 * d, sizeof(float)},
        {&head->logits, (rows < CHUNK_ROWS ? rows : CHUNK_ROWS) * tokens, sizeof(float)},
        {&head->clean_z, pairs * tokens, sizeof(float)},
        {&head->clean_w, pairs * tokens, sizeof(float)},
        {&head->references, pairs, sizeof *head->references},
        {&head->readouts, rows, sizeof *head->readouts},
    };

    memcpy(blocks, all, sizeof all);
}

uint64_t ps_head_bytes(const ps_config *config, size_t max_rows, int32_t max_pairs)
{
    ps_head none;
    ps_block blocks[N_BLOCKS];

    list_blocks(&none, config, max_rows, (size_t)max_pairs, blocks);
    return ps_blocks_bytes(blocks, N_BLOCKS);
}

int ps_head_open(ps_head **out, const ps_grid *grid, const ps_config *config, ps_weights *weights,
                 ps_forward *forward, size_t max_rows, int32_t max_pairs, ps_err *err)
{
    ps_head *head = ps_calloc(1, sizeof *head, err);
    ps_block blocks[N_BLOCKS];

    if (!head)
        return -1;
    *head = (ps_head){.grid = grid, .config = config, .weights = weights, .forward = forward,
                      .d = (size_t)config->d_model, .panel_tokens = ps_forward_panel_tokens(config)};
    list_blocks(head, config, max_rows, (size_t)max_pairs, blocks);
    if (ps_blocks_alloc(blocks, N_BLOCKS, err) < 0) {
        ps_head_close(head);
        return -1;
    }
    *out = head;
    return 0;
}

void ps_head_close(ps_head *head)
{
    ps_block blocks[N_BLOCKS];

    if (!head)
        return;
    list_blocks(head, head->config, 0, 0, blocks);
    ps_blocks_free(blocks, N_BLOCKS);
    ps_free(head);
}

/* The product that a logit is made of, in double, in the row's own order. */
static double product(const float *h, const float *w, size_t d)
{
    double sum = 0;

    for (size_t i = 0; i < d; i++)
        sum += (double)h[i] * w[i];
    return sum;
}

/* Every row's readout, begun with the logits that metrics of single tokens need. */
static void begin(ps_head *head, const ps_head_rows *rows)
{
    for (int32_t i = 0; i < rows->n_pairs; i++) {
        const ps_grid_pair *pair = &head->grid->pairs[rows->first_pair + i];
        float *answer = head->target + (size_t)i * 2 * head->d;
        ps_weights_head_row(head->weights, pair->answer_id, answer);
        if (pair->foil_id >= 0)
            ps_weights_head_row(head->weights, pair->foil_id, answer + head->d);
        head->references[i] = (ps_reference){.largest = -INFINITY};
    }
#pragma omp parallel for
    for (size_t r = 0; r < rows->n; r++) {
        int32_t pair = rows->pair_of[r];
        const float *answer = head->target + (size_t)(pair - rows->first_pair) * 2 * head->d;
        const float *h = head->h + r * head->d;
        bool foil = head->grid->pairs[pair].foil_id >= 0;
        head->readouts[r] = (ps_readout){
            .answer = ps_forward_logit(head->forward, product(h, answer, head->d)),
            .foil = foil ? ps_forward_logit(head->forward, product(h, answer + head->d, head->d)) : NAN,
            .largest = -INFINITY, .top = {{0, -1}, {0, -1}}};
    }
}

/* The clean runs' logits of this panel become what the others are compared with. */
static void refer(ps_head *head, int32_t n_pairs, size_t tokens)
{
#pragma omp parallel for
    for (int32_t i = 0; i < n_pairs; i++) {
        float *z = head->clean_z + (size_t)i * tokens;
        const float *from = head->logits + (size_t)(2 * i + PS_CLEAN) * tokens;
        for (size_t j = 0; j < tokens; j++)
            z[j] = from[j];
        ps_reference_panel(&head->references[i], z, head->clean_w + (size_t)i * tokens, tokens);
    }
}

/* Logits [n, tokens] of rows first .. first + n - 1. */
static void take(ps_head *head, const ps_head_rows *rows, size_t first, size_t n, int32_t first_token, size_t tokens)
{
#pragma omp parallel for schedule(dynamic, 4)
    for (size_t r = 0; r < n; r++) {
        int32_t pair = rows->pair_of[first + r];
        ps_readout_panel(&head->readouts[first + r], &head->references[pair - rows->first_pair],
                         head->logits + r * tokens, tokens, first_token,
                         head->grid->pairs[pair].answer_id);
    }
}

/* The first n rows against the acquired panel.  The base runs' rows are in the first chunk, always. */
static void read_panel(ps_head *head, const ps_head_rows *rows, size_t n, int32_t first_token, size_t tokens)
{
    for (size_t at = 0, some; at < n; at += some) {
        some = n - at < CHUNK_ROWS ? n - at : CHUNK_ROWS;
        ps_forward_logits(head->forward, head->logits, head->h + at * head->d, some);
        if (at == 0)
            refer(head, rows->n_pairs, tokens);
        take(head, rows, at, some, first_token, tokens);
    }
}

int ps_head_read(ps_head *head, const ps_head_rows *rows, double (*values)[PS_N_METRICS],
                 const ps_readout **readouts, ps_err *err)
{
    size_t base = 2 * (size_t)rows->n_pairs;
    size_t through = ps_metrics_need_vocabulary(head->grid->metrics) ? rows->n : rows->baselines ? base : 0;
    int32_t vocab = head->config->vocab;

    if (rows->n_pairs > PS_PLAN_MAX_PAIRS)
        PS_BUG("%d pairs in a wave of at most %d", (int)rows->n_pairs, PS_PLAN_MAX_PAIRS);
    ps_forward_final_norm(head->forward, head->h, rows->x, rows->n);
    begin(head, rows);
    for (int32_t first = 0; through && first < vocab; first += head->panel_tokens) {
        int32_t tokens = vocab - first < head->panel_tokens ? vocab - first : head->panel_tokens;
        if (ps_forward_head(head->forward, first, tokens, err) < 0)
            return -1;
        read_panel(head, rows, through, first, (size_t)tokens);
    }
    for (size_t r = 0; r < rows->n; r++)
        ps_metric_values(values[r], &head->readouts[r],
                         &head->readouts[2 * (rows->pair_of[r] - rows->first_pair) + PS_CLEAN]);
    *readouts = head->readouts;
    return 0;
}
