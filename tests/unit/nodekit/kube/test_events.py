"""Events are sent without ever troubling whoever records them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from nodekit.kube import errors, events, fake
from nodekit.kube.client import Client
from nodekit.objects import event, meta, status

POD = meta.ObjectReference(api_version="v1", kind="Pod", namespace="default", name="web", uid="u")


@contextlib.asynccontextmanager
async def recording(api: fake.FakeApi) -> AsyncIterator[events.Recorder]:
    recorder = events.Recorder(Client(api), component="kubelet", host="n1", clock=VirtualClock())
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def stored(api: fake.FakeApi) -> list[tuple[str, int]]:
    return [(item["message"], item["count"]) for item in api.store.select("/api/v1/events", "", {})]


def test_what_is_recorded_while_the_server_is_away_arrives_later() -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        async with recording(api) as recorder:
            api.go_down()
            recorder.warning(POD, "Failed", message="a")
            recorder.warning(POD, "Failed", message="a")
            await asyncio.sleep(60)
            api.come_up()
            await recorder.flush()
            assert stored(api) == [("a", 2)]

    virtual.run(scenario())


def test_after_two_minutes_an_event_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        async with recording(api) as recorder:
            api.go_down()
            recorder.normal(POD, "Pulled", message="a")
            await recorder.flush()
            assert 100 < asyncio.get_running_loop().time() <= 130
            api.come_up()
            recorder.normal(POD, "Pulled", message="b")
            await recorder.flush()
            assert stored(api) == [("b", 1)]

    virtual.run(scenario())
    assert "an event is dropped after 12 tries: Pulled a" in caplog.text


TERMINATING = status.StatusDetails(causes=(status.StatusCause(reason="NamespaceTerminating"),))


@pytest.mark.parametrize(
    ("refusal", "details", "warned"),
    [
        pytest.param(errors.Forbidden, None, True, id="a refusal is warned of"),
        pytest.param(errors.Forbidden, TERMINATING, False, id="a namespace that goes is nothing to warn of"),
        pytest.param(errors.NotFound, None, False, id="nor is one that has gone"),
    ],
)
def test_a_refused_event_is_dropped_at_once(
    refusal: type[errors.ApiError], details: status.StatusDetails | None, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(request: object) -> bytes:
        error = refusal("create events", server="https://fake", code=403, message="no")
        error.details = details
        raise error

    async def scenario() -> None:
        api = fake.FakeApi()
        api.answer("POST", ".*/events", refuse)
        async with recording(api) as recorder:
            recorder.normal(POD, "Pulled", message="a")
            await recorder.flush()
            assert asyncio.get_running_loop().time() == 0

    virtual.run(scenario())
    said = [record for record in caplog.records if "the server refused an event, which is dropped" in record.message]
    assert bool(said) is warned


def test_a_flood_is_dropped_not_queued_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        async with recording(api) as recorder:
            for number in range(1500):
                recorder.normal(POD, "Pulled", message=str(number))
            await recorder.flush()

    virtual.run(scenario())
    assert "events are dropped, 1 so far" in caplog.text


def test_names_that_no_event_can_have_are_replaced() -> None:
    async def scenario() -> None:
        api = fake.FakeApi()
        async with recording(api) as recorder:
            recorder.normal(POD, "a", message="m")
            recorder.normal(meta.ObjectReference(kind="Node", name="Not_A_Name"), "b", message="m")
            await recorder.flush()
        names = {item["reason"]: item["metadata"]["name"] for item in api.store.select("/api/v1/events", "", {})}
        assert names["a"].startswith("web.")
        assert len(names["b"]) == 36
        node = api.find(event.EVENTS, meta.Key("default", names["b"]))
        assert node is not None
        assert (node.source.component, node.reporting_instance) == ("kubelet", "n1")

    virtual.run(scenario())
