"""The life of a dev cluster on this machine: up in any state, swapped, cut, and down without a trace. Needs root.

Every node is genuine here: what is tested is the ground, not our agents.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import api, cgroups, layout, processes, spec, state
from devcluster.errors import DevClusterError
from devcluster.spec import Agent

NAME = "life"
UP = ["up", "--node", "n1=genuine", "--node", "n2=genuine"]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.timeout(900),
]


def devcluster(*arguments: str, name: str = NAME) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devcluster", "--name", name, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)


def must(*arguments: str, name: str = NAME) -> str:
    done = devcluster(*arguments, name=name)
    assert done.returncode == 0, done.stderr
    return done.stdout


def traces(name: str = NAME) -> dict[str, list[str]]:
    """Everything on this machine that is named by the cluster."""
    folders = [path for tree in cgroups.hierarchies() for path in tree.path.glob(f"{name}-*")]
    holders = [
        f"{path.parent.name} {path.parent.joinpath('comm').read_text().strip()}"
        for path in Path("/proc").glob("[0-9]*/cgroup")
        if not is_zombie(path.parent)
        and (f"/{name}-" in read(path) or f"/devcluster/{name}/" in read(path.with_name("mountinfo")))
    ]
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    return {
        "namespaces": [path.name for path in Path("/run/netns").glob(f"{name}-*")],
        "cgroups": [str(path) for path in folders],
        "processes": holders,
        "mounts": [line for line in read(Path("/proc/self/mountinfo")).splitlines() if f"/devcluster/{name}/" in line],
        "files": [str(path) for path in layout.state_home().glob(name)],
        "links": [line for line in links.splitlines() if ": v-" in line or ": cni0" in line],
    }


def is_zombie(process: Path) -> bool:
    """Dead already, whatever its parent takes its time for."""
    return read(process / "stat").rpartition(")")[2].split()[:1] in ([], ["Z"], ["X"])


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


NOTHING: dict[str, list[str]] = {
    "namespaces": [],
    "cgroups": [],
    "processes": [],
    "mounts": [],
    "files": [],
    "links": [],
}


@pytest.fixture(scope="module", autouse=True)
def _clean() -> Iterator[None]:
    must("down")
    yield
    must("down")


@pytest.fixture
def cluster() -> api.Cluster:
    must(*UP)
    return api.Cluster(NAME)


@pytest.mark.parametrize("seconds", [0.2, 0.7, 1.2, 2, 3.5, 6])
def test_down_leaves_nothing_of_an_up_that_was_killed(seconds: float) -> None:
    begun = subprocess.Popen(
        [sys.executable, "-m", "devcluster", "--name", NAME, *UP], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    begun.kill()
    begun.wait()
    must("down")
    assert traces() == NOTHING


def test_up_finishes_what_a_killed_up_began() -> None:
    for seconds in (0.5, 1, 1.5, 3):
        begun = subprocess.Popen(
            [sys.executable, "-m", "devcluster", "--name", NAME, *UP],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        begun.kill()
        begun.wait()
    said = must(*UP)
    assert said.count(" -> ") == 2 + 2 * 2  # from a Pod on each node; from each node by ClusterIP and by NodePort
    assert devcluster("status").returncode == 0


def test_a_second_up_starts_nothing_anew(cluster: api.Cluster) -> None:
    def running() -> dict[str, int]:
        found = {path.name: processes.find(path) for path in state.programs(cluster.files)}
        return {name: record.pid for name, record in found.items() if record}

    before = running()
    assert len(before) == 6 + 2 * 3
    must(*UP)
    assert running() == before


def test_a_killed_part_is_seen_and_started_again(cluster: api.Cluster) -> None:
    for part in ("kube-scheduler", "coredns"):
        os.kill(processes.find(cluster.files.pids / part).pid, signal.SIGKILL)
    cluster.node("n1").stop("containerd", sign=signal.SIGKILL)
    assert devcluster("status").returncode == 3
    must(*UP)
    assert devcluster("status").returncode == 0


def test_a_restarted_containerd_keeps_its_containers(cluster: api.Cluster) -> None:
    node = cluster.node("n1")
    before = set(node.ctr("tasks", "ls", "-q").split())
    node.restart("containerd", sign=signal.SIGKILL)
    assert before
    assert set(node.ctr("tasks", "ls", "-q").split()) == before


def test_a_cut_off_node_reaches_its_neighbours_but_not_the_api(cluster: api.Cluster) -> None:
    node, other = cluster.node("n1"), cluster.node("n2")
    ask = ("curl", "-sk", "--max-time", "2", f"{cluster.spec.api_url}/healthz")
    with node.cut_off():
        with pytest.raises(DevClusterError, match="ended with 28"):
            node.exec(*ask)
        assert other.exec(*ask) == "ok"
        assert node.exec("curl", "-sk", "--max-time", "2", f"http://{other.address}:10256/healthz")
    assert node.exec(*ask) == "ok"


def test_an_api_server_can_be_away_and_come_back(cluster: api.Cluster) -> None:
    with cluster.without("kube-apiserver"):
        assert cluster.api.ready() is not None
    assert cluster.api.ready() is None


def test_agents_are_swapped_and_the_former_proxys_rules_go(cluster: api.Cluster) -> None:
    node = cluster.node("n2")
    node.use(proxy=Agent.NONE)
    assert "kube-proxy" not in node.exec("nft", "list", "tables")
    assert not node.runs("proxy")
    assert spec.kind_of(api.Cluster(NAME).node("n2").spec) == "genuine-kubelet-only"
    node.use(proxy=Agent.GENUINE)  # which says that it is healthy before it has written its rules
    cluster.until("rules", lambda: None if "kube-proxy" in node.exec("nft", "list", "tables") else "none", timeout=10)


def test_a_node_comes_and_goes(cluster: api.Cluster) -> None:
    must("node", "add", "n7=genuine")
    assert "n7" in cluster.kubectl("get", "nodes", "-o", "name")
    must("node", "remove", "n7")
    assert "n7" not in cluster.kubectl("get", "nodes", "-o", "name")
    assert f"{NAME}-n7" not in str(traces())


def test_two_clusters_live_side_by_side(cluster: api.Cluster) -> None:
    try:
        must("up", "--nodes", "1", "--node", "n1=genuine", "--ip-family", "dual", "--api-servers", "3", name="life-2")
        other = api.Cluster("life-2")
        with other.without("kube-apiserver"):
            assert "n1" in other.kubectl("get", "nodes")
    finally:
        must("down", name="life-2")
    assert traces("life-2") == NOTHING
    assert devcluster("status").returncode == 0


def test_down_leaves_nothing_and_twice_is_no_error(cluster: api.Cluster) -> None:
    assert traces() != NOTHING
    must("down")
    assert traces() == NOTHING
    assert "there is nothing" in devcluster("down").stderr
