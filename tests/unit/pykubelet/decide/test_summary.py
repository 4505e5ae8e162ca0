"""What a Pod uses, as it is told and as evictions see it."""

import datetime as dt

from pykubelet.decide import summary
from pykubelet.decide.summary import Disks, Files, VolumeSize
from pykubelet.model import stats
from pykubelet.model.ids import ContainerId, SandboxId, Uid
from pykubelet.model.machine import Filesystem
from pykubelet.model.observed import Container, ContainerState, FilesystemUsage, PodRuntime, Sandbox, SandboxState
from pykubelet.model.usage import ContainerUsage

NOW = dt.datetime(2026, 11, 24, 11, tzinfo=dt.UTC)
NODE = Filesystem(capacity=1000, available=600, used=400, inodes=100, inodes_free=90)
DISKS = Disks(NODE, NODE)
UID = Uid("u1")
APP = stats.ContainerStats(
    id=ContainerId("c1"),
    name="app",
    attempt=0,
    cpu=stats.Cpu(at=5.0, core_nanoseconds=7, nanocores=0),
    memory=stats.Memory(at=5.0, working_set=30, available=0, usage=40),
    writable_layer=FilesystemUsage(5.0, "/images", used_bytes=10, inodes_used=1),
)
MEASURED = stats.SandboxStats(
    id=SandboxId("s1"),
    uid=UID,
    namespace="default",
    name="web",
    memory=stats.Memory(at=5.0, working_set=50),
    processes=3,
    containers=(APP,),
)
SEEN = PodRuntime(
    UID,
    "default",
    "web",
    sandboxes=(Sandbox(SandboxId("s1"), UID, "default", "web", 0, SandboxState.READY, created_at=1.0),),
    containers=(Container(ContainerId("c1"), "app", 0, UID, SandboxId("s1"), ContainerState.RUNNING, created_at=2.0),),
)
MEMORY = Filesystem(capacity=64, available=60, used=4)
FILES = Files(logs={"app": (5, 2)}, volumes={"scratch": VolumeSize(100, 4), "cache": VolumeSize(7, 1, MEMORY)})


def test_local_storage_is_layers_logs_and_volumes_on_the_disk() -> None:
    told = summary.of_pod(MEASURED, SEEN, FILES, DISKS, now=NOW)
    assert told.ephemeral_storage is not None
    assert (told.ephemeral_storage.used_bytes, told.ephemeral_storage.inodes_used) == (115, 7)
    assert [(one.name, one.used_bytes, one.capacity_bytes) for one in told.volume_stats] == [
        ("cache", 7, 64),
        ("scratch", 100, 1000),
    ]


def test_things_started_when_they_were_made() -> None:
    told = summary.of_pod(MEASURED, SEEN, FILES, DISKS, now=NOW)
    assert (told.start_time.timestamp(), told.containers[0].start_time.timestamp()) == (1.0, 2.0)


def test_nothing_left_of_no_limit_is_not_told_as_nothing_left() -> None:
    told = summary.of_pod(MEASURED, SEEN, FILES, DISKS, now=NOW).containers[0]
    assert told.memory is not None
    assert told.memory.available_bytes is None
    assert told.cpu is not None
    assert told.cpu.usage_nano_cores == 0


def test_evictions_see_the_same_numbers() -> None:
    found = summary.usage(summary.of_pod(MEASURED, SEEN, FILES, DISKS, now=NOW))
    assert (found.memory, found.disk, found.inodes, found.processes) == (50, 115, 7, 3)
    assert (found.layers, found.layer_inodes) == (10, 1)
    assert found.containers == {"app": ContainerUsage(memory=30, disk=15, logs=5)}
    assert found.volumes == {"scratch": 100, "cache": 7}
