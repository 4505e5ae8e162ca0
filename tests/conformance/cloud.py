"""A stand-in for a cloud's load balancers, so that the suite's tests of them can run on a dev cluster.

    python tests/conformance/cloud.py CLUSTER

Until SIGTERM it gives each Service of type LoadBalancer an address (ipMode VIP, as clouds that keep the destination
do), and routes it in the control plane's network, where the suite runs, to the nodes: with externalTrafficPolicy Local
to those whose healthCheckNodePort says that they have endpoints. What happens on a node is the proxy's work alone.
"""

import http.client
import ipaddress
import json
import signal
import subprocess
import sys
import threading
from typing import Any, Final

from devcluster import netns
from devcluster.api import Cluster
from devcluster.kube import ApiError

_BLOCK: Final = ipaddress.ip_network("198.18.32.0/24")
_FINALIZER: Final = "service.kubernetes.io/load-balancer-cleanup"
_EVERY: Final = 0.5
_MERGE: Final = "application/merge-patch+json"


class Cloud:
    """The addresses given out and where they lead."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._given: dict[str, str] = {}  # by the Service's UID
        self._routes: dict[str, tuple[str, ...]] = {}

    def look(self) -> None:
        """Bring every Service's load balancer up to date."""
        wanted: dict[str, tuple[str, ...]] = {}
        services = json.loads(self._cluster.api.request("GET", "/api/v1/services"))["items"]
        for service in services:
            metadata, spec = service["metadata"], service["spec"]
            path = f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}"
            if spec["type"] == "LoadBalancer" and "deletionTimestamp" not in metadata:
                address = self._serve(service, path)
                wanted[address] = self._nodes(spec)
            elif _FINALIZER in metadata.get("finalizers", ()):
                self._retire(service, path)
        self._route(wanted)

    def _serve(self, service: dict[str, Any], path: str) -> str:
        finalizers = service["metadata"].get("finalizers", [])
        if _FINALIZER not in finalizers:
            self._patch(path, {"metadata": {"finalizers": [*finalizers, _FINALIZER]}})
        address = self._given.setdefault(service["metadata"]["uid"], self._free())
        if [i.get("ip") for i in service["status"]["loadBalancer"].get("ingress", ())] != [address]:
            ingress = [{"ip": address, "ipMode": "VIP"}]
            self._patch(f"{path}/status", {"status": {"loadBalancer": {"ingress": ingress}}})
        return address

    def _retire(self, service: dict[str, Any], path: str) -> None:
        self._given.pop(service["metadata"]["uid"], None)
        self._patch(f"{path}/status", {"status": {"loadBalancer": {"ingress": None}}})
        left = [one for one in service["metadata"]["finalizers"] if one != _FINALIZER]
        self._patch(path, {"metadata": {"finalizers": left}})

    def _free(self) -> str:
        taken = set(self._given.values())
        return next(str(one) for one in _BLOCK.hosts() if str(one) not in taken)

    def _nodes(self, spec: dict[str, Any]) -> tuple[str, ...]:
        addresses = [node.address for node in self._cluster.nodes()]
        port = spec.get("healthCheckNodePort")
        if spec.get("externalTrafficPolicy") == "Local" and port:
            addresses = [address for address in addresses if self._healthy(address, port)]
        # A client with session affinity always comes by the same node, as nodes don't know of each other's clients.
        return tuple(addresses[:1] if spec.get("sessionAffinity") == "ClientIP" else addresses)

    def _healthy(self, address: str, port: int) -> bool:
        try:
            check = http.client.HTTPConnection(address, port, timeout=1)
            check.sock = netns.connect(self._cluster.files.netns(netns.CONTROL_PLANE), (address, port), 1)
            check.request("GET", "/")
            return check.getresponse().status == 200
        except OSError:
            return False

    def _route(self, wanted: dict[str, tuple[str, ...]]) -> None:
        for address in self._routes.keys() - wanted.keys():
            self._ip("route", "del", address)
        for address, nodes in wanted.items():
            if self._routes.get(address) == nodes:
                continue
            if nodes:
                hops = [word for node in nodes for word in ("nexthop", "via", node)]
                self._ip("route", "replace", address, *hops)
            else:
                self._ip("route", "replace", "blackhole", address)
        self._routes = wanted

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self._cluster.files.netns(netns.CONTROL_PLANE), *words], check=False)

    def _patch(self, path: str, body: dict[str, Any]) -> None:
        try:
            self._cluster.api.request("PATCH", path, body, content=_MERGE)
        except ApiError as error:
            if error.status not in (404, 409):  # it is gone, or has just changed: seen next time
                raise


def main() -> None:
    """Look every half second."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    cluster = Cluster(sys.argv[1])
    # One client's connections go to all nodes, not to the one that its address draws.
    cluster.exec("sysctl", "-qw", "net.ipv4.fib_multipath_hash_policy=1")
    cloud = Cloud(cluster)
    while not stop.wait(_EVERY):
        cloud.look()


if __name__ == "__main__":
    main()
