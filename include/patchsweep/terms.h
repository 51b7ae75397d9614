/*
 * terms.h - the words of a sweep, each with one spelling.
 *
 * A metric, a site or a direction has the same name in the job file, in the
 * result file, in CSV columns and here.  What a site means to the engine is in cell.h, how a
 * metric is computed in metric.h.
 */
#ifndef PATCHSWEEP_TERMS_H
#define PATCHSWEEP_TERMS_H

#include <stdbool.h>

/* Where in a layer a state is replaced.  The numbers stand in journals: new sites go to the end. */
enum ps_site {
    PS_RESID_PRE,
    PS_MLP_OUT,
    PS_RESID_POST,
    PS_ATTN_OUT,
    PS_RESID_MID,
    PS_SITE_Q,
    PS_SITE_K,
    PS_SITE_V,
    PS_SITE_Z,
    PS_SITE_PATTERN,
    PS_SITE_Q_BY_POS,
    PS_SITE_K_BY_POS,
    PS_SITE_V_BY_POS,
    PS_SITE_Z_BY_POS,
    PS_SITE_PATTERN_BY_POS,
    PS_N_SITES
};
/* The sites whose cells replace a row of the residual stream before a layer, and after a layer.  States of the second are
 * kept as activations, in datasets of its name. */
#define PS_SITE_BEFORE PS_RESID_PRE
#define PS_SITE_AFTER PS_RESID_POST

/* The axes of grids.  Cells are stored in this order, the last axis fastest. */
enum ps_axis { PS_AXIS_LAYER, PS_AXIS_HEAD, PS_AXIS_POSITION, PS_N_AXES };

/* Which axes a site's grids have.  A cell of a site without positions replaces the state at all positions at once. */
typedef struct ps_site_shape {
    bool axis[PS_N_AXES];
    bool kv_heads; /* `head` counts key/value heads, not query heads */
} ps_site_shape;

/* denoise: clean states into the corrupt run; noise: corrupt states into the clean run. */
enum ps_direction { PS_DENOISE, PS_NOISE, PS_N_DIRECTIONS };

/* The two runs of a pair. */
enum ps_which { PS_CLEAN, PS_CORRUPT, PS_N_WHICH };

enum ps_metric {
    PS_LOGIT_ANSWER,
    PS_LOGIT_FOIL,
    PS_LOGIT_DIFF,
    PS_LOGPROB_ANSWER,
    PS_KL,
    PS_ANSWER_RANK,
    PS_N_METRICS
};

enum ps_precision { PS_FP32, PS_BF16, PS_N_PRECISIONS };

/* A named constant of one of the enums above; the array index is the constant. */
typedef struct ps_term {
    const char *name;      /* as in job, file and CSV */
    const char *long_name; /* for people: an attribute of the dataset, a line of help */
    const char *aliases;   /* what other tools call it, or NULL */
} ps_term;

extern const ps_term ps_sites[PS_N_SITES];
extern const ps_site_shape ps_site_shapes[PS_N_SITES];
extern const char *const ps_axis_names[PS_N_AXES];
extern const ps_term ps_directions[PS_N_DIRECTIONS];
extern const ps_term ps_whiches[PS_N_WHICH];
extern const ps_term ps_metrics[PS_N_METRICS];
extern const ps_term ps_precisions[PS_N_PRECISIONS];

/* The constant named `name`, or -1. */
int ps_term_find(const ps_term *terms, int n, const char *name);
/* Whether `name` is one of the term's aliases, or the end of one after a dot, such as hook_z.  {layer} stands for any number. */
bool ps_term_is_called(const ps_term *term, const char *name);

/* Metrics that cannot be had without a foil token. */
bool ps_metric_needs_foil(enum ps_metric metric);

#endif
