"""Sizes of folders, and what cgroups use."""

import os
from pathlib import Path
from typing import Any

import pytest

from nodekit.aio.clock import SystemClock
from pykubelet.model.ids import Uid
from pykubelet.model.machine import Filesystem
from pykubelet.model.observed import FilesystemUsage, ImageFilesystems
from pykubelet.model.usage import MountedVolume
from pykubelet.observe import cgroup_usage, disk_usage
from pykubelet.observe.node_usage import CpuRate
from pykubelet.observe.usage import Place, Usage


def test_a_folder_is_as_large_as_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "deep" / "er" / "file", tmp_path / "same")
    (tmp_path / "elsewhere").symlink_to("/usr")
    found = disk_usage.of_folder(tmp_path)
    assert 100_000 <= found.used < 150_000
    assert found.inodes == 5


def test_a_folder_that_is_gone_takes_nothing(tmp_path: Path) -> None:
    assert disk_usage.of_folder(tmp_path / "none") == disk_usage.Taken()


def legacy(root: Path) -> None:
    for controller, files in {
        "memory/pods": {
            "memory.stat": "total_rss 30\ntotal_inactive_file 40\ntotal_pgfault 3\ntotal_pgmajfault 1\ntotal_swap 2\n",
            "memory.usage_in_bytes": "100\n",
            "memory.limit_in_bytes": "9223372036854771712\n",
        },
        "cpuacct/pods": {"cpuacct.usage": "12345\n"},
    }.items():
        (root / controller).mkdir(parents=True)
        for name, text in files.items():
            (root / controller / name).write_text(text)


def unified(root: Path) -> None:
    (root / "pods").mkdir()
    (root / "cgroup.controllers").write_text("cpu memory\n")
    for name, text in {
        "memory.stat": "anon 30\ninactive_file 40\npgfault 3\npgmajfault 1\n",
        "memory.current": "100\n",
        "memory.swap.current": "2\n",
        "memory.max": "max\n",
        "cpu.stat": "usage_usec 12\nuser_usec 1\n",
    }.items():
        (root / "pods" / name).write_text(text)


@pytest.mark.parametrize(
    ("make", "cpu"),
    [pytest.param(legacy, 12345, id="on cgroup v1"), pytest.param(unified, 12000, id="on cgroup v2")],
)
def test_the_working_set_leaves_out_what_can_be_dropped(tmp_path: Path, make, cpu: int) -> None:
    make(tmp_path)
    found = cgroup_usage.read("/pods", mount=tmp_path)
    assert (found.cpu, found.memory, found.working_set, found.rss, found.swap) == (cpu, 100, 60, 30, 2)
    assert found.memory_limit is None


def test_the_cgroups_of_containers_are_found_by_their_ids(tmp_path: Path) -> None:
    plain, scoped = "a" * 64, "b" * 64
    for name in (plain, f"cri-containerd-{scoped}.scope", "other"):
        (tmp_path / "memory/pods/podu1" / name).mkdir(parents=True)
    found = cgroup_usage.below({Uid("u1"): "/pods/podu1", Uid("u2"): "/pods/podu2"}, mount=tmp_path)
    assert found == {plain: f"/pods/podu1/{plain}", scoped: f"/pods/podu1/cri-containerd-{scoped}.scope"}


def test_pressure_is_read_where_it_is_measured(tmp_path: Path) -> None:
    (tmp_path / "io").write_text(
        "some avg10=3.61 avg60=5.48 avg300=5.62 total=75\nfull avg10=0.50 avg60=0 avg300=0 total=7\n"
    )
    found = cgroup_usage.pressure("/", "io", machine=tmp_path)
    assert found is not None
    assert (found.some.avg10, found.some.total, found.full.avg10, found.full.total) == (3.61, 75, 0.5, 7)
    assert cgroup_usage.pressure("/pods", "io", mount=tmp_path) is None


def test_a_rate_needs_two_samples_some_time_apart() -> None:
    rate = CpuRate()
    assert [rate.of(0.0, 0), rate.of(1.0, 10**9), rate.of(10.0, 10**10), rate.of(11.0, 10**11)] == [
        None,
        None,
        10**9,
        10**9,
    ]


def test_the_volume_of_a_claim_is_not_measured_as_a_folder_of_its_pod(tmp_path: Path) -> None:
    volumes = tmp_path / "pods/u1/volumes"
    others = ("kubernetes.io~local-volume/pv-2", "kubernetes.io~empty-dir/scratch", "kubernetes.io~nfs/theirs")
    for name in ("kubernetes.io~csi/pv-1/mount", *others):
        (volumes / name).mkdir(parents=True)
    claims = (
        MountedVolume("data", "default", str(volumes / "kubernetes.io~csi/pv-1/mount"), "claim-1", "driver", "handle"),
        MountedVolume("more", "default", str(volumes / "kubernetes.io~local-volume/pv-2"), "claim-2"),
    )
    found = disk_usage.of_pod(Uid("u1"), root=tmp_path, logs=tmp_path / "logs", mounted=claims)
    assert list(found.volumes) == ["scratch"]


def test_the_volume_of_a_claim_has_its_filesystem_to_itself() -> None:
    claim = MountedVolume("data", "default", "/mnt", "claim-1")
    size = disk_usage.of_mount(claim, Filesystem(capacity=100, available=30, used=60, inodes=10, inodes_free=4))
    assert (size.used, size.inodes, size.claim) == (60, 6, ("default", "claim-1"))
    assert size.own is not None, "it counts nothing against the Pod's own limits"


class Images:
    """A runtime whose images lie in this folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    async def filesystems(self) -> ImageFilesystems:
        return ImageFilesystems(images=(FilesystemUsage(at=0.0, mountpoint=self.folder, used_bytes=1, inodes_used=1),))


@pytest.mark.parametrize(
    ("images", "apart"),
    [
        pytest.param("", False, id="a folder on the kubelet's own disk"),
        pytest.param("/proc", True, id="another filesystem"),
        pytest.param("/gone", False, id="one that cannot be seen from here"),
    ],
)
async def test_whether_images_have_a_disk_of_their_own(tmp_path: Path, images: str, apart: bool) -> None:
    nothing: Any = None
    place = Place(node_name="n1", root=tmp_path, logs=tmp_path, pods_cgroup="")
    runtime: Any = Images(images or str(tmp_path.parent))
    asked = Usage(nothing, runtime, machine=nothing, place=place, seen=lambda uid: None, clock=SystemClock())
    assert await asked.disks_apart() is apart
