"""The cgroups of Pods and QoS classes, on folders that stand in for both versions of the kernel's."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pykubelet.act.cgroup_files import CgroupFiles
from pykubelet.act.cgroups import Cgroups
from pykubelet.decide import cgroups as names
from pykubelet.decide.cgroups import Values
from pykubelet.model.pod import Pod
from tests.unit.pykubelet.decide.pods import pod

MIB = 1024**2


def _pod(uid: str, *, requests: dict[str, str] | None = None, limits: dict[str, str] | None = None) -> Pod:
    made = pod({"resources": {"requests": requests or {}, "limits": limits or {}}})
    return msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, uid=uid))


class Tree(CgroupFiles):
    """Files that are not there cannot be written on a real cgroup; here the folder is a plain one."""

    def set(self, path: str, values: Values) -> None:
        self.written[path] = values

    def __init__(self, mount: Path) -> None:
        self.written: dict[str, Values] = {}
        super().__init__(mount)


def _legacy(tmp_path: Path) -> Tree:
    for controller in ("cpu", "memory", "cpuset"):
        (tmp_path / controller).mkdir()
        (tmp_path / controller / "cgroup.procs").touch()
    return Tree(tmp_path)


class Slices:
    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    async def set(self, name: str, values: Values) -> None:
        self.asked.append((name, values))

    async def stop(self, name: str) -> None:
        self.asked.append((name, "stop"))


async def test_each_pod_has_a_cgroup_in_every_hierarchy(tmp_path: Path) -> None:
    there = Cgroups("/dev-n1", files=_legacy(tmp_path), pids_limit=100)
    await there.ensure_roots()
    asked = _pod("u-1", requests={"cpu": "250m"}, limits={"memory": "64Mi"})
    path = await there.create_pod(asked)
    assert path == "/dev-n1/kubepods/burstable/podu-1"
    assert (tmp_path / f"memory{path}").is_dir()
    assert (tmp_path / f"cpuset{path}").is_dir()
    assert there.pods() == {"u-1": path}
    await there.remove_pod(asked)
    assert there.pods() == {}
    assert (tmp_path / "cpu/dev-n1/kubepods/burstable").is_dir()


def test_a_cgroup_is_made_though_systemd_removes_empty_ones_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, mkdir, trims = _legacy(tmp_path), os.mkdir, iter(("cpu/a", "memory/a", "memory/a"))
    trimmed = next(trims)

    def racing(folder: str) -> None:
        """As the kernel does it, but systemd was there in between with a rmdir for what stands above."""
        nonlocal trimmed
        if folder == f"{tmp_path}/{trimmed}/b" and (tmp_path / trimmed).is_dir():
            (tmp_path / trimmed).rmdir()
            trimmed = next(trims, "")
        mkdir(folder)

    monkeypatch.setattr(os, "mkdir", racing)
    for controller in ("cpu", "memory"):
        mkdir(tmp_path / controller / "a")
    tree.make("/a/b")
    assert not trimmed
    for controller in ("cpu", "memory", "cpuset"):
        assert (tmp_path / controller / "a/b").is_dir()


async def test_the_burstable_class_weighs_what_its_pods_request(tmp_path: Path) -> None:
    tree = _legacy(tmp_path)
    running = [_pod("before", requests={"cpu": "1"}), _pod("idle")]
    there = Cgroups("/", files=tree, running=lambda: running)
    await there.ensure_roots()
    await there.create_pod(_pod("a", requests={"cpu": "500m"}))
    assert tree.written["/kubepods/burstable"].cpu_shares == 1536
    await there.create_pod(_pod("b"))
    assert tree.written["/kubepods/burstable"].cpu_shares == 1536
    await there.remove_pod(_pod("a", requests={"cpu": "500m"}))
    assert tree.written["/kubepods/burstable"].cpu_shares == 1024


async def test_with_systemd_every_cgroup_is_a_slice_that_it_knows(tmp_path: Path) -> None:
    slices = Slices()
    there = Cgroups("/", files=_legacy(tmp_path), slices=slices)
    await there.ensure_roots()
    made = _pod("1f-2", limits={"cpu": "1", "memory": "64Mi"})
    path = await there.create_pod(made)
    assert path == "/kubepods.slice/kubepods-pod1f_2.slice"
    assert there.of_all_pods == "/kubepods.slice"
    assert (tmp_path / f"cpuset{path}").is_dir()
    assert dict(slices.asked)["kubepods-pod1f_2.slice"].memory_limit == 64 * MIB
    assert there.pods() == {"1f-2": path}
    await there.remove_pod(made)
    assert slices.asked[-1] == ("kubepods-pod1f_2.slice", "stop")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/kubepods", "/kubepods.slice", id="one level"),
        pytest.param(
            "/dev-n1/kubepods/burstable/pod1-2",
            "/dev_n1.slice/dev_n1-kubepods.slice/dev_n1-kubepods-burstable.slice/dev_n1-kubepods-burstable-pod1_2.slice",
            id="dashes are levels, so names have none",
        ),
    ],
)
def test_slices(path: str, expected: str) -> None:
    assert names.as_slice(path) == expected


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        pytest.param("pod1-2", "1-2", id="a cgroup"),
        pytest.param("kubepods-burstable-pod1_2.slice", "1-2", id="a slice"),
        pytest.param("kubepods-burstable.slice", None, id="a class"),
        pytest.param("burstable", None, id="a class's cgroup"),
    ],
)
def test_whose_cgroup_it_is(name: str, uid: str | None) -> None:
    assert names.uid_of(name) == uid


def test_slices_that_systemd_made_get_every_controller(tmp_path: Path) -> None:
    """A file of a real cgroup takes one word at a time; here the last one stands in it."""
    slice_ = tmp_path / "kubepods.slice" / "kubepods-pod1.slice"
    slice_.mkdir(parents=True)
    for folder in (tmp_path, slice_.parent):
        (folder / "cgroup.controllers").write_text("cpu memory pids hugetlb\n")
        (folder / "cgroup.subtree_control").write_text("cpu memory pids\n")
    CgroupFiles(tmp_path).make("/kubepods.slice/kubepods-pod1.slice")
    assert (tmp_path / "cgroup.subtree_control").read_text().startswith("+hugetlb")
    assert (slice_.parent / "cgroup.subtree_control").read_text().startswith("+hugetlb")


def test_a_value_whose_controller_is_not_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    (tmp_path / "memory.max").write_text("max\n")
    CgroupFiles(tmp_path).set("/", Values(memory_limit=MIB, cpu_quota_us=50_000))
    assert (tmp_path / "memory.max").read_text().startswith(str(MIB))
    assert not (tmp_path / "cpu.max").exists()
