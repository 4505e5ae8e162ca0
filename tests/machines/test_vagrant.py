"""What Vagrant makes of vagrant/Vagrantfile: which machines, with which settings, and what it refuses. Needs root.

Vagrant runs in a machine of its own. Nothing is started: that takes virtual machines, and boxes from the internet.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.progress import Reporter
from tests.machines import roots
from tests.machines.lab import Lab
from tests.machines.machine import Machine

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("vagrant", "vagrant-libvirt")
JOIN = {"CONTROL_PLANE": "198.51.100.10:6443", "TOKEN": "abcdef.0123456789abcdef", "CA_HASH": "sha256:00"}

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="machines need root"),
    pytest.mark.timeout(300, func_only=True),  # the machine is made and taken away outside of it
]


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    """A machine with Vagrant and its provider for libvirt."""
    root = roots.with_packages("vagrant", PACKAGES, Reporter())
    (root / "srv").mkdir(exist_ok=True)
    with Lab(root) as lab:
        shared = lab.folder / "srv"
        for name in ("vagrant", "systemd"):
            shutil.copytree(REPOSITORY / name, shared / name)
        made = lab.machine("vagrant", {shared: "/srv"})
        made.run("mkdir -p /root/pykubelet/build && cp -r /srv/* /root/pykubelet")
        yield made


def vagrant(host: Machine, words: str, **settings: str) -> str:
    """What Vagrant says, on either stream, with these settings in its environment."""
    given = " ".join(f"{name}='{value}'" for name, value in settings.items())
    script = f"cd /root/pykubelet/vagrant; {given} VAGRANT_DEFAULT_PROVIDER=libvirt vagrant {words} 2>&1"
    return host.run(script, check=False).stdout


def machines(said: str) -> list[str]:
    """The names in `vagrant status --machine-readable`."""
    return re.findall(r"^\d+,([\w-]+),state,", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, ["control-plane", "worker-1", "worker-2"], id="a cluster of three when there is none to join"),
        pytest.param(JOIN, ["worker"], id="a worker when there is a control plane"),
        pytest.param({**JOIN, "NAME": "w7"}, ["w7"], id="a worker with a name of its own"),
    ],
)
def test_the_machines(host: Machine, settings: dict[str, str], expected: list[str]) -> None:
    assert "validated successfully" in vagrant(host, "validate", **settings)
    assert machines(vagrant(host, "status --machine-readable", **settings)) == expected


def test_what_to_join_may_stand_in_a_file(host: Machine) -> None:
    lines = "\\n".join(f"{name}={value}" for name, value in JOIN.items())
    host.run(f"printf '{lines}\\nNAME=w8\\n' > /root/pykubelet/vagrant/join.env")
    try:
        assert machines(vagrant(host, "status --machine-readable")) == ["w8"]
        assert machines(vagrant(host, "status --machine-readable", NAME="w9")) == ["w9"], "the environment goes first"
    finally:
        host.run("rm /root/pykubelet/vagrant/join.env")


def test_what_is_missing_is_said(host: Machine) -> None:
    said = vagrant(host, "status", CONTROL_PLANE="198.51.100.10:6443", TOKEN="a")
    assert "CA_HASH missing; `kubeadm token create --print-join-command`" in said
    assert "no build/pykubelet_*.deb: `make deb` makes it" in vagrant(host, "up")
