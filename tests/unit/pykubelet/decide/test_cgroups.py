"""What a Pod and its containers may use: QoS class, OOM scores, requests, cgroup values, swap, huge pages."""

from typing import Any

import pytest

from nodekit.objects import quantity
from pykubelet.decide import cgroups, qos, resources
from pykubelet.model import runtime_config as cri
from tests.unit.pykubelet.decide.pods import pod

GIB = 1024**3


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param([{}], "BestEffort", id="nothing asked"),
        pytest.param([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed", id="limits alone are requests too"),
        pytest.param([{"limits": {"cpu": "1"}}], "Burstable", id="memory is missing"),
        pytest.param(
            [{"limits": {"cpu": "1", "memory": "1Gi"}}, {"requests": {"cpu": "1m"}}], "Burstable", id="one of two"
        ),
    ],
)
def test_qos(asked: list[dict[str, Any]], expected: str) -> None:
    assert qos.of(pod(*({"name": f"c{i}", "resources": one} for i, one in enumerate(asked)))) == expected


def test_oom_scores_follow_the_class_and_the_share_of_memory() -> None:
    def score(resources: dict[str, Any]) -> int:
        made = pod({"resources": resources})
        return qos.oom_score_adj(made, made.spec.containers[0], memory_capacity=10 * GIB)

    assert score({}) == 1000
    assert score({"limits": {"cpu": "1", "memory": "1Gi"}}) == -997
    assert score({"requests": {"memory": "1Gi"}}) == 900
    assert score({"requests": {"memory": "1"}}) == 999


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        pytest.param([], 875, id="one container has all of it"),
        pytest.param([{}], 938, id="an init container has its share"),
        pytest.param([{"resources": {"requests": {"memory": "512Mi"}}}], 969, id="what the largest init step asks for"),
    ],
)
def test_what_a_pod_asks_for_as_a_whole_is_shared_among_all_its_containers(
    init: list[dict[str, Any]], expected: int
) -> None:
    steps = [{"name": "init", "image": "i", **one} for one in init]
    made = pod({}, initContainers=steps, resources={"requests": {"memory": "1Gi"}})
    assert qos.oom_score_adj(made, made.spec.containers[0], memory_capacity=8 * GIB) == expected


def test_a_pod_needs_its_largest_init_step_or_all_that_runs_together() -> None:
    made = pod(
        {"resources": {"requests": {"cpu": "100m"}}},
        {"name": "b", "resources": {"requests": {"cpu": "200m"}}},
        initContainers=[
            {"name": "side", "image": "i", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
            {"name": "big", "image": "i", "resources": {"requests": {"cpu": "400m"}}},
        ],
        overhead={"cpu": "10m"},
    )
    assert resources.pod_requests(made)["cpu"] == quantity.parse("460m")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, cgroups.Values(cpu_shares=2), id="BestEffort has the least weight and no limit"),
        pytest.param(
            {"requests": {"cpu": "500m"}, "limits": {"memory": "64Mi"}},
            cgroups.Values(cpu_shares=512, memory_limit=64 * 1024**2),
            id="a limit of one kind",
        ),
        pytest.param({"limits": {"cpu": "5m"}}, cgroups.Values(cpu_shares=5, cpu_quota_us=1000), id="least quota 1 ms"),
    ],
)
def test_pod_cgroup(asked: dict[str, Any], expected: cgroups.Values) -> None:
    assert cgroups.of_pod(pod({"resources": asked})) == expected


def test_where_pods_stand() -> None:
    assert cgroups.pod_path("/", pod()) == "/kubepods/besteffort/podu1"
    whole = pod({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}})
    assert cgroups.pod_path("/dev-n1", whole) == "/dev-n1/kubepods/podu1"


@pytest.mark.parametrize(("shares", "expected"), [(2, 1), (1024, 100), (262144, 10000), (0, 0)])
def test_weight_of_shares(shares: int, expected: int) -> None:
    assert cgroups.weight(shares) == expected


@pytest.mark.parametrize(
    ("files", "swap", "together", "expected"),
    [
        pytest.param(None, None, 0, {}, id="cgroup v1 has no such files"),
        pytest.param(None, cgroups.Swap(), 64 * 1024**2, {}, id="cgroup v1 limits memory and swap together"),
        pytest.param(
            cgroups.unified_files(single_process_oom_kill=None),
            cgroups.Swap(),
            0,
            {"memory.high": "max", "memory.oom.group": "1", "memory.swap.max": "0"},
            id="all of a container is killed when memory runs out, and it does not swap",
        ),
        pytest.param(
            cgroups.unified_files(single_process_oom_kill=True),
            None,
            0,
            {"memory.high": "max"},
            id="one process alone is killed where the node is set so, and a kernel may not know of swap",
        ),
    ],
)
def test_what_cgroup_v2_adds(
    files: cgroups.UnifiedFiles, swap: cgroups.Swap | None, together: int, expected: dict[str, str]
) -> None:
    made = pod({"resources": {"limits": {"memory": "64Mi"}}})
    found = cgroups.of_container(made, made.spec.containers[0], cgroups.Machine(GIB, unified=files, swap=swap))
    assert (found.memory_limit, found.memory_swap_limit, dict(found.unified)) == (64 * 1024**2, together, expected)


@pytest.mark.parametrize(
    ("asked", "more", "share"),
    [
        pytest.param({"requests": {"memory": "256Mi"}}, {}, 64, id="its part of memory, of the swap"),
        pytest.param(
            {"requests": {"memory": "256Mi"}, "limits": {"memory": "1Gi"}}, {}, 64, id="the same with a limit"
        ),
        pytest.param({"requests": {"cpu": "1"}}, {}, 0, id="nothing without memory asked for"),
        pytest.param(
            {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}, {}, 0, id="nothing with all of it asked for"
        ),
        pytest.param({"limits": {"cpu": "1", "memory": "256Mi"}}, {}, 0, id="nothing if Guaranteed"),
        pytest.param({}, {}, 0, id="nothing if BestEffort"),
        pytest.param({"requests": {"memory": "256Mi"}}, {"priority": 2_000_000_000}, 0, id="nothing if critical"),
        pytest.param({"requests": {"memory": "2Gi"}}, {}, 0, id="nothing with more asked for than there is"),
    ],
)
def test_who_may_swap(asked: dict[str, Any], more: dict[str, Any], share: int) -> None:
    made = pod({"resources": asked}, **more)
    node = cgroups.Machine(GIB, unified={}, swap=cgroups.Swap(256 * 1024**2))
    found = cgroups.of_container(made, made.spec.containers[0], node)
    assert found.unified["memory.swap.max"] == str(share * 1024**2)


def test_huge_pages_that_are_not_asked_for_may_not_be_used() -> None:
    sizes = (2 * 1024**2, GIB)
    asked = pod({"resources": {"limits": {"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "4Mi"}}})
    limits = (cri.HugepageLimit("2MB", 4 * 1024**2), cri.HugepageLimit("1GB", 0))
    assert cgroups.of_pod(asked, page_sizes=sizes).hugepages == limits
    found = cgroups.of_container(asked, asked.spec.containers[0], cgroups.Machine(GIB, page_sizes=sizes))
    assert found.hugepage_limits == limits
    assert [one.limit for one in cgroups.of_pod(pod(), page_sizes=sizes).hugepages] == [0, 0]


def test_huge_pages_of_the_whole_pod_are_those_of_each_container() -> None:
    made = pod({"resources": {}}, resources={"limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi", "cpu": "1"}})
    found = cgroups.of_container(made, made.spec.containers[0], cgroups.Machine(GIB, page_sizes=(2 * 1024**2,)))
    assert found.hugepage_limits == (cri.HugepageLimit("2MB", 4 * 1024**2),)
