"""The container runtime's contract: the same cases against the fake, a real containerd, and CRI-O (`make crio`)."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from pykubelet.cri import channel, errors, events, fake
from pykubelet.cri.images import Images
from pykubelet.cri.runtime import Runtime
from pykubelet.model import observed
from pykubelet.model import runtime_config as rc
from tests.contract.cri_kit import IMAGE, UNKNOWN_CONTAINER, UNKNOWN_SANDBOX, Does, Kit


@pytest.fixture(params=["fake", "containerd", "crio"])
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    if request.param == "fake":
        made = fake.FakeRuntime()
        made.world.registry = set()
        made.world.images[IMAGE] = observed.Image(id=f"sha256:{'1' * 64}", repo_tags=(IMAGE,), size=1, pinned=True)
        yield Kit(runtime=made, images=made, cgroup="/contract", logs=tmp_path, world=made.world)
        return
    daemon = request.getfixturevalue(request.param)
    async with channel.open_channel(daemon.endpoint) as connection:
        runtime = Runtime(connection, timeout=30)
        images = Images(connection, timeout=30)
        if request.param == "crio":
            await _have_network(runtime)
            await images.pull_image(rc.ImageSpec(image=IMAGE))
        yield Kit(
            runtime=runtime,
            images=images,
            cgroup=daemon.cgroup,
            logs=tmp_path,
            crio=request.param == "crio",
            old=daemon.old,
        )
        for sandbox in await runtime.list_sandboxes():
            await runtime.remove_sandbox(sandbox.id)


async def _have_network(runtime: Runtime) -> None:
    """CRI-O answers before it has looked at its network's configuration, and tells nobody when it has."""

    async def has() -> bool:
        try:
            return all(condition.status for condition in (await runtime.status()).conditions)
        except errors.Unavailable:
            return False

    async with asyncio.timeout(20):
        while not await has():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


# -- the runtime itself


async def test_it_says_what_it_is_and_that_it_is_ready(kit: Kit) -> None:
    version = await kit.runtime.version()
    assert version.name in ("containerd", "cri-o", "fake")
    assert version.version[0].isdigit()
    status = await kit.runtime.status()
    assert {c.type: c.status for c in status.conditions}.items() >= {"RuntimeReady": True, "NetworkReady": True}.items()
    if kit.old:
        assert (status.handlers, status.features) == ((), frozenset())
        return
    default = next(h for h in status.handlers if h.name == "")
    assert default.recursive_read_only_mounts
    assert "supplemental_groups_policy" in status.features


async def test_it_names_its_cgroup_driver(kit: Kit) -> None:
    assert await kit.runtime.cgroup_driver() is (None if kit.old else observed.CgroupDriver.CGROUPFS)


# -- images


async def test_an_image_that_is_there_is_found_by_name_and_by_id(kit: Kit) -> None:
    found = await kit.images.image_status(rc.ImageSpec(image=IMAGE))
    assert found is not None
    assert IMAGE in found.repo_tags
    assert len(found.id.removeprefix("sha256:")) == 64
    assert found.size > 0
    assert found.pinned is not kit.old
    again = await kit.images.image_status(rc.ImageSpec(image=found.id))
    assert again is not None
    assert again.id == found.id
    assert found.id in [i.id for i in await kit.images.list_images()]


async def test_an_image_that_is_not_there_is_none_and_removing_it_succeeds(kit: Kit) -> None:
    absent = rc.ImageSpec(image="contract.test/absent:1")
    assert await kit.images.image_status(absent) is None
    await kit.images.remove_image(absent)


async def test_a_pull_that_cannot_be_is_an_error_that_names_the_image(kit: Kit) -> None:
    with pytest.raises(errors.CriError, match=r"PullImage of contract\.test/absent:1"):
        await kit.images.pull_image(rc.ImageSpec(image="contract.test/absent:1"))


async def test_the_image_filesystem_is_measured(kit: Kit) -> None:
    usage = await kit.images.filesystems()
    assert usage.images[0].mountpoint
    assert usage.images[0].at > 0


# -- sandboxes


async def test_a_sandbox_runs_with_an_address_and_all_it_was_given(kit: Kit) -> None:
    before = time.time()
    sandbox, spec = await kit.sandbox()
    seen = await kit.runtime.sandbox_status(sandbox)
    assert (seen.uid, seen.namespace, seen.name, seen.attempt) == (spec.uid, spec.namespace, spec.name, 0)
    assert seen.state is observed.SandboxState.READY
    assert before - 1 < seen.created_at < time.time() + 1
    assert seen.ips[0].startswith("198.19.")
    assert seen.labels.items() >= spec.labels.items()
    assert seen.annotations == spec.annotations
    assert seen.namespaces is not None
    assert seen.namespaces.network is rc.NamespaceMode.POD


async def test_a_sandbox_on_the_host_network_has_no_address_of_its_own(kit: Kit) -> None:
    host = rc.SandboxSecurity(namespaces=rc.Namespaces(network=rc.NamespaceMode.NODE))
    sandbox, _ = await kit.sandbox(security=host, hostname="")
    assert (await kit.runtime.sandbox_status(sandbox)).ips == ()


async def test_sandboxes_are_listed_newest_first_by_labels_and_state(kit: Kit) -> None:
    first, spec = await kit.sandbox()
    second = await kit.runtime.run_sandbox(dataclasses.replace(spec, attempt=1))
    await kit.runtime.stop_sandbox(first)
    mine = {observed.POD_UID_LABEL: spec.uid}
    assert [s.id for s in await kit.runtime.list_sandboxes(labels=mine)] == [second, first]
    ready = await kit.runtime.list_sandboxes(labels=mine, state=observed.SandboxState.READY)
    assert [s.id for s in ready] == [second]
    assert await kit.runtime.list_sandboxes(labels={observed.POD_UID_LABEL: "nobody"}) == ()


async def test_a_second_sandbox_of_the_same_name_and_attempt_already_exists(kit: Kit) -> None:
    first, spec = await kit.sandbox()
    if kit.crio:  # it takes the question for the same one, asked again
        assert await kit.runtime.run_sandbox(spec) == first
        return
    with pytest.raises(errors.AlreadyExists):
        await kit.runtime.run_sandbox(spec)


async def test_a_sandbox_stops_and_goes_however_often_it_is_asked_to(kit: Kit) -> None:
    sandbox, spec = await kit.sandbox()
    for _ in range(2):
        await kit.runtime.stop_sandbox(sandbox)
    assert (await kit.runtime.sandbox_status(sandbox)).state is observed.SandboxState.NOT_READY
    for _ in range(2):
        await kit.runtime.remove_sandbox(sandbox)
    assert await kit.runtime.list_sandboxes(labels=spec.labels) == ()
    await kit.runtime.stop_sandbox(sandbox)


async def test_stopping_a_sandbox_kills_what_runs_in_it(kit: Kit) -> None:
    running = await kit.container(Does.RUNS)
    await kit.runtime.stop_sandbox(running.sandbox_id)
    seen = await kit.runtime.container_status(running.id, sandbox=running.sandbox_id)
    assert seen.state is observed.ContainerState.EXITED
    assert seen.exit_code == (0 if kit.crio else 137), "CRI-O lets it end by itself first"


@pytest.mark.parametrize("call", ["sandbox_status", "container_status", "start_container", "reopen_log", "exec_sync"])
async def test_asking_for_what_is_not_there_is_not_found(kit: Kit, call: str) -> None:
    questions = {
        "sandbox_status": lambda: kit.runtime.sandbox_status(UNKNOWN_SANDBOX),
        "container_status": lambda: kit.runtime.container_status(UNKNOWN_CONTAINER, sandbox=UNKNOWN_SANDBOX),
        "start_container": lambda: kit.runtime.start_container(UNKNOWN_CONTAINER),
        "reopen_log": lambda: kit.runtime.reopen_log(UNKNOWN_CONTAINER),
        "exec_sync": lambda: kit.runtime.exec_sync(UNKNOWN_CONTAINER, ["true"]),
    }
    unnamed = kit.crio and call == "reopen_log"
    with pytest.raises(errors.CriError if unnamed else errors.NotFound):
        await questions[call]()


async def test_stopping_and_removing_what_is_not_there_succeeds(kit: Kit) -> None:
    await kit.runtime.stop_sandbox(UNKNOWN_SANDBOX)
    await kit.runtime.remove_sandbox(UNKNOWN_SANDBOX)
    await kit.runtime.stop_container(UNKNOWN_CONTAINER, grace=1)
    await kit.runtime.remove_container(UNKNOWN_CONTAINER)


# -- containers


async def test_a_container_is_created_then_runs_with_all_it_was_given(kit: Kit) -> None:
    mounts = (rc.Mount(container_path="/data", host_path=str(kit.logs), readonly=True),)
    security = rc.ContainerSecurity(run_as_user=1000, run_as_group=1000)
    made = await kit.container(Does.RUNS, start=False, mounts=mounts, security=security, attempt=2)
    assert (made.state, made.started_at, made.finished_at) == (observed.ContainerState.CREATED, 0.0, 0.0)
    assert made.detailed
    await kit.runtime.start_container(made.id)
    seen = await kit.runtime.container_status(made.id, sandbox=made.sandbox_id)
    assert seen.state is observed.ContainerState.RUNNING
    assert made.created_at <= seen.started_at < time.time() + 1
    assert (seen.name, seen.attempt, seen.image) == ("runs", 2, IMAGE)
    assert seen.pod_uid == seen.labels[observed.POD_UID_LABEL]
    assert seen.annotations == {"note": "kept"}
    assert seen.log_path == str(kit.logs / seen.pod_uid / "runs/0.log")
    assert [(m.container_path, m.host_path, m.readonly) for m in seen.mounts] == [("/data", str(kit.logs), True)]
    if kit.old:
        assert seen.user is None
        return
    assert seen.user is not None
    assert (seen.user.uid, seen.user.gid) == (1000, 1000)


@pytest.mark.parametrize(
    ("does", "code", "reason"),
    [
        pytest.param(Does.SUCCEEDS, 0, "Completed", id="a process that exits well is Completed"),
        pytest.param(Does.EXITS_3, 3, "Error", id="a process that exits with 3 is an Error"),
    ],
)
async def test_an_exit_is_seen(kit: Kit, does: Does, code: int, reason: str) -> None:
    ended = await kit.until_exited(await kit.container(does))
    assert (ended.exit_code, ended.reason) == (code, reason)
    assert ended.created_at <= ended.finished_at < time.time() + 1
    assert abs(ended.finished_at - ended.started_at) < 5


async def test_a_process_that_heeds_the_stop_signal_ends_by_itself(kit: Kit) -> None:
    running = await kit.container(Does.RUNS)
    await kit.runtime.stop_container(running.id, grace=10)
    ended = await kit.runtime.container_status(running.id, sandbox=running.sandbox_id)
    assert (ended.state, ended.exit_code) == (observed.ContainerState.EXITED, 0)


async def test_a_process_that_ignores_the_stop_signal_is_killed_after_its_grace(kit: Kit) -> None:
    running = await kit.container(Does.IGNORES_STOP)
    began = time.monotonic()
    await kit.runtime.stop_container(running.id, grace=1)
    assert 0.9 < time.monotonic() - began < 4
    ended = await kit.runtime.container_status(running.id, sandbox=running.sandbox_id)
    assert (ended.state, ended.exit_code) == (observed.ContainerState.EXITED, 137)


async def test_no_grace_kills_at_once(kit: Kit) -> None:
    running = await kit.container(Does.IGNORES_STOP)
    await kit.runtime.stop_container(running.id, grace=0)
    ended = await kit.runtime.container_status(running.id, sandbox=running.sandbox_id)
    assert ended.exit_code == 137


async def test_a_command_that_is_not_there_fails_at_start_with_its_name(kit: Kit) -> None:
    if kit.crio:  # it finds out when the container is created
        with pytest.raises(errors.CriError, match="/nowhere"):
            await kit.container(Does.CANNOT_START, start=False)
        return
    made = await kit.container(Does.CANNOT_START, start=False)
    with pytest.raises(errors.CriError, match="/nowhere"):
        await kit.runtime.start_container(made.id)
    ended = await kit.runtime.container_status(made.id, sandbox=made.sandbox_id)
    assert (ended.state, ended.exit_code, ended.reason) == (observed.ContainerState.EXITED, 128, "StartError")
    assert "/nowhere" in ended.message


async def test_a_container_starts_once(kit: Kit) -> None:
    ended = await kit.until_exited(await kit.container(Does.SUCCEEDS))
    with pytest.raises(errors.CriError):
        await kit.runtime.start_container(ended.id)


async def test_a_second_container_of_the_same_name_and_attempt_already_exists(kit: Kit) -> None:
    sandbox, spec = await kit.sandbox()
    wanted = kit.container_spec(spec, Does.RUNS)
    first = await kit.runtime.create_container(sandbox, wanted, sandbox_spec=spec)
    if kit.crio:
        assert await kit.runtime.create_container(sandbox, wanted, sandbox_spec=spec) == first
        return
    with pytest.raises(errors.AlreadyExists):
        await kit.runtime.create_container(sandbox, wanted, sandbox_spec=spec)


async def test_nothing_is_created_in_a_stopped_sandbox(kit: Kit) -> None:
    sandbox, spec = await kit.sandbox()
    await kit.runtime.stop_sandbox(sandbox)
    with pytest.raises(errors.CriError):
        await kit.runtime.create_container(sandbox, kit.container_spec(spec, Does.RUNS), sandbox_spec=spec)


async def test_containers_are_listed_newest_first_by_sandbox_labels_and_state(kit: Kit) -> None:
    sandbox, spec = await kit.sandbox()
    made = [
        await kit.runtime.create_container(sandbox, kit.container_spec(spec, does), sandbox_spec=spec)
        for does in (Does.RUNS, Does.EXITS_3)
    ]
    await kit.runtime.start_container(made[0])
    listed = await kit.runtime.list_containers(sandbox=sandbox)
    assert [c.id for c in listed] == [made[1], made[0]]
    assert {c.sandbox_id for c in listed} == {sandbox}
    assert {c.pod_uid for c in listed} == {spec.uid}
    running = await kit.runtime.list_containers(labels=spec.labels, state=observed.ContainerState.RUNNING)
    assert [c.id for c in running] == [made[0]]


async def test_removing_a_running_container_kills_it(kit: Kit) -> None:
    running = await kit.container(Does.RUNS)
    await kit.runtime.remove_container(running.id)
    assert await kit.runtime.list_containers(sandbox=running.sandbox_id) == ()


async def test_new_limits_are_seen_in_the_status(kit: Kit) -> None:
    limits = rc.LinuxResources(cpu_shares=512, memory_limit=64 << 20)
    running = await kit.container(Does.RUNS, resources=limits)
    await kit.runtime.update_container_resources(running.id, rc.LinuxResources(memory_limit=128 << 20))
    seen = await kit.runtime.container_status(running.id, sandbox=running.sandbox_id)
    assert seen.resources is not None
    assert (seen.resources.cpu_shares, seen.resources.memory_limit) == (512, 128 << 20)


async def test_a_log_is_reopened_only_while_its_container_runs(kit: Kit) -> None:
    running = await kit.container(Does.RUNS)
    await kit.runtime.reopen_log(running.id)
    await kit.runtime.stop_container(running.id, grace=0)
    with pytest.raises(errors.CriError):
        await kit.runtime.reopen_log(running.id)


# -- commands


async def test_a_command_answers_with_its_output_and_code(kit: Kit) -> None:
    running = await kit.container(Does.RUNS)
    if isinstance(kit.runtime, fake.FakeRuntime):
        kit.runtime.commands["runs"] = lambda _: observed.ExecResult(exit_code=7, stdout=b"out\n", stderr=b"err\n")
    answer = await kit.runtime.exec_sync(running.id, ["sh", "-c", "echo out; echo err >&2; exit 7"], timeout=10)
    assert answer == observed.ExecResult(exit_code=7, stdout=b"out\n", stderr=b"err\n")


async def test_a_command_that_takes_too_long_exceeds_its_deadline(kit: Kit) -> None:
    running = await kit.container(Does.RUNS)
    if kit.world:
        kit.world.delays["exec runs"] = 5
    began = time.monotonic()
    if kit.crio:
        answer = await kit.runtime.exec_sync(running.id, ["sleep", "5"], timeout=1)
        assert (answer.exit_code, answer.stderr) == (-1, b"command timed out")
    else:
        with pytest.raises(errors.DeadlineExceeded):
            await kit.runtime.exec_sync(running.id, ["sleep", "5"], timeout=1)
    assert time.monotonic() - began < 3


async def test_no_command_runs_in_a_container_that_ended(kit: Kit) -> None:
    ended = await kit.until_exited(await kit.container(Does.SUCCEEDS))
    with pytest.raises(errors.CriError):
        await kit.runtime.exec_sync(ended.id, ["true"], timeout=5)


async def test_streams_have_an_address(kit: Kit) -> None:
    running = await kit.container(Does.RUNS)
    streams = rc.Streams(stdin=True)
    urls = [
        await kit.runtime.exec_url(running.id, ["sh"], streams=streams),
        await kit.runtime.attach_url(running.id, streams=rc.Streams()),
        await kit.runtime.port_forward_url(running.sandbox_id),
    ]
    assert [url.split("/")[3] for url in urls] == ["exec", "attach", "portforward"]


# -- usage


async def test_a_running_container_and_its_sandbox_are_measured(kit: Kit) -> None:
    running = await kit.container(Does.RUNS)
    one = await kit.runtime.container_stats(running.id)
    assert (one.id, one.name) == (running.id, "runs")
    assert one.memory is not None
    assert one.memory.working_set
    (listed,) = await kit.runtime.list_container_stats(sandbox=running.sandbox_id)
    assert listed.id == running.id
    pod = await kit.runtime.sandbox_stats(running.sandbox_id)
    assert pod.uid == running.pod_uid
    assert running.id in [c.id for c in pod.containers]


# -- events


async def test_each_step_of_a_container_is_hinted_at(kit: Kit) -> None:
    if kit.old:
        assert [type(hint) async for hint in events.follow(kit.runtime)] == [events.Gap]
        return
    seen: asyncio.Queue[events.Hint] = asyncio.Queue()

    async def listen() -> None:
        async for hint in events.follow(kit.runtime):
            seen.put_nowait(hint)

    listener = asyncio.create_task(listen(), name="listener")
    try:
        assert isinstance(await asyncio.wait_for(seen.get(), 5), events.Gap)
        await asyncio.sleep(0.2)  # the stream opens behind the gap
        ended = await kit.until_exited(await kit.container(Does.EXITS_3))
        kinds = []
        async with asyncio.timeout(5):
            while observed.EventKind.STOPPED not in kinds:
                hint = await seen.get()
                if isinstance(hint, observed.RuntimeEvent) and hint.container_id == ended.id:
                    kinds.append(hint.kind)
                    assert hint.pod_uid == ended.pod_uid
    finally:
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
    steps = [observed.EventKind.CREATED, observed.EventKind.STARTED, observed.EventKind.STOPPED]
    # Of a container that ends at once CRI-O may tell of the end before it tells of the start.
    assert kinds == steps or (kit.crio and kinds == [steps[0], steps[2]])


# -- the connection


async def test_a_runtime_that_is_not_there_is_unavailable_and_says_where_to_look(tmp_path: Path) -> None:
    async with channel.open_channel(f"unix://{tmp_path}/nobody.sock") as connection:
        with pytest.raises(errors.Unavailable, match="--container-runtime-endpoint"):
            await Runtime(connection).version()


async def test_a_restarted_containerd_is_used_again_within_seconds_and_its_events_too(
    request: pytest.FixtureRequest,
) -> None:
    daemon = request.getfixturevalue("containerd")
    gaps: asyncio.Queue[events.Hint] = asyncio.Queue()

    async def listen(runtime: Runtime) -> None:
        async for hint in events.follow(runtime):
            gaps.put_nowait(hint)

    async with channel.open_channel(daemon.endpoint) as connection:
        runtime = Runtime(connection)
        await runtime.version()
        listener = asyncio.create_task(listen(runtime), name="listener")
        try:
            await asyncio.wait_for(gaps.get(), 5)
            await asyncio.to_thread(daemon.kill)
            with pytest.raises(errors.Unavailable):
                await runtime.version()
            await asyncio.sleep(2)
            await asyncio.to_thread(daemon.start)
            began = time.monotonic()
            while True:
                try:
                    await runtime.version()
                    break
                except errors.Unavailable:
                    assert time.monotonic() - began < 3
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(3):
                while not daemon.old and not isinstance(await gaps.get(), events.Gap):
                    pass
        finally:
            listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listener


def test_the_channel_limits_are_those_of_the_genuine_kubelet() -> None:
    assert channel.MAX_MESSAGE == 16 * 1024 * 1024
    assert grpc.__version__


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        pytest.param("unix:///run/containerd/containerd.sock", "unix:/run/containerd/containerd.sock", id="a socket"),
        pytest.param("/run/c.sock", "unix:/run/c.sock", id="a bare path is a socket"),
        pytest.param("tcp://127.0.0.1:1234", "dns:///127.0.0.1:1234", id="a TCP address"),
    ],
)
def test_an_endpoint_has_a_target(endpoint: str, target: str) -> None:
    assert channel.address(endpoint) == target


@pytest.mark.parametrize("endpoint", ["", "npipe:////./pipe/x", "unix://relative/path", "tcp://nowhere", "http://x:1"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="expected unix:///"):
        channel.address(endpoint)
