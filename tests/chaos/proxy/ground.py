"""Where faults are let loose: an API server, a node's namespace with pyproxy under a supervisor, Services, clients.

Live Services lead to two backends that answer all the time: whichever of them the API names, a connection must come
about. The many others are there to be changed; their endpoints do not exist.
"""

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.proxy import lab
from tests.bench.proxy.api import SERVICES, SLICES, Api
from tests.bench.proxy.plan import IPV4, endpoints
from tests.chaos.proxy.agent import Agent
from tests.chaos.proxy.relay import Relay
from tests.contract import apiserver

ARGUMENTS: Final = (f"--service-cluster-ip-range={IPV4.services}",)
LIVE: Final = 20
AFFINE: Final = "live2"
_ENDPOINTS: Final = 3
_RELAY: Final = (apiserver.ADDRESS, 7443)
BACKENDS: Final = IPV4.backends
_BACKENDS: Final = tuple(BACKENDS.values())
_SPECIAL: Final[dict[str, Any]] = {
    "live0": {"metadata": {"annotations": {"pyproxy/balance": "maglev"}}},
    "live1": {"metadata": {"annotations": {"pyproxy/node-weights": "n1=3"}}},
    AFFINE: {"spec": {"sessionAffinity": "ClientIP"}},
}


@dataclass
class Load:
    """What clients met while they called live Services; filled when the calling ends."""

    connections: int = 0
    second_try: int = 0
    failures: list[tuple[float, str, str]] = field(default_factory=list)


@dataclass
class Ground:
    """All of it, ready to be worked on."""

    server: apiserver.Server
    api: Api
    relay: Relay
    agent: Agent
    services: int
    config: Path
    log: Path
    live: dict[str, tuple[str, ...]] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held while the API server is asked for something, or is taken away."""

    def address(self, name: str) -> str:
        """A live Service's ClusterIP."""
        return IPV4.cluster_ip(100 + int(name.removeprefix("live")))

    def change(self, chance: random.Random) -> None:
        """Change one Service: mostly its endpoints; every twentieth change of the many is one of a Service."""
        if chance.random() < 0.2:
            name = f"live{chance.randrange(LIVE)}"
            self.live[name] = chance.choice((_BACKENDS, _BACKENDS[:1], _BACKENDS[1:]))
            self._point(name, list(self.live[name]))
            return
        name = f"s{chance.randrange(self.services):06}"
        if chance.random() < 0.05:
            port = chance.randrange(81, 90)
            ports = [{"name": "p", "port": 80, "protocol": "TCP"}, {"name": "q", "port": port, "protocol": "TCP"}]
            self.api.ask("PATCH", f"{SERVICES}/{name}", {"spec": {"ports": ports[: chance.randrange(1, 3)]}})
        else:
            self._point(name, sorted({f"198.19.9.{chance.randrange(1, 250)}" for _ in range(chance.randrange(4))}))

    def restart_api_server(self) -> None:
        """kill -9, and another one; etcd stays."""
        with self.turn:
            self.server.stop("kube-apiserver")
            try:
                self.server.start_apiserver(*ARGUMENTS)
            except AssertionError:  # it takes 7 s, or a minute where much else runs; what is tried is the proxy
                self.server.wait_ready()
            self.api.close()
            self.api = Api()

    def converged(self, seconds: float) -> str:
        """Wait until the kernel holds what the API asks; what differs then, which is nothing when all is well."""
        deadline = time.monotonic() + seconds
        while (differences := self.agent.differences()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return differences

    @contextlib.contextmanager
    def load(self, seed: int, *, workers: int = 4) -> Iterator[Load]:
        """Clients that call live Services for as long as the block runs."""
        found = Load()
        addresses = [self.address(name) for name in self.live]
        command = [sys.executable, "-m", "tests.chaos.proxy.load", str(seed), str(workers), *addresses]
        with lab.inside(lab.CLIENT):
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            told, _ = process.communicate(timeout=30)
        result = json.loads(told)
        found.connections, found.second_try = result["connections"], result["second_try"]
        found.failures = [(when, address, what) for when, address, what in result["failures"]]

    def wrong_answers(self) -> list[str]:
        """Live Services that lead elsewhere than the API says, by calls to each."""
        names = {address: name for name, address in IPV4.backends.items()}
        wrong = []
        for name, addresses in self.live.items():
            wanted = {names[address] for address in addresses}
            # One of four shares is missed by so many calls once in 10^7 times.
            answers = {call(self.address(name)) for _ in range(60)}
            # With session affinity this one client has one of them.
            if not answers <= wanted if name == AFFINE else answers != wanted:
                wrong.append(f"{name}: {sorted(map(str, answers))}, not {sorted(wanted)}")
        return wrong

    def _point(self, name: str, addresses: list[str]) -> None:
        self.api.ask("PATCH", f"{SLICES}/{name}", {"endpoints": endpoints(addresses)})


@contextlib.contextmanager
def made(folder: Path, *, services: int, arguments: tuple[str, ...] = ()) -> Iterator[Ground]:
    """The ground with that many Services beside the live ones; its rules and processes go with it."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(apiserver.running(*ARGUMENTS))
        stack.enter_context(lab.networks(IPV4))
        # An uplink that swallows what it does not know, as most do: an untranslated SYN is lost, not refused.
        subprocess.run(["ip", "route", "add", "blackhole", IPV4.services], check=True)
        api = Api()
        api.fill(IPV4, range(services), endpoints=_ENDPOINTS)
        relay = Relay(_RELAY, (apiserver.ADDRESS, 6443))
        stack.callback(relay.close)
        config = lab.configure(server, folder, url=f"https://{_RELAY[0]}:{_RELAY[1]}")
        agent = Agent(config, folder / "log", *arguments)
        ground = Ground(server, api, relay, agent, services, config, folder / "log")
        stack.callback(lambda: ground.api.close())  # noqa: PLW0108 - it is another one after a restart
        stack.callback(subprocess.run, ["nft", "flush", "ruleset"], check=True)
        stack.callback(agent.stop)
        for number in range(LIVE):
            name = f"live{number}"
            api.write(name, ground.address(name), list(_BACKENDS))
            if name in _SPECIAL:
                api.ask("PATCH", f"{SERVICES}/{name}", _SPECIAL[name])
            ground.live[name] = _BACKENDS
        until(lambda: all(call(ground.address(name)) for name in ground.live), "the first answers", seconds=60)
        yield ground


def call(address: str) -> str | None:
    """Who answers there, from the client's namespace."""
    with lab.inside(lab.CLIENT), socket.socket() as one:
        one.settimeout(3)
        try:
            one.connect((address, 80))
            return one.recv(50).decode()
        except OSError:
            return None


def until(true: Callable[[], bool], what: str, *, seconds: float = 30) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.05)
