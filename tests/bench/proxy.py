"""pyproxy and the genuine kube-proxy, in turn, on the same API server with the same Services.

    sudo python -m tests.bench.proxy --sizes 10,1000,5000 --rounds 3 --out build/proxy.json

One network namespace holds etcd, the API server and the proxy; two backends and a client are joined to it. Nothing else
runs there, so the figures are the proxies' own. For each size and round each proxy is started on empty tables:
`cold` is from the start of its process to the first answer of the Service written last, `swap`, `create` and `delete`
from the API server's reply to the first packet that shows the change, `cpu` is the process's per swap.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import http.client
import json
import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from pyroute2 import netns

from devcluster import binaries, tools
from devcluster import node as nodes
from devcluster.progress import Reporter
from tests.contract import apiserver

BACKENDS = {"bench-b1": "198.19.1.11", "bench-b2": "198.19.1.12"}
CLIENT = "bench-client"
PROBE, FRESH = "198.18.64.2", "198.18.64.3"
TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Sample:
    """One proxy at one size in one round; seconds, and MiB."""

    proxy: str
    size: int
    cold: float
    swap: list[float]
    create: list[float]
    delete: list[float]
    cpu: float
    rss: float
    connect: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10,1000,5000")
    parser.add_argument("--endpoints", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--proxies", default="pyproxy,kube-proxy")
    parser.add_argument("--out", default="build/proxy.json")
    options = parser.parse_args()
    if "KUBEBUILDER_ASSETS" not in os.environ:
        # The dev cluster's own, all linked from one folder.
        folder = Path(tempfile.mkdtemp(prefix="bench-binaries-"))
        nodes.link_binaries(folder, binaries.resolve(tools.CLUSTER, Reporter()))
        os.environ["KUBEBUILDER_ASSETS"] = str(folder)
    samples: list[Sample] = []
    with apiserver.running("--service-cluster-ip-range=198.18.64.0/18") as server, Lab(server) as lab:
        for size in map(int, options.sizes.split(",")):
            asyncio.run(lab.fill(size, options.endpoints))
            for number in range(options.rounds):
                for proxy in options.proxies.split(","):
                    samples.append(lab.measure(proxy, size, swaps=options.swaps))
                    print(f"round {number + 1}: {_line(samples[-1])}", file=sys.stderr, flush=True)
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([dataclasses.asdict(sample) for sample in samples]))
    table = _table(samples)
    out.with_suffix(".md").write_text(table + "\n")
    print(table)
    return 0


def _line(sample: Sample) -> str:
    swap = statistics.median(sample.swap) * 1000
    return (
        f"{sample.proxy} {sample.size}: cold {sample.cold:.2f} s, swap {swap:.1f} ms, "
        f"cpu {sample.cpu * 1000:.1f} ms, RSS {sample.rss:.0f} MiB"
    )


def _table(samples: list[Sample]) -> str:
    rows = ["| Services | | " + " | ".join(("pyproxy", "kube-proxy", "ratio")) + " |", "|---|---|---|---|---|"]
    figures = {
        "cold start to last answer, s": lambda s: [s.cold],
        "endpoint swap to answer, p50 ms": lambda s: [x * 1000 for x in s.swap],
        "create to answer, p50 ms": lambda s: [x * 1000 for x in s.create],
        "delete to refusal, p50 ms": lambda s: [x * 1000 for x in s.delete],
        "CPU per swap, ms": lambda s: [s.cpu * 1000],
        "RSS, MiB": lambda s: [s.rss],
        "connect through a ClusterIP, p50 us": lambda s: [s.connect * 1e6],
    }
    for size in sorted({sample.size for sample in samples}):
        for title, read in figures.items():
            found = []
            for proxy in ("pyproxy", "kube-proxy"):
                values = [v for s in samples if (s.proxy, s.size) == (proxy, size) for v in read(s)]
                found.append(statistics.median(values) if values else float("nan"))
            ratio = f"{found[0] / found[1]:.3f}" if found[1] else ""
            rows.append(f"| {size} | {title} | {found[0]:.3g} | {found[1]:.3g} | {ratio} |")
    return "\n".join(rows)


class Lab:
    """The namespaces around the API server's, and one connection to it."""

    def __init__(self, server: apiserver.Server) -> None:
        self.server = server
        self._stack = contextlib.ExitStack()
        self._api: http.client.HTTPSConnection | None = None
        self._filled = 0
        self._behind_probe = "bench-b1"

    def __enter__(self) -> "Lab":
        _run("ip", "addr", "add", "198.18.0.11/32", "dev", "lo")
        _run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        for number, (name, address) in enumerate([*BACKENDS.items(), (CLIENT, "198.19.1.50")]):
            netns.create(name)
            self._stack.callback(netns.remove, name)
            _run("ip", "link", "add", f"v{number}", "type", "veth", "peer", "eth0", "netns", name)
            for command in (
                f"link set v{number} up", f"addr add 169.254.1.1/32 dev v{number}",
                f"route add {address} dev v{number}",
                f"-n {name} link set lo up", f"-n {name} link set eth0 up", f"-n {name} addr add {address}/32 dev eth0",
                f"-n {name} route add 169.254.1.1 dev eth0", f"-n {name} route add default via 169.254.1.1",
            ):  # fmt: skip
                _run("ip", *command.split())
        for name in BACKENDS:
            self._stack.enter_context(_backend(name))
        self.connect()
        self.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}, "spec": {"podCIDR": "198.19.1.0/24"}})
        address = {"status": {"addresses": [{"type": "InternalIP", "address": "198.18.0.11"}]}}
        self.ask("PATCH", "/api/v1/nodes/n1/status", address)
        self._write_probe("probe", PROBE)
        return self

    def connect(self) -> None:
        """A connection to the API server, which may be another one than before."""
        if self._api is not None:
            self._api.close()
        context = ssl._create_unverified_context()
        self._api = http.client.HTTPSConnection(apiserver.ADDRESS, 6443, context=context)
        self._api.connect()

    def __exit__(self, *error: object) -> None:
        if self._api is not None:
            self._api.close()
        self._stack.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {apiserver.TOKEN}", "Content-Type": kind}
        assert self._api is not None
        self._api.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._api.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return json.loads(data)

    def _write_probe(self, name: str, address: str) -> None:
        root = "/api/v1/namespaces/default/services"
        self.ask(
            "POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", endpoint_slice(name, ["198.19.1.11"])
        )
        self.ask("POST", root, service(name, address))

    async def fill(self, size: int, endpoints: int) -> None:
        """Make it that many Services besides the probe."""
        headers = {"Authorization": f"Bearer {apiserver.TOKEN}"}
        todo = iter(range(self._filled, size))
        connector = aiohttp.TCPConnector(limit=16, ssl=ssl._create_unverified_context())
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

            async def work() -> None:
                for number in todo:
                    one, other = divmod(number, 250)
                    backends = [f"198.19.{2 + one}.{other * (endpoints > 0) % 250 + 1 + n}" for n in range(endpoints)]
                    bodies = (
                        (
                            "/api/v1/namespaces/default/services",
                            service(f"s{number}", f"198.18.{65 + one}.{1 + other}"),
                        ),
                        (
                            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
                            endpoint_slice(f"s{number}", backends),
                        ),
                    )
                    for path, body in bodies:
                        async with session.post(self.server.url + path, json=body) as answer:
                            if answer.status >= 300:
                                raise AssertionError(await answer.text())

            await asyncio.gather(*(work() for _ in range(16)))
        self._filled = max(self._filled, size)

    def measure(self, proxy: str, size: int, *, swaps: int) -> Sample:
        with tempfile.TemporaryDirectory() as folder, proxy_process(proxy, self.server, Path(folder)) as process:
            began = time.perf_counter()
            self._until(PROBE, self._behind_probe, limit=300)
            cold = time.perf_counter() - began
            time.sleep(2)
            before = _cpu(process.pid)
            taken = [self._swap() for _ in range(swaps)]
            cpu = (_cpu(process.pid) - before) / swaps
            create, delete = zip(*(self._come_and_go() for _ in range(5)), strict=True)
            connects = [_connect_time() for _ in range(200)]
            return Sample(
                proxy,
                size,
                cold,
                taken,
                list(create),
                list(delete),
                cpu,
                _rss(process.pid),
                statistics.median(connects),
            )

    def _swap(self) -> float:
        self._behind_probe = next(name for name in BACKENDS if name != self._behind_probe)
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/probe"
        self.ask("PATCH", path, {"endpoints": endpoints_at([BACKENDS[self._behind_probe]])})
        taken = self._until(PROBE, self._behind_probe)
        time.sleep(0.1)
        return taken

    def _come_and_go(self) -> tuple[float, float]:
        self._write_probe("fresh", FRESH)
        come = self._until(FRESH, "bench-b1")
        self.ask("DELETE", "/api/v1/namespaces/default/services/fresh")
        self.ask("DELETE", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/fresh")
        gone = self._until(FRESH, None)
        time.sleep(0.1)
        return come, gone

    def _until(self, address: str, wanted: str | None, limit: float = 30) -> float:
        began = time.perf_counter()
        while call(address) != wanted:
            if time.perf_counter() - began > limit:
                raise AssertionError(f"{address} did not become {wanted} within {limit} s")
            time.sleep(0.0005)
        return time.perf_counter() - began


def service(name: str, address: str) -> dict[str, Any]:
    ports = [{"name": "p", "port": 80, "targetPort": 8080}]
    return {"metadata": {"name": name}, "spec": {"clusterIP": address, "ports": ports}}


def endpoint_slice(name: str, addresses: list[str]) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": endpoints_at(addresses),
        "ports": [{"name": "p", "port": 8080, "protocol": "TCP"}],
    }


def endpoints_at(addresses: list[str]) -> list[dict[str, Any]]:
    return [{"addresses": [address], "conditions": {"ready": True}, "nodeName": "n1"} for address in addresses]


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    netns.pushns(name)
    try:
        yield
    finally:
        netns.popns()


def call(address: str) -> str | None:
    with inside(CLIENT), socket.socket() as one:
        one.settimeout(0.01)  # what is dropped must not hide what comes next
        try:
            one.connect((address, 80))
            return one.recv(50).decode()
        except OSError:
            return None


def _connect_time() -> float:
    with inside(CLIENT), socket.socket() as one:
        began = time.perf_counter()
        one.connect((PROBE, 80))
        return time.perf_counter() - began


@contextlib.contextmanager
def _backend(name: str) -> Iterator[None]:
    program = (
        "import socket\n"
        "s = socket.create_server(('', 8080), backlog=1024)\n"
        "while True:\n"
        " c, _ = s.accept()\n"
        f" c.sendall({name!r}.encode())\n"
        " c.close()\n"
    )
    with inside(name):
        process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def proxy_process(name: str, server: apiserver.Server, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The proxy on empty tables; its tables go with it."""
    kubeconfig = server.kubeconfig("bench", user={"token": apiserver.TOKEN})
    config = folder / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "clientConnection": {"kubeconfig": str(kubeconfig)},
                "mode": "nftables",
                "clusterCIDR": "198.19.0.0/16",
                "hostnameOverride": "n1",
                "conntrack": {"maxPerCore": 0},
            }
        )
    )
    program = Path(sys.prefix) / "bin" / "pyproxy" if name == "pyproxy" else server.binaries / name
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, f"--config={config}"], stdout=log, stderr=log)
    try:
        yield process
    except AssertionError as error:
        error.add_note((folder / "log").read_text()[-2000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        subprocess.run(["nft", "flush", "ruleset"], check=True)


def _cpu(pid: int) -> float:
    """Its own and that of the programs it ran to their end: the genuine one writes by `nft`."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * TICK


def _rss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
