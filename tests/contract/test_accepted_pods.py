"""1,000 odd Pods that a genuine API server accepts: each runs or has a reason not to, and ends when it is deleted."""

import asyncio
import json
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from nodekit.aio import virtual
from nodekit.kube import auth, errors
from nodekit.kube.client import Client
from nodekit.kube.transport import Transport
from nodekit.objects import codec, quantity
from nodekit.objects.meta import ObjectMeta
from nodekit.objects.node import Node, NodeStatus
from pykubelet.cri.fake import Program
from pykubelet.model.kinds import Missing
from pykubelet.model.pod import Pod
from pykubelet.model.status import PodStatus
from tests.contract import apiserver, odd_pods
from tests.unit.pykubelet.act.scene import Scene

pytestmark = [
    pytest.mark.skipif(
        "KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

WANTED = 1000
SEED = 20261127
ALLOCATABLE = {"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}
NODE = Node(
    metadata=ObjectMeta(name="n1", labels={"kubernetes.io/os": "linux"}),
    status=NodeStatus(allocatable={name: quantity.parse(text) for name, text in ALLOCATABLE.items()}),
)


@pytest.fixture(scope="module")
def accepted() -> Iterator[list[Pod]]:
    """As the API server would store them, its defaults filled in; nothing is stored (a dry run)."""
    with apiserver.running() as server:
        yield asyncio.run(_accepted(server))


async def _accepted(server: apiserver.Server) -> list[Pod]:
    draw, found = Random(SEED), []
    async with Transport(auth.load(server.kubeconfig("odd", user={"token": apiserver.TOKEN}))) as transport:
        client = Client(transport)

        async def offer(number: int, manifest: odd_pods.Json) -> None:
            body = json.dumps(manifest).encode()
            try:
                answer = await client.raw("POST", "/api/v1/namespaces/default/pods?dryRun=All", body=body)
            except (errors.Invalid, errors.BadRequest, errors.Forbidden):
                return
            pod = codec.decode(Pod, answer)
            named = msgspec.structs.replace(pod.metadata, uid=str(uuid.UUID(int=number)))
            found.append(msgspec.structs.replace(pod, metadata=named))

        for first in range(0, 40 * WANTED, 200):
            offers = [(number, odd_pods.pod(draw, number)) for number in range(first, first + 200)]
            await asyncio.gather(*(offer(*one) for one in offers))
            if len(found) >= WANTED:
                break
    return sorted(found, key=lambda pod: pod.uid)[:WANTED]


def test_whatever_is_accepted_runs_or_has_a_reason(
    accepted: list[Pod], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(accepted) == WANTED
    caplog.set_level(logging.WARNING)
    phases: dict[str, int] = {}
    for pod in accepted:
        caplog.clear()
        status = virtual.run(_life(tmp_path, pod))
        crashes = [record.getMessage() for record in caplog.records if record.exc_info]
        assert not crashes, f"{msgspec.json.encode(pod)!r}: {crashes}"
        phases[status.phase] = phases.get(status.phase, 0) + 1
        _has_reasons(pod, status)
    assert phases.get("Running", 0) > WANTED / 4, f"most Pods are to get somewhere: {phases}"


def _has_reasons(pod: Pod, status: PodStatus) -> None:
    assert status.phase in ("Pending", "Running", "Succeeded", "Failed"), pod.key
    if status.phase == "Failed":
        states = [one.state.terminated for one in (*status.init_container_statuses, *status.container_statuses)]
        assert status.reason or any(state and state.reason for state in states), f"{pod.key}: {status}"
    for one in (*status.init_container_statuses, *status.container_statuses):
        if one.state.waiting is not None:
            assert one.state.waiting.reason, f"{pod.key}/{one.name} waits, and nobody knows for what"


async def _life(folder: Path, pod: Pod) -> PodStatus:
    """Its status after 40 s; by the end of this it is deleted, and nothing of it is left."""
    scene = Scene(folder, api_node=NODE)
    missing = Missing()
    scene.told.get_config_map = scene.told.get_secret = lambda *_: missing  # type: ignore[attr-defined]
    for container in pod.spec.init_containers:
        if container.restart_policy != "Always":
            scene.runtime.world.script(container.name, Program(exits_after=0.5))
    async with scene.running():
        scene.want(pod)
        await asyncio.sleep(40)
        status = scene.told.statuses[pod.uid]
        # A grace of 68 years is not waited for, even in virtual time: whoever deletes such a Pod gives it another.
        grace = min(pod.spec.termination_grace_period_seconds, 60)
        scene.delete(pod, grace=grace)
        await asyncio.sleep(grace + 60)
        assert pod.uid in scene.told.finished, f"{pod.key} was deleted and has not ended"
        scene.vanish(pod)
        await asyncio.sleep(5)
        assert not scene.runtime.world.sandboxes, f"{pod.key} has left a sandbox"
        assert not scene.runtime.world.containers, f"{pod.key} has left containers"
        return status
