"""Which volumes of storage drivers stay staged and in use, and for how long."""

import asyncio
import gc
import threading
from collections.abc import Sized
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nodekit.kube import fake
from nodekit.kube.client import Client
from nodekit.objects.meta import ObjectMeta
from pykubelet.act import mount
from pykubelet.act.volumes import ownership
from pykubelet.act.volumes.csi import CSIVolumes, Wanted
from pykubelet.act.volumes.csi_data import CSIData
from pykubelet.act.volumes.kinds import Slot, VolumeError
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.decide import csi
from pykubelet.model.csi import Capability, Handle
from pykubelet.model.pod import Pod
from pykubelet.model.storage import VOLUME_ATTACHMENTS, AttachmentStatus, CSIDriverSpec, VolumeAttachment
from pykubelet.model.volume import Volume
from pykubelet.plugins.errors import PluginError
from tests.unit.pykubelet.act.group import Group
from tests.unit.pykubelet.decide.pods import pod

NAME = "test.csi.example"
IN_USE = (f"kubernetes.io/csi/{NAME}^vol-1",)


class FakeDriver:
    """Notes its calls, and fails those that it is told to."""

    name = NAME

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: set[str] = set()
        self.asked = asyncio.Event()

    async def capabilities(self) -> frozenset[Capability]:
        self.asked.set()
        return frozenset({Capability.STAGE})

    async def stage(self, volume: Handle, path: str) -> None:
        self._called("stage")

    async def unstage(self, volume_id: str, path: str) -> None:
        self._called("unstage")

    async def publish(self, volume: Handle, path: str, *, staged: str = "") -> None:
        self._called("publish")
        if volume.access.block:
            Path(path).touch()
        else:
            Path(path).mkdir(exist_ok=True)

    async def unpublish(self, volume_id: str, path: str) -> None:
        self._called("unpublish")
        target = Path(path)
        if target.is_dir():
            target.rmdir()
        else:
            target.unlink(missing_ok=True)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise PluginError(name, plugin=NAME, detail="broken", final=True)


class Node:
    """A kubelet's storage below `root`; made again, it is that of the next process."""

    def __init__(self, root: Path) -> None:
        self.root, self.fake, self.api = root, FakeDriver(), fake.FakeApi()
        self.installed = True
        client = Client(self.api)
        tokens = Tokens(client, now=lambda: 0.0)
        self.volumes = CSIVolumes(client, CSIData(root, node="n1"), parts=(self, self), tokens=tokens, node="n1")  # type: ignore[arg-type]

    def driver(self, name: str) -> Any:
        return self.fake if self.installed else None

    def get(self, name: str) -> CSIDriverSpec:
        return CSIDriverSpec(attach_required=True)

    def attach(self) -> None:
        name = csi.attachment("vol-1", driver=NAME, node="n1")
        status = AttachmentStatus(attached=True)
        self.api.put(VOLUME_ATTACHMENTS, VolumeAttachment(metadata=ObjectMeta(name=name), status=status))

    async def give(self, uid: str, *, block: bool = False, **spec: Any) -> None:
        made = pod(**spec)
        made = msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, uid=uid))
        slot = Slot(made, Volume(name="data"), self.folder(uid) / "volumes" / csi.PLUGIN / "pv-1")
        wanted = Wanted(driver=NAME, handle="vol-1", name="pv-1", modes=("ReadWriteOnce",), fs_type="ext4")
        await (self.volumes.map(slot, wanted) if block else self.volumes.mount(slot, wanted))

    async def take(self, uid: str) -> None:
        await self.volumes.unmount(self.folder(uid))

    def folder(self, uid: str) -> Path:
        return self.root / "pods" / uid


@pytest.fixture
def node(tmp_path: Path) -> Node:
    found = Node(tmp_path)
    found.attach()
    return found


BOTH = pytest.mark.parametrize("block", [pytest.param(False, id="a file system"), pytest.param(True, id="a device")])


@BOTH
async def test_a_volume_is_in_use_until_its_last_pod_has_gone(node: Node, block: bool) -> None:
    await node.give("a", block=block)
    await node.give("b", block=block)
    await node.take("a")
    assert (node.volumes.in_use(), node.fake.calls[-1]) == (IN_USE, "unpublish")
    await node.take("b")
    assert (node.volumes.in_use(), node.fake.calls[-2:]) == ((), ["unpublish", "unstage"])


@BOTH
async def test_a_pod_that_goes_before_its_volume_was_attached_leaves_it_to_be_detached(
    tmp_path: Path, block: bool
) -> None:
    node = Node(tmp_path)
    waiting = asyncio.create_task(node.give("a", block=block))
    await node.fake.asked.wait()
    assert node.volumes.in_use() == IN_USE
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    node.installed = False
    await node.take("a")
    assert (node.volumes.in_use(), node.fake.calls) == ((), [])


async def test_two_pods_wait_for_a_volume_and_one_goes(tmp_path: Path) -> None:
    node = Node(tmp_path)
    waiting = [asyncio.create_task(node.give("a"))]
    await node.fake.asked.wait()
    waiting.append(asyncio.create_task(node.give("b")))
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    async with asyncio.timeout(1):
        await node.take("a")
    assert node.volumes.in_use() == IN_USE
    node.attach()
    await waiting[1]
    await node.take("b")
    assert node.volumes.in_use() == ()


@BOTH
@pytest.mark.parametrize("fails", ["stage", "publish"])
async def test_a_volume_that_a_pod_never_got_is_unstaged_when_the_pod_goes(node: Node, fails: str, block: bool) -> None:
    node.fake.fails = {fails}
    with pytest.raises(VolumeError, match="broken"):
        await node.give("a", block=block)
    assert node.volumes.in_use() == IN_USE
    await node.take("a")
    assert (node.volumes.in_use(), node.fake.calls[-1]) == ((), "unstage")
    node.fake.fails = set()
    await node.give("a", block=block)
    assert node.fake.calls[-2:] == ["stage", "publish"]


async def test_a_volume_that_another_pod_never_got_stays_staged_for_the_one_that_has_it(node: Node) -> None:
    await node.give("a")
    node.fake.fails = {"publish"}
    with pytest.raises(VolumeError):
        await node.give("b")
    await node.take("b")
    assert (node.volumes.in_use(), "unstage" in node.fake.calls) == (IN_USE, False)


@BOTH
async def test_a_volume_that_cannot_be_unstaged_is_tried_again_without_its_pod(node: Node, block: bool) -> None:
    await node.give("a", block=block)
    node.fake.fails = {"unstage"}
    await node.take("a")
    await node.volumes.sweep()
    assert node.volumes.in_use() == IN_USE
    node.fake.fails = set()
    await node.volumes.sweep()
    await node.volumes.sweep()
    assert (node.volumes.in_use(), node.fake.calls.count("unstage")) == ((), 3)


@BOTH
async def test_a_volume_that_may_be_unstaged_is_staged_again(node: Node, block: bool) -> None:
    await node.give("a", block=block)
    node.fake.fails = {"unstage"}
    await node.take("a")
    await node.give("b", block=block)
    assert node.fake.calls[-3:] == ["unstage", "stage", "publish"]
    await node.volumes.sweep()
    assert node.fake.calls[-1] == "publish"


@BOTH
async def test_a_new_process_knows_what_is_in_use(node: Node, block: bool) -> None:
    await node.give("a", block=block)
    after = Node(node.root)
    assert after.volumes.in_use() == IN_USE
    await after.volumes.sweep()
    assert (after.volumes.in_use(), after.fake.calls) == (IN_USE, [])
    await after.take("a")
    assert (after.volumes.in_use(), after.fake.calls) == ((), ["unpublish", "unstage"])
    assert Node(node.root).volumes.in_use() == ()


@BOTH
async def test_a_new_process_unstages_what_no_pod_has(node: Node, block: bool) -> None:
    node.fake.fails = {"publish"}
    with pytest.raises(VolumeError):
        await node.give("a", block=block)
    after = Node(node.root)
    assert after.volumes.in_use() == IN_USE
    await after.volumes.sweep()
    assert (after.volumes.in_use(), after.fake.calls) == ((), ["unstage"])


async def test_a_group_that_was_not_given_the_volume_is_given_it_at_the_next_try(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mount, "is_file_system", Path.exists)
    await Group(monkeypatch).is_given_late(lambda: node.give("a", securityContext={"fsGroup": 2000}))


async def test_a_volume_that_others_published_is_not_given_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount, "is_file_system", Path.exists)
    group = Group(monkeypatch)
    (node.folder("a") / "volumes" / csi.PLUGIN / "pv-1/mount").mkdir(parents=True)
    await node.give("a", securityContext={"fsGroup": 2000})
    assert group.tries == 0


async def test_nothing_is_remembered_of_volumes_that_are_gone(node: Node) -> None:
    def kept() -> int:
        gc.collect()
        return sum(len(value) for value in vars(node.volumes).values() if isinstance(value, Sized))

    before = kept()
    await node.give("a")
    await node.take("a")
    node.fake.fails = {"publish"}
    with pytest.raises(VolumeError):
        await node.give("b")
    await node.take("b")
    assert kept() == before


async def test_a_pod_that_goes_waits_for_the_files_that_are_being_given_to_its_group(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def apply(root: Path, pod: Pod, *, read_only: bool) -> None:
        begun.set()
        go_on.wait(10)

    monkeypatch.setattr(ownership, "apply", apply)
    giving = asyncio.create_task(node.give("a", securityContext={"fsGroup": 2000}))
    await asyncio.to_thread(begun.wait, 10)
    giving.cancel()
    await asyncio.wait([giving], timeout=0.05)
    assert not giving.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await giving
