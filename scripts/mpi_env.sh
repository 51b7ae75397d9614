# shellcheck shell=sh
# mpi_env.sh - sourced: let Open MPI run in containers and as root, quietly.
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# Processes of one machine talk through shared memory; no ssh is needed to start them.
export OMPI_MCA_plm_rsh_agent="${OMPI_MCA_plm_rsh_agent:-/bin/false}"
export OMPI_MCA_btl_vader_single_copy_mechanism="${OMPI_MCA_btl_vader_single_copy_mechanism:-none}"
# mpirun need not look for GPUs on X displays (slow where names do not resolve).
export HWLOC_COMPONENTS="${HWLOC_COMPONENTS:--gl}"
