"""A storage driver over real gRPC and real mounts: found by its socket, staged once, published per Pod, taken away."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nodekit.kube import fake
from nodekit.kube.client import Client
from nodekit.objects.meta import Key, ObjectMeta, ObjectReference
from pykubelet.act import mount
from pykubelet.act.volumes.claims import Claimed
from pykubelet.act.volumes.csi import CSIVolumes, Wanted
from pykubelet.act.volumes.csi_data import CSIData
from pykubelet.act.volumes.kinds import Slot, VolumeError
from pykubelet.act.volumes.tokens import Tokens
from pykubelet.decide import csi
from pykubelet.model.container import ResourceRequirements
from pykubelet.model.kinds import SECRETS, Secret
from pykubelet.model.machine import Filesystem
from pykubelet.model.storage import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    VOLUME_ATTACHMENTS,
    AttachmentStatus,
    ClaimCondition,
    ClaimStatus,
    CSIDriverSpec,
    CSIPersistentSource,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    VolumeAttachment,
)
from pykubelet.model.volume import ClaimSpec, PersistentVolumeClaimSource, Volume
from pykubelet.observe.plugins import Plugins
from tests.contract.csi_driver import Running
from tests.unit.pykubelet.decide.pods import pod

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
NAME = "test.csi.example"
PLAIN = Wanted(driver=NAME, handle="vol-1", name="pv-1", modes=("ReadWriteOnce",), fs_type="tmpfs")


class World:
    """A kubelet's root with a driver in it."""

    def __init__(self, root: Path, spec: CSIDriverSpec) -> None:
        self.root, self.api, self._spec = root, fake.FakeApi(), spec
        self.changed = asyncio.Event()
        self.plugins = Plugins(root / "plugins_registry")
        self.plugins.subscribe(self.changed.set)
        client = Client(self.api)
        tokens = Tokens(client, now=lambda: 0.0)
        data = CSIData(root, node="n1")
        self.volumes = CSIVolumes(client, data, parts=(self.plugins, self), tokens=tokens, node="n1")

    def get(self, name: str) -> CSIDriverSpec:
        return self._spec

    def folder(self, uid: str) -> Path:
        return self.root / "pods" / uid

    def slot(self, uid: str, **spec: Any) -> Slot:
        made = pod(**spec)
        made = msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, uid=uid))
        return Slot(made, Volume(name="data"), self.folder(uid) / "volumes" / csi.PLUGIN / "pv-1")


@contextlib.asynccontextmanager
async def world(root: Path, **spec: Any) -> AsyncIterator[tuple[World, Running]]:
    made = World(root, CSIDriverSpec(**{"attach_required": False, **spec}))
    task = asyncio.create_task(made.plugins.run())
    try:
        async with Running(NAME, root, root / "driver") as driver:
            async with asyncio.timeout(5):
                await made.changed.wait()
            yield made, driver
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for point in mount.below(root):
            mount.unmount(point)


def _names(driver: Running) -> list[str]:
    return [call["call"] for call in driver.calls()]


async def test_a_driver_is_found_by_its_socket_and_missed_when_it_goes(short_path: Path) -> None:
    async with world(short_path) as (there, driver):
        assert there.plugins.nodes()[NAME].node_id == "node-1"
        assert there.plugins.nodes()[NAME].topology == {"topology.test.csi/node": "here"}
        async with asyncio.timeout(5):
            while not (driver.state / "registered").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        there.changed.clear()
        driver.registration.unlink()
        async with asyncio.timeout(5):
            await there.changed.wait()
        assert there.plugins.driver(NAME) is None
        assert there.plugins.gone == {NAME}


async def test_a_volume_is_staged_once_and_goes_with_its_last_pod(short_path: Path) -> None:
    async with world(short_path) as (there, driver):
        first = await there.volumes.mount(there.slot("a", securityContext={"fsGroup": 2000}), PLAIN)
        (first / "file").write_text("kept")
        second = await there.volumes.mount(there.slot("b"), PLAIN)
        assert (second / "file").read_text() == "kept"
        assert first.stat().st_gid == 2000
        again = await there.volumes.mount(there.slot("a"), PLAIN)
        assert again == first == short_path / "pods/a/volumes/kubernetes.io~csi/pv-1/mount"

        await there.volumes.unmount(there.folder("a"))
        assert "NodeUnstageVolume" not in _names(driver)
        assert not first.parent.exists()
        assert (second / "file").read_text() == "kept"
        await there.volumes.unmount(there.folder("b"))
        assert _names(driver)[-2:] == ["NodeUnpublishVolume", "NodeUnstageVolume"]
        assert list((short_path / "plugins/kubernetes.io/csi" / NAME).iterdir()) == []
        await there.volumes.unmount(there.folder("b"))


async def test_a_pods_own_volume_is_told_of_its_pod_and_not_staged(short_path: Path) -> None:
    async with world(short_path, pod_info_on_mount=True, volume_lifecycle_modes=("Ephemeral",)) as (there, driver):
        wanted = Wanted(driver=NAME, handle="csi-x", name="data", attributes={"size": "1"})
        await there.volumes.mount(there.slot("a"), wanted)
        (call,) = [call for call in driver.calls() if call["call"] == "NodePublishVolume"]
        assert call["context_"]["csi.storage.k8s.io/pod.name"] == "web"
        assert (call["context_"]["csi.storage.k8s.io/ephemeral"], call["context_"]["size"]) == ("true", "1")
        assert not call["staged"]
        with pytest.raises(VolumeError, match='"Persistent" not supported by driver'):
            await there.volumes.mount(there.slot("a"), PLAIN)


async def test_an_attachable_volume_waits_until_it_is_attached(short_path: Path) -> None:
    async with world(short_path, attach_required=True) as (there, driver):
        there.api.put(SECRETS, Secret(metadata=ObjectMeta(name="s", namespace="store"), data={"k": b"hush"}))
        wanted = Wanted(**{**_fields(PLAIN), "stage_secret": Key("store", "s")})
        mounting = asyncio.create_task(there.volumes.mount(there.slot("a"), wanted))
        await asyncio.sleep(0.2)
        assert not mounting.done()
        assert there.volumes.in_use() == (f"kubernetes.io/csi/{NAME}^vol-1",)
        name = csi.attachment("vol-1", driver=NAME, node="n1")
        status = AttachmentStatus(attached=True, attachment_metadata={"lun": "4"})
        there.api.put(VOLUME_ATTACHMENTS, VolumeAttachment(metadata=ObjectMeta(name=name), status=status))
        async with asyncio.timeout(5):
            await mounting
        (call,) = [call for call in driver.calls() if call["call"] == "NodeStageVolume"]
        assert call["secrets"] == {"k": "hush"}
        await there.volumes.unmount(there.folder("a"))
        assert there.volumes.in_use() == ()


async def test_a_publish_that_fails_leaves_nothing_and_says_why(short_path: Path) -> None:
    async with world(short_path) as (there, driver):
        fails = driver.state / "fail-NodePublishVolume"
        fails.write_text("no space on the array")
        with pytest.raises(VolumeError, match="code = Internal desc = no space on the array"):
            await there.volumes.mount(there.slot("a"), PLAIN)
        assert not (there.slot("a").folder / "vol_data.json").exists()
        fails.unlink()
        assert (await there.volumes.mount(there.slot("a"), PLAIN)).is_dir()


async def test_a_volume_of_a_missing_driver_is_not_forgotten(short_path: Path) -> None:
    async with world(short_path) as (there, _):
        await there.volumes.mount(there.slot("a"), PLAIN)
        gone = World(short_path, CSIDriverSpec(attach_required=False))
        with pytest.raises(VolumeError, match="not found in the list of registered CSI drivers"):
            await gone.volumes.unmount(there.folder("a"))
        await there.volumes.unmount(there.folder("a"))


async def test_a_raw_device_is_given_to_pods_one_by_one(short_path: Path) -> None:
    async with world(short_path) as (there, driver):
        device = await there.volumes.map(there.slot("a"), PLAIN)
        assert device == short_path / "plugins/kubernetes.io/csi/volumeDevices/publish/pv-1/a"
        assert device.is_char_device()
        assert (short_path / "pods/a/volumeDevices/kubernetes.io~csi/pv-1").readlink() == device
        await there.volumes.map(there.slot("b"), PLAIN)
        await there.volumes.map(there.slot("a"), PLAIN)
        assert _names(driver) == ["NodeGetInfo", "NodeStageVolume", "NodePublishVolume", "NodePublishVolume"]
        await there.volumes.unmount(there.folder("a"))
        assert "NodeUnstageVolume" not in _names(driver)
        await there.volumes.unmount(there.folder("b"))
        assert _names(driver)[-1] == "NodeUnstageVolume"
        assert not (short_path / "plugins/kubernetes.io/csi/volumeDevices/pv-1").exists()


async def test_a_claim_that_has_grown_has_its_file_system_grow(short_path: Path) -> None:
    async with world(short_path) as (there, driver):
        source = CSIPersistentSource(driver=NAME, volume_handle="vol-1", fs_type="tmpfs")
        of = ObjectReference(kind="PersistentVolumeClaim", namespace="default", name="claim", uid="c")
        spec = PersistentVolumeSpec(
            capacity={"storage": "2Gi"}, access_modes=("ReadWriteOnce",), claim_ref=of, csi=source
        )
        there.api.put(PERSISTENT_VOLUMES, PersistentVolume(metadata=ObjectMeta(name="pv-1"), spec=spec))
        waiting = (ClaimCondition(type="FileSystemResizePending", status="True"),)
        there.api.put(
            PERSISTENT_VOLUME_CLAIMS,
            PersistentVolumeClaim(
                metadata=ObjectMeta(namespace="default", name="claim", uid="c"),
                spec=ClaimSpec(volume_name="pv-1", resources=ResourceRequirements(requests={"storage": "2Gi"})),
                status=ClaimStatus(phase="Bound", capacity={"storage": "1Gi"}, conditions=waiting),
            ),
        )
        claimed = Claimed(Client(there.api), there.volumes, now=lambda: 100.0)
        volume = Volume(name="data", persistent_volume_claim=PersistentVolumeClaimSource(claim_name="claim"))
        slot = Slot(there.slot("a").pod, volume, there.folder("a") / "volumes" / "x" / "data")
        await claimed.fill(slot)
        assert [call["size"] for call in driver.calls() if call["call"] == "NodeExpandVolume"] == [2 << 30]
        found = there.api.find(PERSISTENT_VOLUME_CLAIMS, Key("default", "claim"))
        assert found is not None
        assert (found.status.capacity, found.status.conditions) == ({"storage": "2Gi"}, ())
        assert claimed.renew_at(slot.pod.uid) == 160.0
        await claimed.fill(slot)
        assert _names(driver).count("NodeExpandVolume") == 1
        assert claimed.path(slot).parent.name == "pv-1"
        (measurable,) = claimed.measurable(slot.pod.uid)
        assert (measurable.name, measurable.namespace, measurable.claim) == ("data", "default", "claim")
        assert await there.volumes.filesystem(measurable) == Filesystem(capacity=3, available=1, used=2)
        assert claimed.serving(slot) == f"kubernetes.io~csi:{NAME}"
        claimed.forget(slot.pod.uid)
        assert claimed.measurable(slot.pod.uid) == ()


def _fields(wanted: Wanted) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in wanted.__dataclass_fields__}
