"""pyproxy as a process that changes its mode, takes over from a genuine kube-proxy and is tampered with.

No connection to a Service is refused meanwhile.

Needs root and KUBEBUILDER_ASSETS, a folder with etcd, kube-apiserver and kube-proxy.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pyroute2 import netns

from pyproxy.model.options import Mode
from tests.bench.proxy import lab
from tests.bench.proxy.api import SLICES, Api
from tests.bench.proxy.plan import IPV4, endpoints
from tests.chaos.proxy.ground import call
from tests.contract import apiserver

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif("KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS names no genuine binaries"),
    pytest.mark.skipif(shutil.which("iptables-restore") is None, reason="`make build` installs the package iptables"),
    pytest.mark.timeout(240),
]
PYPROXY = Path(sys.prefix) / "bin" / "pyproxy"
PROBE = IPV4.cluster_ip(100)
each_mode = pytest.mark.parametrize("mode", [pytest.param(mode, id=mode.value) for mode in Mode])
each_back_end = pytest.mark.parametrize("back_end", ["nft", "legacy"])


@dataclass
class Ground:
    """An API server, a node's namespace with a Service behind it, and the proxies that run there one after another."""

    server: apiserver.Server
    api: Api
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    path: str = field(default_factory=lambda: os.environ["PATH"])

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def configure(self, mode: Mode) -> None:
        """Write the configuration; a proxy that runs with it reads it anew."""
        kubeconfig = self.server.kubeconfig("modes", user={"token": apiserver.TOKEN})
        settings = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "mode": mode.value,
            "clusterCIDR": IPV4.pods,
            "hostnameOverride": "n1",
            "conntrack": {"maxPerCore": 0},
        }
        self.config.write_text(json.dumps(settings))

    def start(self, program: Path, mode: Mode) -> None:
        """Run a proxy until it is in sync."""
        self.configure(mode)
        with self.log.open("wb") as log:
            command = [program, f"--config={self.config}"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PATH": self.path})
        until(lambda: self.in_sync(mode), f"{program.name} in mode {mode.value}", self.log)
        until(lambda: call(PROBE) is not None, "an answer", self.log)  # the genuine one says so before

    def in_sync(self, mode: Mode) -> bool:
        """Whether a proxy in that mode runs, and its rules are in force."""
        with contextlib.suppress(OSError, urllib.error.HTTPError):
            told = urllib.request.urlopen("http://127.0.0.1:10249/proxyMode", timeout=2).read().decode()
            alive = urllib.request.urlopen("http://127.0.0.1:10256/livez", timeout=2).status
            return told == mode.value and alive == 200
        return False

    def kill(self) -> None:
        """kill -9"""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def clear(self) -> None:
        """End the proxy, and take all rules away."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None
        subprocess.run([PYPROXY, "--cleanup"], check=True, capture_output=True)
        self.path = os.environ["PATH"]

    def use(self, back_end: str) -> None:
        """Have the machine's iptables be of this back end, for the proxies that start from now on."""
        folder = self.folder / back_end
        folder.mkdir(exist_ok=True)
        for stem in ("iptables", "ip6tables"):
            for verb in ("", "-restore", "-save"):
                link = folder / f"{stem}{verb}"
                if not link.exists():
                    link.symlink_to(str(shutil.which(f"{stem}-{back_end}{verb}")))
        self.path = f"{folder}:{os.environ['PATH']}"

    def differences(self) -> str:
        """What `pyproxy dump --diff` says."""
        command = [PYPROXY, "dump", "--diff", f"--config={self.config}"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": self.path}
        )
        return done.stdout or (done.stderr if done.returncode else "")

    @contextlib.contextmanager
    def callers(self, number: int = 2) -> Iterator[list[str]]:
        """Connections to the Service one after another for as long as the block runs; what failed."""
        failures: list[str] = []
        stop = threading.Event()

        def go_on() -> None:
            netns.setns(lab.CLIENT)  # this thread's alone
            while not stop.is_set():
                with socket.socket() as one:
                    one.settimeout(5)
                    try:
                        one.connect((PROBE, 80))
                        one.recv(50)
                    except OSError as error:
                        failures.append(f"{time.time():.3f} {error!r}")
                stop.wait(0.001)

        threads = [threading.Thread(target=go_on) for _ in range(number)]
        for thread in threads:
            thread.start()
        try:
            yield failures
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)


def until(true: Callable[[], bool], what: str, log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s\n{log.read_text()[-3000:]}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def made() -> Iterator[Ground]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(apiserver.running(f"--service-cluster-ip-range={IPV4.services}"))
        stack.enter_context(lab.networks(IPV4))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modes-")))
        api = Api()
        api.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})
        # The genuine kube-proxy waits for a Node with an address.
        addresses = [{"type": "InternalIP", "address": IPV4.node}]
        api.ask("PATCH", "/api/v1/nodes/n1/status", {"status": {"addresses": addresses}})
        api.write("probe", PROBE, list(IPV4.backends.values()))
        api.close()
        yield Ground(server, api, folder)


@pytest.fixture
def ground(made: Ground) -> Iterator[Ground]:
    made.api = Api()  # the API server hangs up on one that is idle for long
    yield made
    made.api.close()
    made.clear()


def held() -> dict[str, bool]:
    """Whose rules there are."""
    tables = _told("nft", "list", "tables")
    saved = "".join(_told(f"iptables-{back_end}-save") for back_end in ("nft", "legacy"))
    return {
        "our table": "table ip pyproxy\n" in tables,
        "our chains": "PYPROXY-" in saved,
        "a genuine table": "table ip kube-proxy\n" in tables,
        "genuine chains": "KUBE-SERVICES" in saved or "KUBE-SVC-" in saved or "KUBE-PROXY-" in saved,
    }


def only(*whose: str) -> dict[str, bool]:
    return {name: name in whose for name in held()}


OURS = {Mode.NFTABLES: "our table", Mode.IPTABLES: "our chains"}
GENUINE = {Mode.NFTABLES: "a genuine table", Mode.IPTABLES: "genuine chains"}


def _told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@each_back_end
def test_a_changed_mode_is_taken_up_without_a_gap(ground: Ground, back_end: str) -> None:
    ground.use(back_end)
    ground.start(PYPROXY, Mode.NFTABLES)
    with ground.callers() as failures:
        for mode in (Mode.IPTABLES, Mode.NFTABLES):
            ground.configure(mode)
            until(lambda m=mode: ground.in_sync(m), f"mode {mode.value}", ground.log)
            until(lambda m=mode: held() == only(OURS[m]), "the other mode's rules gone", ground.log)
    assert failures == []


@each_mode
@pytest.mark.parametrize("genuine", [pytest.param(mode, id=f"genuine {mode.value}") for mode in Mode])
def test_a_genuine_proxys_rules_go_when_ours_answer(ground: Ground, genuine: Mode, mode: Mode) -> None:
    ground.start(ground.server.binaries / "kube-proxy", genuine)
    until(lambda: held() == only(GENUINE[genuine]), "the genuine rules", ground.log)
    with ground.callers() as failures:
        ground.kill()
        assert held() == only(GENUINE[genuine])
        ground.start(PYPROXY, mode)
        until(lambda: held() == only(OURS[mode]), "the genuine rules gone", ground.log)
    assert failures == []
    assert ground.differences() == ""


def _rules(back_end: str) -> list[str]:
    return [line for line in _told(f"iptables-{back_end}-save").splitlines() if line.startswith("-A")]


EDITS = {
    "nat flushed": ("-t", "nat", "-F"),
    "a chain flushed": ("-F", "PYPROXY-REFUSE"),
    "the way to ours deleted": ("-t", "nat", "-D", "PREROUTING", "-j", "PYPROXY-SERVICES"),
    "a rule put in by hand": ("-t", "nat", "-I", "PYPROXY-SERVICES", "-j", "RETURN"),
}


@each_back_end
def test_what_others_do_to_our_chains_is_healed(ground: Ground, back_end: str) -> None:
    ground.use(back_end)
    ground.start(PYPROXY, Mode.IPTABLES)
    assert ground.differences() == ""
    before = _rules(back_end)
    for number, (what, edit) in enumerate(EDITS.items(), start=1):
        subprocess.run([f"iptables-{back_end}", "-w", *edit], check=True)
        # Listing takes a twentieth of the time at most, and on a machine under load a listing takes long.
        until(lambda: _rules(back_end) == before, f"healing of {what}", ground.log, seconds=60)
        assert ground.log.read_text().count("somebody else has changed our iptables chains") == number, what


@each_back_end
def test_killed_while_endpoints_come_and_go_it_refuses_nobody(ground: Ground, back_end: str) -> None:
    ground.use(back_end)
    ground.start(PYPROXY, Mode.IPTABLES)
    addresses = list(IPV4.backends.values())
    with ground.callers() as failures:
        for _ in range(3):
            for number in range(40):
                chosen = addresses if number % 2 else addresses[number // 2 % 2 :][:1]
                ground.api.ask("PATCH", f"{SLICES}/probe", {"endpoints": endpoints(chosen)})
                time.sleep(0.02)  # fifty changes a second, as a rollout makes them
            ground.kill()
            ground.start(PYPROXY, Mode.IPTABLES)
    assert failures == []
    until(lambda: ground.differences() == "", "the API's truth in the kernel", ground.log)


def test_cleanup_leaves_nothing_of_proxies_and_all_of_others(ground: Ground) -> None:
    kube_proxy = ground.server.binaries / "kube-proxy"
    ground.start(kube_proxy, Mode.IPTABLES)
    ground.kill()
    subprocess.run(["nft", "add", "table", "ip", "somebody-elses"], check=True)
    try:
        for back_end in ("nft", "legacy"):
            for words in ("-N SOMEBODY", "-N PYPROXY-OLD", "-A OUTPUT -j SOMEBODY", "-A OUTPUT -j PYPROXY-OLD"):
                subprocess.run([f"iptables-{back_end}", "-w", "-t", "nat", *words.split()], check=True)
        subprocess.run([PYPROXY, "--cleanup"], check=True)
        assert held() == only()
        assert "table ip somebody-elses\n" in _told("nft", "list", "tables")
        for back_end in ("nft", "legacy"):
            assert "-A OUTPUT -j SOMEBODY" in _told(f"iptables-{back_end}-save", "-t", "nat")
    finally:
        subprocess.run(["nft", "delete", "table", "ip", "somebody-elses"], check=True)
        for back_end in ("nft", "legacy"):
            for words in ("-D OUTPUT -j SOMEBODY", "-X SOMEBODY"):
                subprocess.run([f"iptables-{back_end}", "-w", "-t", "nat", *words.split()], check=True)
