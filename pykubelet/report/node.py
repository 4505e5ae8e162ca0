"""Registers this machine's Node and keeps its status: at once when it changed, every five minutes anyway.

Source: registerWithAPIServer and tryUpdateNodeStatus in K/pkg/kubelet/kubelet_node_status.go.
"""

import asyncio
import contextlib
import dataclasses
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import Clock
from nodekit.kube import errors, patch
from nodekit.kube.client import Client
from nodekit.objects import meta, times
from nodekit.objects.node import NODES, Node
from pykubelet import meters
from pykubelet.decide import node_status
from pykubelet.decide.node_status import NodeFacts, NodeSettings
from pykubelet.report import events, ports

_BACKOFF: Final = Backoff(base=0.2, cap=7.0)

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: between looks at the machine, and at most between two reports. `register`: whether to make the Node."""

    check: float = 10.0
    report: float = 300.0
    register: bool = True


class NodeReporter:
    """Run it as a task. `gather` tells how the node is now; `wake` has it looked at once."""

    def __init__(
        self,
        client: Client,
        node: ports.OwnNode,
        recorder: events.Recorder,
        *,
        settings: NodeSettings,
        gather: Callable[[], Awaitable[NodeFacts]],
        timing: Timing,
        clock: Clock,
    ) -> None:
        self._client = client
        self._node = node
        self._recorder = recorder
        self._settings = settings
        self._gather = gather
        self._timing = timing
        self._clock = clock
        self._stored: Node | None = None
        self._due = 0.0
        self._woken = asyncio.Event()
        self._starting = True
        self._told_of_reboot = False
        self._unschedulable = False
        self._began = clock.now().timestamp()
        self._asked_at, self._registered_at, self._was_ready = 0.0, 0.0, False

    def wake(self) -> None:
        """Something about the node changed: look now."""
        self._woken.set()

    def node_changed(self) -> None:
        """The watch shows the Node as it was not before, or that somebody deleted it."""
        if self._node.current is None:
            self._stored = None
        self._woken.set()

    async def run(self) -> None:
        """Report until cancelled."""
        self._recorder.of_node(events.NORMAL, "Starting", "Starting kubelet.")
        failures = 0
        while True:
            self._woken.clear()
            try:
                await self.report()
                failures, delay = 0, self._timing.check
            except errors.ApiError as error:
                failures += 1
                self._stored = None
                delay = min(_BACKOFF.delay(failures), self._timing.check)
                log.warning("the node's status was not reported, tried again in %.1fs: %s", delay, error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    # A change does not hasten what the server has just refused.
                    await (self._clock.sleep(delay) if failures else self._woken.wait())

    async def report(self) -> None:
        """Look once, and tell what there is to tell. Raises errors.ApiError."""
        facts = await self._gather()
        known = self._known()
        if known is None:
            if not self._timing.register:
                return
            known = await self._register(facts)
            if known is None:
                return
        await self._update(known, facts)

    def _known(self) -> Node | None:
        """The Node as the API is known to have it: the watch's, or a newer answer to what we wrote."""
        current, stored = self._node.current, self._stored
        if current is None or stored is None or stored.metadata.uid != current.metadata.uid:
            return current or stored
        return stored if _version(stored) > _version(current) else current

    async def _register(self, facts: NodeFacts) -> Node | None:
        """Make the Node, with its status; the one to go on with if somebody else made it."""
        self._asked_at = self._asked_at or self._clock.now().timestamp()
        bare = node_status.registered(self._settings, facts.machine)
        verdict = node_status.of(bare, self._settings, facts, now=times.whole(self._clock.now()))
        try:
            self._stored = await self._client.create(NODES, verdict.node)
        except (errors.AlreadyExists, errors.Forbidden):
            self._stored = await self._client.get(NODES, meta.Key("", self._settings.name))
            log.info("the node %s was registered before", self._settings.name)
            return self._stored
        log.info("the node %s is registered", self._settings.name)
        self._measure_registration(facts)
        self._measure_ready(verdict.node, facts)
        self._starting = False
        self._reported(changed=True)
        self._tell(verdict.events)
        return None

    async def _update(self, known: Node, facts: NodeFacts) -> None:
        self._tell_of_reboot(known, facts)
        base = node_status.reconciled(known, self._settings, facts.machine, starting=self._starting)
        verdict = node_status.of(base, self._settings, facts, now=times.whole(self._clock.now()))
        changed = self._starting or node_status.has_changed(known, verdict.node)
        if changed or self._clock.monotonic() >= self._due:
            change = patch.strategic(known, verdict.node)
            if change is not None:
                try:
                    self._stored = await self._client.patch(NODES, known.key, change, subresource="status")
                except errors.NotFound:
                    # Deleted, which the watch has not shown yet: it is registered anew.
                    self._stored = None
                    if self._timing.register:
                        await self._register(facts)
                    return
            self._measure_ready(verdict.node, facts)
            self._starting = False
            self._reported(changed=changed)
        self._tell(verdict.events)
        self._tell_of_cordon(known)

    def _measure_registration(self, facts: NodeFacts) -> None:
        """How long this node took from its boot until it was made, if we made it."""
        if self._registered_at:
            return
        self._registered_at = self._clock.now().timestamp()
        meters.startup_before_kubelet.set(self._began - facts.machine.booted_at)
        meters.startup_before_registration.set(self._asked_at - self._began)
        meters.startup_registration.set(self._registered_at - self._asked_at)

    def _measure_ready(self, node: Node, facts: NodeFacts) -> None:
        ready = any(one.type == "Ready" and one.status == "True" for one in node.status.conditions)
        if ready and self._registered_at and not self._was_ready:
            self._was_ready, now = True, self._clock.now().timestamp()
            meters.startup_after_registration.set(now - self._registered_at)
            meters.startup.set(now - facts.machine.booted_at)

    def _reported(self, *, changed: bool) -> None:
        # Reports that are due are spread, so that nodes that came up together do not report together for ever.
        delay = self._timing.report * ((0.5 + random.random()) if changed else 1.0)
        self._due = self._clock.monotonic() + delay

    def _tell(self, words: tuple[str, ...]) -> None:
        for word in words:
            self._of_status(word)

    def _of_status(self, word: str) -> None:
        self._recorder.of_node(events.NORMAL, word, f"Node {self._settings.name} status is now: {word}")

    def _tell_of_reboot(self, known: Node, facts: NodeFacts) -> None:
        if self._told_of_reboot or not node_status.has_rebooted(known, facts.machine):
            return
        self._told_of_reboot = True
        message = f"Node {self._settings.name} has been rebooted, boot id: {facts.machine.boot_id}"
        self._recorder.of_node(events.WARNING, "Rebooted", message)

    def _tell_of_cordon(self, known: Node) -> None:
        if known.spec.unschedulable != self._unschedulable:
            self._unschedulable = known.spec.unschedulable
            self._of_status("NodeNotSchedulable" if self._unschedulable else "NodeSchedulable")


def _version(node: Node) -> int:
    version = node.metadata.resource_version
    return int(version) if version.isdecimal() else 0
