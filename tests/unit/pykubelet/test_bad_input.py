"""Files and answers that nobody would give: never a crash, always a reason.

EXAMPLES says how many of each kind are tried; `make bad-input` tries 1,000. The examples are the same in every run.
"""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import yaml
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_protos import api_pb2 as pb
from nodekit.config import ConfigError
from nodekit.objects.meta import ObjectMeta
from nodekit.objects.times import of as time_of
from pykubelet.config import load
from pykubelet.cri import convert_observed, convert_stats
from pykubelet.decide import pod_actions, pod_status
from pykubelet.desired import static_pods
from pykubelet.model.container import Container
from pykubelet.model.ids import SandboxId
from pykubelet.model.observed import PodRuntime
from pykubelet.model.pod import Pod, PodSpec
from pykubelet.model.pod_state import PodState
from tests.unit.pykubelet import spoil

EXAMPLES = int(os.environ.get("EXAMPLES", "12"))
SPOILT = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
SEEDS = st.integers(0, 2**32)

STATIC_POD = yaml.safe_load(
    (Path(__file__).parent / "decide/static_uids/manifests.yaml").read_text().split("\n---\n")[2]
)
CONFIG = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "address": "0.0.0.0",
    "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True, "cacheTTL": "0s"}},
    "authorization": {"mode": "Webhook"},
    "cgroupDriver": "systemd",
    "clusterDNS": ["10.96.0.10"],
    "containerLogMaxSize": "10Mi",
    "evictionHard": {"memory.available": "100Mi", "nodefs.available": "10%"},
    "evictionSoft": {"memory.available": "200Mi"},
    "evictionSoftGracePeriod": {"memory.available": "1m"},
    "imageGCHighThresholdPercent": 85,
    "kubeReserved": {"cpu": "100m", "memory": "1Gi"},
    "logging": {"format": "text", "verbosity": 2},
    "maxPods": 110,
    "nodeStatusUpdateFrequency": "10s",
    "shutdownGracePeriodByPodPriority": [{"priority": 0, "shutdownGracePeriodSeconds": 10}],
    "staticPodPath": "/etc/kubernetes/manifests",
    "taints": None,
}


@SPOILT
@given(SEEDS)
def test_a_spoilt_static_pod_is_a_pod_or_has_a_reason_not_to_be(seed: int) -> None:
    body = spoil.document(STATIC_POD, Random(seed))
    try:
        pod = static_pods.parse(body, path="/m/web.yaml", node_name="n1")
    except static_pods.BadManifest as error:
        reason = str(error)
    else:
        reason = f"it is Pod {pod.uid}"
        _live(pod, PodRuntime(pod.uid, pod.metadata.namespace, pod.metadata.name))
    assert reason


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="deeper than anybody can read"),
        pytest.param(b"a: &a [*a]", id="what holds itself"),
        pytest.param(
            b"a: &a [x, x, x, x, x, x, x, x, x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (n, n, b", ".join([b"*%c" % (n - 1)] * 9)) for n in range(98, 112)),
            id="a few lines that stand for billions",
        ),
        pytest.param(
            b"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: &s {containers: [*s]}", id="a Pod of Pods"
        ),
    ],
)
def test_a_file_made_to_choke_a_reader_is_refused(body: bytes) -> None:
    with pytest.raises(static_pods.BadManifest, match=r"web.yaml:\d+: not YAML|spec"):
        static_pods.parse(body, path="/m/web.yaml", node_name="n1")


@SPOILT
@given(SEEDS)
def test_a_spoilt_configuration_is_used_or_every_mistake_in_it_told(tmp_path_factory: Any, seed: int) -> None:
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    path.write_bytes(spoil.document(CONFIG, Random(seed)))
    try:
        load.load(path)
    except ConfigError as error:
        problems = [str(problem) for problem in error.problems]
    else:
        problems = [f"{path}: none"]
    assert problems
    assert all(problem.startswith(f"{path}:") for problem in problems)


POD = Pod(
    metadata=ObjectMeta(namespace="ns", name="web", uid="uid-web", creation_timestamp=time_of(1_900_000_000)),
    spec=PodSpec(
        containers=(Container(name="main", image="img:1"),),
        init_containers=(Container(name="side", image="img:1", restart_policy="Always"),),
    ),
)
LABELS = {
    "io.kubernetes.pod.uid": "uid-web",
    "io.kubernetes.pod.name": "web",
    "io.kubernetes.pod.namespace": "ns",
    "io.kubernetes.container.name": "main",
}


def _live(pod: Pod, seen: PodRuntime) -> None:
    """Have decided what to do about a Pod and what to tell of it, with this seen of it."""
    state = PodState(pod=pod, seen=seen, admitted=True, volumes_ready=True)
    pod_actions.of(state, now=1_900_000_100.0)
    told = pod_status.of(state, pod_status.StatusContext(previous=pod.status), now=1_900_000_100.0)
    assert told.phase
    assert msgspec.json.encode(told)


@SPOILT
@given(SEEDS)
def test_whatever_the_runtime_says_of_a_pod_something_is_decided(seed: int) -> None:
    draw = Random(seed)
    containers = []
    for name in ("main", "side", "stranger"):
        labels = {**LABELS, "io.kubernetes.container.name": name}
        status = pb.ContainerStatus(id=f"c-{name}", metadata=pb.ContainerMetadata(name=name), labels=labels)
        spoil.message(status, draw, keep=0.9)
        containers.append(convert_observed.container_status(status, sandbox=SandboxId("s-1")))
        listed = pb.Container(id=f"l-{name}", metadata=pb.ContainerMetadata(name=name), labels=labels)
        containers.append(convert_observed.container(spoil.message(listed, draw, keep=0.9)))  # type: ignore[arg-type]
    metadata = pb.PodSandboxMetadata(name="web", uid="uid-web", namespace="ns")
    sandbox = pb.PodSandboxStatus(id="s-1", metadata=metadata, labels=LABELS)
    seen = convert_observed.sandbox_status(spoil.message(sandbox, draw, keep=0.9))  # type: ignore[arg-type]
    _live(POD, PodRuntime(POD.uid, "ns", "web", sandboxes=(seen,), containers=tuple(containers)))


@pytest.mark.parametrize(
    ("kind", "convert"),
    [
        pytest.param(pb.PodSandbox, convert_observed.sandbox, id="a sandbox"),
        pytest.param(pb.ContainerEventResponse, convert_observed.event, id="an event"),
        pytest.param(pb.Image, convert_observed.image, id="an image"),
        pytest.param(pb.FilesystemUsage, convert_observed.filesystem, id="a filesystem"),
        pytest.param(pb.StatusResponse, convert_observed.runtime_status, id="its status"),
        pytest.param(pb.ContainerStats, convert_stats.container, id="a container's use"),
        pytest.param(pb.PodSandboxStats, convert_stats.sandbox, id="a sandbox's use"),
        pytest.param(pb.PodSandboxMetrics, convert_stats.metrics, id="metrics"),
    ],
)
def test_whatever_else_the_runtime_says_can_be_read(kind: type[Message], convert: Callable[[Any], object]) -> None:
    @SPOILT
    @given(SEEDS)
    def reads(seed: int) -> None:
        convert(spoil.message(kind(), Random(seed)))

    reads()
