"""pyproxy as a process, against a genuine API server, while things go wrong around it: nobody is refused.

Needs root and KUBEBUILDER_ASSETS, a folder with etcd and kube-apiserver. The seed of a failing run is in its output.
"""

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyroute2 import netns

from tests.bench import proxy as bench
from tests.contract import apiserver

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif("KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS names no genuine binaries"),
    pytest.mark.timeout(240),
]
SERVICES = 300


@pytest.fixture(scope="module")
def lab() -> Iterator[bench.Lab]:
    with apiserver.running("--service-cluster-ip-range=198.18.64.0/18") as server, bench.Lab(server) as lab:
        asyncio.run(lab.fill(SERVICES, 3))
        yield lab


class Agent:
    """One pyproxy after another, with the same configuration."""

    def __init__(self, lab: bench.Lab, folder: Path, stack: contextlib.ExitStack) -> None:
        self._lab, self._folder, self._stack = lab, folder, stack
        self.process = self._start()

    def kill(self) -> None:
        """kill -9, and another one starts at once."""
        self.process.kill()
        self.process.wait(10)
        self.process = self._start()

    def differences(self) -> str:
        command = [Path(sys.prefix) / "bin" / "pyproxy", "dump", "--diff", f"--config={self._folder}/config.yaml"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def _start(self) -> "subprocess.Popen[bytes]":
        return self._stack.enter_context(bench.proxy_process("pyproxy", self._lab.server, self._folder))


@pytest.fixture
def agent(lab: bench.Lab) -> Iterator[Agent]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        agent = Agent(lab, Path(folder), stack)
        _until(lambda: bench.call(bench.PROBE) is not None, "the first answer")
        yield agent


def _agrees(agent: Agent) -> None:
    """Wait until the kernel holds the API's truth; what it holds otherwise is in the error."""
    with contextlib.suppress(AssertionError):
        _until(lambda: agent.differences() == "", "the API's truth in the kernel")
    assert agent.differences() == ""


def _until(true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        time.sleep(0.05)


@contextlib.contextmanager
def callers(number: int) -> Iterator[list[str]]:
    """Connections to the probe one after another for as long as the block runs; what failed."""
    failures: list[str] = []
    stop = threading.Event()

    def call() -> None:
        netns.setns(bench.CLIENT)  # this thread's alone
        while not stop.is_set():
            with socket.socket() as one:
                one.settimeout(5)
                try:
                    one.connect((bench.PROBE, 80))
                    one.recv(50)
                except OSError as error:
                    failures.append(repr(error))
            time.sleep(0.001)

    threads = [threading.Thread(target=call) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def _churn(lab: bench.Lab, chance: random.Random, seconds: float) -> None:
    """About 50 changes a second to Services other than the probe."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        name = f"s{chance.randrange(SERVICES)}"
        addresses = [f"198.19.9.{chance.randrange(1, 250)}" for _ in range(chance.randrange(4))]
        path = f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/{name}"
        lab.ask("PATCH", path, {"endpoints": bench.endpoints_at(sorted(set(addresses)))})
        time.sleep(0.02)


def test_killed_in_mid_churn_it_refuses_nobody_and_converges(lab: bench.Lab, agent: Agent) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with callers(2) as failures:
        for _ in range(3):
            _churn(lab, chance, 2 + chance.random())
            agent.kill()
        _churn(lab, chance, 2)
    assert failures == []
    _agrees(agent)


def test_with_the_api_server_away_the_rules_stay_and_afterwards_it_catches_up(lab: bench.Lab, agent: Agent) -> None:
    with callers(2) as failures:
        lab.server.stop("kube-apiserver")
        time.sleep(3)
        lab.server.start_apiserver("--service-cluster-ip-range=198.18.64.0/18")
        lab.connect()
        _churn(lab, random.Random(1), 2)
    assert failures == []
    _until(lambda: agent.differences() == "", "the API's truth in the kernel", seconds=60)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(("flush", "ruleset"), id="everything flushed"),
        pytest.param(("delete", "table", "ip", "pyproxy"), id="the table deleted"),
        pytest.param(("flush", "map", "ip", "pyproxy", "endpoints"), id="a map flushed"),
        pytest.param(
            ("add", "element", "ip", "pyproxy", "cluster-ips", "{ 203.0.113.1 }"), id="an element added by hand"
        ),
    ],
)
def test_what_others_do_to_the_table_is_healed(lab: bench.Lab, agent: Agent, edit: tuple[str, ...]) -> None:
    time.sleep(1)
    subprocess.run(["nft", *edit], check=True)
    _until(lambda: agent.differences() == "", "the API's truth in the kernel", seconds=10)


def test_cleanup_leaves_nothing_of_ours_and_all_of_others(agent: Agent) -> None:
    subprocess.run(["nft", "add", "table", "ip", "somebody-elses"], check=True)
    agent.process.terminate()
    agent.process.wait(10)
    assert "pyproxy" in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    subprocess.run([Path(sys.prefix) / "bin" / "pyproxy", "--cleanup"], check=True)
    assert subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout == (
        "table ip somebody-elses\n"
    )
