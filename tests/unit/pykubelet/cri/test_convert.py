"""What crosses the CRI edge comes back the same, and every field that is asked for reaches the wire."""

import dataclasses

import pytest

from cri_protos import api_pb2 as pb
from pykubelet.cri import convert_config, convert_observed, errors
from pykubelet.model import runtime_config as rc
from pykubelet.model.ids import ContainerId, SandboxId, Uid

NAMESPACES = rc.Namespaces(
    network=rc.NamespaceMode.NODE,
    pid=rc.NamespaceMode.TARGET,
    ipc=rc.NamespaceMode.NODE,
    target=ContainerId("other"),
    user=rc.UserNamespace(
        mode=rc.NamespaceMode.POD,
        uids=(rc.IdMapping(host_id=65536, container_id=0, length=65536),),
        gids=(rc.IdMapping(host_id=65536, container_id=0, length=65536),),
    ),
)
RESOURCES = rc.LinuxResources(
    cpu_period=1,
    cpu_quota=2,
    cpu_shares=3,
    memory_limit=4,
    memory_swap_limit=5,
    oom_score_adj=-6,
    cpuset_cpus="0-1",
    cpuset_mems="0",
    hugepage_limits=(rc.HugepageLimit(page_size="2MB", limit=7),),
    unified={"memory.high": "8"},
)
MOUNT = rc.Mount(
    container_path="/c",
    host_path="/h",
    readonly=True,
    recursive_read_only=True,
    selinux_relabel=True,
    propagation=rc.MountPropagation.BIDIRECTIONAL,
    uid_mappings=(rc.IdMapping(host_id=1, container_id=2, length=3),),
    gid_mappings=(rc.IdMapping(host_id=4, container_id=5, length=6),),
    image=rc.ImageSpec(image="i", user_specified_image="u", runtime_handler="h", image_ref="r", annotations={"a": "b"}),
    image_sub_path="/sub",
    mount_options=("noexec",),
)
PROFILE = rc.SecurityProfile(type=rc.ProfileType.LOCALHOST, localhost_ref="/p.json")
SECURITY = rc.ContainerSecurity(
    namespaces=NAMESPACES,
    capabilities=rc.Capabilities(add=("NET_ADMIN",), drop=("ALL",), add_ambient=("CHOWN",)),
    privileged=True,
    selinux=rc.SELinuxOptions(user="u", role="r", type="t", level="l"),
    run_as_user=1000,
    run_as_group=1001,
    run_as_username="name",
    readonly_rootfs=True,
    supplemental_groups=(7,),
    supplemental_groups_policy=rc.SupplementalGroupsPolicy.STRICT,
    no_new_privs=True,
    masked_paths=("/proc/kcore",),
    readonly_paths=("/proc/sys",),
    seccomp=PROFILE,
    apparmor=PROFILE,
)
CONTAINER = rc.ContainerSpec(
    name="c",
    attempt=3,
    image=rc.ImageSpec(image="i"),
    command=("a",),
    args=("b",),
    working_dir="/w",
    envs=(("E", "v\udcff"),),
    mounts=(MOUNT,),
    devices=(rc.Device(container_path="/dev/a", host_path="/dev/b", permissions="r"),),
    cdi_devices=("vendor/class=x",),
    labels={"l": "1"},
    annotations={"a": "2"},
    log_path="c/3.log",
    stdin=True,
    stdin_once=True,
    tty=True,
    resources=RESOURCES,
    security=SECURITY,
    stop_signal="SIGRTMIN+3",
)
SANDBOX = rc.SandboxSpec(
    name="p",
    namespace="ns",
    uid=Uid("u"),
    attempt=2,
    hostname="h",
    log_directory="/logs",
    dns=rc.DNSConfig(servers=("198.18.64.10",), searches=("s",), options=("ndots:5",)),
    port_mappings=(rc.PortMapping(container_port=80, host_port=8080, protocol=rc.Protocol.UDP, host_ip="198.18.0.1"),),
    labels={"l": "1"},
    annotations={"a": "2"},
    cgroup_parent="/kubepods",
    security=rc.SandboxSecurity(
        namespaces=NAMESPACES,
        selinux=rc.SELinuxOptions(user="u", role="r", type="t", level="l"),
        run_as_user=1,
        run_as_group=2,
        readonly_rootfs=True,
        supplemental_groups=(3,),
        supplemental_groups_policy=rc.SupplementalGroupsPolicy.STRICT,
        privileged=True,
        seccomp=PROFILE,
        apparmor=PROFILE,
    ),
    sysctls={"net.core.somaxconn": "10"},
    overhead=RESOURCES,
    resources=RESOURCES,
    runtime_handler="kata",
)
ELSEWHERE = {"windows", "seccomp_profile_path", "apparmor_profile"}
"""Fields that a Linux kubelet leaves alone."""


def unset(message: object, path: str = "") -> list[str]:
    """The fields of a message and of the messages in it that hold their default."""
    found = []
    for field in message.DESCRIPTOR.fields:  # type: ignore[attr-defined]
        value, name = getattr(message, field.name), f"{path}{field.name}"
        if field.name in ELSEWHERE:
            continue
        if field.is_repeated:
            found += [] if len(value) else [name]
            found += [u for item in value if hasattr(item, "DESCRIPTOR") for u in unset(item, f"{name}[].")]
        elif field.message_type:
            found += unset(value, f"{name}.") if message.HasField(field.name) else [name]  # type: ignore[attr-defined]
        elif value == field.default_value:
            found.append(name)
    return found


def test_every_field_of_a_container_reaches_the_wire() -> None:
    left = {"image.annotations", "image.user_specified_image", "image.runtime_handler", "image.image_ref"}
    zero = {name for name in unset(convert_config.container(CONTAINER)) if name.endswith(("container_id", ".mode"))}
    assert set(unset(convert_config.container(CONTAINER))) - left - zero == set()
    assert zero <= {
        "linux.security_context.namespace_options.userns_options.mode",
        "linux.security_context.namespace_options.userns_options.uids[].container_id",
        "linux.security_context.namespace_options.userns_options.gids[].container_id",
    }


def test_every_field_of_a_sandbox_reaches_the_wire() -> None:
    assert {name.rpartition(".")[2] for name in unset(convert_config.sandbox(SANDBOX))} <= {"mode", "container_id"}


def test_what_is_asked_is_seen_again() -> None:
    wire = convert_config.container(CONTAINER)
    assert convert_observed.resources(wire.linux.resources) == RESOURCES
    assert convert_observed.mount(wire.mounts[0]) == MOUNT
    assert convert_observed.namespaces(wire.linux.security_context.namespace_options) == NAMESPACES
    assert convert_observed.signal(wire.stop_signal) == "SIGRTMIN+3"
    assert wire.envs[0].value == b"v\xff"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGRTMIN", "SIGRTMIN+15", "SIGRTMAX-14", "SIGRTMAX", ""])
def test_a_signal_comes_back(name: str) -> None:
    assert convert_observed.signal(convert_config.signal(name)) == name


def test_a_word_that_is_no_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="SIGNONE"):
        convert_config.signal("SIGNONE")


@pytest.mark.parametrize(
    ("wire", "seconds"),
    [
        pytest.param(0, 0.0, id="not reached"),
        pytest.param(-62135596800000000000 // 1000, 0.0, id="Go's zero time"),
        pytest.param(1_795_514_400_250_000_000, 1795514400.25, id="a moment"),
    ],
)
def test_a_time_is_in_seconds(wire: int, seconds: float) -> None:
    assert convert_observed.seconds(wire) == seconds


def test_an_event_without_statuses_is_still_a_hint() -> None:
    event = convert_observed.event(pb.ContainerEventResponse(container_id="x", created_at=1))
    assert (event.container_id, event.sandbox, event.containers, event.pod_uid) == ("x", None, (), "")


def test_a_state_of_the_future_is_unknown() -> None:
    item = pb.Container(id="x")
    item.state = 99  # type: ignore[assignment]
    assert convert_observed.container(item).state.value == "Unknown"


def test_credentials_have_no_words() -> None:
    assert "hunter2" not in repr(rc.AuthConfig(password="hunter2"))


def test_an_error_says_what_where_and_what_next() -> None:
    said = str(errors.Unavailable("StopContainer", target="abc", detail="connection refused"))
    assert said.startswith("StopContainer of abc: connection refused (")
    assert "--container-runtime-endpoint" in said


def test_the_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONTAINER.name = "x"  # type: ignore[misc]
    assert SandboxId("x") == "x"
