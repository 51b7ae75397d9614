# shellcheck shell=sh
# mpi_env.sh - source this file to let Open MPI run in containers and as root, without warnings.
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# The processes of one machine communicate through shared memory, and starting them needs no ssh.
export OMPI_MCA_plm_rsh_agent="${OMPI_MCA_plm_rsh_agent:-/bin/false}"
export OMPI_MCA_btl_vader_single_copy_mechanism="${OMPI_MCA_btl_vader_single_copy_mechanism:-none}"
# Keep mpirun from looking for GPUs on X displays, which is slow if host names do not resolve.
export HWLOC_COMPONENTS="${HWLOC_COMPONENTS:--gl}"
