/*
 * fuzz_safetensors.c - the bytes of one model.safetensors.
 *
 * The tensors of a file that is accepted tile its data, are found by name, and can be read.
 */
#include "fuzz.h"
#include "patchsweep/safetensors.h"

static void check_tensors(const ps_safetensors *st, size_t file_bytes)
{
    ps_err err = PS_ERR_INIT;
    uint64_t end = 0, sum = 0;
    char *bytes = malloc(file_bytes + 1);

    for (int i = 0; i < ps_safetensors_n(st); i++) {
        const ps_tensor *tensor = ps_safetensors_at(st, i);
        CLAIM(ps_utf8_check(tensor->name, strlen(tensor->name)) == strlen(tensor->name));
        CLAIM(ps_safetensors_find(st, tensor->name) == tensor);
        CLAIM(tensor->shard == 0 && tensor->n_dims >= 0 && tensor->n_dims <= PS_MAX_DIMS);
        CLAIM(i == 0 || tensor->offset == end);
        end = tensor->offset + tensor->bytes;
        sum += tensor->bytes;
        CLAIM(end <= file_bytes);
        CLAIM(ps_safetensors_read(st, tensor, bytes, &err) == 0);
    }
    CLAIM(sum == ps_safetensors_bytes(st));
    CLAIM(ps_safetensors_n(st) == 0 || end == file_bytes);
    CLAIM(!ps_safetensors_find(st, "no such tensor: its name is longer than any input's, or by chance the same") ||
          ps_safetensors_n(st) > 0);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ps_err err = PS_ERR_INIT;
    ps_safetensors *st = NULL;

    fuzz_write("model.safetensors", data, n);
    int rc = ps_safetensors_open(&st, fuzz_folder(), &err);
    if (rc < 0)
        fuzz_refused(rc, &err);
    else
        check_tensors(st, n);
    ps_safetensors_close(st);
    return 0;
}
