/*
 * replay.c - a fuzz target without a fuzzer: every file of the folders named, once.
 *
 *     build/release/tests/fuzz_job tests/fuzz/corpus/job
 *
 * The file at hand is named first: an input that aborts leaves its name as the last line.
 */
#include <dirent.h>
#include <errno.h>

#include "fuzz.h"

/* The bytes of a file, in a block of exactly their number, so that a read behind them is seen. */
static uint8_t *read_whole(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");

    CLAIM(file && fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    CLAIM(size >= 0 && fseek(file, 0, SEEK_SET) == 0);
    *n = (size_t)size;
    uint8_t *data = malloc(*n ? *n : 1);
    CLAIM(data && fread(data, 1, *n, file) == *n);
    fclose(file);
    return data;
}

static int replay(const char *folder)
{
    struct dirent **files;
    int n = scandir(folder, &files, NULL, alphasort), passed = 0;

    if (n < 0) {
        printf("# cannot read %s: %s\n", folder, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char path[1024];
        if (files[i]->d_name[0] != '.') {
            size_t bytes;
            snprintf(path, sizeof path, "%s/%s", folder, files[i]->d_name);
            printf("# %s\n", path);
            fflush(stdout);
            uint8_t *data = read_whole(path, &bytes);
            LLVMFuzzerTestOneInput(data, bytes);
            free(data);
            passed++;
        }
        free(files[i]);
    }
    free(files);
    return passed;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = argc < 2;

    for (int i = 1; i < argc; i++) {
        int n = replay(argv[i]);
        passed += n > 0 ? n : 0;
        failed += n <= 0; /* an empty corpus tests nothing */
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
