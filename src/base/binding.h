/*
 * binding.h - which CPUs this process was given, by whom, and which the job may use.
 *
 * Package-private.  Open MPI's launcher binds ranks without being asked: to one core each where there are one or two, to a
 * package each where there are more.  Whoever else binds a process (an option of mpirun, srun, taskset, numactl) does
 * so on purpose.  Inside mpirun's command line taskset, numactl and hwloc-bind are recognised; one in a wrapper script is not
 * seen.
 */
#ifndef PATCHSWEEP_BASE_BINDING_H
#define PATCHSWEEP_BASE_BINDING_H

#include <stdbool.h>

#include "topology.h"

typedef struct ps_binding {
    ps_cpus given;   /* what the process may use as it was started: its affinity mask, or OpenMP's places */
    ps_cpus job;     /* what the job may use on this node: the control group's cpuset, or what the launcher itself may use */
    bool by_openmpi; /* started by Open MPI's launcher */
    bool asked;      /* a binding was asked for, as far as this process can see */
} ps_binding;

/* Fill in all fields.  The affinity mask is as before on return. */
void ps_binding_read(ps_binding *out);
/*
 * Start OpenMP's threads, n of them, and bind every thread of this process to `cpus`: also where OMP_PROC_BIND made OpenMP
 * bind them to places that it chose from an earlier mask.
 */
void ps_binding_set(const ps_cpus *cpus, int n);

/* Does an environment variable ("NAME=VALUE"), or a word of mpirun's command line, ask Open MPI for a binding? */
bool ps_binding_asked_by_variable(const char *variable);
bool ps_binding_asked_by_word(const char *word);

#endif
