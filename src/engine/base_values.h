/*
 * base_values.h - base rows of a layer's values, kept for the cells that read them, and broadcast to every rank.
 *
 * Package-private.  Early values are those up to attention's inputs; late values are computed after them.  Rank 0 sends the
 * early ones before it computes the rest of the layer, and its command with them: go on, save or stop.  K and V have stores of
 * their own (panel.c), whose first rows are the base rows.
 */
#ifndef PATCHSWEEP_ENGINE_BASE_VALUES_H
#define PATCHSWEEP_ENGINE_BASE_VALUES_H

#include <stddef.h>
#include <stdint.h>

#include "broadcast.h"
#include "patchsweep/comm.h"
#include "patchsweep/config.h"
#include "patchsweep/err.h"
#include "patchsweep/program.h"
#include "patchsweep/store.h"

typedef struct ps_base_values {
    const ps_config *config;
    uint32_t values;          /* bit v: value v of a layer is kept: 0 is X at the entrance, i + 1 the output of step i */
    size_t attend;            /* the step that is attention */
    size_t most_rows, n_rows; /* base rows of the largest wave; of the current wave */
    float *early, *late;      /* two stores; early begins with the command */
    float *at[PS_MAX_STEPS + 1]; /* [n_rows, width] of each kept value, within early and late */
} ps_base_values;

/* Choose the values to keep: `values`, X, and what the steps from attention on read of the steps before. */
void ps_base_values_init(ps_base_values *kept, const ps_config *config, uint32_t values, size_t most_rows);
int ps_base_values_open(ps_base_values *kept, const ps_backend *backend, ps_err *err);
void ps_base_values_close(ps_base_values *kept, const ps_backend *backend);
/* Bytes that ps_base_values_open() allocates. */
uint64_t ps_base_values_bytes(const ps_base_values *kept);

/* Begin a wave of n_rows base rows. */
void ps_base_values_begin(ps_base_values *kept, size_t n_rows);
/* Collective.  Send rank 0's early values and its command.  Returns the command.  `mirror` as for ps_broadcast(). */
unsigned ps_base_values_send_early(ps_base_values *kept, unsigned command, ps_comm *comm, const ps_mirror *mirror);
/* Collective.  Send rank 0's X alone. */
void ps_base_values_send_x(ps_base_values *kept, ps_comm *comm, const ps_mirror *mirror);
/* Collective.  Send rank 0's late values, if any are kept. */
void ps_base_values_send_late(ps_base_values *kept, ps_comm *comm, const ps_mirror *mirror);

#endif
