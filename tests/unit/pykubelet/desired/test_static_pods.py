"""Manifests in files become Pods of this node."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from pykubelet.desired import static_pods
from pykubelet.desired.merge import Desired, Source

MANIFEST = b"""
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: main, image: "registry.example:5000/nginx"}
  - {name: side, image: "nginx:1.27"}
"""


def test_a_static_pod_is_named_after_its_node_and_marked() -> None:
    pod = static_pods.parse(MANIFEST, path="/etc/kubernetes/manifests/web.yaml", node_name="Node-1")
    assert str(pod.key) == "default/web-node-1"
    assert pod.spec.node_name == "Node-1"
    assert pod.metadata.annotations[static_pods.HASH] == pod.uid
    assert pod.metadata.annotations[static_pods.SOURCE] == "file"
    assert [c.image_pull_policy for c in pod.spec.containers] == ["Always", "IfNotPresent"]
    assert pod.spec.tolerations[-1].effect == "NoExecute"


def test_a_changed_file_is_another_pod() -> None:
    first, second = (
        static_pods.parse(body, path="/m/web.yaml", node_name="n")
        for body in (MANIFEST, MANIFEST.replace(b"1.27", b"1.28"))
    )
    assert first.uid != second.uid
    assert first.key == second.key


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="not YAML"),
        pytest.param(b"kind: Service\napiVersion: v1", id="not a Pod"),
        pytest.param(b"kind: Pod\napiVersion: v1\nmetadata: {name: x}", id="without containers"),
        pytest.param(b"kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {containers: 3}", id="of another shape"),
    ],
)
def test_what_is_no_pod_is_refused(body: bytes) -> None:
    with pytest.raises(static_pods.BadManifest):
        static_pods.parse(body, path="/m/web.yaml", node_name="n")


async def test_files_that_come_change_and_go_are_noticed_at_once(tmp_path: Path) -> None:
    woken: list[str] = []
    desired = Desired(wake=woken.append)
    task = asyncio.create_task(static_pods.StaticPods(tmp_path, desired, node_name="n", period=600).run())
    file = tmp_path / "web.yaml"
    try:
        await until(lambda: not desired._waiting_for - {Source.API})
        file.write_bytes(MANIFEST)
        await until(lambda: len(desired) == 1)
        (first,) = desired
        file.write_bytes(b"{ half")
        await asyncio.sleep(0.05)
        assert [pod.uid for pod in desired] == [first.uid], "a file that cannot be read keeps the Pod it last gave"
        file.write_bytes(MANIFEST.replace(b"1.27", b"1.28"))
        await until(lambda: [pod.uid for pod in desired] not in ([], [first.uid]))
        file.unlink()
        await until(lambda: len(desired) == 0)
    finally:
        task.cancel()


async def test_a_changed_file_that_names_its_uid_is_the_same_pod_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []
    read: list[str] = []

    def stamp() -> str:
        read.append(f"{len(read)}")
        return read[-1]

    monkeypatch.setattr(static_pods, "_stamp", stamp)
    desired = Desired(wake=woken.append)
    named = MANIFEST.replace(b"name: web", b"name: web, uid: mine")
    file = tmp_path / "web.yaml"
    file.write_bytes(named)
    task = asyncio.create_task(static_pods.StaticPods(tmp_path, desired, node_name="n", period=0.02).run())
    try:
        await until(lambda: woken == ["mine"])
        (first,) = desired
        file.write_bytes(named + b"\n")
        await until(lambda: len(read) >= 2)
        file.write_bytes(named.replace(b"1.27", b"1.28"))
        await until(lambda: len(woken) > 1)
        (changed,) = desired
    finally:
        task.cancel()
    assert woken == ["mine", "mine"]
    assert [one.image for one in changed.spec.containers][1:] == ["nginx:1.28"]
    assert changed.metadata == first.metadata


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
