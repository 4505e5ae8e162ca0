"""Watch the Services this proxy serves; of each, only its ports are kept."""

from typing import Final

from nodekit.kube import watch
from nodekit.kube.client import Client, Selection
from pyproxy.decide import service_ports
from pyproxy.model import service
from pyproxy.model.address import Family
from pyproxy.model.ports import ServicePort

Ports = tuple[ServicePort, ...]
"""Those of both families, IPv4 first."""

_SELECTION: Final = Selection(labels=f"!{service.PROXY_NAME_LABEL}", fields="spec.clusterIP!=None")


def reflector(client: Client) -> watch.Reflector[service.Service, Ports]:
    """The ports of every Service with an address, by the Service's key."""
    return watch.Reflector(client, service.SERVICES, keep=_keep, selection=_SELECTION)


def _keep(found: service.Service) -> Ports | None:
    return tuple(port for family in Family for port in service_ports.read(found, family)) or None
