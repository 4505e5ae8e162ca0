"""The parts of Service, EndpointSlice and ServiceCIDR that a proxy reads. Source: k8s.io/api."""

from typing import Final

from nodekit.objects import base, meta
from nodekit.objects.resource import Resource

PROXY_NAME_LABEL: Final = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
BALANCE_ANNOTATION: Final = "pyproxy/balance"
NODE_WEIGHTS_ANNOTATION: Final = "pyproxy/node-weights"
RESET_CONNECTIONS_ANNOTATION: Final = "pyproxy/reset-connections"
TRIGGER_TIME_ANNOTATION: Final = "endpoints.kubernetes.io/last-change-trigger-time"


class ServicePortSpec(base.Object):
    """One port of a Service as the API has it."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    node_port: int = 0


class ClientIPConfig(base.Object):
    """How long a client keeps its endpoint."""

    timeout_seconds: int | None = None


class SessionAffinityConfig(base.Object):
    """The one kind of session affinity there is."""

    client_ip: ClientIPConfig | None = None


class ServiceSpec(base.Object):
    """What a Service asks for."""

    ports: tuple[ServicePortSpec, ...] = ()
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    type: str = "ClusterIP"
    external_ips: tuple[str, ...] = ()
    session_affinity: str = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()
    external_traffic_policy: str = ""
    internal_traffic_policy: str | None = None
    health_check_node_port: int = 0


class LoadBalancerIngress(base.Object):
    """One address a load balancer gave the Service; mode Proxy means it is not ours to serve."""

    ip: str = ""
    ip_mode: str | None = None


class LoadBalancerStatus(base.Object):
    """The addresses of the load balancer."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(base.Object):
    """What a Service got."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()


class Service(meta.ApiObject):
    """A Service."""

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class EndpointConditions(base.Object):
    """Absent ready and serving mean yes, absent terminating means no."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(base.Object):
    """A zone whose nodes should use the endpoint."""

    name: str = ""


class ForNode(base.Object):
    """A node that should use the endpoint."""

    name: str = ""


class EndpointHints(base.Object):
    """Who should use the endpoint."""

    for_zones: tuple[ForZone, ...] = ()
    for_nodes: tuple[ForNode, ...] = ()


class SliceEndpoint(base.Object):
    """One backend; only its first address counts."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    node_name: str | None = None
    hints: EndpointHints | None = None


class SlicePort(base.Object):
    """One port of all endpoints of a slice."""

    name: str | None = None
    protocol: str = "TCP"
    port: int | None = None


class EndpointSlice(meta.ApiObject):
    """Some of a Service's endpoints, all of one address type."""

    address_type: str = ""
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()


class ServiceCidrSpec(base.Object):
    """The blocks ClusterIPs are taken from."""

    cidrs: tuple[str, ...] = ()


class ServiceCidr(meta.ApiObject):
    """A range of ClusterIPs."""

    spec: ServiceCidrSpec = ServiceCidrSpec()


SERVICES: Final = Resource(Service, "v1", "Service", "services")
ENDPOINT_SLICES: Final = Resource(EndpointSlice, "discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
SERVICE_CIDRS: Final = Resource(ServiceCidr, "networking.k8s.io/v1", "ServiceCIDR", "servicecidrs", namespaced=False)
