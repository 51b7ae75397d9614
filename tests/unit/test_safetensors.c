/*
 * test_safetensors.c - one broken file for each rule of the format, and the good ones near by.
 *
 * The numbers are the rules': 1-3 length, 4-6 text, 7-10 one entry, 11-14 ranges, 15 metadata,
 * 16 duplicates, 17 alignment, 18 values, 19 aliases.  Files are built in a folder of their own.
 */
#include "patchsweep/safetensors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../check.h"

#define SINGLE "model.safetensors"
#define INDEX SINGLE ".index.json"
#define N_OF(array) (sizeof(array) / sizeof *(array))

static char folder[] = "/tmp/test_safetensors.XXXXXX";

/* ---- files ---- */

static const char *at(const char *name)
{
    static char path[300];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *file = fopen(at(name), "wb");

    CHECK(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
}

/* A whole file: the length that is claimed, the header, and data of 0, 1, 2, ... */
static void put_claiming(const char *name, uint64_t claim, const char *header, size_t n, size_t n_data)
{
    unsigned char *bytes = malloc(8 + n + n_data);

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(claim >> 8 * i);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < n_data; i++)
        bytes[8 + n + i] = (unsigned char)i;
    put(name, bytes, 8 + n + n_data);
    free(bytes);
}

static void put_tensors(const char *name, const char *header, size_t n_data)
{
    put_claiming(name, strlen(header), header, strlen(header), n_data);
}

static void clear(void)
{
    static const char *const names[] = {SINGLE, INDEX, "a.safetensors", "b.safetensors", "pytorch_model.bin",
                                        "pytorch_model.bin.index.json"};

    for (size_t i = 0; i < N_OF(names); i++)
        unlink(at(names[i]));
}

/* ---- checks ---- */

/* The folder opens, or is refused with `words` and, in front, the name of the file. */
static bool opens(int rule, const char *what, const char *file, const char *words)
{
    ps_safetensors *st = NULL;
    ps_err err = PS_ERR_INIT;
    int rc = ps_safetensors_open(&st, folder, &err);
    bool good = words ? rc == -1 && err.code == PS_EINPUT && strstr(err.text, words) && strstr(err.text, file)
                      : rc == 0;

    if (!good)
        printf("# rule %d: %.100s: gave %d '%s', wanted '%s'\n", rule, what, rc, err.text, words ? words : "");
    CHECK(good);
    ps_safetensors_close(st);
    return good;
}

#define OK NULL
#define F32 "{\"a\":{\"dtype\":\"F32\",\"shape\":"
#define ONE "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"
#define TWO "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}"

static const struct row {
    int rule;
    const char *header;
    size_t n_data;
    const char *words; /* OK: the file is good */
} rows[] = {
    {4, "{\"a\xff\":" ONE "}", 4, "not valid UTF-8"},
    {4, "{\"a\":" ONE ",\"__metadata__\":{\"x\":\"\xc0\xaf\"}}", 4, "not valid UTF-8"},
    {4, "{\"caf\xc3\xa9\":" ONE "}", 4, OK},
    {5, "", 0, "empty, not JSON"},
    {5, "{", 0, "not valid JSON"},
    {5, "[]", 0, "header: is an array"},
    {5, "\"a\"", 0, "header: is a string"},
    {5, "null", 0, "header: is null"},
    {5, "{} x", 0, "1:4: text after the value"},
    {5, "{}{}", 0, "1:3: text after the value"},
    {5, "\xef\xbb\xbf{}", 0, "byte order mark"},
    {5, "{\"a\":" ONE ",}", 4, "not a key"},
    {5, "{'a':" ONE "}", 4, "not a key"},
    {5, "{}", 0, OK},
    {6, "   {\"a\":" ONE "}", 4, OK},
    {6, "\n\t\r {\"a\":" ONE "} \n\t\r  ", 4, OK},
    {6, "{\"a\":" ONE "}\v", 4, "unexpected character"},
    {6, "{\"a\":" ONE "}\xc2\xa0", 4, "unexpected character"},
    {7, "{\"a\":4}", 4, "tensor 'a': is a number, not an object"},
    {7, "{\"a\":[]}", 4, "is an array, not an object"},
    {7, "{\"a\":null}", 4, "is null, not an object"},
    {7, "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no 'dtype'"},
    {7, "{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no 'dtype'"},
    {7, "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no 'shape'"},
    {7, F32 "1,\"data_offsets\":[0,4]}}", 4, "no 'shape'"},
    {7, F32 "[1.0],\"data_offsets\":[0,4]}}", 4, "shape[0] is not an integer"},
    {7, F32 "[1,1e0],\"data_offsets\":[0,4]}}", 4, "shape[1] is not an integer"},
    {7, F32 "[-1],\"data_offsets\":[0,4]}}", 4, "shape[0] is not an integer"},
    {7, F32 "[-0],\"data_offsets\":[0,0]}}", 0, "shape[0] is not an integer"},
    {7, F32 "[\"1\"],\"data_offsets\":[0,4]}}", 4, "shape[0] is not an integer"},
    {7, F32 "[9007199254740992],\"data_offsets\":[0,4]}}", 4, "shape[0] is not an integer"},
    {7, F32 "[1e400],\"data_offsets\":[0,4]}}", 4, "number past the largest double"},
    {7, F32 "[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "more than 8 dimensions"},
    {7, F32 "[1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, OK},
    {7, F32 "[1]}}", 4, "no 'data_offsets'"},
    {7, F32 "[1],\"data_offsets\":4}}", 4, "no 'data_offsets'"},
    {7, F32 "[1],\"data_offsets\":[0]}}", 4, "no 'data_offsets'"},
    {7, F32 "[1],\"data_offsets\":[0,4,8]}}", 4, "no 'data_offsets'"},
    {7, F32 "[1],\"data_offsets\":[-4,0]}}", 4, "data_offsets[0] is not an integer"},
    {7, F32 "[1],\"data_offsets\":[0,4.0]}}", 4, "data_offsets[1] is not an integer"},
    {7, F32 "[1],\"data_offsets\":[0,\"4\"]}}", 4, "data_offsets[1] is not an integer"},
    {7, F32 "[1],\"data_offsets\":[0,18446744073709551620]}}", 4, "data_offsets[1] is not an integer"},
    {7, F32 "[1],\"data_offsets\":[0,4],\"extra\":[{\"x\":1}]}}", 4, OK},
    {8, "{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype 'f32'"},
    {8, "{\"a\":{\"dtype\":\"F128\",\"shape\":[1],\"data_offsets\":[0,16]}}", 16, "unknown dtype 'F128'"},
    {8, "{\"a\":{\"dtype\":\"\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype ''"},
    {9, F32 "[4503599627370496,4503599627370496],\"data_offsets\":[0,4]}}", 4, "more than 2^64 elements"},
    {9, F32 "[4503599627370496,4503599627370496,0],\"data_offsets\":[0,0]}}", 0, "more than 2^64 elements"},
    {9, F32 "[0,4503599627370496,4503599627370496],\"data_offsets\":[0,0]}}", 0, OK},
    {9, F32 "[4503599627370496,2048],\"data_offsets\":[0,4]}}", 4, "more than 2^64 bits"},
    {9, F32 "[4294967296,1073741824,4],\"data_offsets\":[0,0]}}", 0, "more than 2^64 elements"}, /* 2^64: not 0 */
    {10, "{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "no whole number of bytes"},
    {10, "{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "no whole number of bytes"},
    {10, "{\"a\":{\"dtype\":\"F6_E3M2\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3, OK},
    {11, F32 "[2],\"data_offsets\":[0,4]}}", 4, "its shape takes 8 bytes, its data_offsets 4"},
    {11, F32 "[1],\"data_offsets\":[0,8]}}", 8, "its shape takes 4 bytes, its data_offsets 8"},
    {11, F32 "[0],\"data_offsets\":[0,4]}}", 4, "its shape takes 0 bytes"},
    {12, "{\"b\":" TWO "}", 8, "tensor 'b': begins at byte 4 of the data, after a gap from 0"},
    {12, "{\"a\":" ONE ",\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[5,6]}}", 6, "after a gap from 4"},
    {12, "{\"a\":" ONE ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}", 6, "inside another"},
    {12, F32 "[1],\"data_offsets\":[4,0]}}", 4, "data_offsets end at 0, before they begin at 4"},
    {12, "{\"b\":" TWO ",\"a\":" ONE "}", 8, OK},
    {13, "{\"a\":" ONE "}", 5, "1 bytes after the last tensor"},
    {13, "{}", 1, "1 bytes after the last tensor"},
    {13, "{\"a\":" ONE "}", 2, "2 bytes are missing at its end: the download was cut short"},
    {13, "{\"a\":" ONE ",\"b\":" TWO "}", 4, "4 bytes are missing at its end: the download was cut short"},
    {14, F32 "[],\"data_offsets\":[0,4]}}", 4, OK},
    {14, F32 "[0],\"data_offsets\":[0,0]}}", 0, OK},
    {14, F32 "[2,0,3],\"data_offsets\":[4,4]},\"b\":" ONE "}", 4, OK},
    {14, F32 "[0],\"data_offsets\":[0,0]},\"b\":" ONE ",\"c\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 4, OK},
    {14, F32 "[0],\"data_offsets\":[2,2]},\"b\":" ONE "}", 4, "inside another"},
    {14, F32 "[0],\"data_offsets\":[5,5]},\"b\":" ONE "}", 4, "after a gap"},
    {15, "{\"__metadata__\":{\"format\":\"pt\"},\"a\":" ONE "}", 4, OK},
    {15, "{\"__metadata__\":null,\"a\":" ONE "}", 4, OK},
    {15, "{\"__metadata__\":{},\"a\":" ONE "}", 4, OK},
    {15, "{\"__metadata__\":{\"n\":1},\"a\":" ONE "}", 4, "'n' is a number, not a string"},
    {15, "{\"__metadata__\":{\"n\":{}},\"a\":" ONE "}", 4, "'n' is an object, not a string"},
    {15, "{\"__metadata__\":{\"n\":null},\"a\":" ONE "}", 4, "'n' is null, not a string"},
    {15, "{\"__metadata__\":[],\"a\":" ONE "}", 4, "'__metadata__' is an array"},
    {15, "{\"__metadata__\":\"pt\",\"a\":" ONE "}", 4, "'__metadata__' is a string"},
    {15, "{\"__metadata__\":{},\"__metadata__\":{},\"a\":" ONE "}", 4, "duplicate key '__metadata__'"},
    {16, "{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},\"a\":" ONE "}", 4, "duplicate key 'a'"},
    {16, "{\"a\":" ONE ",\"a\":" TWO "}", 8, "duplicate key 'a'"},
    {16, "{\"a\":" ONE ",\"\\u0061\":" TWO "}", 8, "duplicate key 'a'"},
    {16, F32 "[1],\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "duplicate key 'shape'"},
    {16, "{\"a\":" ONE ",\"A\":" TWO "}", 8, OK},
    {17, "{\"a\":{\"shape\":[1],\"data_offsets\":[1,5],\"dtype\":\"F32\"},"
         "\"z\":{\"data_offsets\":[0,1],\"dtype\":\"U8\",\"shape\":[1]}}", 5, OK},
    {19, "{\"a\":" ONE ",\"b\":" ONE "}", 4, "inside another"},
};

static void each_rule(void)
{
    clear();
    for (size_t i = 0; i < N_OF(rows); i++) {
        put_tensors(SINGLE, rows[i].header, rows[i].n_data);
        opens(rows[i].rule, rows[i].header, SINGLE, rows[i].words);
    }
    printf("# %zu files\n", N_OF(rows));
}

/* Rules 1 to 3: before there is a text at all. */
static void length_of_the_header(void)
{
    static const struct {
        int rule;
        uint64_t claim;
        size_t n_header, n_data;
        const char *words;
    } lengths[] = {
        {2, 100000001, 2, 0, "more than the 100000000 allowed"},
        {2, UINT64_MAX, 2, 0, "18446744073709551615 bytes"},
        {2, UINT64_MAX - 7, 2, 0, "more than the 100000000 allowed"}, /* 8 + N is 0 in 64 bits */
        {3, 100000000, 2, 0, "does not fit a file of 10: the download was cut short"},
        {3, 3, 2, 0, "does not fit a file of 10"},
        {3, 2, 2, 0, OK},
    };

    clear();
    for (size_t n = 0; n < 8; n++) {
        put(SINGLE, "\0\0\0\0\0\0\0", n);
        opens(1, "a short file", SINGLE, "too few for a safetensors file");
    }
    for (size_t i = 0; i < N_OF(lengths); i++) {
        put_claiming(SINGLE, lengths[i].claim, "{}", lengths[i].n_header, lengths[i].n_data);
        opens(lengths[i].rule, "a length", SINGLE, lengths[i].words);
    }
}

/* Rule 5, where a C string cannot say it. */
static void nul_in_the_header(void)
{
    static const char behind[] = "{\"a\":" ONE "}\0\0", inside[] = "{\"a\0b\":" ONE "}";

    clear();
    put_claiming(SINGLE, sizeof behind - 1, behind, sizeof behind - 1, 4);
    opens(5, "NUL padding", SINGLE, "NUL byte");
    put_claiming(SINGLE, sizeof inside - 1, inside, sizeof inside - 1, 4);
    opens(5, "NUL in a name", SINGLE, "control character");
    put_tensors(SINGLE, "{\"a\\u0000b\":" ONE "}", 4);
    opens(5, "escaped NUL in a name", SINGLE, "\\u0000");
}

/* Rule 8: each dtype with its size; a byte more or less is refused. */
static void every_dtype(void)
{
    static const struct {
        const char *name;
        int bits, dtype;
    } dtypes[] = {
        {"BOOL", 8, -1},       {"F4", 4, -1},           {"F6_E2M3", 6, -1},     {"F6_E3M2", 6, -1},
        {"U8", 8, -1},         {"I8", 8, -1},           {"F8_E5M2", 8, -1},     {"F8_E4M3", 8, -1},
        {"F8_E8M0", 8, -1},    {"F8_E4M3FNUZ", 8, -1},  {"F8_E5M2FNUZ", 8, -1}, {"I16", 16, -1},
        {"U16", 16, -1},       {"F16", 16, PS_DTYPE_F16}, {"BF16", 16, PS_DTYPE_BF16}, {"I32", 32, -1},
        {"U32", 32, -1},       {"F32", 32, PS_DTYPE_F32}, {"C64", 64, -1},      {"F64", 64, -1},
        {"I64", 64, -1},       {"U64", 64, -1},
    };

    clear();
    for (size_t i = 0; i < N_OF(dtypes); i++)
        for (int off = -1; off <= 1; off++) {
            char header[200];
            ps_safetensors *st = NULL;
            ps_err err = PS_ERR_INIT;
            int bytes = dtypes[i].bits + off; /* of a tensor with 8 elements */
            snprintf(header, sizeof header, "{\"t\":{\"dtype\":\"%s\",\"shape\":[2,4],\"data_offsets\":[0,%d]}}",
                     dtypes[i].name, bytes);
            put_tensors(SINGLE, header, (size_t)bytes);
            CHECK_INT(ps_safetensors_open(&st, folder, &err), off ? -1 : 0);
            if (st) {
                CHECK_STR(ps_safetensors_at(st, 0)->type_name, dtypes[i].name);
                CHECK_INT(ps_safetensors_at(st, 0)->dtype, dtypes[i].dtype);
            }
            ps_safetensors_close(st);
        }
}

/* Rules 17 and 18: a tensor at an odd place is read as it stands, be it not a number. */
static void unaligned_data(void)
{
    static const char header[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[3,15]},"
                                 "\"w\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}";
    const float wanted[3] = {1.5f, NAN, -INFINITY};
    unsigned char bytes[8 + sizeof header - 1 + 15] = {sizeof header - 1};
    ps_safetensors *st = NULL;
    ps_err err = PS_ERR_INIT;
    float seen[3] = {0};

    clear();
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(bytes + sizeof bytes - 15, "abc", 3);
    memcpy(bytes + sizeof bytes - 12, wanted, 12);
    put(SINGLE, bytes, sizeof bytes);
    CHECK_INT(ps_safetensors_open(&st, folder, &err), 0);
    if (!st)
        return;
    const ps_tensor *x = ps_safetensors_find(st, "x");
    CHECK(x && ps_safetensors_read(st, x, seen, &err) == 0 && !memcmp(seen, wanted, 12));
    CHECK(x && x->n_dims == 1 && x->dims[0] == 3 && x->bytes == 12);
    CHECK_STR(ps_safetensors_at(st, 0)->name, "w"); /* by offset, not as the header has them */
    CHECK_INT(ps_safetensors_n(st), 2);
    CHECK_INT(ps_safetensors_bytes(st), 15);
    CHECK(!ps_safetensors_find(st, "y") && !ps_safetensors_find(st, ""));

    /* The file shrinks under our hands. */
    CHECK(truncate(at(SINGLE), (off_t)sizeof bytes - 5) == 0);
    CHECK_ERR(ps_safetensors_read(st, x, seen, &err), err, PS_EINPUT, "tensor 'x': ");
    CHECK(strstr(err.text, SINGLE) && strstr(err.text, "5 bytes early"));
    ps_safetensors_close(st);
}

/* A good file, cut anywhere, is refused; with any one byte of its header changed it may be
 * another good file, but nothing worse. */
static void damage(void)
{
    static const char header[] = "{\"__metadata__\":{\"k\":\"v\"},\"a\":" ONE ",\"b\":" TWO "} ";
    const size_t n = 8 + sizeof header - 1 + 8;
    unsigned char good[8 + sizeof header - 1 + 8] = {sizeof header - 1};
    size_t accepted = 0;

    clear();
    memcpy(good + 8, header, sizeof header - 1);
    for (size_t cut = 0; cut < n; cut++) {
        put(SINGLE, good, cut);
        opens(13, "a cut file", SINGLE, cut < 8 ? "too few" : "cut short");
    }
    for (size_t i = 0; i < 3 * (n - 8); i++) {
        static const unsigned char masks[] = {0x01, 0x20, 0xff};
        unsigned char *byte = &good[i / 3];
        ps_safetensors *st = NULL;
        ps_err err = PS_ERR_INIT;
        *byte ^= masks[i % 3];
        put(SINGLE, good, n);
        int rc = ps_safetensors_open(&st, folder, &err);
        CHECK(rc == 0 || (rc == -1 && err.code == PS_EINPUT && strstr(err.text, SINGLE)));
        accepted += rc == 0;
        ps_safetensors_close(st);
        *byte ^= masks[i % 3];
    }
    printf("# %zu of %zu changed files are still good ones\n", accepted, 3 * (n - 8));
    CHECK(accepted < n);
}

/* Names by hash: more tensors than slots at the start. */
static void many_tensors(void)
{
    enum { N = 3000 };
    char *header = malloc(N * 80), name[20];
    ps_safetensors *st = NULL;
    ps_err err = PS_ERR_INIT;
    int n = 0, wrong = 0;

    clear();
    for (int i = 0; i < N; i++)
        n += sprintf(header + n, "%c\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                     i ? ',' : '{', i, N - 1 - i, N - i);
    strcpy(header + n, "}");
    put_tensors(SINGLE, header, N);
    free(header);
    CHECK_INT(ps_safetensors_open(&st, folder, &err), 0);
    for (int i = 0; st && i < N; i++) {
        unsigned char byte;
        snprintf(name, sizeof name, "t%d", i);
        const ps_tensor *t = ps_safetensors_find(st, name);
        wrong += !t || ps_safetensors_at(st, N - 1 - i) != t || ps_safetensors_read(st, t, &byte, &err) < 0 ||
                 byte != (unsigned char)(N - 1 - i);
    }
    CHECK_INT(wrong, 0);
    ps_safetensors_close(st);
}

/* ---- shards ---- */

static const struct index {
    const char *index;
    const char *file; /* that the message names */
    const char *words;
} indexes[] = {
    {"{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"b.safetensors\"}}", "", OK},
    {"{\"metadata\":{\"total_size\":8},\"weight_map\":{\"b\":\"b.safetensors\",\"a\":\"a.safetensors\"}}", "", OK},
    {"{", INDEX, "not valid JSON"},
    {"[]", INDEX, "no 'weight_map'"},
    {"{}", INDEX, "no 'weight_map'"},
    {"{\"weight_map\":{}}", INDEX, "no 'weight_map' with entries"},
    {"{\"weight_map\":[\"a.safetensors\"]}", INDEX, "no 'weight_map'"},
    {"{\"weight_map\":{\"a\":\"sub/a.safetensors\"}}", INDEX, "'sub/a.safetensors', which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"..\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"../a.safetensors\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":7}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\".\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"./a.safetensors\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"a/../../b.safetensors\"}}", INDEX, "'a/../../b.safetensors', which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"\\u002e\\u002e/a.safetensors\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"..\\\\a.safetensors\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"a\\\\b.safetensors\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\".a.safetensors\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"\\u001b[31ma.safetensors\"}}", INDEX, "names '\\x1b[31ma.safetensors', which is no"},
    {"{\"weight_map\":{\"a\":\"a.safetensors\\n\"}}", INDEX, "which is not a plain file name"},
    {"{\"weight_map\":{\"a\":\"a\\u0000.safetensors\"}}", INDEX, "\\u0000"},
    {"{\"weight_map\":{\"a\":\"a.safetensors\",\"a\":\"b.safetensors\"}}", INDEX, "duplicate key"},
    {"{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"c.safetensors\"}}", "c.safetensors", "cannot open"},
    {"{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"a.safetensors\"}}", INDEX, "tensor 'b' is not in 'a.safetensors'"},
    {"{\"weight_map\":{\"a\":\"b.safetensors\",\"b\":\"a.safetensors\"}}", INDEX, "tensor 'a' is not in 'b.safetensors'"},
    {"{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"b.safetensors\",\"x\":\"b.safetensors\"}}", INDEX,
     "tensor 'x' is not in 'b.safetensors'"},
};

static void index_rules(void)
{
    clear();
    put_tensors("a.safetensors", "{\"a\":" ONE "}", 4);
    put_tensors("b.safetensors", "{\"b\":" ONE "}", 4);
    for (size_t i = 0; i < N_OF(indexes); i++) {
        put(INDEX, indexes[i].index, strlen(indexes[i].index));
        opens(0, indexes[i].index, indexes[i].file, indexes[i].words);
    }
    put(INDEX, indexes[0].index, strlen(indexes[0].index));
    put_tensors("b.safetensors", "{\"b\":" ONE ",\"c\":" TWO "}", 8);
    opens(0, "a tensor beside the map", "b.safetensors", "tensor 'c' of");
    put_tensors("b.safetensors", "{\"b\":" ONE ",\"a\":" TWO "}", 8);
    opens(0, "a tensor in two shards", "a.safetensors", "tensor 'a' is both in");
    put_tensors("b.safetensors", "{\"b\":" ONE "}", 3);
    opens(0, "a shard cut short", "b.safetensors", "the download was cut short");
}

static void shards_are_read(void)
{
    static const char *const index =
        "{\"weight_map\":{\"y\":\"b.safetensors\",\"x\":\"a.safetensors\",\"z\":\"b.safetensors\"}}";
    static const struct { const char *name, *path; unsigned char first; } wanted[] = {
        {"x", "a.safetensors", 0}, {"z", "b.safetensors", 0}, {"y", "b.safetensors", 4}};
    ps_safetensors *st = NULL;
    ps_err err = PS_ERR_INIT;

    clear();
    put(INDEX, index, strlen(index));
    put_tensors("a.safetensors", "{\"x\":" ONE "}", 4);
    put_tensors("b.safetensors", "  {\"y\":" TWO ",\"z\":" ONE "}", 8);
    CHECK_INT(ps_safetensors_open(&st, folder, &err), 0);
    if (!st)
        return;
    CHECK_INT(ps_safetensors_n_shards(st), 2);
    CHECK_INT(ps_safetensors_n(st), 3);
    CHECK_INT(ps_safetensors_bytes(st), 12);
    for (int i = 0; i < 3; i++) {
        const ps_tensor *tensor = ps_safetensors_at(st, i);
        unsigned char bytes[4] = {99};
        CHECK_STR(tensor->name, wanted[i].name);
        CHECK_STR(strrchr(ps_safetensors_shard_path(st, tensor->shard), '/') + 1, wanted[i].path);
        CHECK_INT(ps_safetensors_read(st, tensor, bytes, &err), 0);
        CHECK_INT(bytes[0], wanted[i].first);
        CHECK(ps_safetensors_find(st, wanted[i].name) == tensor);
    }
    ps_safetensors_close(st);
}

/* ---- folders ---- */

static void no_weights(void)
{
    clear();
    opens(0, "an empty folder", folder, "has neither model.safetensors nor");
    put("pytorch_model.bin", "x", 1);
    opens(0, "only .bin", "pytorch_model.bin", "convert them to model.safetensors");
    clear();
    put("pytorch_model.bin.index.json", "{}", 2);
    opens(0, "only .bin shards", "pytorch_model.bin.index.json", "save_pretrained()");
    clear();
    put(SINGLE, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", 63);
    opens(0, "an LFS pointer", SINGLE, "run 'git lfs pull'");
    clear();
    CHECK(symlink("nowhere", at(SINGLE)) == 0);
    opens(0, "a dangling link", SINGLE, "a link to a file that is not there");
    clear();
    CHECK(mkdir(at(SINGLE), 0777) == 0);
    opens(0, "a folder", SINGLE, "not a regular file");
    CHECK(rmdir(at(SINGLE)) == 0);
    CHECK(mkfifo(at(SINGLE), 0666) == 0); /* must not wait for a writer */
    opens(0, "a pipe", SINGLE, "not a regular file");
}

/* One file wins over an index beside it, as in transformers. */
static void single_before_index(void)
{
    clear();
    put_tensors(SINGLE, "{\"a\":" ONE "}", 4);
    put(INDEX, "broken", 6);
    opens(0, "both", SINGLE, OK);
}

/* Of files above 64 MiB samples are read, of every tensor some: one that is replaced whole shows. */
static void every_tensor_is_sampled(void)
{
    enum { N = 300, LARGE = 256 << 10, SMALL = 2304 }; /* one in ten is a vector */
    static unsigned char other[LARGE];
    char *header = malloc(N * 100), before[64], now[64];
    size_t n = 0, offset = 0, begins[N], bytes[N];
    ps_safetensors *st;
    ps_err err = PS_ERR_INIT;

    memset(other, 0xaa, sizeof other);
    for (int i = 0; i < N; i++) {
        bytes[i] = i % 10 == 9 ? SMALL : LARGE;
        begins[i] = offset;
        n += (size_t)sprintf(header + n, "%c\"t%d\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}",
                             i ? ',' : '{', i, bytes[i], offset, offset + bytes[i]);
        offset += bytes[i];
    }
    header[n++] = '}';
    put_claiming(SINGLE, n, header, n, 0);
    CHECK(offset > 64 << 20 && truncate(at(SINGLE), (off_t)(8 + n + offset)) == 0);
    CHECK(ps_safetensors_open(&st, folder, &err) == 0 && ps_safetensors_fingerprint(st, 0, before, &err) == 0);
    FILE *file = fopen(at(SINGLE), "r+b");
    for (int i = 0; i < N; i += i % 10 == 8 ? 1 : 4) {
        static const unsigned char zeros[LARGE];
        const unsigned char *const fill[] = {other, zeros};
        for (int back = 0; back < 2; back++) {
            CHECK(fseek(file, (long)(8 + n + begins[i]), SEEK_SET) == 0 &&
                  fwrite(fill[back], 1, bytes[i], file) == bytes[i] && fflush(file) == 0 &&
                  ps_safetensors_fingerprint(st, 0, now, &err) == 0);
            CHECK((strcmp(before, now) == 0) == back);
        }
    }
    fclose(file);
    ps_safetensors_close(st);
    free(header);
    clear();
}

int main(void)
{
    int first_free = dup(0);

    close(first_free);
    if (!mkdtemp(folder))
        return 1;
    RUN(length_of_the_header);
    RUN(nul_in_the_header);
    RUN(each_rule);
    RUN(every_dtype);
    RUN(unaligned_data);
    RUN(damage);
    RUN(many_tensors);
    RUN(index_rules);
    RUN(shards_are_read);
    RUN(no_weights);
    RUN(single_before_index);
    RUN(every_tensor_is_sampled);
    clear();
    rmdir(folder);
    CHECK_INT(dup(0), first_free); /* or a file was left open */
    return check_done();
}
