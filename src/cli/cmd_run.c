/* cmd_run.c - run the sweep that a job file describes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opt.h"
#include "patchsweep/comm.h"
#include "patchsweep/job.h"
#include "patchsweep/log.h"
#include "patchsweep/mem.h"
#include "patchsweep/process.h"
#include "patchsweep/run.h"
#include "patchsweep/text.h"

/* Print the command line nearly as one would type it again, for the file's history. */
static void command_line(ps_text *out, int argc, char **argv)
{
    ps_text_puts(out, "patchsweep");
    for (int i = 0; i < argc; i++)
        ps_text_printf(out, strpbrk(argv[i], " \"'$") ? " '%s'" : " %s", argv[i]);
}

static int help_job(void)
{
    ps_err err = PS_ERR_INIT;
    char *text = ps_job_help(&err);

    if (!text)
        return ps_fail(&err);
    printf("%s", text);
    ps_free(text);
    return 0;
}

static int run_all(const ps_run_options *options)
{
    ps_err err = PS_ERR_INIT;
    ps_comm *comm;

    ps_process_without_stdout(); /* the result goes to a file, so stdout is not needed */
    if (ps_comm_open(&comm, &err) < 0)
        return ps_fail(&err);
    ps_log_set_rank(ps_comm_rank(comm), ps_comm_size(comm));
    if (ps_run(options, comm, &err) < 0 && err.code != PS_ESTOPPED && ps_comm_rank(comm) == 0)
        ps_fail(&err); /* every rank has this error; one prints it */
    ps_comm_close(comm);
    return err.code;
}

/* Check a number of rows. 0: the option was not given. */
static int check_rows(const char *option, long rows, long most, ps_err *err)
{
    if (rows >= 0 && rows <= most)
        return 0;
    return ps_err_set(err, PS_EINPUT, "%s: %ld is out of range; use 1 to %ld", option, rows, most);
}

int cmd_run(int argc, char **argv)
{
    ps_run_options options = {.save_minutes = PS_SAVE_MINUTES};
    ps_opt_list overrides = {.n = 0};
    ps_err err = PS_ERR_INIT;
    const char *memory = NULL;
    bool job_keys = false;
    int n_args = 0;
    const ps_opt opts[] = {
        {'o', "output", PS_OPT_STRING, &options.output, "FILE",
         "the result file (default: the job's, or the job's name with .h5); anything but\n"
         "a regular file, symbolic links included, is neither followed nor replaced"},
        {0, "set", PS_OPT_LIST, &overrides, "KEY=VALUE", "override a key of the job; may be repeated"},
        {0, "force", PS_OPT_FLAG, &options.force, NULL,
         "replace a regular file that is no result of this job, and start an interrupted\n"
         "run over; to resume a run that was started with --force, leave it out"},
        {0, "max-hours", PS_OPT_AMOUNT, &options.max_hours, "H",
         "save and stop before H hours are over (default: before Slurm ends the job,\n"
         "if Slurm says when)"},
        {0, "save-minutes", PS_OPT_AMOUNT, &options.save_minutes, "M",
         "save the rows in flight every M minutes (default 10), but spend at most a\n"
         "twentieth of the time on it; 0: save only when told to stop"},
        {'q', "quiet", PS_OPT_FLAG, &options.quiet, NULL, "no table of pairs, no progress"},
        {0, "memory", PS_OPT_STRING, &memory, "SIZE",
         "the most memory that all ranks of a node use together, weights included, such\n"
         "as 64G (default: most of what is available, within limits of control groups)"},
        {0, "panel-rows", PS_OPT_INT, &options.panel_rows, "N",
         "the most rows of one matrix product (default: 1024; a prompt's at least)"},
        {0, "wave-rows", PS_OPT_INT, &options.wave_rows, "N",
         "the most rows that go through the layers together, over all ranks (default:\n"
         "as many as the memory allows)"},
        {0, "keys", PS_OPT_FLAG, &job_keys, NULL, "list the job's keys and exit"},
        {0, NULL, PS_OPT_FLAG, NULL, NULL, NULL},
    };
    const ps_usage usage = {
        "[mpirun -n N] patchsweep run [options] JOB",
        "Run the sweep that job file JOB describes, alone or under mpirun or srun, and write one\n"
        "HDF5 file.  A complete result of the same job is left as it is.  The same command line\n"
        "resumes a run that was stopped or killed, with any number of ranks: until the result is\n"
        "complete, FILE.journal and FILE.rows/ keep what is done.  If you have a file of your own\n"
        "named FILE.lock, .part or .journal, or a folder FILE.rows, it is not changed, and the run\n"
        "stops.  An empty one is taken to be ours.\n"
        "SIGUSR1, SIGTERM, SIGINT and SIGHUP stop the run before the next layer; a second signal\n"
        "stops it at once.",
        opts,
        "examples:\n"
        "  patchsweep run jobs/similarity.json\n"
        "  mpirun -n 8 patchsweep run jobs/similarity.json -o out.h5 --set 'sites=[\"mlp_out\"]'\n\n"
        "exit status: 0 done; 1 the run or its self-checks failed; 2 bad usage, job or model;\n"
        "75 stopped: run it again to resume"};
    ps_text command = {0};

    command_line(&command, argc, argv);
    int rc = ps_opt_parse(&usage, argc, argv, &n_args, &err);
    if (rc == 0 && !job_keys && n_args != 1)
        rc = ps_err_set(&err, PS_EINPUT, "run takes one job file, not %d; see 'patchsweep run --help'",
                        n_args);
    if (rc == 0 && memory && !ps_parse_bytes(memory, &options.memory))
        rc = ps_err_set(&err, PS_EINPUT, "--memory: '%s' is no size; write it as 512M or 64G", memory);
    if (rc == 0)
        rc = check_rows("--panel-rows", options.panel_rows, 1000000, &err);
    if (rc == 0)
        rc = check_rows("--wave-rows", options.wave_rows, 1000000000, &err);
    if (rc == 0) {
        options.job = argv[0];
        options.overrides = overrides.at;
        options.n_overrides = overrides.n;
        options.command = ps_text_str(&command);
        rc = job_keys ? help_job() : run_all(&options);
    } else
        rc = rc > 0 ? 0 : ps_fail(&err);
    ps_text_release(&command);
    return rc;
}
