"""The runtime is told which addresses Pods have."""

import asyncio

from nodekit.aio import virtual
from nodekit.aio.clock import VirtualClock
from nodekit.objects.node import Node, NodeSpec
from pykubelet.act.pod_cidr import PodCidr
from pykubelet.cri import errors as cri_errors


class Runtime:
    """Fails the first call."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def set_pod_cidr(self, cidr: str) -> None:
        self.calls.append(cidr)
        if len(self.calls) == 1:
            raise cri_errors.Unavailable("UpdateRuntimeConfig", detail="starting")


def test_each_range_is_told_until_the_runtime_has_heard_it() -> None:
    runtime = Runtime()
    nodes: list[Node | None] = [None]

    async def scenario() -> None:
        told = PodCidr(runtime, node=lambda: nodes[-1], clock=VirtualClock())
        task = asyncio.create_task(told.run())
        for node in (None, Node(), Node(spec=NodeSpec(pod_cidrs=("10.0.1.0/24", "fd00::/64")))):
            nodes.append(node)
            told.changed()
            await asyncio.sleep(5)
        told.changed()
        await asyncio.sleep(5)
        task.cancel()

    virtual.run(scenario())
    assert runtime.calls == ["10.0.1.0/24,fd00::/64"] * 2
