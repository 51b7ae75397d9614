/*
 * lm_head.c - final norm, the answer's and foil's logits, then the vocabulary by panels.
 */
#include "lm_head.h"

#include <math.h>
#include <string.h>

#include "patchsweep/mem.h"
#include "patchsweep/store.h"

#define CHUNK_ROWS (2 * PS_PLAN_MAX_PAIRS) /* logits are [1024, PS_LM_HEAD_TOKENS]: 16 MiB */

struct ps_lm_head {
    const ps_grid *grid;
    const ps_config *config;
    ps_weights *weights;
    ps_forward *forward;
    const ps_backend *backend;
    size_t d;
    int32_t panel_tokens;
    /* stores */
    float *h;              /* [rows, d] normed: final rows of the largest wave */
    float *target;         /* [pairs, 2, d] the head's rows of answer and foil */
    float *logits;         /* [CHUNK_ROWS, panel_tokens] */
    float *clean_z, *clean_w; /* [pairs, panel_tokens] */
    /* in host memory */
    ps_mirror mirror;      /* of one row of target */
    ps_reference *references; /* [pairs] */
    ps_readout *readouts;     /* [rows] */
};

enum { N_STORES = 5, N_BLOCKS = 3 };

static void list_stores(ps_lm_head *head, const ps_config *config, size_t rows, size_t pairs, ps_store stores[N_STORES])
{
    size_t d = (size_t)config->d_model, tokens = (size_t)ps_forward_panel_tokens(config);
    const ps_store all[N_STORES] = {
        {&head->h, rows * d},
        {&head->target, pairs * 2 * d},
        {&head->logits, (rows < CHUNK_ROWS ? rows : CHUNK_ROWS) * tokens},
        {&head->clean_z, pairs * tokens},
        {&head->clean_w, pairs * tokens},
    };

    memcpy(stores, all, sizeof all);
}

static void list_blocks(ps_lm_head *head, size_t mirrored, size_t rows, size_t pairs, ps_block blocks[N_BLOCKS])
{
    blocks[0] = (ps_block){&head->mirror.host, mirrored, sizeof(float)};
    blocks[1] = (ps_block){&head->references, pairs, sizeof *head->references};
    blocks[2] = (ps_block){&head->readouts, rows, sizeof *head->readouts};
}

uint64_t ps_lm_head_bytes(const ps_config *config, const ps_backend *backend, size_t max_rows, int32_t max_pairs)
{
    ps_lm_head none;
    ps_store stores[N_STORES];
    ps_block blocks[N_BLOCKS];

    list_stores(&none, config, max_rows, (size_t)max_pairs, stores);
    list_blocks(&none, ps_mirror_floats(backend, (size_t)config->d_model), max_rows, (size_t)max_pairs, blocks);
    return ps_stores_bytes(stores, N_STORES) + ps_blocks_bytes(blocks, N_BLOCKS);
}

int ps_lm_head_open(ps_lm_head **out, const ps_grid *grid, const ps_config *config, ps_weights *weights,
                    ps_forward *forward, size_t max_rows, int32_t max_pairs, ps_err *err)
{
    ps_lm_head *head = ps_calloc(1, sizeof *head, err);
    ps_store stores[N_STORES];
    ps_block blocks[N_BLOCKS];

    if (!head)
        return -1;
    *head = (ps_lm_head){.grid = grid, .config = config, .weights = weights, .forward = forward,
                      .backend = ps_forward_backend(forward), .d = (size_t)config->d_model,
                      .panel_tokens = ps_forward_panel_tokens(config)};
    head->mirror.backend = head->backend;
    list_stores(head, config, max_rows, (size_t)max_pairs, stores);
    list_blocks(head, ps_mirror_floats(head->backend, head->d), max_rows, (size_t)max_pairs, blocks);
    if (ps_stores_open(head->backend, stores, N_STORES, err) < 0 || ps_blocks_alloc(blocks, N_BLOCKS, err) < 0) {
        ps_lm_head_close(head);
        return -1;
    }
    *out = head;
    return 0;
}

void ps_lm_head_close(ps_lm_head *head)
{
    ps_store stores[N_STORES];
    ps_block blocks[N_BLOCKS];

    if (!head)
        return;
    list_stores(head, head->config, 0, 0, stores);
    list_blocks(head, 0, 0, 0, blocks);
    ps_stores_close(head->backend, stores, N_STORES);
    ps_blocks_free(blocks, N_BLOCKS);
    ps_free(head);
}

/* Copy the LM head's row of token `id` to the store row `to`. */
static void put_target(ps_lm_head *head, int32_t id, float *to)
{
    ps_weights_lm_head_row(head->weights, id, ps_mirror_at(&head->mirror, to, 0));
    ps_mirror_put(&head->mirror, to, 0, head->d);
}

/* Start the readout of every row with the logits of its answer and its foil. */
static void begin(ps_lm_head *head, ps_reading *reading)
{
    for (int32_t i = 0; i < reading->n_references; i++) {
        const ps_grid_pair *pair = &head->grid->pairs[reading->first_reference + i];
        float *answer = head->target + (size_t)i * 2 * head->d;
        put_target(head, pair->answer_id, answer);
        if (pair->foil_id >= 0)
            put_target(head, pair->foil_id, answer + head->d);
        head->references[i] = (ps_reference){.answer_id = pair->answer_id, .foil_id = pair->foil_id, .largest = -INFINITY};
    }
    head->backend->ops.pick(head->backend, reading);
    for (ps_readout *r = reading->readouts; r < reading->readouts + reading->n; r++) {
        r->answer = ps_forward_logit(head->forward, r->answer);
        r->foil = ps_forward_logit(head->forward, r->foil);
    }
}

/* Read the first n rows of `all` through the acquired panel.  All rows of base runs are in the first chunk. */
static void read_panel(ps_lm_head *head, const ps_reading *all, size_t n, int32_t first_token, size_t tokens)
{
    for (size_t at = 0, some; at < n; at += some) {
        ps_reading reading = *all;
        some = n - at < CHUNK_ROWS ? n - at : CHUNK_ROWS;
        reading.readouts += at;
        reading.reference_of += at;
        reading.n = some;
        reading.first_token = first_token;
        reading.tokens = tokens;
        ps_forward_logits(head->forward, head->logits, head->h + at * head->d, some);
        if (at == 0)
            head->backend->ops.refer(head->backend, &reading);
        head->backend->ops.read(head->backend, &reading);
    }
}

int ps_lm_head_read(ps_lm_head *head, const ps_lm_head_rows *rows, double (*values)[PS_N_METRICS],
                    const ps_readout **readouts, ps_err *err)
{
    size_t base = 2 * (size_t)rows->n_pairs;
    size_t through = ps_metrics_need_vocabulary(head->grid->metrics) ? rows->n : rows->baselines ? base : 0;
    int32_t vocab = head->config->vocab;

    if (rows->n_pairs > PS_PLAN_MAX_PAIRS)
        PS_BUG("%d pairs in a wave of at most %d", (int)rows->n_pairs, PS_PLAN_MAX_PAIRS);
    ps_reading reading = {
        .readouts = head->readouts, .references = head->references, .reference_of = rows->pair_of,
        .first_reference = rows->first_pair, .n_references = rows->n_pairs, .n = rows->n, .h = head->h,
        .target = head->target, .d = head->d, .logits = head->logits, .clean_z = head->clean_z, .clean_w = head->clean_w};
    ps_forward_final_norm(head->forward, head->h, rows->x, rows->n);
    begin(head, &reading);
    for (int32_t first = 0; through && first < vocab; first += head->panel_tokens) {
        int32_t tokens = vocab - first < head->panel_tokens ? vocab - first : head->panel_tokens;
        if (ps_forward_lm_head(head->forward, first, tokens, err) < 0)
            return -1;
        read_panel(head, &reading, through, first, (size_t)tokens);
    }
    for (size_t r = 0; r < rows->n; r++)
        ps_metric_values(values[r], &head->readouts[r],
                         &head->readouts[2 * (rows->pair_of[r] - rows->first_pair) + PS_CLEAN]);
    *readouts = head->readouts;
    return 0;
}
