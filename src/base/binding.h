/*
 * binding.h - which CPUs this process may use, who bound it to them, and which CPUs the job may use.
 *
 * Package-private.  Open MPI's launcher binds ranks without being asked: one or two ranks to a core each, more to a
 * package each.  Any other binding (an option of mpirun, srun, taskset, numactl) was made on purpose.  On mpirun's
 * command line taskset, numactl and hwloc-bind are recognised; in a wrapper script they are not.
 */
#ifndef PATCHSWEEP_BASE_BINDING_H
#define PATCHSWEEP_BASE_BINDING_H

#include <stdbool.h>

#include "topology.h"

typedef struct ps_binding {
    ps_cpus given;   /* what the process may use as it was started: its affinity mask, or OpenMP's places */
    ps_cpus job;     /* what the job may use on this node: the control group's cpuset, or the launcher's own mask */
    bool by_openmpi; /* started by Open MPI's launcher */
    bool asked;      /* a binding was asked for, as far as this process can see */
} ps_binding;

/* Fill in all fields.  The process's affinity mask is the same afterwards. */
void ps_binding_read(ps_binding *out);
/*
 * Start n OpenMP threads, and bind every thread of this process to `cpus`.  This overrides OMP_PROC_BIND, which binds
 * OpenMP's threads to places chosen from an earlier mask.
 */
void ps_binding_set(const ps_cpus *cpus, int n);

/* Whether an environment variable ("NAME=VALUE") asks Open MPI for a binding. */
bool ps_binding_asked_by_variable(const char *variable);
/* Whether an argument on mpirun's command line asks for a binding. */
bool ps_binding_asked_by_argument(const char *argument);

#endif
