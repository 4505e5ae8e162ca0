"""The container runtime's contract: containers, commands in them, and what they use."""

import time

import pytest

from pykubelet.cri import errors, fake
from pykubelet.model import observed
from pykubelet.model import runtime_config as rc
from tests.contract.cri_kit import IMAGE, Does, Kit


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
    await kit.until_heeding(running)
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
