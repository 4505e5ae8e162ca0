"""A genuine API server and a node that serves, with Pods to ask for: the ground of the tests of :10250."""

import asyncio
import contextlib
import dataclasses
import json
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from devcluster import kube, pki

IMAGE = "contract.test/tiny:1"
ADDRESS = "198.18.200.1"
SCRIPT = """
echo first; sleep 0.1; echo second >&2; sleep 0.1; i=0
while [ $i -lt 5 ]; do i=$((i+1)); echo line $i; done
head -c 40000 /dev/zero | tr '\\0' x; echo
trap 'exit 0' TERM
while [ ! -e /tmp/stop ]; do sleep 0.1; [ -e /tmp/say ] && { mv /tmp/say /tmp/said; cat /tmp/said; }; done
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

    def say(self, word: str) -> None:
        """Have the container print a line, within a tenth of a second of its own."""
        # A whole file under its name at once: the container must not read a half.
        self.kubectl("exec", "web", "-c", "main", "--", "sh", "-c", f"echo {word} > /tmp/word; mv /tmp/word /tmp/say")

    def say_until_heard(self, word: str, listener: subprocess.Popen[bytes]) -> None:
        """Say it until a process that has just begun to listen shows its first line: that must be this word."""
        assert listener.stdout is not None
        for _ in range(20):
            self.say(word)
            if select.select([listener.stdout], [], [], 1)[0]:
                heard = listener.stdout.readline()
                assert heard == f"{word}\n".encode(), heard
                return
        raise AssertionError(f"nobody heard {word!r}")

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
