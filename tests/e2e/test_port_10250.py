"""The matrix of :10250: each endpoint, asked by each kind of caller, answers with the genuine kubelet's status code.

The genuine kubelet stands beside ours in the same cluster and is asked the same in the same moment. Where a refusal has
a text, that is compared as well.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import layout, pki
from devcluster.api import Cluster
from tests.e2e import kube as k
from tests.e2e.kube import Kube
from tests.e2e.kubelet_port import Answer, Caller, KubeletPort, certificate

OURS = "n1"
POD = "{namespace}/{pod}"
ENDPOINTS = [
    ("GET POST HEAD", "/healthz"),
    ("GET", "/healthz/ping"),
    ("GET", "/healthz/log"),
    ("GET", "/healthz/syncloop"),
    ("GET", "/healthz/nothing"),
    ("GET", "/healthz?verbose&exclude=ping"),
    ("GET POST PUT PATCH DELETE OPTIONS HEAD", "/pods"),
    ("GET", "/pods/"),
    ("GET POST", "/runningpods"),
    ("GET POST", "/runningpods/"),
    ("GET POST", "/metrics"),
    ("GET", "/metrics/cadvisor"),
    ("GET", "/metrics/resource"),
    ("GET", "/metrics/probes"),
    ("GET", "/metrics/slis"),
    ("GET", "/metrics/nothing"),
    ("GET POST", "/stats"),
    ("GET POST", "/stats/summary"),
    ("GET", "/stats/summary/"),
    ("GET", "/stats/nothing"),
    ("GET POST", "/configz"),
    ("GET POST", "/statusz"),
    ("GET POST", "/flagz"),
    ("GET POST", "/logs"),
    ("GET POST", "/logs/"),
    ("GET", "/logs/nothing-of-this-name"),
    ("GET", "/logs/../../etc/passwd"),
    ("GET", "/logs/%2e%2e/%2e%2e/etc/passwd"),
    ("GET POST", f"/containerLogs/{POD}/main"),
    ("GET", f"/containerLogs/{POD}/main?tailLines=-1"),
    ("GET", f"/containerLogs/{POD}/main?tailLines=x"),
    ("GET", f"/containerLogs/{POD}/main?tail=all&limitBytes=0"),
    ("GET", f"/containerLogs/{POD}/main?sinceSeconds=0"),
    ("GET", f"/containerLogs/{POD}/main?sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z"),
    ("GET", f"/containerLogs/{POD}/main?sinceTime=yesterday"),
    ("GET", f"/containerLogs/{POD}/main?sinceTime="),
    ("GET", f"/containerLogs/{POD}/main?follow=0&timestamps=true&stream=All"),
    ("GET", f"/containerLogs/{POD}/main?stream=Stdin"),
    ("GET", f"/containerLogs/{POD}/main?stream=Stdout"),
    ("GET", f"/containerLogs/{POD}/main?stream=Stderr&tailLines=1"),
    ("GET", f"/containerLogs/{POD}/main?previous=true"),
    ("GET", f"/containerLogs/{POD}/main?insecureSkipTLSVerifyBackend=true&pretty=1&unknown=x"),
    ("GET", f"/containerLogs/{POD}/late"),
    ("GET", f"/containerLogs/{POD}/pulling"),
    ("GET", f"/containerLogs/{POD}/nothing"),
    ("GET", "/containerLogs/{namespace}/nothing/main"),
    ("GET", f"/containerLogs/{POD}"),
    ("GET POST PUT", f"/exec/{POD}/main?command=true&output=1"),
    ("GET POST", f"/exec/{POD}/main?command=true"),
    ("GET POST", f"/exec/{POD}/nothing?command=true&output=1"),
    ("GET POST", f"/exec/{POD}/{{uid}}/main?command=true&output=1"),
    ("GET POST", f"/exec/{POD}/no-such-uid/main?command=true&output=1"),
    ("GET POST", "/exec/{namespace}/nothing/main?command=true&output=1"),
    ("GET POST PUT", f"/attach/{POD}/main?output=1"),
    ("GET POST", f"/attach/{POD}/nothing?output=1"),
    ("GET POST", f"/attach/{POD}/no-such-uid/main?output=1"),
    ("GET POST", f"/attach/{POD}/main"),
    ("GET POST", f"/portForward/{POD}"),
    ("GET POST", f"/portForward/{POD}?port=nothing"),
    ("GET POST", f"/portForward/{POD}/{{uid}}"),
    ("GET POST", f"/portForward/{POD}/no-such-uid"),
    ("GET POST", "/portForward/{namespace}/nothing"),
    ("GET POST", f"/run/{POD}/main?cmd=true"),
    ("POST", f"/run/{POD}/{{uid}}/main?cmd=echo+hello"),
    ("POST", f"/run/{POD}/main?cmd=false"),
    ("POST", f"/run/{POD}/nothing?cmd=true"),
    ("POST", "/run/{namespace}/nothing/main?cmd=true"),
    ("GET POST", f"/checkpoint/{POD}/nothing"),
    ("POST", f"/checkpoint/{POD}/main?timeout=soon"),
    ("POST", f"/checkpoint/{POD}/main"),
    ("POST", "/checkpoint/{namespace}/nothing/main"),
    ("GET POST", "/debug/pprof"),
    ("GET POST", "/debug/pprof/"),
    ("GET", "/debug/pprof/cmdline"),
    ("GET", "/debug/pprof/nothing"),
    ("GET POST PUT", "/debug/flags/v"),
    ("GET POST", "/nothing"),
    ("GET", "/"),
    ("GET", "/pods/nothing"),
    ("GET", "/allocatedPods"),
    ("GET", "//pods"),
    ("GET", "/pods/../configz?x=y"),
]
REQUESTS = [(method, path) for methods, path in ENDPOINTS for method in methods.split()]

WAITING = ("pulling", "late")
CALLERS = [
    "anonymous",
    "with a certificate of another CA",
    "with another node's certificate",
    "with the token of a service account without rights",
    "with the token of a service account with rights",
    "with the API server's certificate",
    "with a token that is nobody's",
    "with a certificate of another CA, and a good token",
]


@pytest.fixture(scope="module")
def ports(lab: Cluster, genuine: str) -> Iterator[dict[str, KubeletPort]]:
    grown = Cluster(lab.name)  # `lab` was read before the genuine node came
    found = {node: KubeletPort(grown, node) for node in (OURS, genuine)}
    yield found
    for port in found.values():
        port.close()


@pytest.fixture(scope="module")
def pods(cluster: Kube, ports: dict[str, KubeletPort]) -> Iterator[dict[str, dict[str, str]]]:
    """A Pod on each node, by its node: what stands in a path for it."""
    names = {node: f"port-{node}" for node in ports}
    containers = [
        k.shell("main", "echo hello; sleep 3600"),
        k.container("pulling", image="registry.k8s.io/nobody-has-this:1"),
        k.shell("late", "true", envFrom=[{"configMapRef": {"name": "nowhere"}}]),
    ]
    tolerations = [{"operator": "Exists"}]
    cluster.apply(*(k.pod(names[node], *containers, nodeName=node, tolerations=tolerations) for node in ports))
    found = {}
    for node, name in names.items():

        def settled(name: str = name) -> str | None:
            pod = cluster.get("pod", name)
            reasons = [
                k.container_status(pod, c)["state"].get("waiting", {}).get("reason") for c in ("pulling", "late")
            ]
            running = "running" in k.container_status(pod, "main")["state"]
            there = running and reasons == ["ImagePullBackOff", "CreateContainerConfigError"]
            return pod["metadata"]["uid"] if there else None

        uid = k.wait_for(settled, f"the containers of {name}")
        found[node] = {"namespace": "default", "pod": name, "uid": uid}
    yield found
    for name in names.values():
        cluster.delete("pod", name, wait=False)


@pytest.fixture(scope="module")
def callers(lab: Cluster, cluster: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Caller]]:
    folder: Path = tmp_path_factory.mktemp("callers")
    ours, foreign = pki.pair(lab.files.pki, "ca"), pki.authority(folder, "ca", "kubernetes")
    for account in ("port-weak", "port-strong"):
        cluster.run("create", "serviceaccount", account)
    everything = "nodes/proxy,nodes/stats,nodes/metrics,nodes/log,nodes/checkpoint,nodes/statusz,nodes/configz"
    verbs = "get,create,update,patch,delete"
    cluster.run("create", "clusterrole", "port-strong", f"--verb={verbs}", f"--resource={everything}")
    role = ("--clusterrole=port-strong", "--serviceaccount=default:port-strong")
    cluster.run("create", "clusterrolebinding", "port-strong", *role)
    weak, strong = (cluster.run("create", "token", name).strip() for name in ("port-weak", "port-strong"))
    stranger = certificate(folder, "stranger", user="kube-apiserver-kubelet-client", group="system:masters", ca=foreign)
    node = certificate(folder, "node", user="system:node:n7", group="system:nodes", ca=ours)
    api_server = Caller(pki.pair(lab.files.pki, "apiserver-kubelet-client"))
    shown = [Caller(), stranger, node, Caller(token=weak), Caller(token=strong), api_server, Caller(token="wrong")]
    yield dict(zip(CALLERS, [*shown, Caller(stranger.pair, strong)], strict=True))
    cluster.run("delete", "clusterrolebinding,clusterrole", "port-strong")
    cluster.run("delete", "serviceaccount", "port-weak", "port-strong")


def _said(answer: Answer, known: dict[str, str], node: str) -> str:
    """What can be compared: the status, and the text of a refusal without names of Pods, nodes and containers."""
    if answer.status < 400:
        return str(answer.status)
    text = answer.body.decode(errors="replace")
    for word in (known["pod"], known["uid"], node):
        text = text.replace(word, "X")
    # What a container waits for goes back and forth, on each node in its own time.
    text = re.sub(r"image can't be pulled|trying and failing to pull image", "PULL", text)
    return f"{answer.status} {re.sub(r'[0-9a-f]{64}', 'ID', text).strip()}"


@pytest.mark.parametrize("caller", CALLERS)
def test_every_endpoint_answers_as_the_genuine_one_does(
    ports: dict[str, KubeletPort],
    pods: dict[str, dict[str, str]],
    callers: dict[str, Caller],
    caller: str,
) -> None:
    differing = []
    for method, path in REQUESTS:
        said = []
        for node, port in ports.items():
            answer = port.ask(callers[caller], method, path.format(**pods[node]))
            said.append(_said(answer, pods[node], node))
        if said[0] != said[1]:
            differing.append(f"{method} {path}: ours {said[0]!r}, genuine {said[1]!r}")
    assert not differing, "\n".join(differing)


def test_a_ca_is_trusted_for_as_long_as_it_is_in_its_file(
    lab: Cluster, ports: dict[str, KubeletPort], callers: dict[str, Caller]
) -> None:
    """On one connection, without a restart, by both."""
    stranger = callers["with a certificate of another CA"]
    assert stranger.pair is not None
    theirs = stranger.pair.cert.with_name("ca.crt").read_bytes()

    def answered(status: int) -> bool:
        return all(port.ask(stranger, "GET", "/healthz").status == status for port in ports.values())

    files = [lab.files.node(node).outside(layout.CLIENT_CA) for node in ports]
    before = [path.read_bytes() for path in files]
    for port in ports.values():
        port.close()  # what an earlier test left open has been idle: a kubelet closes it after 90 s
    assert answered(401)
    try:
        for path in files:
            path.write_bytes(before[0] + theirs)
        k.wait_for(lambda: answered(200), "the CA that was added to be trusted")
    finally:
        for path, data in zip(files, before, strict=True):
            path.write_bytes(data)
    k.wait_for(lambda: answered(401), "the CA that was removed to be trusted no more")
