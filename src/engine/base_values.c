/* base_values.c - a store of early values and one of late values.  Each wave lays them out anew, to send each in one piece. */
#include "base_values.h"

#include <string.h>

#include "patchsweep/family.h"

#define COMMAND_FLOATS 16 /* a cache line: the rows after it are aligned too */

static size_t width_of(const ps_base_values *k, size_t v)
{
    return ps_program_width(k->config, v ? (enum ps_reg)k->config->family->layer[v - 1].out : PS_X);
}

/* Floats of a base row in each block. */
static void widths(const ps_base_values *k, size_t *early, size_t *late)
{
    *early = *late = 0;
    for (size_t v = 0; v <= PS_MAX_STEPS; v++)
        if (k->values >> v & 1)
            *(v <= k->attend ? early : late) += width_of(k, v);
}

/* Values computed before attention that attention or a later step reads.  Attention's K and V are left out: they have stores of
 * their own. */
static uint32_t read_later(const ps_program_inputs *in)
{
    uint32_t values = 0;

    for (size_t i = in->attend; i < in->n_steps; i++)
        for (size_t k = 0; k < (i == in->attend ? 1 : in->n[i]); k++)
            if ((size_t)in->value[i][k] <= in->attend)
                values |= 1u << in->value[i][k];
    return values;
}

void ps_base_values_init(ps_base_values *k, const ps_config *config, uint32_t values, size_t most_rows)
{
    const ps_program_inputs in = ps_program_resolve(config->family->layer);

    *k = (ps_base_values){.config = config, .attend = in.attend, .most_rows = most_rows,
                   .values = values | 1u | read_later(&in)};
}

enum { N_STORES = 2 };

static void list_stores(ps_base_values *k, ps_store stores[N_STORES])
{
    size_t early, late;

    widths(k, &early, &late);
    stores[0] = (ps_store){&k->early, COMMAND_FLOATS + k->most_rows * early};
    stores[1] = (ps_store){&k->late, k->most_rows * late};
}

uint64_t ps_base_values_bytes(const ps_base_values *kept)
{
    ps_base_values copy = *kept;
    ps_store stores[N_STORES];

    list_stores(&copy, stores);
    return ps_stores_bytes(stores, N_STORES);
}

int ps_base_values_open(ps_base_values *k, const ps_backend *backend, ps_err *err)
{
    ps_store stores[N_STORES];

    list_stores(k, stores);
    return ps_stores_open(backend, stores, N_STORES, err);
}

void ps_base_values_close(ps_base_values *k, const ps_backend *backend)
{
    ps_store stores[N_STORES];

    list_stores(k, stores);
    ps_stores_close(backend, stores, N_STORES);
}

void ps_base_values_begin(ps_base_values *k, size_t n_rows)
{
    float *early = k->early + COMMAND_FLOATS, *late = k->late;

    k->n_rows = n_rows;
    for (size_t v = 0; v <= PS_MAX_STEPS; v++) {
        float **block = v <= k->attend ? &early : &late;
        if (!(k->values >> v & 1))
            continue;
        k->at[v] = *block;
        *block += n_rows * width_of(k, v);
    }
}

unsigned ps_base_values_send_early(ps_base_values *k, unsigned command, ps_comm *comm, const ps_mirror *mirror)
{
    const ps_backend *b = mirror->backend;
    float line[COMMAND_FLOATS] = {0};
    size_t early, late;

    widths(k, &early, &late);
    memcpy(line, &command, sizeof command);
    b->ops.put(b, k->early, line, COMMAND_FLOATS);
    ps_broadcast(comm, mirror, k->early, COMMAND_FLOATS + k->n_rows * early);
    b->ops.get(b, line, k->early, COMMAND_FLOATS);
    memcpy(&command, line, sizeof command);
    return command;
}

void ps_base_values_send_x(ps_base_values *k, ps_comm *comm, const ps_mirror *mirror)
{
    ps_broadcast(comm, mirror, k->at[0], k->n_rows * width_of(k, 0));
}

void ps_base_values_send_late(ps_base_values *k, ps_comm *comm, const ps_mirror *mirror)
{
    size_t early, late;

    widths(k, &early, &late);
    ps_broadcast(comm, mirror, k->late, k->n_rows * late);
}
