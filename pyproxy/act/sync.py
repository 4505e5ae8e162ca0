"""The one writer of the ruleset: turns woken Services into programs and sends what changed to the kernel."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import Clock
from nodekit.objects.meta import Key
from pyproxy import errors
from pyproxy.act import parties
from pyproxy.decide import policies, programs, stale_flows, topology
from pyproxy.decide.chains import Policy
from pyproxy.model.address import Address, Family
from pyproxy.model.ports import Endpoint, PortName, ServicePort
from pyproxy.model.program import Program

log = logging.getLogger(__name__)

Change = TypeVar("Change")

_GATHER: Final = 0.002
_COLLECT_AFTER: Final = 1.0
_RETRY: Final = Backoff(base=0.1, cap=30.0)
_LONGEST_PAUSE: Final = 0.1
_TURN: Final = 500  # Services put into a ruleset before other tasks get their turn


@dataclass(slots=True)
class _Side(Generic[Change]):
    """One family: its ruleset, the names last put into it, what its flows lead to, and where this node is.

    `untold` are the Services put into it since it was last written.
    """

    ruleset: parties.Rules[Change]
    names: dict[Key, tuple[PortName, ...]]
    flows: stale_flows.Ledger
    place: topology.Place
    node_ip: Address | None = None
    whole: bool = True
    started: bool = False
    failures: int = 0
    untold: set[Key] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Synced:
    """One family's ruleset is in the kernel: `whole` or by its changes alone, in so many seconds.

    `services` are all that have changed since that was last so, in writes that failed too.
    """

    family: Family
    whole: bool
    seconds: float
    services: frozenset[Key]


class Sync(Generic[Change]):
    """Keeps the kernel's ruleset equal to what the cluster wants.

    Wake-ups carry keys; what is behind a key is read when its turn comes. Changes that come together are sent together.
    """

    def __init__(
        self,
        world: parties.World,
        writer: parties.Writer[Change],
        rules: Callable[[Policy], parties.Rules[Change]],
        *,
        families: Iterable[Family],
        clock: Clock,
        conntrack: parties.Forgetter,
    ) -> None:
        self._world = world
        self._writer = writer
        self._conntrack = conntrack
        self._clock = clock
        self._sides = {f: _Side(rules(world.policy(f)), {}, stale_flows.Ledger(), world.place()) for f in families}
        self._woken: dict[Key, None] = {}  # in the order they were woken in, which is also that of their memory
        self._all = True
        self._event = asyncio.Event()
        self._listeners: list[Callable[[Synced], None]] = []
        self._failed: list[Callable[[Family, bool], None]] = []
        self._not_collected: list[Callable[[Family], None]] = []
        self._forgotten: list[Callable[[Family, float, int], None]] = []
        self.settled = asyncio.Event()  # set once every family has been written
        self.min_interval = 0.005

    @property
    def rulesets(self) -> Mapping[Family, parties.Rules[Change]]:
        """What each family's table should hold."""
        return {family: side.ruleset for family, side in self._sides.items()}

    def subscribe(self, listener: Callable[[Synced], None]) -> None:
        """Be told whenever a family's ruleset has been written."""
        self._listeners.append(listener)

    def on_failure(self, listener: Callable[[Family, bool], None]) -> None:
        """Be told whenever the kernel refuses a family's ruleset, and whether that was the whole."""
        self._failed.append(listener)

    def on_cleanup_failure(self, listener: Callable[[Family], None]) -> None:
        """Be told whenever the kernel refuses to have what a family does not use any more removed."""
        self._not_collected.append(listener)

    def on_forgotten(self, listener: Callable[[Family, float, int], None]) -> None:
        """Be told whenever stale flows were looked for: how long that took in seconds, how many there were."""
        self._forgotten.append(listener)

    def wake(self, *services: Key) -> None:
        """Something about these Services has changed."""
        self._woken.update(dict.fromkeys(services))
        self._event.set()

    def wake_all(self) -> None:
        """Something has changed that any Service may depend on: the node's place, addresses, ranges."""
        self._all = True
        self._event.set()

    def refill(self) -> None:
        """Write everything anew: somebody else has touched the table."""
        for side in self._sides.values():
            side.whole = True
        self._event.set()

    async def run(self) -> None:
        """Sync until cancelled."""
        while True:
            await self._wait()
            began = self._clock.monotonic()
            await self.sync()
            # Changes take half of the time at most; but who comes after a whole rewrite does not wait as long again.
            pause = max(self.min_interval, min(self._clock.monotonic() - began, _LONGEST_PAUSE))
            failures = max(side.failures for side in self._sides.values())
            if failures:
                pause = max(pause, _RETRY.delay(failures))
                self._event.set()
            await self._clock.sleep(pause)

    async def _wait(self) -> None:
        """Until there is something to do: a wake-up and what follows closely, or chains to collect."""
        while not self._event.is_set():
            idle = any(side.ruleset.idle for side in self._sides.values())
            try:
                async with asyncio.timeout(_COLLECT_AFTER if idle else None):
                    await self._event.wait()
            except TimeoutError:
                await self._collect()
        await self._clock.sleep(_GATHER)

    async def sync(self) -> None:
        """Bring the rulesets up to date and write them."""
        self._event.clear()
        woken, self._woken = self._woken, {}
        if self._all:
            self._all = False
            for family, side in self._sides.items():
                policy = self._world.policy(family)
                if policy != side.ruleset.policy:
                    side.ruleset.repolicy(policy)
                before = side.place, side.node_ip
                side.place, side.node_ip = self._world.place(), self._world.node_ip(family)
                # Each Pod that comes or goes may change the machine's addresses; no program depends on those.
                if not side.started or before != (side.place, side.node_ip):
                    woken |= dict.fromkeys((*side.names, *self._world.services()))
        for family, side in self._sides.items():
            began = self._clock.monotonic()
            for number, service in enumerate(woken, start=1):
                self._put(service, family, side)
                if number % _TURN == 0:
                    await self._clock.sleep(0)
            side.untold.update(woken)
            whole = side.whole
            if await self._write(family, side):
                self._forget(family, side)
                written, side.untold = frozenset(side.untold), set()
                synced = Synced(family, whole, self._clock.monotonic() - began, written)
                for listener in self._listeners:
                    listener(synced)
        if not any(side.whole for side in self._sides.values()):
            self.settled.set()

    def _put(self, service: Key, family: Family, side: _Side[Change]) -> None:
        """One Service's programs; a Service that can't be understood keeps the ones it has, alone."""
        try:
            made = self._programs(service, family, side)
        except MemoryError:  # no fault of the Service's: to go on without it would cut it off with the next whole write
            raise
        except Exception:
            log.exception("service %s: its %s rules stay as they are", service, family.api_name)
            return
        for name in side.names.get(service, ()):
            if name not in made:
                side.flows.drop(name)
                side.ruleset.put(name, None)
        for name, (port, program, endpoints) in made.items():
            side.flows.put(port, endpoints, old=side.ruleset.programs.get(name), new=program)
            side.ruleset.put(name, program)
        if made:
            side.names[service] = tuple(made)
        else:
            side.names.pop(service, None)

    def _programs(
        self, service: Key, family: Family, side: _Side[Change]
    ) -> dict[PortName, tuple[ServicePort, Program, tuple[Endpoint, ...]]]:
        made = {}
        for port in self._world.ports(service, family):
            endpoints = self._world.endpoints(port.name, family)
            choice = topology.choose(port, endpoints, side.place)
            before = side.ruleset.programs.get(port.name)
            made[port.name] = port, programs.build(port, choice, node_ip=side.node_ip, before=before), endpoints
        return made

    async def _write(self, family: Family, side: _Side[Change]) -> bool:
        """Send what changed; when that fails or is not enough, everything. Whether the kernel has it all now."""
        if not side.whole:
            try:
                change = side.ruleset.take()
                if change:
                    await self._writer.apply(change)
                side.failures = 0
                return True
            except errors.RulesetError as error:
                log.warning("%s; writing the whole table anew", error)
                self._tell_failure(family, whole=False)
        side.whole = False  # before the write: whoever asks for another meanwhile shall have it
        try:
            await self._writer.replace(side.ruleset.whole())
        except errors.RulesetError as error:
            side.whole = True
            side.failures += 1
            self._tell_failure(family, whole=True)
            log.error("%s; tried again in %.1fs", error, _RETRY.delay(side.failures))
            return False
        side.failures = 0
        return True

    def _tell_failure(self, family: Family, *, whole: bool) -> None:
        for listener in self._failed:
            listener(family, whole)

    async def _collect(self) -> None:
        for family, side in self._sides.items():
            unused = side.ruleset.collect()
            if unused:
                try:
                    await self._writer.apply(unused)
                except errors.RulesetError as error:
                    log.warning("%s; writing the whole table anew", error)
                    side.whole = True
                    self._event.set()
                    for listener in self._not_collected:
                        listener(family)

    def _forget(self, family: Family, side: _Side[Change]) -> None:
        began = self._clock.monotonic()
        node_ips = policies.answering(side.ruleset.policy, self._world.machine_ips())
        gone, new = side.flows.take_gone(), side.flows.take_new(node_ips)
        forgotten = 0
        try:
            if not side.started:
                # What went stale while nobody watched is found once, by looking.
                side.started = True
                forgotten = self._conntrack.reconcile(side.flows.all(side.ruleset.programs, node_ips), family)
                log.info("%s: %d flows to backends of the past are forgotten", family.api_name, forgotten)
            else:
                if not gone and not new:
                    return
                forgotten = self._conntrack.forget(gone, family) + self._conntrack.reconcile(new, family)
        except (errors.ConntrackError, OSError) as error:
            log.warning("%s: %d kinds of flows stay until they time out", error, len(gone) + len(new))
        for listener in self._forgotten:
            listener(family, self._clock.monotonic() - began, forgotten)
