"""Which devices a container gets, and the file that remembers it."""

import dataclasses
import json

import msgspec
import pytest

from pykubelet.decide import device_checkpoint, devices
from pykubelet.decide.devices import Missing
from pykubelet.model.container import Container, ResourceRequirements
from pykubelet.model.devices import Assignment, Device, DeviceGrant
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.runtime_config import Mount
from tests.unit.pykubelet.decide.pods import pod

GPU = "example.com/gpu"
OFFERS = {GPU: {id_: Device(id_, healthy=id_ != "sick") for id_ in ("a", "b", "c", "sick")}}


def container(name: str, count: int, **fields: str) -> Container:
    return Container(name=name, resources=ResourceRequirements(limits={GPU: str(count), "cpu": "1"}), **fields)


def holding(name: str, *ids: str, uid: str = "u1") -> Assignment:
    return Assignment(Uid(uid), name, GPU, {-1: ids})


def made(*containers: Container, init: tuple[Container, ...] = ()) -> Pod:
    plain = pod()
    return msgspec.structs.replace(
        plain, spec=msgspec.structs.replace(plain.spec, containers=containers, init_containers=init)
    )


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("example.com/gpu", True),
        ("nvidia.com/mig-1g.10gb", True),
        ("cpu", False),
        ("kubernetes.io/x", False),
        ("sub.kubernetes.io/x", False),
        ("requests.example.com/x", False),
        ("example.com/", False),
        ("example.com/a b", False),
        (f"example.com/{'x' * 250}", False),
    ],
)
def test_only_extended_resources_may_be_offered(name: str, right: bool) -> None:
    assert devices.is_extended(name) is right


@pytest.mark.parametrize(
    ("held", "known", "missing"),
    [
        pytest.param([], {GPU}, [("first", 2), ("main", 1)], id="all of it, init containers first"),
        pytest.param([holding("first", "a", "b")], {GPU}, [("main", 1)], id="what it has it does not lack"),
        pytest.param(
            [holding("main", "a", uid="other")], {GPU}, [("first", 2), ("main", 1)], id="another Pod's counts not"
        ),
        pytest.param([], set(), [], id="a resource that no plugin offers is none of the kubelet's"),
    ],
)
def test_what_a_pod_lacks(held: list[Assignment], known: set[str], missing: list[tuple[str, int]]) -> None:
    wanted = made(container("main", 1), init=(container("first", 2),))
    held = [dataclasses.replace(one, uid=wanted.uid) if one.uid == "u1" else one for one in held]
    assert [(one.container.name, one.count) for one in devices.missing(wanted, held, known)] == missing


@pytest.mark.parametrize(
    ("init", "held", "of", "free"),
    [
        pytest.param("", [("first", "a")], "main", {"a"}, id="an init container leaves its devices to the next"),
        pytest.param("Always", [("first", "a")], "main", set(), id="a sidecar keeps them"),
        pytest.param("", [("first", "a"), ("main", "a")], "other", set(), id="a regular container keeps them"),
        pytest.param("", [("first", "a")], "first", set(), id="what comes first finds nothing"),
    ],
)
def test_devices_are_used_again_by_the_containers_that_come_after(
    init: str, held: list[tuple[str, str]], of: str, free: set[str]
) -> None:
    first = container("first", 1, **({"restart_policy": init} if init else {}))
    wanted = made(container("main", 1), container("other", 1), init=(first,))
    (asked,) = [c for c in (*wanted.spec.init_containers, *wanted.spec.containers) if c.name == of]
    have = [holding(name, id_, uid=wanted.uid) for name, id_ in held]
    assert devices.reusable(wanted, asked, GPU, have) == free


def test_a_device_is_free_that_is_well_and_that_nobody_has() -> None:
    assert devices.available(GPU, OFFERS, [holding("main", "a")]) == {"b", "c"}


@pytest.mark.parametrize(
    ("offers", "count", "said"),
    [
        pytest.param(OFFERS, 3, None, id="enough"),
        pytest.param(
            OFFERS,
            4,
            f"requested number of devices unavailable for {GPU}. Requested: 4, Available: 3",
            id="too few that are well",
        ),
        pytest.param({}, 1, f"cannot allocate unregistered device {GPU}", id="no plugin"),
        pytest.param(
            {GPU: {}}, 1, f"no healthy devices present; cannot allocate unhealthy devices {GPU}", id="none is well"
        ),
    ],
)
def test_why_devices_cannot_be_had(offers, count: int, said: str | None) -> None:
    free = devices.available(GPU, offers, [])
    assert devices.shortage(Missing(container("main", count), GPU, count), offers, (), free) == said


@pytest.mark.parametrize(
    ("reuse", "preferred", "chosen"),
    [
        pytest.param(set(), (), ["a", "b"], id="any"),
        pytest.param(set(), ("c", "nowhere", "b"), ["c", "b"], id="those the plugin prefers, if they are free"),
        pytest.param({"x"}, ("c",), ["x", "c"], id="those that can be used again before all others"),
        pytest.param({"x", "y", "z"}, (), ["x", "y"], id="no more than asked for"),
    ],
)
def test_which_devices_are_chosen(reuse: set[str], preferred: tuple[str, ...], chosen: list[str]) -> None:
    assert devices.choose(2, reuse=reuse, free={"a", "b", "c"}, preferred=preferred) == chosen


def test_of_two_grants_that_contradict_each_other_the_first_holds() -> None:
    one = DeviceGrant(envs=(("A", "1"),), mounts=(Mount("/x", "/one"),), cdi_devices=("v/c=1",))
    two = DeviceGrant(envs=(("A", "2"), ("B", "2")), mounts=(Mount("/x", "/two"),), cdi_devices=("v/c=1", "v/c=2"))
    both = devices.together([one, two])
    assert dict(both.envs) == {"A": "1", "B": "2"}
    assert both.mounts == (Mount("/x", "/one"),)
    assert both.cdi_devices == ("v/c=1", "v/c=2")


def test_the_health_of_devices_is_told_by_container() -> None:
    wanted = made(container("main", 2))
    (told,) = devices.statuses(wanted, [holding("main", "a", "sick", "gone", uid=wanted.uid)], OFFERS)["main"]
    assert told.name == GPU
    assert [(one.resource_id, one.health) for one in told.resources] == [
        ("a", "Healthy"),
        ("gone", "Healthy"),
        ("sick", "Unhealthy"),
    ]


# Written by the genuine structs and checksum (Go), compiled apart.
GENUINE = [
    '{"Data":{"PodDeviceEntries":null,"RegisteredDevices":null},"Checksum":1944006890}',
    '{"Data":{"PodDeviceEntries":[],"RegisteredDevices":{}},"Checksum":2932075448}',
    '{"Data":{"PodDeviceEntries":[{"PodUID":"uid-1","ContainerName":"c","ResourceName":"example.com/dev","DeviceIDs":'
    '{"-1":["d1","d2"],"0":["é\\"x"],"10":["z"],"2":[]},"AllocResp":"CgNhAP8="},{"PodUID":"uid-2","ContainerName":"c2",'
    '"ResourceName":"example.com/dev","DeviceIDs":null,"AllocResp":null},{"PodUID":"uid-2","ContainerName":"c2",'
    '"ResourceName":"example.com/dev","DeviceIDs":{},"AllocResp":""}],"RegisteredDevices":{"a.b/c":[],'
    '"example.com/dev":["d2","d1"],"z/z":null}},"Checksum":3740377847}',
]


@pytest.mark.parametrize("text", GENUINE)
def test_a_genuine_checkpoint_is_read(text: str) -> None:
    assigned, registered = device_checkpoint.read(text.encode())
    assert registered == frozenset(json.loads(text)["Data"]["RegisteredDevices"] or ())
    assert len(assigned) == len(json.loads(text)["Data"]["PodDeviceEntries"] or ())
    if assigned:
        first = Assignment(
            Uid("uid-1"), "c", "example.com/dev", {-1: ("d1", "d2"), 0: ('é"x',), 10: ("z",), 2: ()}, b"\n\x03a\0\xff"
        )
        assert assigned[0] == first


def test_a_checkpoint_of_ours_has_the_checksum_that_a_genuine_kubelet_computes() -> None:
    assigned, _ = device_checkpoint.read(GENUINE[2].encode())
    registered = {"a.b/c": [], "example.com/dev": ["d2", "d1"], "z/z": []}
    again = device_checkpoint.read(device_checkpoint.write(assigned, registered))
    assert again == (assigned, frozenset(registered))
    empty = json.loads(device_checkpoint.write((), {}))
    assert empty == json.loads(GENUINE[1])


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"Data":{},"Checksum":1}', GENUINE[1].replace("32075448", "32075449")]
)
def test_a_corrupt_checkpoint_says_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"checkpoint|checksum"):
        device_checkpoint.read(text.encode())
