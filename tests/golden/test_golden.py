"""Every fixture's job against what transformers computed: see README.md here and check_golden.py."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness

CHECK = pathlib.Path(__file__).with_name("check_golden.py")
done = subprocess.run([sys.executable, CHECK, harness.PATCHSWEEP], cwd=harness.ROOT, env=harness.environment(), check=False)
sys.exit(done.returncode)
