"""A rank has its share of the node's cores, whatever Open MPI bound it to by default; a binding that was asked for is kept."""
# run.sh: slow
# run.sh: quick Cores.test_alone Cores.test_default_binding_is_undone
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

JOB = harness.ROOT / "tests" / "golden" / "base.job.json"
CORES = len({pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text(encoding="utf-8")
             if os.path.exists(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") else cpu
             for cpu in os.sched_getaffinity(0)})
OPENMPI = "Open MPI" in subprocess.run(["mpirun", "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout


@unittest.skipUnless(CORES >= 2, "one core only")
class Cores(unittest.TestCase):
    """What a run says it has, and what it has."""

    def go(self, *launcher, **env):
        """Run under `launcher`: ranks, cores and threads of its first line, the warnings, and threads by the file."""
        environment = harness.environment(1 if "mpirun" in launcher else 0)
        for name in ("OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES"):
            environment.pop(name, None)
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([*launcher, harness.PATCHSWEEP, "run", JOB, "-o", f"{folder}/o.h5", "-q"], cwd=harness.ROOT,
                                  env={**environment, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            with h5py.File(f"{folder}/o.h5") as file:
                threads = file["run"].attrs["threads"]
        found = re.search(r"(\d+) ranks? on 1 node, ([\d-]+) cores? and ([\d-]+) threads?", done.stderr)
        self.assertTrue(found, done.stderr)
        warnings = [line for line in done.stderr.splitlines() if re.search(r"warning: .*\bcores?\b", line)]
        self.assertTrue(found[3].startswith(str(threads)) or "-" in found[3], (found[3], threads))
        return int(found[1]), found[2], found[3], warnings

    def expect(self, seen, ranks, cores, threads, *words):
        """Numbers as wanted, and a warning a word, in this order."""
        self.assertEqual(seen[:3], (ranks, str(cores), str(threads)), seen)
        self.assertEqual(len(seen[3]), len(words), seen)
        for line, word in zip(seen[3], words):
            self.assertIn(word, line)

    def test_alone(self):
        self.expect(self.go(), 1, CORES, CORES)
        self.expect(self.go("taskset", "-c", str(min(os.sched_getaffinity(0)))), 1, 1, 1, "idle")

    @unittest.skipUnless(OPENMPI, "another MPI binds by other rules")
    def test_default_binding_is_undone(self):
        self.expect(self.go("mpirun", "-n", "1"), 1, CORES, CORES)
        self.expect(self.go("mpirun", "-n", "1", "sh", "-c", '"$0" "$@"; true'), 1, CORES, CORES)
        half = str(CORES // 2) if CORES % 2 == 0 else f"{CORES // 2}-{CORES // 2 + 1}"
        self.expect(self.go("mpirun", "-n", "2"), 2, half, half)

    @unittest.skipUnless(OPENMPI, "another MPI binds by other rules")
    def test_asked_binding_is_kept(self):
        self.expect(self.go("mpirun", "-n", "1", "--bind-to", "core"), 1, 1, 1, "mpirun --map-by slot:PE=")
        self.expect(self.go("mpirun", "-n", "1", OMPI_MCA_hwloc_base_binding_policy="core",
                            PRTE_MCA_hwloc_default_binding_policy="core"), 1, 1, 1, "idle")
        self.expect(self.go("mpirun", "-n", "1", "--map-by", "slot:PE=2"), 1, 2, 2, *["idle"] * (CORES > 2))

    @unittest.skipUnless(OPENMPI, "another MPI binds by other rules")
    def test_taskset_inside_is_kept(self):
        self.expect(self.go("mpirun", "-n", "1", "taskset", "-c", str(min(os.sched_getaffinity(0)))), 1, 1, 1, "idle")

    @unittest.skipUnless(OPENMPI, "another MPI binds by other rules")
    def test_launcher_that_is_bound_itself(self):
        """The job has no more than mpirun has."""
        seen = self.go("taskset", "-c", str(max(os.sched_getaffinity(0))), "mpirun", "-n", "1")
        self.expect(seen, 1, 1, 1)

    @unittest.skipUnless(OPENMPI, "another MPI binds by other rules")
    def test_slurm_that_does_not_confine(self):
        """The kernel would allow all cores of a node of which Slurm gave the job one."""
        self.expect(self.go("mpirun", "-n", "1", SLURM_CPUS_ON_NODE="1"), 1, 1, 1)
        if CORES == len(os.sched_getaffinity(0)):
            self.expect(self.go("mpirun", "-n", "1", SLURM_CPUS_ON_NODE=str(CORES)), 1, CORES, CORES)

    @unittest.skipUnless(OPENMPI, "another MPI binds by other rules")
    def test_threads_bound_by_openmp(self):
        """Its places come from the mask that the process was started with."""
        self.expect(self.go(OMP_PROC_BIND="close", OMP_PLACES="cores"), 1, CORES, CORES)
        self.expect(self.go("mpirun", "-n", "1", OMP_PROC_BIND="close"), 1, CORES, CORES)

    def test_more_ranks_than_cores(self):
        if CORES > 8:
            self.skipTest("many cores: too many ranks")
        seen = self.go("mpirun", "--oversubscribe", "-n", str(CORES + 1))
        self.expect(seen, CORES + 1, CORES, 1, f"{CORES + 1} ranks share the {CORES} cores")

    def test_omp_num_threads(self):
        """Up to the cores of a rank; beyond that, and below, with a warning."""
        self.expect(self.go(OMP_NUM_THREADS=str(CORES)), 1, CORES, CORES)
        self.expect(self.go(OMP_NUM_THREADS="1"), 1, CORES, 1, "unset it to use them all")
        self.expect(self.go(OMP_NUM_THREADS="100000"), 1, CORES, CORES, f"set it to {CORES}")

    def test_bench(self):
        """Has the same threads, and the same warnings."""
        done = harness.run("bench", "--quick", "--no-disk", env={"OMP_NUM_THREADS": "100000"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f", {CORES} threads", done.stdout)
        self.assertIn("OMP_NUM_THREADS=100000 is more than", done.stderr)


if __name__ == "__main__":
    harness.main()
