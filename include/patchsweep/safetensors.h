/*
 * safetensors.h - the tensors of a model directory, found by name.
 *
 * Reads `model.safetensors`, or the shards that `model.safetensors.index.json` names.  Opening reads the headers
 * whole, and checks every rule of the format and some that the reference implementation does not enforce (duplicate
 * keys).  Data is read when asked for.  A file that breaks a rule is refused; the message names the file, the tensor,
 * and what is wrong.
 */
#ifndef PATCHSWEEP_SAFETENSORS_H
#define PATCHSWEEP_SAFETENSORS_H

#include <stdint.h>

#include "patchsweep/dtype.h"
#include "patchsweep/err.h"

typedef struct ps_safetensors ps_safetensors;

#define PS_MAX_DIMS 8

typedef struct ps_tensor {
    const char *name;
    const char *type_name; /* as in the header: "BF16" */
    int dtype;             /* enum ps_dtype, or -1 for a type we do not compute with */
    int n_dims;
    int64_t dims[PS_MAX_DIMS];
    uint64_t offset, bytes; /* in its file */
    int shard;              /* index of its file */
} ps_tensor;

/* Open the weights of model directory `dir`.  PS_EINPUT for anything wrong with them.  For a directory with only
 * .bin files, the message tells how to convert them. */
int ps_safetensors_open(ps_safetensors **out, const char *dir, ps_err *err);
void ps_safetensors_close(ps_safetensors *st);

int ps_safetensors_n_shards(const ps_safetensors *st);
const char *ps_safetensors_shard_path(const ps_safetensors *st, int shard); /* borrowed */
uint64_t ps_safetensors_bytes(const ps_safetensors *st);                   /* of all data */
int ps_safetensors_n(const ps_safetensors *st);
const ps_tensor *ps_safetensors_at(const ps_safetensors *st, int i);              /* by shard, then offset */
const ps_tensor *ps_safetensors_find(const ps_safetensors *st, const char *name); /* NULL when absent; by hash */

/* Describe a shard: its size, the CRC32C of its header, and the CRC32C of its data.  If the data are more than 64
 * MiB, only samples are read: every tensor up to 16 KiB whole, and four blocks of 4 KiB of a larger one, the first
 * and the last among them.  A replaced tensor shows; a few changed numbers in a large tensor may not
 * (ps_weights_sums). */
int ps_safetensors_fingerprint(const ps_safetensors *st, int shard, char print[64], ps_err *err);

/* Read a tensor's bytes, as they are in the file, to buf[tensor->bytes]. */
int ps_safetensors_read(const ps_safetensors *st, const ps_tensor *tensor, void *buf, ps_err *err);
/* Read `bytes` bytes of a tensor, from its byte `first` on. */
int ps_safetensors_read_part(const ps_safetensors *st, const ps_tensor *tensor, uint64_t first,
                             size_t bytes, void *buf, ps_err *err);

#endif
