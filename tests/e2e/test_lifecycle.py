"""What Pods of every real cluster use beyond conformance: sidecars, restart rules, graces, gates, probes, isolation.

The Pods are made together and looked at one by one: most of the time they take is spent waiting.
"""

import json
import uuid
from collections.abc import Iterator

import pytest

from devcluster.api import Cluster
from devcluster.layout import KUBELET_ROOT
from tests.e2e import kube as k
from tests.e2e.kube import Kube, Manifest
from tests.e2e.lab import limits

NODE = "n1"
HOST_PORT = 18080
ORDER = [{"name": "d", "mountPath": "/d"}]
WAIT = "while :; do sleep 0.1; done"
DENY_MKDIR = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
}
GATE = "example.com/let-in"
PATIENT = {"periodSeconds": 1, "timeoutSeconds": 10}
"""Of a probe by a command whose answer counts: while all these Pods start, a command alone may take over a second."""


def noting(name: str, **more: object) -> Manifest:
    """A container that notes its start and stop in the Pod's volume, and prints all notes at its end."""
    end = f"echo stop-{name} >> /d/order; sleep 0.3; cat /d/order; exit 0"
    return k.shell(name, f"trap '{end}' TERM; echo start-{name} >> /d/order; {WAIT}", volumeMounts=ORDER, **more)


def sidecars() -> Manifest:
    started = {"exec": {"command": ["test", "-e", "/d/slow"]}, **PATIENT, "failureThreshold": 60}
    slow = noting("slow", restartPolicy="Always", startupProbe=started)
    # It is started when its probe says so, and nothing after it before.
    slow["command"][2] = slow["command"][2].replace(WAIT, f"sleep 1; echo up-slow >> /d/order; touch /d/slow; {WAIT}")
    steps = [
        noting("first", restartPolicy="Always"),
        slow,
        k.shell("step", "echo step >> /d/order", volumeMounts=ORDER),
    ]
    main = k.shell("main", "echo main >> /d/order; sleep 0.3; echo end >> /d/order", volumeMounts=ORDER)
    volume = {"name": "d", "emptyDir": {}}
    return k.pod(
        "sidecars",
        main,
        initContainers=steps,
        volumes=[volume],
        restartPolicy="Never",
        terminationGracePeriodSeconds=20,
    )


def rules() -> Manifest:
    script = "test -e /d/x && exit 7; touch /d/x; exit 42"
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
    one = k.shell("c", script, volumeMounts=ORDER, restartPolicy="Never", restartPolicyRules=[rule])
    return k.pod("rules", one, volumes=[{"name": "d", "emptyDir": {}}], restartPolicy="Never")


def own_grace() -> Manifest:
    """A container that does not end by itself, in a Pod that would give it a minute."""
    probe = {"exec": {"command": ["test", "-e", "/d/again"]}, **PATIENT, "failureThreshold": 1}
    script = f"trap '' TERM; test -e /d/x && touch /d/again; touch /d/x; {WAIT}"
    one = k.shell("c", script, volumeMounts=ORDER, livenessProbe={**probe, "terminationGracePeriodSeconds": 1})
    return k.pod("own-grace", one, volumes=[{"name": "d", "emptyDir": {}}], terminationGracePeriodSeconds=60)


def held_back() -> Manifest:
    """Its liveness probe would kill it at once, were it not for the startup probe."""
    alive = {"exec": {"command": ["test", "-e", "/tmp/up"]}, **PATIENT, "failureThreshold": 1}
    one = k.shell(
        "c", f"sleep 2; touch /tmp/up; {WAIT}", livenessProbe=alive, startupProbe={**alive, "failureThreshold": 30}
    )
    return k.pod("held-back", one)


def too_slow() -> Manifest:
    probe = {"exec": {"command": ["sleep", "5"]}, "periodSeconds": 2, "timeoutSeconds": 1}
    return k.pod("too-slow", k.shell("c", WAIT, readinessProbe=probe))


def overhead() -> Manifest:
    limits = {"memory": "64Mi", "cpu": "200m"}
    return k.pod("overhead", k.shell("c", WAIT, resources={"limits": limits}), runtimeClassName="e2e-overhead")


def as_a_whole() -> Manifest:
    """Limits of the Pod, which its containers share."""
    whole = {"limits": {"memory": "80Mi", "cpu": "300m"}, "requests": {"memory": "80Mi", "cpu": "300m"}}
    return k.pod("as-a-whole", k.shell("a", WAIT), k.shell("b", WAIT), resources=whole)


def strict_groups() -> Manifest:
    """The image puts user 1000 into group 50000."""
    context = {"runAsUser": 1000, "supplementalGroups": [60000], "supplementalGroupsPolicy": "Strict"}
    return k.pod("strict-groups", k.shell("c", f"id -G; {WAIT}", image=k.AGNHOST), securityContext=context)


def confined() -> Manifest:
    profile = {"type": "Localhost", "localhostProfile": "e2e-deny-mkdir.json"}
    one = k.shell("c", f"mkdir /tmp/x 2>&1; touch /tmp/y && echo touched; {WAIT}")
    return k.pod("confined", one, securityContext={"seccompProfile": profile})


def own_users() -> Manifest:
    one = k.shell("c", f"cat /proc/self/uid_map; id -u; touch /d/x; stat -c %u /d/x; {WAIT}", volumeMounts=ORDER)
    return k.pod("own-users", one, hostUsers=False, volumes=[{"name": "d", "emptyDir": {}}])


def host_port() -> Manifest:
    server = k.container("c", image=k.AGNHOST, args=["netexec", "--http-port=8080"])
    server["ports"] = [{"containerPort": 8080, "hostPort": HOST_PORT}]
    return k.pod("host-port", server)


def gated() -> Manifest:
    return k.pod("gated", k.container("c", image=k.PAUSE), readinessGates=[{"conditionType": GATE}])


def imageless() -> Manifest:
    return k.pod("imageless", k.container("c", image="registry.k8s.io/nobody-has-this:1"))


PODS = (
    sidecars, rules, own_grace, held_back, too_slow, overhead, as_a_whole, strict_groups, confined, own_users,
    host_port, gated, imageless,
)  # fmt: skip


@pytest.fixture(scope="module")
def pods(lab: Cluster, cluster: Kube) -> Iterator[Kube]:
    """All of them on one node, in a namespace of their own."""
    kube = Kube(f"e2e-{uuid.uuid4().hex[:8]}")
    profile = lab.node(NODE).files.outside(KUBELET_ROOT / "seccomp/e2e-deny-mkdir.json")
    profile.parent.mkdir(exist_ok=True)
    profile.write_text(json.dumps(DENY_MKDIR))
    runtime_class = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "e2e-overhead"},
        "handler": "runc",
        "overhead": {"podFixed": {"memory": "32Mi", "cpu": "100m"}},
    }
    cluster.run("create", "namespace", kube.namespace)
    try:
        cluster.apply(runtime_class)
        k.wait_for(lambda: kube.exists("serviceaccount", "default"), "the namespace's service account")
        wanted = [make() for make in PODS]
        for pod in wanted:
            pod["spec"]["nodeName"] = NODE
            pod["spec"]["automountServiceAccountToken"] = False
        kube.apply(*wanted)
        yield kube
    finally:
        cluster.run("delete", "namespace", kube.namespace, "--wait=false")
        cluster.run("delete", "runtimeclass", "e2e-overhead", "--ignore-not-found")
        profile.unlink(missing_ok=True)


def conditions(pod: Manifest) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c.get("reason", "")) for c in pod["status"].get("conditions", [])}


def test_sidecars_start_in_order_and_stop_in_reverse_after_the_others(pods: Kube) -> None:
    pod = pods.wait_phase("sidecars", "Succeeded")
    # The first to start is the last to stop, and so the one that saw everything.
    assert pods.run("logs", "sidecars", "-c", "first").split() == [
        *("start-first", "start-slow", "up-slow", "step", "main", "end"),
        *("stop-slow", "stop-first"),
    ]
    assert [one["restartCount"] for one in pod["status"]["initContainerStatuses"]] == [0, 0, 0]


def test_a_container_restarts_by_its_own_rules(pods: Kube) -> None:
    pod = pods.wait_phase("rules", "Failed")
    status = k.container_status(pod)
    assert status["restartCount"] == 1
    assert status["state"]["terminated"]["exitCode"] == 7


def test_a_probes_own_grace_is_what_counts_when_it_fails(pods: Kube) -> None:
    """The Pod's minute would be longer than this waits."""
    pod = k.wait_for(
        lambda: found if k.container_status(found := pods.get("pod", "own-grace"))["restartCount"] >= 1 else None,
        "the container to be killed after its probe's grace",
        seconds=30,
    )
    assert k.container_status(pod)["lastState"]["terminated"]["exitCode"] == 137


def test_a_startup_probe_holds_the_others_back(pods: Kube) -> None:
    status = k.container_status(pods.wait_ready("held-back"))
    assert (status["restartCount"], status["started"]) == (0, True)


def test_a_probe_that_takes_too_long_has_failed(pods: Kube) -> None:
    said = k.wait_for(
        lambda: [e["message"] for e in pods.events("too-slow") if e["reason"] == "Unhealthy"], "the probe to fail"
    )
    assert "timed out after 1s" in said[0] or "context deadline exceeded" in said[0]
    assert not k.is_ready(pods.get("pod", "too-slow"))


def test_a_pod_is_ready_to_start_containers_before_it_has_their_images(pods: Kube) -> None:
    k.wait_for(
        lambda: k.container_status(pods.get("pod", "imageless"))["state"]["waiting"]["reason"] == "ImagePullBackOff",
        "the image not to be found",
    )
    found = conditions(pods.get("pod", "imageless"))
    assert found["PodReadyToStartContainers"][0] == "True"
    assert found["ContainersReady"] == ("False", "ContainersNotReady")


def test_a_readiness_gate_is_opened_by_somebody_else(pods: Kube) -> None:
    k.wait_for(
        lambda: conditions(pods.get("pod", "gated"))["ContainersReady"][0] == "True", "its container to be ready"
    )
    assert conditions(pods.get("pod", "gated"))["Ready"] == ("False", "ReadinessGatesNotReady")
    opened = {"status": {"conditions": [{"type": GATE, "status": "True"}]}}
    pods.run("patch", "pod", "gated", "--subresource=status", "-p", json.dumps(opened))
    pods.wait_ready("gated", seconds=10)


def test_a_runtime_class_adds_its_overhead_to_the_pods_limits(pods: Kube, lab: Cluster) -> None:
    pod = pods.wait_ready("overhead")
    assert pod["spec"]["overhead"] == {"memory": "32Mi", "cpu": "100m"}
    assert limits(lab.node(NODE), pod["metadata"]["uid"]) == (96 << 20, 30_000)


def test_limits_of_the_pod_as_a_whole_hold_it(pods: Kube, lab: Cluster) -> None:
    pod = pods.wait_ready("as-a-whole")
    assert limits(lab.node(NODE), pod["metadata"]["uid"]) == (80 << 20, 30_000)


def test_groups_of_the_image_are_left_out_where_the_pod_says_so(pods: Kube) -> None:
    pods.wait_ready("strict-groups")
    groups = k.wait_for(lambda: set(pods.run("logs", "strict-groups").split()), "the container to say its groups")
    assert "60000" in groups
    assert "50000" not in groups


def test_a_seccomp_profile_of_the_node_holds(pods: Kube) -> None:
    pods.wait_ready("confined")
    said = k.wait_for(
        lambda: text if "touched" in (text := pods.run("logs", "confined")) else None, "what is allowed to be done"
    )
    assert "Operation not permitted" in said


def test_a_pod_with_users_of_its_own_is_nobody_on_the_node(pods: Kube) -> None:
    pods.wait_ready("own-users")
    inside, outside, length, user, owner = k.wait_for(
        lambda: words if len(words := pods.run("logs", "own-users").split()) >= 5 else None, "its users to be told"
    )
    assert (inside, length, user, owner) == ("0", "65536", "0", "0")
    assert int(outside) >= 65536


def test_a_host_port_leads_to_the_pod(pods: Kube, lab: Cluster) -> None:
    pods.wait_ready("host-port")
    url = f"http://{lab.node(NODE).address}:{HOST_PORT}/hostname"
    assert lab.exec("curl", "-sS", "--max-time", "5", url).strip() == "host-port"
