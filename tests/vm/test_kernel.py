"""What not every kernel can show, or machine spare: AppArmor, huge pages, NFS, swap and process ids.

They need a guest that is a node; each can be run alone. They need root, and `make deb`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.machines.cluster import Cluster
from tests.machines.machine import CommandError
from tests.vm import disk
from tests.vm.guest import Guest
from tests.vm.test_guest import apply, cgroups_of, pod, values

pytestmark = pytest.mark.timeout(600, func_only=True)
PROFILE = "keeps-out"
EXPORT = "/var/nfs"
MIB = 1 << 20


def made(name: str, spec: dict[str, Any], container: dict[str, Any] | None = None) -> str:
    """A Pod that sleeps, unless told otherwise."""
    main = {"name": "main", "image": disk.IMAGE, "command": ["sleep", "1000"], **(container or {})}
    whole = {"terminationGracePeriodSeconds": 1, "containers": [main], **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}) + "\n---"


def confined(name: str, profile: dict[str, str], command: str = "sleep 1000") -> str:
    """A Pod with this AppArmor profile."""
    spec = {"restartPolicy": "Never", "securityContext": {"appArmorProfile": profile}}
    return made(name, spec, {"command": ["sh", "-c", command]})


def mounting(name: str, source: dict[str, Any], **more: Any) -> str:
    """A Pod that has a volume at /data."""
    volumes = {"volumes": [{"name": "data", **source}]}
    return made(name, volumes, {"volumeMounts": [{"name": "data", "mountPath": "/data"}], **more})


def persistent(server: Guest, options: list[str]) -> str:
    """A persistent volume of the server's folder, and the claim that it is bound to."""
    shared = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    capacity = {"storage": "1Gi"}
    volume = {"capacity": capacity, "mountOptions": options, "nfs": {"server": server.address, "path": EXPORT}}
    claim = {"resources": {"requests": capacity}, "volumeName": "shared"}
    named = {"apiVersion": "v1", "metadata": {"name": "shared", "namespace": "default"}}
    kinds = {"PersistentVolume": volume, "PersistentVolumeClaim": claim}
    return "\n---\n".join(
        json.dumps({**named, "kind": kind, "spec": {**shared, **spec}}) for kind, spec in kinds.items()
    )


def ready(cluster: Cluster, *names: str) -> None:
    cluster.kubectl(f"wait --for=condition=Ready {' '.join(f'pod/{name}' for name in names)} --timeout=180s")


def gone(cluster: Cluster, *names: str) -> None:
    cluster.kubectl(f"delete pod {' '.join(names)} --timeout=120s")


def events(cluster: Cluster, name: str, reason: str) -> list[str]:
    """What was said of a Pod for a reason."""
    given = cluster.kubectl(f"get events --field-selector involvedObject.name={name},reason={reason} -o json")
    return [item["message"] for item in json.loads(given)["items"]]


def mount_of(guest: Guest, uid: str) -> list[str]:
    """What is mounted for a volume of a Pod: source, kind and options."""
    lines = guest.run("cat /proc/mounts").stdout.splitlines()
    return next(
        ([w[0], *w[2:4]] for w in map(str.split, lines) if f"/pods/{uid}/volumes/kubernetes.io~nfs/" in w[1]), []
    )


@pytest.fixture(scope="module")
def node(joined: Guest, cluster: Cluster) -> Guest:
    """With nothing on it of what other tests made."""
    cluster.kubectl("delete pods,services --all --timeout=120s")
    return joined


def test_apparmor_profiles_confine(cluster: Cluster, node: Guest) -> None:
    rules = f"profile {PROFILE} flags=(attach_disconnected) {{\n file,\n signal,\n deny /kept-out w,\n}}"
    node.run(f"cat > /etc/apparmor.d/{PROFILE} <<'RULES'\n{rules}\nRULES\napparmor_parser -r /etc/apparmor.d/{PROFILE}")
    tells = "cat /proc/self/attr/current; touch /kept-out || echo refused"
    wanted = {
        "local": {"type": "Localhost", "localhostProfile": PROFILE},
        "default": {"type": "RuntimeDefault"},
        "unconfined": {"type": "Unconfined"},
    }
    missing = confined("missing", {"type": "Localhost", "localhostProfile": "not-loaded"})
    apply(cluster, "\n".join([*(confined(name, profile, tells) for name, profile in wanted.items()), missing]))
    cluster.kubectl(f"wait --for=jsonpath={{.status.phase}}=Succeeded pod/{' pod/'.join(wanted)} --timeout=180s")
    said = {name: cluster.kubectl(f"logs {name}").splitlines() for name in wanted}
    # What goes to the two streams comes in either order.
    assert {f"{PROFILE} (enforce)", "refused"} < set(said["local"])
    assert said["default"] == ["cri-containerd.apparmor.d (enforce)"]
    assert said["unconfined"] == ["unconfined"]

    def waiting() -> dict[str, str]:
        statuses = pod(cluster, "missing")["status"].get("containerStatuses", [{}])
        return statuses[0].get("state", {}).get("waiting", {})

    cluster.until(lambda: waiting().get("reason") == "CreateContainerError", seconds=120)
    assert "not-loaded" in waiting()["message"]
    gone(cluster, *wanted, "missing")


def test_huge_pages_are_the_pods_that_ask_for_them(cluster: Cluster, node: Guest) -> None:
    asked = json.loads(cluster.kubectl(f"get node {node.name} -o json"))["status"]["capacity"]
    assert (asked["hugepages-2Mi"], asked["hugepages-1Gi"]) == ("32Mi", "0")
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("any", "sized")]
    volumes = [
        {"name": "any", "emptyDir": {"medium": "HugePages"}},
        {"name": "sized", "emptyDir": {"medium": "HugePages-2Mi"}},
    ]
    limits = {"limits": {"memory": "32Mi", "cpu": "100m", "hugepages-2Mi": "8Mi"}}
    huge = made("huge", {"volumes": volumes}, {"volumeMounts": mounts, "resources": limits})
    apply(cluster, huge + "\n" + made("plain", {}))
    ready(cluster, "huge", "plain")
    lines = node.run("grep hugetlbfs /proc/mounts").stdout.splitlines()
    uid = pod(cluster, "huge")["metadata"]["uid"]
    assert len([line for line in lines if f"/pods/{uid}/" in line and "pagesize=2M" in line]) == 2
    files = ("hugetlb.2MB.max", "hugetlb.2MB.rsvd.max", "hugetlb.1GB.max")
    assert values(node, "kubepods.slice", *files) == [str(32 * MIB)] * 2 + ["0"]
    for name, limit in (("huge", str(8 * MIB)), ("plain", "0")):
        slice_, scope = cgroups_of(cluster, name)
        for folder in (slice_, f"{slice_}/{scope}"):
            assert values(node, folder, *files) == [limit, limit, "0"], (name, folder)
    cluster.kubectl("exec huge -- fallocate -l 4M /any/fits")
    cluster.kubectl("exec huge -- fallocate -l 4M /sized/fits")
    slice_, scope = cgroups_of(cluster, "huge")
    assert values(node, f"{slice_}/{scope}", "hugetlb.2MB.current") == [str(8 * MIB)]
    with pytest.raises(CommandError, match="fallocate"):
        cluster.kubectl("exec huge -- fallocate -l 2M /any/more")
    gone(cluster, "huge", "plain")
    node.succeeds("grep -q '^HugePages_Free: *16$' /proc/meminfo")


@pytest.fixture(scope="module")
def exported(node: Guest) -> Iterator[Guest]:
    """The guest as an NFS server too: its kernel has both halves."""
    node.run(f"mkdir -p {EXPORT}; echo '{EXPORT} *(rw,no_root_squash,insecure,no_subtree_check)' > /etc/exports")
    node.run("systemctl start nfs-server", timeout=120)
    yield node
    # What is still mounted would hold up whatever touches it.
    node.run("systemctl stop nfs-server", check=False, timeout=120)


def test_an_nfs_folder_is_mounted_and_goes_with_the_pod(cluster: Cluster, exported: Guest) -> None:
    source = {"server": exported.address, "path": EXPORT}
    writer = mounting("writer", {"nfs": source})
    apply(cluster, writer + "\n" + mounting("reader", {"nfs": {**source, "readOnly": True}}))
    ready(cluster, "writer", "reader")
    cluster.kubectl("exec writer -- sh -c 'echo from-the-pod > /data/file'")
    assert exported.run(f"cat {EXPORT}/file").stdout == "from-the-pod\n"
    assert cluster.kubectl("exec reader -- cat /data/file") == "from-the-pod"
    with pytest.raises(CommandError, match="Read-only file system"):
        cluster.kubectl("exec reader -- touch /data/file")
    uids = {name: pod(cluster, name)["metadata"]["uid"] for name in ("writer", "reader")}
    for uid, mode in zip(uids.values(), ("rw", "ro"), strict=True):
        what, kind, options = mount_of(exported, uid)
        assert (what, kind, options.split(",")[0]) == (f"{exported.address}:{EXPORT}", "nfs4", mode)
    gone(cluster, "writer", "reader")
    for uid in uids.values():
        exported.succeeds(f"test ! -e /var/lib/kubelet/pods/{uid}")
        assert mount_of(exported, uid) == []
    assert exported.run(f"cat {EXPORT}/file").stdout == "from-the-pod\n", "what is the server's stays"


def test_an_nfs_claim_with_mount_options_waits_for_its_server(cluster: Cluster, exported: Guest) -> None:
    exported.run("systemctl stop nfs-server", timeout=120)
    # Without retry=0 `mount` itself tries for two minutes.
    apply(cluster, persistent(exported, ["retry=0", "noatime", "rsize=8192"]))
    claim = {"persistentVolumeClaim": {"claimName": "shared"}}
    apply(cluster, mounting("claimer", claim))
    failed: list[str] = []

    def has_failed() -> bool:
        failed[:] = events(cluster, "claimer", "FailedMount")
        return bool(failed)

    cluster.until(has_failed, seconds=120)
    uid = pod(cluster, "claimer")["metadata"]["uid"]
    assert failed[-1].startswith('MountVolume.SetUp failed for volume "shared" : mount failed: exit status 32\n')
    assert f"Mounting arguments: -t nfs -o noatime,retry=0,rsize=8192 {exported.address}:{EXPORT} /var" in failed[-1]
    assert "Output: mount.nfs: Connection refused" in failed[-1]
    exported.run("systemctl start nfs-server", timeout=120)
    ready(cluster, "claimer")
    _, kind, options = mount_of(exported, uid)
    assert kind == "nfs4"
    assert {"rw", "noatime", "rsize=8192"} < set(options.split(","))
    cluster.kubectl("exec claimer -- touch /data/claimed")
    exported.run(f"test -e {EXPORT}/claimed")


def test_a_server_that_is_away_holds_up_nobody_else(cluster: Cluster, exported: Guest) -> None:
    uid = pod(cluster, "claimer")["metadata"]["uid"]
    exported.run("systemctl stop nfs-server", timeout=120)
    # Whoever looks into the folder now waits until the server is back, and so would the agent.
    exported.run("systemctl restart kubelet", timeout=120)
    apply(cluster, made("other", {}))
    ready(cluster, "other")
    summary = json.loads(cluster.kubectl(f"get --raw /api/v1/nodes/{exported.name}/proxy/stats/summary"))
    assert {"claimer", "other"} <= {one["podRef"]["name"] for one in summary["pods"]}
    gone(cluster, "other", "claimer")
    exported.succeeds(f"test ! -e /var/lib/kubelet/pods/{uid}")
    exported.run("systemctl start nfs-server", timeout=120)
    cluster.kubectl("delete pvc,pv --all --timeout=60s")


SWAP = 256 * MIB


@pytest.fixture(scope="module")
def swapping(cluster: Cluster, node: Guest) -> Iterator[Guest]:
    """With swap of which Pods may have a share."""
    node.run(f"fallocate -l {SWAP} /swap; chmod 600 /swap; mkswap /swap; swapon /swap")
    refused = node.run("! systemctl restart kubelet; journalctl -u kubelet -n 20 --no-pager", timeout=120).stdout
    assert "running with swap on is not supported" in refused
    changed = "failSwapOn: false\nmemorySwap: {swapBehavior: LimitedSwap}"
    node.run(f"cd /var/lib/kubelet; sed -i '/^memorySwap:/d' config.yaml; echo '{changed}' >> config.yaml")
    node.run("systemctl restart kubelet", timeout=120)
    cluster.kubectl(f"wait --for=condition=Ready node/{node.name} --timeout=60s")
    yield node
    node.run("swapoff /swap", check=False)


def test_only_burstable_pods_have_a_share_of_the_swap(cluster: Cluster, swapping: Guest) -> None:
    asked = {"resources": {"requests": {"memory": "256Mi"}, "limits": {"memory": "512Mi"}}}
    whole = {"resources": {"limits": {"memory": "64Mi", "cpu": "100m"}}}
    apply(cluster, "\n".join((made("share", {}, asked), made("whole", {}, whole), made("none", {}))))
    ready(cluster, "share", "whole", "none")
    found = {
        name: values(swapping, "/".join(cgroups_of(cluster, name)), "memory.swap.max")[0] for name in ("whole", "none")
    }
    assert found == {"whole": "0", "none": "0"}
    (share,) = values(swapping, "/".join(cgroups_of(cluster, "share")), "memory.swap.max")
    memory, swap = (
        int(line.split()[1]) for line in swapping.run("grep -E '^(Mem|Swap)Total' /proc/meminfo").stdout.splitlines()
    )
    expected = 256 * MIB * swap // memory
    assert expected - 4096 <= int(share) <= expected, "the kernel counts in pages"
    info = json.loads(cluster.kubectl(f"get node {swapping.name} -o json"))["status"]["nodeInfo"]
    assert info["swap"] == {"capacity": swap * 1024}
    gone(cluster, "share", "whole", "none")


MORE = 300
_PROCESSES = (
    "cd /proc; sort -n sys/kernel/pid_max sys/kernel/threads-max | head -1; cut -d/ -f2 loadavg | cut -d' ' -f1"
)


@pytest.fixture(scope="module")
def counting(cluster: Cluster, node: Guest) -> Iterator[Guest]:
    """Of all the processes that its kernel could have, the node has room for some hundreds more."""
    most, there = map(int, node.run(_PROCESSES).stdout.split())
    settings = yaml.safe_load(node.run("cd /var/lib/kubelet; tee config.before < config.yaml").stdout)
    settings["evictionHard"] = {"pid.available": str(most - there - MORE)}
    settings["evictionPressureTransitionPeriod"] = "5s"
    text = json.dumps(settings)
    node.run(f"cat > /var/lib/kubelet/config.yaml <<'END'\n{text}\nEND\nsystemctl restart kubelet", timeout=120)
    cluster.kubectl(f"wait --for=condition=Ready node/{node.name} --timeout=60s")
    yield node
    node.run("cd /var/lib/kubelet; mv config.before config.yaml; systemctl restart kubelet", timeout=120)


def test_a_node_without_process_ids_ends_the_pod_that_has_most(cluster: Cluster, counting: Guest) -> None:
    def under_pressure() -> str:
        conditions = json.loads(cluster.kubectl(f"get node {counting.name} -o json"))["status"]["conditions"]
        return next(one["status"] for one in conditions if one["type"] == "PIDPressure")

    many = f"i=0; while [ $i -lt {MORE + 100} ]; do sleep 1000 & i=$((i+1)); done; wait"
    apply(cluster, made("few", {}))
    ready(cluster, "few")
    apply(cluster, made("many", {}, {"command": ["sh", "-c", many]}))
    cluster.until(lambda: under_pressure() == "True", seconds=180)
    cluster.kubectl("wait --for=jsonpath={.status.phase}=Failed pod/many --timeout=120s")
    status = pod(cluster, "many")["status"]
    assert status["reason"] == "Evicted"
    assert status["message"].startswith("The node was low on resource: pids. ")
    assert pod(cluster, "few")["status"]["phase"] == "Running"
    cluster.until(lambda: under_pressure() == "False", seconds=120)
    gone(cluster, "few", "many")
