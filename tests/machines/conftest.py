"""What the tests on machines share: one lab, whose machines become nodes as the pages in docs/ say.

The tests go on from each other in the order that the Makefile gives: install, kubeadm, and what follows.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.progress import Reporter
from tests.machines import ground
from tests.machines.lab import Lab
from tests.machines.machine import Machine

BUILD = Path(__file__).parents[2] / "build"
IMPORT = "for tar in /images/*.tar; do ctr -n k8s.io images import $tar; done"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab(ground.root(Reporter())) as made:
        (made.folder / "srv").mkdir()
        yield made


@pytest.fixture(scope="session")
def package(lab: Lab) -> Path:
    """Our package, where the machines see it as /srv/pykubelet_*.deb."""
    found = sorted(BUILD.glob("pykubelet_*.deb"))
    assert found, "no build/pykubelet_*.deb: `make deb` makes it"
    return Path(shutil.copy(found[-1], lab.folder / "srv"))


def _machine(lab: Lab, name: str) -> Machine:
    """All images are there, as there is no registry."""
    made = lab.machine(name, {ground.image_archives(Reporter()): "/images", lab.folder / "srv": "/srv"})
    made.run(IMPORT)
    return made


@pytest.fixture(scope="session")
def control_plane(lab: Lab, package: Path) -> Machine:
    return _machine(lab, "m1")


@pytest.fixture(scope="session")
def worker(lab: Lab, control_plane: Machine) -> Machine:
    return _machine(lab, "m2")
