"""Watch the EndpointSlices of Services, and find a port's endpoints in however many slices hold them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nodekit.kube import watch
from nodekit.kube.client import Client, Selection
from nodekit.objects.meta import Key
from pyproxy.decide import endpoints
from pyproxy.model import service
from pyproxy.model.address import Family
from pyproxy.model.ports import Endpoint, PortName

_SELECTION: Final = Selection(labels=f"!{service.HEADLESS_LABEL},!{service.PROXY_NAME_LABEL}")


@dataclass(frozen=True, slots=True)
class Slice:
    """What is kept of an EndpointSlice. `triggered` is when its last change began, if it says so."""

    owner: Key
    family: Family
    endpoints: endpoints.SliceEndpoints
    triggered: datetime | None = None


def reflector(client: Client, node: str) -> watch.Reflector[service.EndpointSlice, Slice]:
    """Every slice that belongs to a Service, by its key; endpoints on `node` are local."""

    def keep(found: service.EndpointSlice) -> Slice | None:
        owner = endpoints.owner(found)
        family = endpoints.FAMILIES.get(found.address_type)
        if owner is None or family is None:
            return None
        return Slice(owner, family, endpoints.read(found, owner, node), _triggered(found))

    return watch.Reflector(client, service.ENDPOINT_SLICES, keep=keep, selection=_SELECTION)


def _triggered(found: service.EndpointSlice) -> datetime | None:
    stamp = found.metadata.annotations.get(service.TRIGGER_TIME_ANNOTATION)
    if stamp is None:
        return None
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        return None


def owners(change: watch.Change[Slice]) -> set[Key]:
    """The Services a change is about."""
    return {one.owner for one in (change.old, change.new) if one is not None}


class Index:
    """The slices by the Service that owns them."""

    def __init__(self) -> None:
        self._slices: dict[Key, tuple[Slice, ...]] = {}

    def take(self, change: watch.Change[Slice]) -> None:
        """Follow a change."""
        if change.old is not None:
            left = tuple(one for one in self._slices.pop(change.old.owner, ()) if one is not change.old)
            if left:
                self._slices[change.old.owner] = left
        if change.new is not None:
            self._slices[change.new.owner] = (*self._slices.get(change.new.owner, ()), change.new)

    def endpoints(self, port: PortName, family: Family) -> tuple[Endpoint, ...]:
        """A port's endpoints in a family from all slices."""
        return endpoints.merge((one.endpoints for one in self._slices.get(port.service, ())), port, family)
