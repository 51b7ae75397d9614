/* shape.c - find a shape by name, or list the names there are. */
#include "shape.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "patchsweep/file.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

#define MOST_NAMES 32 /* in a message */

static const char suffix[] = ".json";

/* Shapes lie in the checkout that the program was built in, or beside the program where it is installed. */
static const struct {
    bool beside; /* the program's folder */
    const char *path;
} folders[] = {{true, "/../../data/shapes"}, {true, "/../share/patchsweep/shapes"}, {false, PS_DATADIR "/shapes"}};
enum { N_FOLDERS = sizeof folders / sizeof *folders };

/* Find the folder of the program's file, following symbolic links; "." if the system does not tell. */
static void program_folder(char *out, size_t bytes)
{
    ssize_t n = readlink("/proc/self/exe", out, bytes - 1);

    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    else
        snprintf(out, bytes, ".");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Append the names of the shapes in `folder`, in order: "a, b, c".  Appends nothing if there is none. */
static void list_folder(const char *folder, ps_text *out)
{
    char names[MOST_NAMES][64];
    size_t n = 0;
    DIR *list = opendir(folder);

    if (!list)
        return;
    for (struct dirent *e; n < MOST_NAMES && (e = readdir(list));) {
        size_t bytes = strlen(e->d_name), tail = sizeof suffix - 1;
        if (bytes > tail && bytes - tail < sizeof *names && !strcmp(e->d_name + bytes - tail, suffix))
            snprintf(names[n++], sizeof *names, "%.*s", (int)(bytes - tail), e->d_name);
    }
    closedir(list);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        char shown[sizeof *names * 4 + 1];
        ps_printable(shown, sizeof shown, names[i]);
        ps_text_printf(out, "%s%s", i ? ", " : "", shown);
    }
}

/* Set *err: there is no shape `name`.  List the shapes of the first folder that has any. */
static void refuse(const char *name, const char *program, ps_err *err)
{
    ps_text names = {0}, folder = {0};

    for (size_t i = 0; i < N_FOLDERS && !names.n; i++) {
        ps_text_release(&folder);
        ps_text_printf(&folder, "%s%s", folders[i].beside ? program : "", folders[i].path);
        list_folder(ps_text_str(&folder), &names);
    }
    if (names.n)
        ps_err_set(err, PS_EINPUT, "--shape: '%s' is neither a config.json, nor a model directory, nor one of our shapes: %s",
                   name, ps_text_str(&names));
    else
        ps_err_set(err, PS_EINPUT, "--shape: '%s' is neither a config.json nor a model directory, and no shapes are beside "
                   "'%s' or in %s", name, program, PS_DATADIR "/shapes");
    ps_text_release(&names);
    ps_text_release(&folder);
}

/* Return the path of one of our shapes, or NULL with *err set. */
static char *own_shape(const char *name, ps_err *err)
{
    char program[4096], *path = NULL;
    ps_text candidate = {0};

    program_folder(program, sizeof program);
    for (size_t i = 0; i < N_FOLDERS && !path && !strchr(name, '/') && !err->code; i++) {
        ps_text_release(&candidate);
        ps_text_printf(&candidate, "%s%s/%s%s", folders[i].beside ? program : "", folders[i].path, name, suffix);
        if (ps_file_kind(ps_text_str(&candidate)) == 1)
            path = ps_strdup(ps_text_str(&candidate), err);
    }
    ps_text_release(&candidate);
    if (!path && !err->code)
        refuse(name, program, err);
    return path;
}

int ps_shape_find(char **path, const char *name, ps_err *err)
{
    int kind = ps_file_kind(name);

    *path = kind == 1 ? ps_strdup(name, err) : kind ? ps_path_join(name, "config.json", err) : own_shape(name, err);
    return *path ? 0 : -1;
}
