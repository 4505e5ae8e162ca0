"""Everything the cluster wants of this node, mirrored from the API server, and who is to be told when it changes."""

import asyncio
from collections.abc import Callable, Collection, Iterable

from nodekit.kube import watch
from nodekit.kube.client import Client
from nodekit.objects.meta import Key
from pyproxy.decide import chains, policies, topology
from pyproxy.desired import endpoint_slices, node, service_cidrs, services
from pyproxy.model.address import Address, Family
from pyproxy.model.options import Options
from pyproxy.model.ports import Endpoint, PortName, ServicePort


class World:
    """The mirrors and what they add up to. `machine_ips` gives the addresses this machine has now."""

    def __init__(self, client: Client, options: Options, *, machine_ips: Callable[[], Iterable[Address]]) -> None:
        self._options = options
        self._machine_ips = machine_ips
        self._services = services.reflector(client)
        self._slices = endpoint_slices.reflector(client, options.node)
        self._node = node.reflector(client, options.node)
        self._service_cidrs = service_cidrs.reflector(client)
        self._index = endpoint_slices.Index()
        self._slices.subscribe(self._index.take)
        self._triggers: dict[tuple[Key, Family], list[float]] = {}

    def subscribe(self, wake: Callable[..., None], wake_all: Callable[[], None]) -> None:
        """Be told which Services have changed, and when all may have."""

        def service_changed(change: watch.Change[services.Ports]) -> None:
            if change.old != change.new:
                wake(change.key)

        def node_changed(change: watch.Change[node.Self]) -> None:
            if change.old != change.new:
                wake_all()

        self._services.subscribe(service_changed)
        self._slices.subscribe(lambda change: wake(*endpoint_slices.owners(change)))
        self._node.subscribe(node_changed)
        self._service_cidrs.subscribe(lambda change: wake_all())

    def count(self, *, services: Callable[..., None], slices: Callable[..., None]) -> None:
        """Be told that a Service, or an EndpointSlice, has changed, and of the Services whose rules that may change."""
        self._services.subscribe(lambda change: services(*(() if change.old == change.new else (change.key,))))
        self._slices.subscribe(lambda change: slices(*endpoint_slices.owners(change)))

    def keep_triggers(self, families: Collection[Family]) -> None:
        """Note when changes of endpoints began, for those who take the triggers of these families."""

        def note(change: watch.Change[endpoint_slices.Slice]) -> None:
            new = change.new
            if new is None or new.family not in families:
                return
            if new.triggered is not None and new.triggered != (change.old and change.old.triggered):
                self._triggers.setdefault((new.owner, new.family), []).append(new.triggered.timestamp())

        self._slices.subscribe(note)

    async def synced(self) -> None:
        """Wait until Services and EndpointSlices are known: a ruleset without them would cut everybody off."""
        for event in (self._services.synced, self._slices.synced, self._node.synced):
            await event.wait()

    async def ranges_synced(self) -> None:
        """Wait until the ranges of ClusterIPs are known, which an API server before 1.33 may not have."""
        await self._service_cidrs.synced.wait()

    async def run(self) -> None:
        """Mirror until cancelled."""
        async with asyncio.TaskGroup() as group:
            for mirror in (self._services, self._slices, self._node, self._service_cidrs):
                group.create_task(mirror.run())

    @property
    def myself(self) -> node.Self | None:
        """This node's object, if the API server has one."""
        return self._node.store.get(Key("", self._options.node))

    def services(self) -> Iterable[Key]:
        """Every Service there is."""
        return list(self._services.store)

    def ports(self, service: Key, family: Family) -> Iterable[ServicePort]:
        """A Service's ports in a family; none when it is gone."""
        found, width = self._services.store.get(service, ()), family.value
        return [port for port in found if len(port.cluster_ip) == width]

    def endpoints(self, port: PortName, family: Family) -> tuple[Endpoint, ...]:
        """A port's endpoints in a family."""
        return self._index.endpoints(port, family)

    def health_check(self, service: Key) -> tuple[int, int] | None:
        """A Service's healthCheckNodePort and how many of this node's addresses are ready; None when it has none."""
        found = self._services.store.get(service, ())
        if not found or not found[0].health_check_node_port:
            return None
        family = Family(len(found[0].cluster_ip))
        ready = {
            endpoint.address
            for port in self.ports(service, family)
            for endpoint in self.endpoints(port.name, family)
            if endpoint.local and endpoint.ready
        }
        return found[0].health_check_node_port, len(ready)

    def take_triggers(self, service: Key, family: Family) -> list[float]:
        """When changes of a Service's endpoints began that were not taken before, in Unix time."""
        return self._triggers.pop((service, family), [])

    def place(self) -> topology.Place:
        """Where this node is."""
        myself = self.myself
        return topology.Place(self._options.node, "" if myself is None else myself.zone)

    def node_ip(self, family: Family) -> Address | None:
        """The node's own address: the one to bind to, if the configuration names one, or the Node's."""
        bound = self._options.bind_address
        if bound is not None and len(bound) == family.value:
            return bound
        myself = self.myself
        return None if myself is None else myself.ip(family)

    def machine_ips(self) -> Iterable[Address]:
        """The addresses this machine has now, of both families."""
        return self._machine_ips()

    def policy(self, family: Family) -> chains.Policy:
        """How a family's ruleset treats sources and NodePorts."""
        myself = self.myself
        node_ip = self.node_ip(family)
        return policies.decide(
            self._options,
            family,
            node_ips=() if node_ip is None else (node_ip,),
            pod_cidrs=() if myself is None else myself.pod_cidrs,
            machine_ips=self._machine_ips(),
            service_cidrs=[prefix for prefixes in self._service_cidrs.store.values() for prefix in prefixes],
        )
