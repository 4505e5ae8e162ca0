"""Try the container runtimes: CRI contract and a smoke of the e2e tests with each containerd; a table of both.

Run by `make runtimes` as root. The cluster is called runtimes; it is taken down after each.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devcluster import layout, runtimes
from devcluster.progress import Reporter

REPOSITORY: Final = Path(__file__).parents[1]
NAME: Final = "runtimes"
CONTRACT: Final = tuple(sorted(str(path) for path in REPOSITORY.glob("tests/contract/test_cri_*.py")))
SMOKE: Final = (
    "three_replicas_answer or config_map_and_secret or crashing_container or missing_image or logs_follow "
    "or deletion_is_graceful or phases_follow or init_containers"
)


def main() -> int:
    """Print the table; 1 if any test failed with any of them."""
    parser = argparse.ArgumentParser(description="Try pykubelet with several versions of containerd.")
    parser.add_argument("versions", nargs="*", default=list(runtimes.KNOWN), help=", ".join(runtimes.KNOWN))
    given = parser.parse_args()
    rows, good = [], True
    for version in given.versions:
        folder = runtimes.folder(version, Reporter())
        said = subprocess.run([folder / "containerd", "--version"], check=True, capture_output=True, text=True).stdout
        contract = _pytest(*CONTRACT, "-k", "not fake", env={"DEVCLUSTER_BIN": str(folder)})
        smoke = _smoke(version)
        rows.append(f"| {said.split()[2].removeprefix('v')} | {_told(contract)} | {_told(smoke)} |")
        good = good and not contract.returncode and not smoke.returncode
    print("\n| containerd | contract of the CRI | e2e smoke |\n|---|---|---|")
    print("\n".join(rows))
    return 0 if good else 1


def _smoke(version: str) -> subprocess.CompletedProcess[str]:
    cluster = [sys.executable, "-m", "devcluster", "--name", NAME]
    state = layout.state_home() / NAME
    environment = {
        "DEVCLUSTER": NAME,
        "KUBECONFIG": str(state / "kubeconfig/admin.conf"),
        "KUBECTL": str(state / "kubectl"),
    }
    try:
        subprocess.run([*cluster, "up", "--nodes", "1", "--containerd", version], check=True, cwd=REPOSITORY)
        return _pytest("tests/e2e", "-k", SMOKE, "--timeout=600", env=environment)
    finally:
        subprocess.run([*cluster, "down"], check=False, cwd=REPOSITORY)


def _pytest(*words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", *words]
    done = subprocess.run(
        command, check=False, cwd=REPOSITORY, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout, flush=True)
    return done


def _told(done: subprocess.CompletedProcess[str]) -> str:
    """`12 passed` of pytest's last line, with what else there was."""
    last = done.stdout.strip().splitlines()[-1]
    return ", ".join(re.findall(r"\d+ (?:passed|failed|errors?|skipped)", last)) or f"exit {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
