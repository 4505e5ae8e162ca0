"""How the runtime is, in the words of a Node's Ready condition."""

import asyncio

import pytest

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from pykubelet.cri import errors as cri_errors
from pykubelet.model.observed import Condition, RuntimeStatus, RuntimeVersion
from pykubelet.observe.runtime_health import RuntimeHealth

READY = Condition("RuntimeReady", True)
NETWORK = Condition("NetworkReady", True)
NO_NETWORK = Condition("NetworkReady", False, "NetworkPluginNotReady", "cni plugin not initialized")


class Runtime:
    """Answers with these conditions, or fails when there are none."""

    def __init__(self, *conditions: Condition) -> None:
        self.conditions = conditions

    async def status(self) -> RuntimeStatus:
        if not self.conditions:
            raise cri_errors.Unavailable("Status", detail="gone")
        return RuntimeStatus(conditions=self.conditions)

    async def version(self) -> RuntimeVersion:
        return RuntimeVersion("containerd", "2.4.2", "v1")


@pytest.mark.parametrize(
    ("runtime", "problems"),
    [
        pytest.param(Runtime(READY, NETWORK), (), id="a runtime that is ready is no problem"),
        pytest.param(
            Runtime(READY, NO_NETWORK),
            (
                "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
                "message:cni plugin not initialized",
            ),
            id="a network that is missing is told in the runtime's words",
        ),
        pytest.param(
            Runtime(),
            ("container runtime status check may not have completed yet", "network state unknown"),
            id="a runtime that never answered",
        ),
    ],
)
def test_problems(runtime: Runtime, problems: tuple[str, ...]) -> None:
    async def scenario() -> tuple[str, ...]:
        health = RuntimeHealth(runtime, clock=VirtualClock())
        task = asyncio.create_task(health.run())
        await health.wait_asked()
        task.cancel()
        return health.problems()

    assert virtual.run(scenario()) == problems


def test_a_runtime_that_went_away_is_down_after_a_while_and_back_at_once() -> None:
    async def scenario() -> list[tuple[str, ...]]:
        runtime, seen = Runtime(READY, NETWORK), []
        health = RuntimeHealth(runtime, clock=VirtualClock())
        health.subscribe(lambda: seen.append(health.problems()))
        task = asyncio.create_task(health.run())
        await asyncio.sleep(10)
        runtime.conditions = ()
        await asyncio.sleep(60)
        runtime.conditions = (READY, NETWORK)
        await asyncio.sleep(10)
        task.cancel()
        return seen

    assert virtual.run(scenario()) == [(), ("container runtime is down",), ()]
