"""The container runtime's contract: sandboxes, and what is not there."""

import dataclasses
import time

import pytest

from pykubelet.cri import errors
from pykubelet.model import observed
from pykubelet.model import runtime_config as rc
from tests.contract.cri_kit import UNKNOWN_CONTAINER, UNKNOWN_SANDBOX, Does, Kit


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
