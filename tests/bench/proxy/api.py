"""Objects of the bench's API server: written through it one at a time, or many at once straight into its etcd.

Making 10,000 Services through the API server takes minutes, and is nothing a proxy is measured by. The many are copies
of one that went through it, as JSON, which it reads from etcd like its own protobuf; with the IPAddress that stands
for each ClusterIP, so that its repair loop finds nothing to do.
"""

import base64
import http.client
import itertools
import json
import ssl
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

from tests.bench.proxy import plan
from tests.bench.proxy.plan import Plan
from tests.contract import apiserver

SERVICES: Final = "/api/v1/namespaces/default/services"
SLICES: Final = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
_ADDRESSES: Final = "/apis/networking.k8s.io/v1/ipaddresses"
_NODES: Final = 100
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_AT_ONCE: Final = 120  # etcd takes 128 changes in one transaction


class Api:
    """One connection to the API server; the socket stays in the namespace it was opened in."""

    def __init__(self) -> None:
        context = ssl._create_unverified_context()
        self._connection = http.client.HTTPSConnection(apiserver.ADDRESS, 6443, context=context)

    def connect(self) -> None:
        """Anew: the server hangs up after 90 seconds without a request."""
        self._connection.close()
        self._connection.connect()

    def close(self) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: Any = None, *, missing: bool = False) -> Any:
        """The answer; None for an object that is `missing` if it may be."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {apiserver.TOKEN}", "Content-Type": kind}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status == 404 and missing:
            return None
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return json.loads(data)

    def write(self, name: str, address: str, endpoints: list[str]) -> None:
        """A Service, then its endpoints, as a cluster's controllers would."""
        self.ask("POST", SERVICES, plan.service(name, address))
        self.ask("POST", SLICES, plan.endpoint_slice(name, endpoints))

    def remove(self, name: str) -> None:
        """The Service and its endpoints."""
        self.ask("DELETE", f"{SERVICES}/{name}")
        self.ask("DELETE", f"{SLICES}/{name}")

    def fill(self, ground: Plan, numbers: range, *, endpoints: int) -> None:
        """Services with these numbers, there and in the API server's cache when this returns."""
        if not numbers:
            return
        self.write("sample", ground.cluster_ip(4095), ground.endpoints(0, endpoints))
        sample = {
            "service": self.ask("GET", f"{SERVICES}/sample"),
            "slice": self.ask("GET", f"{SLICES}/sample"),
            "address": self.ask("GET", f"{_ADDRESSES}/{ground.cluster_ip(4095)}"),
        }
        self.remove("sample")
        etcd = http.client.HTTPConnection("127.0.0.1", 2379)
        copies = _copies(sample, ground, numbers, endpoints)
        while changes := [_put(key, value) for key, value in itertools.islice(copies, _AT_ONCE)]:
            etcd.request("POST", "/v3/kv/txn", json.dumps({"success": changes}))
            answer = etcd.getresponse()
            data = answer.read()
            assert answer.status == 200, f"etcd: {answer.status} {data[:300]!r}"
        etcd.close()
        self.connect()
        for path in (SERVICES, SLICES):
            self._await(f"{path}/{_name(numbers[-1])}")

    def _await(self, path: str) -> None:
        """Until an object is in the API server's cache."""
        deadline = time.monotonic() + 180
        while self.ask("GET", f"{path}?resourceVersion=0", missing=True) is None:
            assert time.monotonic() < deadline, f"{path} is not in the API server's cache"
            time.sleep(0.1)


def _copies(
    sample: dict[str, Any], ground: Plan, numbers: range, endpoints: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in sample.values():
        del one["metadata"]["resourceVersion"]
    for number in numbers:
        name, address = _name(number), ground.bulk_ip(number)
        # An address older than a minute whose Service is not in the API server's cache yet would be taken for leaked.
        own = {"name": name, "uid": str(uuid.uuid4()), "creationTimestamp": time.strftime(_TIME, time.gmtime())}
        service, slice_, ip = ({**one, "metadata": {**one["metadata"], **own}} for one in sample.values())
        service["spec"] = {**service["spec"], "clusterIP": address, "clusterIPs": [address]}
        slice_["metadata"]["labels"] = {**slice_["metadata"]["labels"], "kubernetes.io/service-name": name}
        slice_["endpoints"] = plan.endpoints(ground.endpoints(number, endpoints), nodes=_NODES)
        ip["metadata"]["name"] = address
        ip["spec"] = {"parentRef": {**ip["spec"]["parentRef"], "name": name}}
        yield f"/registry/services/specs/default/{name}", service
        yield f"/registry/endpointslices/default/{name}", slice_
        yield f"/registry/ipaddresses/{address}", ip


def _name(number: int) -> str:
    return f"s{number:06}"


def _put(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"requestPut": {"key": _base64(key), "value": _base64(json.dumps(value))}}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
