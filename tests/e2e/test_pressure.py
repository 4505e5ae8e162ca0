"""A node that runs short: who is ended for it, who is kept away, what is cleaned up, and what logs keep.

All of it on a small node; what takes long to be noticed begins first.
"""

import contextlib
import gzip
import re
import uuid
from collections.abc import Iterator

import pytest

from devcluster.api import Node
from tests.e2e import kube as k
from tests.e2e import small_node
from tests.e2e.kube import Kube, Manifest

TOLERATED = [{"key": "e2e", "operator": "Exists"}]
LINES = 6000
"""Of 96 bytes each in a log: nine files at most, one fewer than the node keeps."""
SCRATCH = {"name": "d", "emptyDir": {}}
MOUNTED = [{"name": "d", "mountPath": "/d"}]


def here(name: str, container: Manifest, **spec: object) -> Manifest:
    return k.pod(name, container, nodeName=small_node.NAME, tolerations=TOLERATED, **spec)


def filling(name: str, mebibytes: int, volume: Manifest = SCRATCH, **more: object) -> Manifest:
    script = f"dd if=/dev/zero of=/d/x bs=1M count={mebibytes}; sleep 3600"
    return here(name, k.shell("c", script, volumeMounts=MOUNTED, **more), volumes=[volume])


def talking() -> Manifest:
    """Prints numbered lines for some seconds, a tenth of a megabyte in every three."""
    text = "x" * 50
    count = f'echo "$i {text}"; i=$((i+1)); [ $((i % 500)) = 0 ] && sleep 1'
    return here("talking", k.shell("c", f"i=0; while [ $i -lt {LINES} ]; do {count}; done; echo done; sleep 3600"))


def forking() -> Manifest:
    start = f"i=0; while [ $i -lt {small_node.PIDS + 50} ]; do sleep 3600 & i=$((i+1)); done"
    return here("forking", k.shell("c", f"({start}) 2>&1; echo done; sleep 3600"))


def soaking() -> Manifest:
    """Takes more than the soft limit leaves, and needs 3 s to end."""
    mebibytes = small_node.PODS_MIB - small_node.SOFT_MIB + 50
    take = f"dd if=/dev/zero of=/d/x bs=1M count={mebibytes}"
    script = f"trap 'sleep 3; exit 7' TERM; {take}; while :; do sleep 0.1; done"
    memory = {"name": "d", "emptyDir": {"medium": "Memory"}}
    asked = k.shell("c", script, volumeMounts=MOUNTED)
    return here("soaking", asked, volumes=[memory], terminationGracePeriodSeconds=30)


@pytest.fixture(scope="module")
def pods(spare: Node, cluster: Kube) -> Iterator[Kube]:
    """A namespace with the Pods that are looked at last."""
    kube = Kube(f"e2e-{uuid.uuid4().hex[:8]}")
    cluster.run("create", "namespace", kube.namespace)
    try:
        k.wait_for(lambda: kube.exists("serviceaccount", "default"), "the namespace's service account")
        limits = {"limits": {"ephemeral-storage": "10Mi"}}
        kube.apply(talking(), forking(), filling("greedy", 20, resources=limits), soaking())
        yield kube
    finally:
        cluster.run("delete", "namespace", kube.namespace, "--wait=false")


def condition(cluster: Kube, type_: str) -> str:
    found = cluster.get("node", small_node.NAME)["status"]["conditions"]
    return next(one["status"] for one in found if one["type"] == type_)


def evicted(pods: Kube, name: str, resource: str) -> None:
    status = pods.wait_phase(name, "Failed", seconds=90)["status"]
    assert status["reason"] == "Evicted"
    assert status["message"].startswith(f"The node was low on resource: {resource}. ")
    target = next(one for one in status["conditions"] if one["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")


def test_a_pod_has_no_more_processes_than_it_may(pods: Kube) -> None:
    """The shell that starts too many ends with an error, and its container with it."""
    said = k.wait_for(lambda: pods.run("logs", "forking"), "the container to have forked what it could")
    assert re.search("[Cc](an't|annot) fork", said)


def test_a_critical_pod_takes_the_place_of_another(pods: Kube) -> None:
    pods.apply(here("filler", k.container("c", image=k.PAUSE, resources={"requests": {"cpu": "1500m"}})))
    pods.wait_ready("filler")
    system = Kube("kube-system")
    urgent = f"urgent-{pods.namespace}"
    one = k.container("c", image=k.PAUSE, resources={"requests": {"cpu": "1"}})
    system.apply(here(urgent, one, priorityClassName="system-node-critical"))
    try:
        status = pods.wait_phase("filler", "Failed")["status"]
        assert (status["reason"], status["message"]) == ("Preempting", "Preempted in order to admit critical pod")
        system.wait_ready(urgent)
    finally:
        system.delete("pod", urgent, wait=False)


def test_a_soft_limit_leaves_a_pod_the_time_it_needs_to_end(pods: Kube, cluster: Kube) -> None:
    evicted(pods, "soaking", "memory")
    status = pods.get("pod", "soaking")["status"]
    assert f"Threshold quantity: {small_node.SOFT_MIB}Mi, " in status["message"]
    # A hard limit grants one second.
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    metrics = cluster.run("get", "--raw", f"/api/v1/nodes/{small_node.NAME}/proxy/metrics")
    assert 'kubelet_evictions{eviction_signal="allocatableMemory.available"} 1.0\n' in metrics
    k.wait_for(lambda: condition(cluster, "MemoryPressure") == "False", "the pressure to be over", seconds=60)


def test_pods_that_use_too_much_memory_together_lose_the_greediest(pods: Kube, cluster: Kube) -> None:
    modest = k.container("c", image=k.PAUSE, resources={"requests": {"memory": "10Mi"}})
    pods.apply(here("modest", modest))
    pods.wait_ready("modest")
    memory = {"name": "d", "emptyDir": {"medium": "Memory"}}
    pods.apply(filling("hog", small_node.PODS_MIB - 60, memory))
    k.wait_for(lambda: condition(cluster, "MemoryPressure") == "True", "the node to be under pressure", seconds=60)
    # Nobody without requests comes while it lasts.
    pods.apply(here("unwelcome", k.container("c", image=k.PAUSE)))
    refused = pods.wait_phase("unwelcome", "Failed")["status"]
    assert (refused["reason"], refused["message"]) == (
        "Evicted",
        "Pod was rejected: The node had condition: [MemoryPressure]. ",
    )
    evicted(pods, "hog", "memory")
    assert k.is_ready(pods.get("pod", "modest"))
    k.wait_for(lambda: condition(cluster, "MemoryPressure") == "False", "the pressure to be over", seconds=60)


def passed_by(pods: Kube, spare: Node) -> str:
    """An image on the node that no Pod uses any more, and that the kubelet has seen: it looks when it starts."""
    image = "registry.k8s.io/e2e-test-images/nonewprivs:1.4"
    pods.apply(here("passing", k.container("c", "sleep", "3600", image=image)))
    pods.wait_ready("passing")
    spare.restart("kubelet")
    pods.delete("pod", "passing")
    return image


def test_a_full_disk_of_the_kubelet_costs_a_pod_and_no_image(pods: Kube, cluster: Kube, spare: Node) -> None:
    image = passed_by(pods, spare)
    pods.apply(filling("writer", small_node.DISK_MIB - small_node.FULL_MIB + 30))
    evicted(pods, "writer", "ephemeral-storage")
    assert image in spare.ctr("images", "list", "-q").split(), "images have another disk"
    k.wait_for(lambda: condition(cluster, "DiskPressure") == "False", "the pressure to be over", seconds=60)


def test_a_disk_without_room_for_more_files_costs_the_pod_that_has_most(pods: Kube, cluster: Kube) -> None:
    make = f"seq {small_node.INODES - small_node.FULL_INODES} | xargs touch; sleep 3600"
    few, many = (
        here(name, k.shell("c", f"cd /d; {script}", volumeMounts=MOUNTED), volumes=[SCRATCH])
        for name, script in (("few", "seq 100 | xargs touch; sleep 3600"), ("many", make))
    )
    pods.apply(few)
    pods.wait_ready("few")
    pods.apply(many)
    evicted(pods, "many", "inodes")
    assert k.is_ready(pods.get("pod", "few"))
    k.wait_for(lambda: condition(cluster, "DiskPressure") == "False", "the pressure to be over", seconds=60)


def test_a_container_that_writes_more_than_its_limit_is_ended(pods: Kube) -> None:
    status = pods.wait_phase("greedy", "Failed", seconds=120)["status"]
    assert status["reason"] == "Evicted"
    assert re.search(
        r"ephemeral local storage usage exceeds the total limit of containers 10Mi|exceeded its local",
        status["message"],
    )


def test_rotated_logs_lose_no_line_and_are_read_as_one(pods: Kube, spare: Node) -> None:
    k.wait_for(lambda: pods.run("logs", "talking", "--tail=1").strip() == "done", "all lines to be printed", seconds=60)
    uid = pods.get("pod", "talking")["metadata"]["uid"]
    folder = spare.files.pod_logs / f"{pods.namespace}_talking_{uid}" / "c"

    def settled() -> bool:
        """Whether the file that is written to is not full: a full one is rotated within seconds, under who reads."""
        with contextlib.suppress(FileNotFoundError):
            return (folder / "0.log").stat().st_size < small_node.LOG_KIB << 10
        return False

    k.wait_for(settled, "the last rotation")
    files = sorted(folder.iterdir())
    assert len(files) > 2, "it has not been rotated"
    text = "".join(gzip.decompress(f.read_bytes()).decode() if f.suffix == ".gz" else f.read_text() for f in files)
    numbers = sorted(int(found) for found in re.findall(r"^\S+ stdout F (\d+) x", text, re.M))
    assert numbers == list(range(LINES))
    told = [int(line.split()[0]) for line in pods.run("logs", "talking").splitlines() if line != "done"]
    assert told == list(range(LINES))


def test_a_full_disk_of_images_costs_those_that_nobody_uses(pods: Kube, cluster: Kube, spare: Node) -> None:
    image = passed_by(pods, spare)
    with small_node.images_at_their_limit(spare):
        k.wait_for(lambda: condition(cluster, "DiskPressure") == "True", "the node to be short of disk", seconds=60)
        k.wait_for(lambda: image not in spare.ctr("images", "list", "-q").split(), "the image to go", seconds=60)
        left = spare.ctr("images", "list", "-q").split()
        assert k.PAUSE in left, "the pinned image of sandboxes is in use for ever"
    k.wait_for(lambda: condition(cluster, "DiskPressure") == "False", "the pressure to be over", seconds=60)
