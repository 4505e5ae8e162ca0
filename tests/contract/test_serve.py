"""The kubelet's server behind a genuine kube-apiserver: kubectl logs, exec, attach, port-forward, and who may not."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster import kube, pki

IMAGE = "contract.test/tiny:1"
ADDRESS = "198.18.200.1"
SCRIPT = """
echo first; sleep 0.1; echo second >&2; sleep 0.1; i=0
while [ $i -lt 5 ]; do i=$((i+1)); echo line $i; done
head -c 40000 /dev/zero | tr '\\0' x; echo
trap 'exit 0' TERM
while [ ! -e /tmp/stop ]; do sleep 0.1; [ -e /tmp/say ] && { cat /tmp/say; rm /tmp/say; }; done
echo last
"""


@dataclasses.dataclass
class Cluster:
    daemon: Any
    folder: Path
    uid: str = ""
    node: Any = None

    def within(self, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        options = {"capture_output": True, "timeout": 40, **options}
        check = options.pop("check", False)
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.daemon.name}", *words], check=check, **options)

    def kubectl(self, *words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[bytes]:
        done = self.within(*self.command(*words), **options)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def command(self, *words: str) -> list[str]:
        admin = self.folder / "admin.conf"
        return [str(self.daemon.binaries / "kubectl"), "--kubeconfig", str(admin), *words]

    def popen(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        command = ["nsenter", f"--net=/run/netns/{self.daemon.name}", *self.command(*words)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def node_memory(self) -> int:
        """Resident bytes of the node's server."""
        status = Path(f"/proc/{self.node.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def curl(self, path: str, *words: str) -> tuple[int, str]:
        url = f"https://{ADDRESS}:10250{path}"
        done = self.within("curl", "-sk", "-w", "\n%{http_code}", "-m", "10", *words, url)
        body, _, status = done.stdout.decode().rpartition("\n")
        return int(status), body


def wait_for(what: str, check: Any, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def cluster(containerd: Any, api_server_binaries: Path) -> Iterator[Cluster]:
    made = Cluster(containerd, containerd.folder / "api")
    made.folder.mkdir()
    with contextlib.ExitStack() as stack:
        start_control_plane(made, stack)
        start_node(made, stack)
        make_pod(made)
        yield made


def start(
    made: Cluster, stack: contextlib.ExitStack, name: str, *words: str, mounts: bool = False
) -> subprocess.Popen[bytes]:
    log = stack.enter_context((made.folder / f"{name}.log").open("wb"))
    enter = ["nsenter", f"--net=/run/netns/{made.daemon.name}"]
    if mounts:
        enter.append(f"--mount={made.daemon.folder}/mnt")
    process = subprocess.Popen([*enter, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop() -> None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=5)

    stack.callback(stop)
    return process


def start_control_plane(made: Cluster, stack: contextlib.ExitStack) -> None:
    binaries, folder = made.daemon.binaries, made.folder / "pki"
    made.within("ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo", check=True)
    write_credentials(made)
    etcd = ["--data-dir", f"{made.folder}/etcd", "--unsafe-no-fsync", "--log-level", "error"]
    start(made, stack, "etcd", str(binaries / "etcd"), *etcd)
    flags = {
        "etcd-servers": "http://127.0.0.1:2379",
        "advertise-address": ADDRESS,
        "client-ca-file": f"{folder}/ca.crt",
        "tls-cert-file": f"{folder}/apiserver.crt",
        "tls-private-key-file": f"{folder}/apiserver.key",
        "kubelet-client-certificate": f"{folder}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{folder}/apiserver-kubelet-client.key",
        "service-account-key-file": f"{folder}/sa.pub",
        "service-account-signing-key-file": f"{folder}/sa.key",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-cluster-ip-range": "198.18.64.0/18",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "disable-admission-plugins": "ServiceAccount",
        "feature-gates": "PodLogsQuerySplitStreams=true",
    }
    words = [f"--{name}={value}" for name, value in flags.items()]
    start(made, stack, "apiserver", str(binaries / "kube-apiserver"), *words)
    ready = ("get", "--raw=/readyz")
    wait_for("the API server", lambda: made.kubectl(*ready, check=False).returncode == 0, seconds=60)
    role = ["--clusterrole=system:kubelet-api-admin", "--user=kube-apiserver-kubelet-client"]
    made.kubectl("create", "clusterrolebinding", "kubelet-client", *role)


def write_credentials(made: Cluster) -> None:
    """The authority, the API server's two certificates, and kubeconfigs of an administrator and of the node."""
    folder = made.folder / "pki"
    folder.mkdir()
    ca = pki.authority(folder, "ca", "kubernetes")
    pki.serving(ca, pki.pair(folder, "apiserver"), pki.Subject("kube-apiserver"), [ADDRESS])
    pki.token_keys(folder)
    users = {
        "apiserver-kubelet-client": pki.Subject("kube-apiserver-kubelet-client"),
        "admin": pki.Subject("admin", ("system:masters",)),
        "kubelet": pki.Subject("system:node:n1", ("system:nodes",)),
    }
    for name, subject in users.items():
        who = pki.client(ca, pki.pair(folder, name), subject)
        path = made.folder / f"{name}.conf"
        kube.write_kubeconfig(path, server=f"https://{ADDRESS}:6443", ca=ca.cert, client=who, user=subject.user)


def apply(made: Cluster, *objects: dict[str, Any]) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    made.kubectl("apply", "-f", "-", input=json.dumps(items).encode())


def start_node(made: Cluster, stack: contextlib.ExitStack) -> None:
    apply(made, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    status = {
        "addresses": [{"type": "InternalIP", "address": ADDRESS}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "declaredFeatures": ["ExtendWebSocketsToKubelet"],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    made.kubectl("patch", "node", "n1", "--subresource=status", "-p", json.dumps({"status": status}))
    logs = made.folder / "var-log"
    logs.mkdir()
    (logs / "node.log").write_text("of the node\n")
    (logs / "escape").symlink_to("/etc/passwd")
    made.within("nsenter", f"--mount={made.daemon.folder}/mnt", "mount", "--bind", str(logs), "/var/log", check=True)
    settings = {
        "folder": str(made.folder),
        "address": ADDRESS,
        "ca": str(made.folder / "pki/ca.crt"),
        "kubeconfig": str(made.folder / "kubelet.conf"),
        "cri": made.daemon.endpoint,
    }
    (made.folder / "settings.json").write_text(json.dumps(settings))
    script = Path(__file__).with_name("serve_node.py")
    words = (sys.executable, str(script), str(made.folder / "settings.json"))
    made.node = start(made, stack, "node", *words, mounts=True)
    wait_for("the node's server", (made.folder / "up").exists)


def make_pod(made: Cluster) -> None:
    """A Pod in the API, and its sandbox and container in the runtime, made by hand."""
    spec = {"nodeName": "n1", "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False}
    containers = [{"name": "main", "image": IMAGE, "stdin": True}, {"name": "late", "image": IMAGE}]
    metadata = {"name": "web", "namespace": "default"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "containers": containers}}
    apply(made, pod)
    made.uid = made.kubectl("get", "pod", "web", "-o", "jsonpath={.metadata.uid}").stdout.decode()
    waiting = {"name": "late", "ready": False, "restartCount": 0, "image": IMAGE, "imageID": ""}
    state = {"phase": "Running", "containerStatuses": [{**waiting, "state": {"waiting": {"reason": "ErrImagePull"}}}]}
    made.kubectl("patch", "pod", "web", "--subresource=status", "-p", json.dumps({"status": state}))
    made.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Running")
    start_containers(made)


def start_containers(made: Cluster) -> None:
    import asyncio

    from pykubelet.cri import channel
    from pykubelet.cri.runtime import Runtime
    from pykubelet.model import observed
    from pykubelet.model import runtime_config as rc
    from pykubelet.model.ids import Uid

    async def make() -> None:
        labels = {observed.POD_UID_LABEL: made.uid}
        sandbox_spec = rc.SandboxSpec(
            name="web",
            namespace="default",
            uid=Uid(made.uid),
            hostname="web",
            log_directory=str(made.folder / "logs"),
            labels=labels,
            cgroup_parent=made.daemon.cgroup,
        )
        (made.folder / "logs/main").mkdir(parents=True)
        async with channel.open_channel(made.daemon.endpoint) as connection:
            runtime = Runtime(connection)
            sandbox = await runtime.run_sandbox(sandbox_spec)
            for attempt, script in enumerate(("echo before; exit 1", SCRIPT)):
                spec = rc.ContainerSpec(
                    name="main",
                    image=rc.ImageSpec(image=IMAGE),
                    attempt=attempt,
                    command=("sh", "-c", script),
                    labels={**labels, observed.CONTAINER_NAME_LABEL: "main"},
                    log_path=f"main/{attempt}.log",
                    stdin=True,
                )
                container = await runtime.create_container(sandbox, spec, sandbox_spec=sandbox_spec)
                await runtime.start_container(container)
                await asyncio.sleep(0.5)

    asyncio.run(make())


# -- logs


def logs(cluster: Cluster, *words: str) -> bytes:
    return cluster.kubectl("logs", "web", "-c", "main", *words).stdout


def test_logs_have_every_line_long_ones_whole(cluster: Cluster) -> None:
    lines = logs(cluster).splitlines()
    assert lines[:7] == [b"first", b"second", b"line 1", b"line 2", b"line 3", b"line 4", b"line 5"]
    assert lines[7] == b"x" * 40000


def test_logs_of_one_stream(cluster: Cluster) -> None:
    path = "/api/v1/namespaces/default/pods/web/log?container=main&stream=Stderr"
    assert cluster.kubectl("get", "--raw", path).stdout == b"second\n"


def test_a_long_line_is_one_line_of_the_tail(cluster: Cluster) -> None:
    assert [len(line) for line in logs(cluster, "--tail=2").splitlines()] == [6, 40000]


def test_logs_are_cut_at_a_limit(cluster: Cluster) -> None:
    assert logs(cluster, "--limit-bytes=9") == b"first\nsec"


def test_logs_since_a_second_from_now_are_none(cluster: Cluster) -> None:
    time.sleep(1.5)
    assert logs(cluster, "--since=1s") == b""


def test_a_line_has_one_timestamp_of_nine_digits(cluster: Cluster) -> None:
    stamped = logs(cluster, "--timestamps").splitlines()[7]
    assert len(stamped.split(b" ")[0].split(b".")[1]) in (10, 15)
    assert stamped.split(b" ")[1] == b"x" * 40000


def test_the_container_before_has_logs_too(cluster: Cluster) -> None:
    assert logs(cluster, "--previous") == b"before\n"


def test_a_container_that_waits_says_what_for(cluster: Cluster) -> None:
    refused = cluster.kubectl("logs", "web", "-c", "late", check=False)
    assert b'container "late" in pod "web" is waiting to start: image can\'t be pulled' in refused.stderr


def test_logs_are_followed_as_they_are_written(cluster: Cluster) -> None:
    follower = cluster.popen("logs", "-f", "web", "-c", "main", "--tail=0")
    try:
        time.sleep(1)
        began = time.monotonic()
        cluster.kubectl("exec", "web", "-c", "main", "--", "sh", "-c", "echo spoken > /tmp/say")
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"spoken\n"
        assert time.monotonic() - began < 3
    finally:
        follower.kill()
        follower.communicate()


# -- exec


@pytest.fixture(params=["WebSocket", "SPDY"])
def way(cluster: Cluster, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """How kubectl and the API server reach the node; that it was so is seen in what the node counted."""
    for variable in ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "KUBECTL_PORT_FORWARD_WEBSOCKETS"):
        monkeypatch.setenv(variable, str(request.param == "WebSocket").lower())
    before = websockets(cluster)
    yield request.param
    assert (websockets(cluster) > before) == (request.param == "WebSocket")


def websockets(cluster: Cluster) -> float:
    """How many WebSockets the node has understood."""
    text = cluster.kubectl("get", "--raw", "/api/v1/nodes/n1/proxy/metrics").stdout.decode()
    lines = (line for line in text.splitlines() if line.startswith("kubelet_websocket_streaming_requests_total"))
    return sum(float(line.split()[-1]) for line in lines)


def test_a_command_answers_with_output_and_exit_code(cluster: Cluster, way: str) -> None:
    done = cluster.kubectl("exec", "web", "-c", "main", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout) == (7, b"out\n")
    assert done.stderr.startswith(b"err\n")


def test_megabytes_go_in_and_come_back(cluster: Cluster, way: str) -> None:
    data = os.urandom(1 << 16) * 80
    done = cluster.kubectl("exec", "-i", "web", "-c", "main", "--", "cat", input=data)
    assert done.stdout == data


def test_a_slow_reader_holds_the_command_up_and_not_the_memory(cluster: Cluster, way: str) -> None:
    before = cluster.node_memory()
    process = cluster.popen("exec", "web", "-c", "main", "--", "sh", "-c", "head -c 60000000 /dev/zero")
    time.sleep(2)
    assert cluster.node_memory() - before < 20_000_000
    assert process.stdout is not None
    total = 0
    while chunk := process.stdout.read(1 << 20):
        total += len(chunk)
    process.communicate()
    assert total == 60_000_000


def test_a_terminal_is_one(cluster: Cluster, way: str) -> None:
    command = " ".join(cluster.command("exec", "-i", "-t", "web", "-c", "main", "--", "sh", "-c", "'tty; exit 3'"))
    done = cluster.within("script", "-qec", command, "/dev/null", stdin=subprocess.DEVNULL)
    assert b"/dev/pts/" in done.stdout
    assert done.returncode == 3


def test_a_container_that_does_not_run_takes_no_command(cluster: Cluster) -> None:
    refused = cluster.kubectl("exec", "web", "-c", "late", "--", "true", check=False)
    assert refused.returncode == 1
    assert b'container not found ("late")' in refused.stderr


def test_a_command_whose_reader_has_gone_is_not_waited_for(cluster: Cluster, way: str) -> None:
    process = cluster.popen("exec", "-i", "web", "-c", "main", "--", "sh", "-c", "echo begun; head -c 98765")
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    process.kill()
    process.communicate()

    def gone() -> bool:
        return b"98765" not in cluster.kubectl("exec", "web", "-c", "main", "--", "ps").stdout

    wait_for("the end of the command", gone, seconds=10)


def test_a_terminal_has_the_size_of_the_window(cluster: Cluster, way: str) -> None:
    command = " ".join(
        cluster.command("exec", "-i", "-t", "web", "-c", "main", "--", "sh", "-c", "'sleep 1; stty size'")
    )
    done = cluster.within("script", "-qec", f"stty rows 33 cols 77; {command}", "/dev/null", stdin=subprocess.DEVNULL)
    assert b"33 77" in done.stdout


def test_a_command_may_be_long(cluster: Cluster, way: str) -> None:
    said = "x" * 60_000
    assert cluster.kubectl("exec", "web", "-c", "main", "--", "echo", said).stdout.decode() == f"{said}\n"


WEBSOCKET = """
import asyncio, ssl, sys, aiohttp
async def main(folder, url):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(folder + "/apiserver-kubelet-client.crt", folder + "/apiserver-kubelet-client.key")
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, ssl=context, protocols=["v4.channel.k8s.io"]) as stream:
            await stream.send_bytes(b"\\0typed\\n")
            async for message in stream:
                print(message.data)
asyncio.run(main(*sys.argv[1:]))
"""


def test_a_websocket_reaches_the_command_too(cluster: Cluster) -> None:
    url = f"https://{ADDRESS}:10250/exec/default/web/main?command=head&command=-n1&input=1&output=1"
    done = cluster.within(sys.executable, "-c", WEBSOCKET, str(cluster.folder / "pki"), url)
    frames = done.stdout.decode().splitlines()
    assert r"b'\x01typed\n'" in frames, done.stderr.decode()
    assert '"status":"Success"' in frames[-1]


# -- port-forward and attach


def test_a_port_of_the_pod_is_reached(cluster: Cluster, way: str) -> None:
    serving = "mkdir -p /tmp/www; echo hello > /tmp/www/index.html; httpd -p 8080 -h /tmp/www || true"
    cluster.kubectl("exec", "web", "-c", "main", "--", "sh", "-c", serving)
    forward = cluster.popen("port-forward", "pod/web", "18080:8080")
    try:
        assert forward.stdout is not None
        assert b"Forwarding from" in forward.stdout.readline()
        for _ in range(3):
            answer = cluster.within("curl", "-s", "-m", "5", "http://127.0.0.1:18080/")
            assert answer.stdout == b"hello\n"
    finally:
        forward.kill()
        forward.communicate()


def test_attach_joins_the_output(cluster: Cluster, way: str) -> None:
    attached = cluster.popen("attach", "web", "-c", "main")
    try:
        time.sleep(1.5)
        cluster.kubectl("exec", "web", "-c", "main", "--", "sh", "-c", "echo attached > /tmp/say")
        assert attached.stdout is not None
        assert attached.stdout.readline() == b"attached\n"
    finally:
        attached.kill()
        attached.communicate()


# -- the other endpoints, through the API server's proxy


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("healthz", "ok", id="healthz"),
        pytest.param("healthz?verbose", "[+]syncloop ok", id="healthz check by check"),
        pytest.param("pods", '"name":"web"', id="the Pods bound to it"),
        pytest.param("runningpods/", '"name":"main"', id="what runs"),
        pytest.param("configz", '"healthzPort":10248', id="its configuration"),
        pytest.param("metrics", "process_cpu_seconds_total", id="its metrics"),
        pytest.param("logs/", "node.log", id="the node's logs"),
        pytest.param("logs/node.log", "of the node", id="a log of the node"),
    ],
)
def test_the_node_answers_through_the_proxy(cluster: Cluster, path: str, said: str) -> None:
    assert said in cluster.kubectl("get", "--raw", f"/api/v1/nodes/n1/proxy/{path}").stdout.decode()


def test_no_log_outside_the_folder_is_served(cluster: Cluster) -> None:
    refused = cluster.kubectl("get", "--raw", "/api/v1/nodes/n1/proxy/logs/escape", check=False)
    assert b"root:" not in refused.stdout


# -- who may


def test_health_on_the_plain_port_needs_nobody(cluster: Cluster) -> None:
    assert cluster.within("curl", "-s", "http://127.0.0.1:10248/healthz").stdout == b"ok"


def test_anonymous_is_forbidden(cluster: Cluster) -> None:
    status, body = cluster.curl("/pods")
    assert (status, body) == (
        403,
        "Forbidden (user=system:anonymous, verb=get, resource=nodes, subresource(s)=[pods proxy])\n",
    )


def test_a_wrong_token_is_nobody(cluster: Cluster) -> None:
    assert cluster.curl("/pods", "-H", "Authorization: Bearer wrong") == (401, "Unauthorized")


def test_a_service_account_may_what_its_role_says(cluster: Cluster) -> None:
    cluster.kubectl("create", "serviceaccount", "reader")
    token = cluster.kubectl("create", "token", "reader").stdout.decode().strip()
    bearer = ("-H", f"Authorization: Bearer {token}")
    status, body = cluster.curl("/metrics", *bearer)
    assert (status, "user=system:serviceaccount:default:reader" in body) == (403, True)
    cluster.kubectl("create", "clusterrole", "reader", "--verb=get", "--resource=nodes/metrics")
    cluster.kubectl("create", "clusterrolebinding", "r", "--clusterrole=reader", "--serviceaccount=default:reader")
    wait_for("the role", lambda: cluster.curl("/metrics", *bearer)[0] == 200, seconds=5)
    assert cluster.curl("/pods", *bearer)[0] == 403


def test_the_api_servers_certificate_may_and_unknown_things_are_not_found(cluster: Cluster) -> None:
    folder = cluster.folder / "pki"
    who = (
        *("--cert", f"{folder}/apiserver-kubelet-client.crt"),
        *("--key", f"{folder}/apiserver-kubelet-client.key"),
    )
    assert cluster.curl("/nowhere", *who) == (404, "404 page not found\n")
    assert cluster.curl("/pods", "-X", "DELETE", *who) == (405, "405: Method Not Allowed")
    assert cluster.curl("/exec/default/web/main?command=true&output=1", *who, "-X", "POST") == (
        500,
        "Upgrade request required\n",
    )
    assert cluster.curl("/exec/default/web/main?command=true", *who, "-X", "POST")[0] == 400
    assert cluster.curl("/containerLogs/default/none/main", *who) == (404, 'pod "none" does not exist')
    assert cluster.curl("/containerLogs/default/web/none", *who)[0] == 404
    assert cluster.curl("/containerLogs/default/web/main?tailLines=-1", *who)[0] == 422
    assert cluster.curl("/containerLogs/default/web/main?limitBytes=x", *who)[0] == 400


# -- the end


def test_following_ends_when_the_container_does(cluster: Cluster) -> None:
    follower = cluster.popen("logs", "-f", "web", "-c", "main", "--tail=1")
    time.sleep(1)
    cluster.kubectl("exec", "web", "-c", "main", "--", "touch", "/tmp/stop")
    began = time.monotonic()
    output, _ = follower.communicate(timeout=10)
    assert output.endswith(b"last\n")
    assert time.monotonic() - began < 4
    assert b"Error" not in (cluster.folder / "node.log").read_bytes()
    assert b"Traceback" not in (cluster.folder / "node.log").read_bytes()
