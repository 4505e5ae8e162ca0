"""Pressure on the node, and who has to go for it."""

import dataclasses

import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.config.parts import Threshold
from pykubelet.decide import eviction, preemption, pressure, shutdown
from pykubelet.decide.admission import Shortage
from pykubelet.decide.pressure import Observation, Pressure
from pykubelet.model.container import Container, ResourceRequirements
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod, PodSpec, Toleration
from pykubelet.model.pod_state import EndingCause
from pykubelet.model.usage import ContainerUsage, PodUsage
from pykubelet.model.volume import EmptyDirSource, Volume

NOW = 1000.0
Mi = 1 << 20
LIMITS = pressure.limits(
    hard={"memory.available": Threshold.parse("100Mi"), "nodefs.available": Threshold.parse("10%")},
    soft={"memory.available": Threshold.parse("200Mi")},
    graces={"memory.available": 30.0},
    reclaim={"nodefs.available": Threshold.parse("5%")},
)
HARD_MEMORY, HARD_DISK, SOFT_MEMORY = LIMITS


def look(before: Pressure, at: float, **left: int) -> Pressure:
    seen = {name.replace("_", "."): Observation(amount, 1000 * Mi) for name, amount in left.items()}
    return pressure.of(before, seen, LIMITS, now=at, transition=300)


def test_above_every_limit_there_is_no_pressure() -> None:
    assert look(Pressure(), NOW, memory_available=500 * Mi, nodefs_available=500 * Mi).conditions == frozenset()


def test_a_hard_limit_is_due_at_once_memory_first() -> None:
    now = look(Pressure(), NOW, memory_available=50 * Mi, nodefs_available=50 * Mi)
    assert now.due == (HARD_MEMORY, HARD_DISK)
    assert now.conditions == {"MemoryPressure", "DiskPressure"}


def test_a_soft_limit_is_due_when_it_has_been_crossed_long_enough() -> None:
    first = look(Pressure(), NOW, memory_available=150 * Mi)
    assert (first.due, first.conditions) == ((), {"MemoryPressure"})
    assert look(first, NOW + 29, memory_available=150 * Mi).due == ()
    assert look(first, NOW + 30, memory_available=150 * Mi).due == (SOFT_MEMORY,)
    relieved = look(first, NOW + 20, memory_available=250 * Mi)
    assert look(relieved, NOW + 31, memory_available=150 * Mi).due == ()


def test_eviction_goes_on_until_enough_is_reclaimed() -> None:
    first = look(Pressure(), NOW, nodefs_available=90 * Mi)
    second = look(first, NOW + 10, nodefs_available=120 * Mi)
    assert second.due == (HARD_DISK,)
    assert look(second, NOW + 20, nodefs_available=160 * Mi).due == ()


def test_a_condition_stays_for_a_while() -> None:
    first = look(Pressure(), NOW, nodefs_available=50 * Mi)
    relieved = look(first, NOW + 299, nodefs_available=500 * Mi)
    assert relieved.conditions == {"DiskPressure"}
    assert look(relieved, NOW + 301, nodefs_available=500 * Mi).conditions == frozenset()


def pod(name: str, memory: str = "", priority: int = 0, **spec: object) -> Pod:
    requests = {"memory": memory} if memory else {}
    container = Container(name="c", resources=ResourceRequirements(requests=requests))
    fields = {"containers": (container,), "priority": priority, **spec}
    return Pod(metadata=ObjectMeta(name=name, uid=name), spec=PodSpec(**fields))


TOLERANT = (Toleration(key="node.kubernetes.io/memory-pressure", operator="Exists"),)


@pytest.mark.parametrize(
    ("asked", "conditions", "comes"),
    [
        pytest.param(pod("a"), [], True, id="without pressure every Pod"),
        pytest.param(pod("a"), ["MemoryPressure"], False, id="no BestEffort Pod when memory is short"),
        pytest.param(pod("a", tolerations=TOLERANT), ["MemoryPressure"], True, id="unless it tolerates that"),
        pytest.param(pod("a", "1Mi"), ["MemoryPressure"], True, id="one that requests memory"),
        pytest.param(pod("a", "1Mi"), ["DiskPressure"], False, id="none when the disk is full"),
        pytest.param(pod("a", priority=2_000_000_000), ["DiskPressure"], True, id="but a critical one"),
    ],
)
def test_who_may_come_under_pressure(asked: Pod, conditions: list[str], comes: bool) -> None:
    assert (pressure.refuses(asked, frozenset(conditions)) is None) is comes


def test_the_order_of_eviction() -> None:
    usage = {
        Uid("within"): PodUsage(memory=50 * Mi),
        Uid("above"): PodUsage(memory=150 * Mi),
        Uid("far-above"): PodUsage(memory=300 * Mi),
        Uid("important"): PodUsage(memory=900 * Mi),
    }
    pods = [pod("within", "100Mi"), pod("important", "100Mi", 10), pod("above", "100Mi"), pod("far-above", "100Mi")]
    order = eviction.ranked([*pods, pod("unknown")], usage, "memory.available", disks_apart=False)
    assert [one.metadata.name for one in order] == ["unknown", "far-above", "above", "important", "within"]


def test_short_of_process_ids_the_least_important_go_first_whatever_is_known_of_them() -> None:
    usage = {Uid("few"): PodUsage(processes=3), Uid("many"): PodUsage(processes=300), Uid("idle"): PodUsage()}
    pods = [pod("important", priority=10), pod("idle"), pod("few"), pod("many"), pod("unknown")]
    order = eviction.ranked(pods, usage, "pid.available", disks_apart=False)
    assert [one.metadata.name for one in order] == ["unknown", "many", "few", "idle", "important"]


def test_a_figure_that_is_missing_is_no_reason_to_go_first() -> None:
    usage = {Uid("above"): PodUsage(memory=150 * Mi), Uid("started"): PodUsage(disk=1)}
    order = eviction.ranked(
        [pod("started", "100Mi"), pod("above", "100Mi")], usage, "memory.available", disks_apart=False
    )
    assert [one.metadata.name for one in order] == ["above", "started"]


def test_critical_pods_are_spared() -> None:
    static = Pod(metadata=ObjectMeta(name="s", uid="s", annotations={"kubernetes.io/config.source": "file"}))
    pods = [static, pod("critical", priority=2_000_000_000)]
    assert eviction.victim(pods, {}, "memory.available", disks_apart=False) is None


@pytest.mark.parametrize(
    ("signal", "disks_apart", "first"),
    [
        pytest.param("nodefs.available", False, "layer", id="one disk: all together"),
        pytest.param("imagefs.available", False, "layer", id="one disk, told of as that of images"),
        pytest.param("nodefs.available", True, "volume", id="the node's own disk: logs and volumes"),
        pytest.param("nodefs.inodesFree", True, "volume", id="its inodes"),
        pytest.param("imagefs.available", True, "layer", id="the other: writable layers"),
        pytest.param("imagefs.inodesFree", True, "layer", id="its inodes too"),
        pytest.param("containerfs.available", True, "layer", id="told of as that of containers"),
    ],
)
def test_who_goes_first_uses_most_of_the_disk_that_is_full(signal: str, disks_apart: bool, first: str) -> None:
    usage = {
        Uid("volume"): PodUsage(disk=50 * Mi, inodes=50),
        Uid("layer"): PodUsage(disk=90 * Mi, inodes=90, layers=80 * Mi, layer_inodes=80),
    }
    order = eviction.ranked([pod("volume"), pod("layer")], usage, signal, disks_apart=disks_apart)
    assert order[0].metadata.name == first


@pytest.mark.parametrize(
    ("signal", "one_disk", "apart"),
    [
        pytest.param("nodefs.available", True, False, id="the node's disk"),
        pytest.param("imagefs.inodesFree", True, True, id="the images' disk"),
        pytest.param("memory.available", False, False, id="memory"),
    ],
)
def test_where_removing_images_helps(signal: str, one_disk: bool, apart: bool) -> None:
    assert eviction.images_fill(signal, disks_apart=False) is one_disk
    assert eviction.images_fill(signal, disks_apart=True) is apart


def test_an_evicted_pod_is_told_what_it_used() -> None:
    seen = Observation(50 * Mi, 1000 * Mi)
    used = PodUsage(memory=150 * Mi, containers={"c": ContainerUsage(memory=150 * Mi)})
    ending = eviction.of_limit(pod("a", "100Mi"), HARD_MEMORY, seen, used, now=NOW, longest_grace=60)
    assert (ending.cause, ending.grace, ending.reason) == (EndingCause.EVICTED, 1, "Evicted")
    assert ending.message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container c was using 150Mi, request is 100Mi, has larger consumption of memory. "
    )


def test_a_soft_eviction_grants_time() -> None:
    seen = Observation(150 * Mi, 1000 * Mi)
    assert eviction.of_limit(pod("a"), SOFT_MEMORY, seen, None, now=NOW, longest_grace=20).grace == 20
    assert eviction.of_limit(pod("a"), SOFT_MEMORY, seen, None, now=NOW, longest_grace=90).grace == 30


VOLUME = Volume(name="v", empty_dir=EmptyDirSource(size_limit="10Mi"))
LIMITED = (Container(name="c", resources=ResourceRequirements(limits={"ephemeral-storage": "10Mi"})),)


@pytest.mark.parametrize(
    ("asked", "usage", "message", "signal"),
    [
        pytest.param(pod("a", volumes=(VOLUME,)), PodUsage(volumes={"v": 9 * Mi}), None, "", id="within its limits"),
        pytest.param(
            pod("a", volumes=(VOLUME,)),
            PodUsage(volumes={"v": 11 * Mi}),
            'Usage of EmptyDir volume "v" exceeds the limit "10Mi". ',
            "emptydirfs.limit",
            id="a volume is too large",
        ),
        pytest.param(
            pod("a", containers=LIMITED),
            PodUsage(disk=11 * Mi),
            "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
            "ephemeralpodfs.limit",
            id="the Pod is",
        ),
        pytest.param(
            pod("a", containers=LIMITED),
            PodUsage(disk=9 * Mi, containers={"c": ContainerUsage(disk=11 * Mi)}),
            'Container c exceeded its local ephemeral storage limit "10Mi". ',
            "ephemeralcontainerfs.limit",
            id="a container is",
        ),
    ],
)
def test_local_storage(asked: Pod, usage: PodUsage, message: str | None, signal: str) -> None:
    found = eviction.of_local_storage(asked, usage, disks_apart=False, now=NOW)
    assert (found[1].message if found else None) == message
    assert (found[0] if found else "") == signal


@pytest.mark.parametrize(
    ("usage", "signal"),
    [
        pytest.param(ContainerUsage(disk=11 * Mi, logs=1 * Mi), None, id="its layer does not count"),
        pytest.param(ContainerUsage(disk=12 * Mi, logs=11 * Mi), "ephemeralcontainerfs.limit", id="its logs do"),
    ],
)
def test_a_containers_limit_where_layers_have_a_disk_of_their_own(usage: ContainerUsage, signal: str | None) -> None:
    used = PodUsage(disk=9 * Mi, containers={"c": usage})
    found = eviction.of_local_storage(pod("a", containers=LIMITED), used, disks_apart=True, now=NOW)
    assert (found[0] if found else None) == signal


def short_of(memory: int) -> Shortage:
    return Shortage("OutOfmemory", "", "memory", memory, 0, 0)


CRITICAL = pod("critical", priority=2_000_000_000)


@pytest.mark.parametrize(
    ("missing", "victims"),
    [
        pytest.param(90 * Mi, ["small"], id="the smallest that suffices"),
        pytest.param(150 * Mi, ["large"], id="one large rather than two"),
        pytest.param(250 * Mi, ["large", "small"], id="as many as it takes"),
        pytest.param(400 * Mi, None, id="none if all would not do"),
    ],
)
def test_preemption(missing: int, victims: list[str] | None) -> None:
    pods = [pod("small", "100Mi"), pod("large", "200Mi"), pod("none"), pod("other", "1Gi", 2_000_000_000)]
    found = preemption.victims(CRITICAL, pods, [short_of(missing)])
    assert (sorted(one.metadata.name for one in found) if found is not None else None) == victims


def test_shutdown_ends_the_least_important_first() -> None:
    by_priority = shutdown.steps(total=30, for_critical=10)
    important = dataclasses.replace(by_priority[0], priority=100, grace=5)
    pods = [CRITICAL, pod("low", priority=-5), pod("middle", priority=50), pod("high", priority=100)]
    groups = shutdown.groups(pods, [*by_priority, important])
    assert [(group.grace, [one.metadata.name for one in group.pods]) for group in groups] == [
        (20, ["low", "middle"]),
        (5, ["high"]),
        (10, ["critical"]),
    ]
    assert shutdown.ending(CRITICAL, groups[2], now=NOW).kill_at == NOW + 10
