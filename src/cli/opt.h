/*
 * opt.h - a command's options as a table: the same rows parse argv and print --help.
 */
#ifndef PATCHSWEEP_CLI_OPT_H
#define PATCHSWEEP_CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "patchsweep/err.h"

enum ps_opt_type {
    PS_OPT_FLAG,   /* bool: set to true */
    PS_OPT_STRING, /* const char *: the argument, borrowed from argv */
    PS_OPT_INT,    /* long: checked to be a whole number */
    PS_OPT_AMOUNT, /* double: checked to be a number, not negative and finite */
    PS_OPT_LIST,   /* ps_opt_list: each occurrence adds one */
};

typedef struct ps_opt_list {
    const char *at[64];
    size_t n;
} ps_opt_list;

typedef struct ps_opt {
    char letter;      /* 'o' for -o, or 0 */
    const char *name; /* "output" for --output */
    enum ps_opt_type type;
    void *target;
    const char *arg;  /* what the argument is called in help: "FILE" */
    const char *help; /* may hold newlines */
} ps_opt;

typedef struct ps_usage {
    const char *synopsis; /* "patchsweep show [options] FILE" */
    const char *about;    /* a paragraph */
    const ps_opt *opts;   /* ends with a row whose name is NULL */
    const char *more;     /* printed after the options: examples; or NULL */
} ps_usage;

/*
 * Parse argv; argv[0] is the command's name.  Options may be anywhere; "--" ends them.  Arguments are moved to the
 * front: argv[0..*n_args).  Returns 0, or 1 if --help was asked for and has been printed, or -1 with *err set
 * (PS_EINPUT, which names the nearest option).
 */
int ps_opt_parse(const ps_usage *usage, int argc, char **argv, int *n_args, ps_err *err);

/* Print err as every command does.  Returns the exit status. */
int ps_fail(const ps_err *err);

/* The commands.  Each takes argv from the command's name on, and returns the exit status. */
int cmd_run(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_plot(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_bench(int argc, char **argv);

#endif
