/*
 * readout.h - what the metrics need of a row's logits, taken a panel of the vocabulary at a time.
 *
 * A row's logits are never held whole: a readout takes them panel by panel and keeps what the metrics
 * need.  KL needs the clean run's probabilities.  Until the last panel they are known only up to a factor.  The reference
 * keeps a running estimate of this factor, and every readout that is compared with the reference is rescaled by it
 * (the online softmax of Milakov and Gimelshein, arXiv:1805.02867).
 */
#ifndef PATCHSWEEP_READOUT_H
#define PATCHSWEEP_READOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The readout of one row over the panels so far.  Starts as {.answer = ..., .foil = ..., .largest = -INFINITY}. */
typedef struct ps_readout {
    double answer, foil; /* logits, known before the first panel; foil is NaN if there is none */
    double largest, sum; /* sum of exp(z - largest) */
    double cross;        /* sum of w (z_clean - z) with the reference's weights w */
    int64_t greater;     /* logits above the answer's */
    struct {
        float logit;
        int32_t id;      /* -1: none yet */
    } top[2];            /* the two largest: the row's prediction and the runner-up */
} ps_readout;

/* What the rows of one pair are compared with: the answer's and the foil's tokens, and the clean run.  The clean run's
 * weights in KL are w[j] = exp(z_clean[j] - largest) for the tokens of the current panel. */
typedef struct ps_reference {
    int32_t answer_id, foil_id; /* foil_id < 0: none */
    double largest;             /* of the clean logits so far; starts at -INFINITY */
    double rescale;             /* factor for the cross sums of earlier panels */
} ps_reference;

/* Take the clean run's logits z[n] of the next panel.  Fills w[n] with their weights. */
void ps_reference_panel(ps_reference *reference, const float *z, float *w, size_t n);
/* Take a row's logits z[n] of the same panel, tokens first .. first+n.  clean_z[n] and clean_w[n] are the clean run's logits
 * and weights. */
void ps_readout_panel(ps_readout *readout, const ps_reference *reference, const float *clean_z, const float *clean_w,
                      const float *z, size_t n, int32_t first);

/*
 * What the backend's operations pick, refer and read work on: n rows, each compared with one reference.  The arrays of structs
 * and of integers are in host memory, the arrays of floats in stores.
 */
typedef struct ps_reading {
    ps_readout *readouts;        /* [n] */
    ps_reference *references;    /* [n_references] */
    const int32_t *reference_of; /* [n] row r is compared with references[reference_of[r] - first_reference] */
    int32_t first_reference, n_references;
    size_t n;
    /* pick: the logits of answer and foil, summed in double in the order of the columns */
    const float *h;              /* [n, d] rows after the final norm */
    const float *target;         /* [n_references, 2, d] the LM head's rows of answer and foil */
    size_t d;
    /* refer and read: a panel of logits */
    const float *logits;         /* [n, tokens]; for refer, row 2 i is the clean run of reference i */
    float *clean_z, *clean_w;    /* [n_references, tokens] the clean runs' logits and weights: refer fills them */
    int32_t first_token;
    size_t tokens;
} ps_reading;

/* Each operation for one row or one reference, of stores in host memory. */
void ps_reading_pick(const ps_reading *reading, size_t row);
void ps_reading_refer(const ps_reading *reading, size_t reference);
void ps_reading_read(const ps_reading *reading, size_t row);

#endif
