"""Claims that are bound to a folder of this node."""

import asyncio
import threading
from pathlib import Path

import pytest

from nodekit.kube import fake
from nodekit.kube.client import Client
from nodekit.objects.meta import ObjectMeta, ObjectReference
from pykubelet.act import mount
from pykubelet.act.volumes.claims import Claimed
from pykubelet.act.volumes.kinds import Slot
from pykubelet.model.storage import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    ClaimStatus,
    LocalSource,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
)
from pykubelet.model.volume import ClaimSpec, PersistentVolumeClaimSource, Volume
from tests.unit.pykubelet.act.group import Group
from tests.unit.pykubelet.decide.pods import pod


class Mounts:
    """What is mounted, in place of the kernel's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.here: set[Path] = set()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        monkeypatch.setattr(mount, "bind", self.bind)
        monkeypatch.setattr(mount, "is_mounted", self.here.__contains__)

    def bind(self, source: Path, target: Path, *, read_only: bool = False) -> None:
        self.begun.set()
        self.go_on.wait(10)
        self.here.add(target)


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> Mounts:
    return Mounts(monkeypatch)


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    return Group(monkeypatch)


def _claimed(root: Path, *, gid: str = "") -> Claimed:
    (root / "disk").mkdir()
    api = fake.FakeApi()
    of = ObjectReference(kind="PersistentVolumeClaim", namespace="default", name="claim", uid="c")
    spec = PersistentVolumeSpec(claim_ref=of, local=LocalSource(path=str(root / "disk")))
    meta = ObjectMeta(name="pv-1", annotations={"pv.beta.kubernetes.io/gid": gid} if gid else {})
    api.put(PERSISTENT_VOLUMES, PersistentVolume(metadata=meta, spec=spec))
    claim = PersistentVolumeClaim(
        metadata=ObjectMeta(namespace="default", name="claim", uid="c"),
        spec=ClaimSpec(volume_name="pv-1"),
        status=ClaimStatus(phase="Bound"),
    )
    api.put(PERSISTENT_VOLUME_CLAIMS, claim)
    return Claimed(Client(api), None, now=lambda: 0.0)  # type: ignore[arg-type]


def _slot(root: Path, **spec: object) -> Slot:
    volume = Volume(name="data", persistent_volume_claim=PersistentVolumeClaimSource(claim_name="claim"))
    return Slot(pod(**spec), volume, root / "pods/u1/volumes/x/data")


async def test_a_pod_that_goes_waits_for_the_mount_that_is_being_made(tmp_path: Path, mounts: Mounts) -> None:
    mounts.go_on.clear()
    filling = asyncio.create_task(_claimed(tmp_path).fill(_slot(tmp_path)))
    await asyncio.to_thread(mounts.begun.wait, 10)
    filling.cancel()
    await asyncio.wait([filling], timeout=0.05)
    assert not filling.done()
    mounts.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await filling
    assert mounts.here == {tmp_path / "pods/u1/volumes/kubernetes.io~local-volume/pv-1"}


async def test_a_group_that_was_not_given_the_volume_is_given_it_at_the_next_try(
    tmp_path: Path, mounts: Mounts, group: Group
) -> None:
    claimed, slot = _claimed(tmp_path), _slot(tmp_path, securityContext={"fsGroup": 2000})
    await group.is_given_late(lambda: claimed.fill(slot))


async def test_a_volume_that_others_mounted_is_not_given_again(tmp_path: Path, mounts: Mounts, group: Group) -> None:
    mounts.here.add(tmp_path / "pods/u1/volumes/kubernetes.io~local-volume/pv-1")
    await _claimed(tmp_path).fill(_slot(tmp_path, securityContext={"fsGroup": 2000}))
    assert group.tries == 0


@pytest.mark.parametrize(
    ("gid", "expected"),
    [
        pytest.param("", (), id="none"),
        pytest.param("777", (777,), id="a number"),
        pytest.param("staff", (), id="no number"),
        pytest.param("7_7", (), id="no number for Go"),
    ],
)
async def test_the_group_of_a_persistent_volume_is_known_while_the_pod_is_there(
    tmp_path: Path, mounts: Mounts, gid: str, expected: tuple[int, ...]
) -> None:
    claimed, slot = _claimed(tmp_path, gid=gid), _slot(tmp_path)
    assert claimed.groups(slot.pod.uid) == ()
    await claimed.fill(slot)
    assert claimed.groups(slot.pod.uid) == expected
    claimed.forget(slot.pod.uid)
    assert claimed.groups(slot.pod.uid) == ()
