"""The machine of the bench: the API server's namespace, which is the node; joined to it two backends and a client."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from pyroute2 import netns

from tests.bench.proxy.plan import Plan
from tests.contract import apiserver

_OWN: Final = f"bench-{os.getpid()}"  # namespaces have one name on the whole machine
CLIENT: Final = f"{_OWN}-client"
_ANSWERS: Final = """
import contextlib
import socket
listening = socket.create_server(("", 8080), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
while True:
    one, _ = listening.accept()
    with one, contextlib.suppress(OSError):  # who calls may have hung up
        one.sendall({name!r}.encode())
"""


@contextlib.contextmanager
def networks(ground: Plan, *, cpus: Collection[int] = ()) -> Iterator[None]:
    """The namespaces with their addresses and routes, and a server in each backend that tells its name, on `cpus`."""
    with contextlib.ExitStack() as stack:
        _ip("addr", "add", f"{ground.node}/{ground.prefix}", "dev", "lo")
        for setting in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            subprocess.run(["sysctl", "-qw", f"net.{setting}=1"], check=True)
        backends = {name: f"{_OWN}-{name}" for name in ground.backends}
        addresses = {backends[name]: address for name, address in ground.backends.items()} | {CLIENT: ground.client}
        for number, (name, address) in enumerate(addresses.items()):
            netns.create(name)
            stack.callback(netns.remove, name)
            _join(f"v{number}", name, address, ground)
        for name, namespace in backends.items():
            stack.enter_context(_backend(name, namespace, cpus))
        yield


def _join(link: str, name: str, address: str, ground: Plan) -> None:
    nodad = ["nodad"] if ground.family == "IPv6" else []
    _ip("link", "add", link, "type", "veth", "peer", "eth0", "netns", name)
    _ip("link", "set", link, "up")
    _ip("addr", "add", f"{ground.gateway}/{ground.prefix}", "dev", link, *nodad)
    _ip("route", "add", address, "dev", link)
    for device in ("lo", "eth0"):
        _ip("-n", name, "link", "set", device, "up")
    _ip("-n", name, "addr", "add", f"{address}/{ground.prefix}", "dev", "eth0", *nodad)
    _ip("-n", name, "route", "add", ground.gateway, "dev", "eth0")
    _ip("-n", name, "route", "add", "default", "via", ground.gateway, "dev", "eth0")


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread and the processes it starts, in a network namespace."""
    netns.pushns(name)
    try:
        yield
    finally:
        netns.popns()


@contextlib.contextmanager
def _backend(name: str, namespace: str, cpus: Collection[int]) -> Iterator[None]:
    with inside(namespace):
        process = subprocess.Popen([sys.executable, "-c", _ANSWERS.format(name=name)], stderr=subprocess.DEVNULL)
    if cpus:
        os.sched_setaffinity(process.pid, cpus)
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Proxy:
    """A proxy that runs: what it has used of the machine."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._clock = (~process.pid << 3) | 2  # the process's CPU clock: see clock_getcpuclockid(3)

    def cpu(self) -> float:
        """CPU seconds of its own, and of the programs it ran to their end: the genuine one writes by `nft`."""
        fields = self._file("stat").rpartition(")")[2].split()
        return time.clock_gettime(self._clock) + sum(map(int, fields[13:15])) / 100

    def rss(self) -> float:
        """Resident memory now, MiB."""
        lines = self._file("status").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def first_sync(self, family: str) -> float:
        """Wait until the first full sync of a family is over; seconds it took, by the proxy's own metric."""
        wanted = "kubeproxy_sync_full_proxy_rules_duration_seconds"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with urllib.request.urlopen("http://127.0.0.1:10249/metrics", timeout=10) as answer:
                text = answer.read().decode()
            samples = [
                s for found in text_string_to_metric_families(text) if found.name == wanted for s in found.samples
            ]
            told = {s.name: s.value for s in samples if s.labels.get("ip_family") == family}
            if told.get(f"{wanted}_count"):
                return told[f"{wanted}_sum"] / told[f"{wanted}_count"]
            time.sleep(0.5)
        raise AssertionError(f"no first full sync of {family} within 120 s of the first answer")

    def _file(self, name: str) -> str:
        return Path(f"/proc/{self._process.pid}/{name}").read_text()


@contextlib.contextmanager
def proxy(name: str, server: apiserver.Server, folder: Path) -> Iterator[Proxy]:
    """Start a proxy on empty tables; they go with it."""
    config = configure(server, folder)
    program = Path(sys.prefix) / "bin" / "pyproxy" if name == "pyproxy" else server.binaries / name
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, f"--config={config}"], stdout=log, stderr=log)
    try:
        yield Proxy(process)
    except (AssertionError, OSError) as error:
        error.add_note((folder / "log").read_text()[-3000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        subprocess.run(["nft", "flush", "ruleset"], check=True)


def configure(server: apiserver.Server, folder: Path, *, url: str = "") -> Path:
    """The proxy's configuration file in the folder; `url` is how it reaches the API server, when not directly."""
    kubeconfig = server.kubeconfig(f"proxy-{folder.name}", user={"token": apiserver.TOKEN}, servers=url)
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
    return config


def _ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True)
