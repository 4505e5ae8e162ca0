"""Makes a cluster of kind by the commands of docs/kind.md, runs tests/e2e against it, and deletes it.

Where Docker runs on this host, kind's own images are the base. Where it does not, Docker runs in a machine with
systemd (as root), and the base is an image of our own making (tests.machines.kind_image), with routes for a network.
"""

import argparse
import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from devcluster.progress import Reporter
from tests.machines import docker, kind_image, pages
from tests.machines.docker import Place
from tests.machines.network import CONFIGURATION

PUBLISHED = "kindest/node:v1.37.0"
"""The base that the page names."""
NODES = ("pykubelet-control-plane", "pykubelet-worker")
STEPS = ("wheels", "images", "cluster", "proxy", "tests", "delete")
"""The blocks of commands on the page, each of which is run here."""
ONLY_THERE = "DEVCLUSTER is not set"
"""How the reason begins for which tests are skipped here: they reach into the machines of a dev cluster."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of pytest; 1 if it was 0 and something was skipped that this cluster should have had."""
    parser = argparse.ArgumentParser(prog="tests.machines.kind", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="end without deleting what failed, after Enter")
    parser.add_argument("pytest", nargs="*", help="further arguments for pytest")
    given = parser.parse_args(arguments)
    report = Reporter()
    commands = {block.where: block.commands for block in pages.blocks("kind.md")}
    with report.step("make wheels of our agents", about=20):
        docker.shell(commands["wheels"])
    with _place(report) as (place, base):
        place.run("kind delete cluster --name pykubelet")
        try:
            _make(place, commands, base, report)
            code = _test(place, commands["tests"], given.pytest)
            if code and given.keep and sys.stdin.isatty():
                input(f"kubectl here: {place.kubectl}; Enter deletes the cluster ")
            return code
        finally:
            with report.step("delete the cluster", about=5):
                place.run(commands["delete"])
                place.run("docker image prune --force")  # builds that these took the names of


@contextlib.contextmanager
def _place(report: Reporter) -> Iterator[tuple[Place, str]]:
    """Where Docker is, and the base of its nodes."""
    if docker.on_this_host(PUBLISHED):
        with docker.host(report) as here:
            yield here, PUBLISHED
    elif os.geteuid() != 0:
        raise SystemExit(f"needed: a Docker that has {PUBLISHED} or can fetch it, or root, to make a machine with one")
    else:
        with docker.inside(report) as machine:
            yield machine, kind_image.made(machine, report)


def _make(place: Place, commands: dict[str, str], base: str, report: Reporter) -> None:
    with report.step("build images with our agents", about=25):
        place.run(commands["images"].replace(PUBLISHED, base))
    with report.step("create the cluster", about=40):
        place.run(commands["cluster"])
    if base != PUBLISHED:
        _connect(place)
    with report.step("start pyproxy and wait for the nodes and CoreDNS", about=10):
        place.run(commands["proxy"])
    print(place.run("kubectl --context kind-pykubelet get nodes -o wide"), file=sys.stderr)


def _connect(place: Place) -> None:
    """What kind's own image brings as its network: here bridges, and routes from node to node."""
    for node in NODES:
        ask = f"kubectl --context kind-pykubelet get node {node} -o jsonpath="
        subnet = place.run(f"{ask}'{{.spec.podCIDR}}'")
        address = place.run(f"{ask}'{{.status.addresses[?(@.type==\"InternalIP\")].address}}'")
        configuration = CONFIGURATION.replace("SUBNET", subnet)
        place.run(f"docker exec -i {node} tee /etc/cni/net.d/10-net.conflist >/dev/null <<< '{configuration}'")
        for other in NODES:
            if other != node:
                place.run(f"docker exec {other} ip route replace {subnet} via {address}")
        # There is no registry: every pull fails at once and in one way, not by how long a name server is waited for.
        place.run(f"docker exec {node} sh -c 'echo 127.0.0.1 registry.k8s.io >> /etc/hosts'")


def _test(place: Place, command: str, arguments: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        configuration, results = Path(folder) / "kubeconfig", Path(folder) / "results.xml"
        configuration.write_text(place.run("kind get kubeconfig --name pykubelet"))
        command = command.strip().replace("~/.kube/config", str(configuration))
        command = command.replace(".venv/bin", str(Path(sys.executable).parent))
        environment = {name: value for name, value in os.environ.items() if name != "DEVCLUSTER"}
        done = subprocess.run(
            ["bash", "-c", f"{command} {shlex.join([f'--junitxml={results}', *arguments])}"],
            cwd=docker.REPOSITORY, env=environment | {"KUBECTL": place.kubectl}, check=False,
        )  # fmt: skip
        if not results.exists():
            return done.returncode or 1
        reasons = {skip.get("message", "") for skip in ElementTree.parse(results).iter("skipped")}
    wrong = sorted(reason for reason in reasons if not reason.startswith(ONLY_THERE))
    if wrong:
        print(f"skipped, though this cluster has what they need: {wrong}", file=sys.stderr)
    return done.returncode or int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
