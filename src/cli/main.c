/* main.c - the command table.  Compiled for the plainest processor, so that ps_processor_check() can refuse a
 * processor that lacks instructions. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "opt.h"
#include "patchsweep/build.h"
#include "patchsweep/child.h"
#include "patchsweep/process.h"
#include "patchsweep/processor.h"
#include "patchsweep/results.h"
#include "patchsweep/text.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
    bool reads_results; /* results of unknown origin */
} commands[] = {
    {"run", cmd_run, "run the sweep a job file describes (under mpirun or srun, or alone)", false},
    {"show", cmd_show, "draw a result in the terminal, or print it as CSV or JSON", true},
    {"plot", cmd_plot, "draw a result as SVG", true},
    {"tokenize", cmd_tokenize, "show how a text is split into tokens", false},
    {"inspect", cmd_inspect, "describe a model directory, a result file or a journal", true},
    {"bench", cmd_bench, "measure this machine, and predict the sweep rate for a model's shape", false},
};

#define N_COMMANDS (sizeof commands / sizeof *commands)

static int help(void)
{
    printf("usage: patchsweep <command> [options]\n\n"
           "Activation patching at scale: run every (layer, position) cell of a sweep, exactly,\n"
           "in one pass over the layers, and leave the scores in one HDF5 file.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].help);
    printf("\n'patchsweep <command> --help' explains a command; 'patchsweep run --keys' the job file.\n"
           "exit status: 0 done, 1 failed, 2 bad usage, job or model, 75 stopped early: run again to resume\n");
    return 0;
}

static int version(void)
{
    printf("%s\n", ps_build_describe());
    return 0;
}

static int unknown(const char *word)
{
    const char *names[N_COMMANDS];
    ps_err err = PS_ERR_INIT;

    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = ps_nearest(word, names, N_COMMANDS);
    ps_err_set(&err, PS_EINPUT, near ? "unknown command '%s'; did you mean '%s'?"
                                     : "unknown command '%s'; see 'patchsweep --help'", word, near);
    return ps_fail(&err);
}

/* Run a command on a result in a child process: a damaged result may crash the library that reads it. */
static int run_command(const struct command *command, int argc, char **argv)
{
    ps_err err = PS_ERR_INIT;
    int rc = -2;

    if (command->reads_results && !ps_child_begin())
        for (int i = 2; i < argc && rc == -2; i++)
            if (ps_result_is(argv[i]))
                rc = ps_child_run((const char *const *)argv, argv[i], PS_CHILD_SECONDS, NULL, &err);
    return rc == -2 ? command->run(argc - 1, argv + 1) : rc < 0 ? ps_fail(&err) : rc;
}

static int dispatch(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    if (!*word || !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
        help();
        return *word ? 0 : PS_EINPUT;
    }
    if (!strcmp(word, "--version"))
        return version();
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (!strcmp(word, commands[i].name))
            return run_command(&commands[i], argc, argv);
    return unknown(word);
}

int main(int argc, char **argv)
{
    if (ps_processor_check()) /* this comes first: everything after it is compiled for one ARCH */
        return PS_EINPUT;
    ps_process_begin();
    setvbuf(stdout, NULL, _IOLBF, 0); /* so that lines pass mpirun's pipe as they are printed */
    return ps_process_end(dispatch(argc, argv));
}
