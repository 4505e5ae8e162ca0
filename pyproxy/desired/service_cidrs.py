"""Watch the ranges ClusterIPs are taken from."""

from nodekit.kube import watch
from nodekit.kube.client import Client
from pyproxy.model import address as addresses
from pyproxy.model import service
from pyproxy.model.address import Prefix


def reflector(client: Client) -> watch.Reflector[service.ServiceCidr, tuple[Prefix, ...]]:
    """The prefixes of every ServiceCIDR, by its key."""

    def keep(found: service.ServiceCidr) -> tuple[Prefix, ...]:
        parsed = (addresses.parse_prefix(cidr) for cidr in found.spec.cidrs)
        return tuple(prefix for prefix in parsed if prefix is not None)

    return watch.Reflector(client, service.SERVICE_CIDRS, keep=keep)
