"""Where Docker and kind run: this host, or a machine of its own with Debian's Docker, which has no uplink."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from devcluster import binaries, images, tools
from devcluster.progress import Reporter
from tests.machines import ground, roots
from tests.machines.lab import Lab
from tests.machines.machine import CommandError, Machine

REPOSITORY: Final = Path(__file__).parents[2]
CHECKOUT: Final = "/srv/pykubelet"
_DAEMON: Final = """{
  "storage-driver": "overlay2",
  "bip": "198.18.145.1/24",
  "default-address-pools": [{"base": "198.18.146.0/23", "size": 24}],
  "runtimes": {"lab": {"path": "/usr/local/sbin/runc-lab"}},
  "default-runtime": "lab"
}
"""


class Place(Protocol):
    """A shell beside Docker, in a checkout of this repository."""

    def run(self, script: str) -> str:
        """Standard output of a bash script; AssertionError with its last words when it fails."""

    @property
    def kubectl(self) -> str:
        """How kubectl is called from this host, to reach what kind publishes on localhost there."""


class Host:
    """This host, where Docker runs."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs

    @property
    def kubectl(self) -> str:
        return str(self._programs / "kubectl")

    def run(self, script: str) -> str:
        return shell(script, path=f"{self._programs}:{os.environ['PATH']}")


class Inside:
    """A machine with Docker."""

    def __init__(self, machine: Machine, programs: Path) -> None:
        self.machine = machine
        self._programs = programs

    @property
    def kubectl(self) -> str:
        return f"nsenter --net=/run/netns/{self.machine.place.netns} {self._programs / 'kubectl'}"

    def run(self, script: str) -> str:
        return self.machine.run(f"cd {CHECKOUT}\n{script}", timeout=600).stdout


def shell(script: str, *, path: str = os.environ["PATH"]) -> str:
    """Standard output of a bash script on this host, in this checkout; CommandError with its last words if it fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=REPOSITORY, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CommandError(f"{script}\nexit {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def on_this_host(image: str) -> bool:
    """Whether a Docker answers here that has this image, or can fetch it."""
    if shutil.which("docker") is None:
        return False
    ways = (("image", "inspect", image), ("pull", "--quiet", image))
    return any(not subprocess.run(["docker", *way], capture_output=True, check=False).returncode for way in ways)


@contextlib.contextmanager
def host(report: Reporter) -> Iterator[Host]:
    """This host, with kind and kubectl."""
    with tempfile.TemporaryDirectory() as folder:
        yield Host(_programs(Path(folder), report))


@contextlib.contextmanager
def inside(report: Reporter) -> Iterator[Inside]:
    """A machine with Docker and kind. Docker's own folder is kept between runs, so one machine runs at a time.

    It sees the images of a control plane as /images, and those of the tests as /e2e-images.
    """
    root = roots.with_packages("docker", ["docker.io", "jq"], report)
    _furnish(root)
    archives, store = ground.image_archives(report), images.obtain(report).folder
    kept = ground.home() / f"docker-data-{root.name}"
    kept.mkdir(exist_ok=True)
    with (ground.home() / "docker.lock").open("w") as lock, tempfile.TemporaryDirectory() as programs, Lab(root) as lab:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _programs(Path(programs), report)
        binds = {archives: "/images", store: "/e2e-images", REPOSITORY: CHECKOUT, found: "/opt/programs"}
        binds[ground.home()] = "/machines"
        with report.step("boot a machine with Docker", about=6):
            made = lab.machine("docker", binds, options=(f"--bind={kept}:/var/lib/docker",))
            made.run("ln -sf /opt/programs/* /usr/local/bin/; docker info")
        yield Inside(made, found)


def _programs(folder: Path, report: Reporter) -> Path:
    for name, path in binaries.resolve([tools.KIND, tools.BY_NAME["kubectl"]], report).items():
        shutil.copyfile(path, folder / name)
        (folder / name).chmod(0o755)
    return folder


def _furnish(root: Path) -> None:
    (root / "etc/docker").mkdir(exist_ok=True)
    (root / "etc/docker/daemon.json").write_text(_DAEMON)
    for target in (CHECKOUT, "/images", "/e2e-images", "/machines", "/opt/programs", "/var/lib/docker"):
        (root / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
    runtime = root / "usr/local/sbin/runc-lab"
    shutil.copyfile(Path(__file__).with_name("runc-lab"), runtime)
    runtime.chmod(0o755)
