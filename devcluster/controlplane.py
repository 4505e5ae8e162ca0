"""The genuine control plane: etcd, one to three API servers, the controller manager and the scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from devcluster import cgroups, identities, kube, netns, pki, processes
from devcluster.layout import Layout
from devcluster.spec import API_PORT, DOMAIN, ClusterSpec

_ETCD = "http://127.0.0.1:2379"


def programs(layout: Layout, spec: ClusterSpec, binaries: Mapping[str, Path]) -> list[processes.Program]:
    """All of them, in the order they are started."""
    found = [program(layout, "etcd", _etcd(layout, binaries["etcd"]))]
    found += [
        program(layout, api_server_name(index), _api_server(layout, spec, binaries["kube-apiserver"], index))
        for index in range(1, spec.api_servers + 1)
    ]
    found.append(
        program(
            layout, "kube-controller-manager", _controller_manager(layout, spec, binaries["kube-controller-manager"])
        )
    )
    found.append(program(layout, "kube-scheduler", _scheduler(layout, binaries["kube-scheduler"])))
    return found


def api_server_name(index: int) -> str:
    """kube-apiserver, kube-apiserver-2, kube-apiserver-3."""
    return "kube-apiserver" if index == 1 else f"kube-apiserver-{index}"


def program(layout: Layout, name: str, argv: Sequence[str | Path]) -> processes.Program:
    """A program of the control plane's: its namespace, a cgroup, a log and a pid file of its own."""
    return processes.Program(
        name=name,
        argv=argv,
        pidfile=layout.pids / name,
        log=layout.logs / f"{name}.log",
        netns=layout.netns(netns.CONTROL_PLANE),
        cgroup=f"{layout.cgroup(netns.CONTROL_PLANE)}/{name}",
    )


def launch(wanted: processes.Program) -> None:
    """Start a control-plane program in its cgroup."""
    cgroups.make(wanted.cgroup)
    processes.start(wanted)


def balance(layout: Layout, spec: ClusterSpec) -> None:
    """Send clients to the API servers that run; nothing where there is one, or none that runs."""
    alive = [
        index
        for index in range(1, spec.api_servers + 1)
        if processes.find(layout.pids / api_server_name(index)) is not None
    ]
    if spec.api_servers > 1 and alive:
        netns.balance(layout, spec, alive)


def wait_for_api(layout: Layout, spec: ClusterSpec, started: Sequence[processes.Program]) -> None:
    """Until each API server says that it is ready."""
    servers = [found for found in started if found.name.startswith("kube-apiserver")]
    for index, server in enumerate(servers, 1):
        client = kube.Client(
            namespace=layout.netns(netns.CONTROL_PLANE),
            host=spec.primary.control_plane(index),
            port=API_PORT,
            ca=layout.pki / "ca.crt",
            credentials=pki.pair(layout.pki, "admin"),
        )
        processes.wait(server, client.ready, timeout=90)


def bootstrap(api: kube.Client) -> None:
    """What the API must hold before nodes join: the API server may speak to kubelets."""
    api.apply(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/devcluster:kubelet-api",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "devcluster:kubelet-api"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:kubelet-api-admin",
            },
            "subjects": [
                {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": identities.KUBELET_CLIENT.user}
            ],
        },
    )


def _etcd(layout: Layout, binary: Path) -> list[str | Path]:
    return [
        binary,
        f"--data-dir={layout.root / 'etcd'}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",  # a dev cluster outlives no power cut, and starts faster
        "--log-level=warn",
    ]


def _api_server(layout: Layout, spec: ClusterSpec, binary: Path, index: int) -> list[str | Path]:
    folder = layout.pki
    serving, kubelet = pki.pair(folder, "apiserver"), pki.pair(folder, "apiserver-kubelet-client")
    front = pki.pair(folder, "front-proxy-client")
    return [
        binary,
        f"--etcd-servers={_ETCD}",
        f"--advertise-address={spec.primary.control_plane(index)}",
        f"--bind-address={spec.primary.control_plane(index)}",
        f"--secure-port={API_PORT}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--tls-cert-file={serving.cert}",
        f"--tls-private-key-file={serving.key}",
        f"--kubelet-client-certificate={kubelet.cert}",
        f"--kubelet-client-key={kubelet.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-cluster-ip-range={','.join(plan.services for plan in spec.nets)}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
        "--enable-aggregator-routing=true",  # no proxy runs beside it: webhooks are reached by Pod address
        "--allow-privileged=true",
        f"--requestheader-client-ca-file={folder / 'front-proxy-ca.crt'}",
        f"--requestheader-allowed-names={identities.AGGREGATOR.user}",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={front.cert}",
        f"--proxy-client-key-file={front.key}",
    ]


def _controller_manager(layout: Layout, spec: ClusterSpec, binary: Path) -> list[str | Path]:
    folder, config = layout.pki, identities.kubeconfig(layout, "controller-manager")
    return [
        binary,
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--requestheader-client-ca-file={folder / 'front-proxy-ca.crt'}",
        f"--root-ca-file={folder / 'ca.crt'}",
        f"--cluster-signing-cert-file={folder / 'ca.crt'}",
        f"--cluster-signing-key-file={folder / 'ca.key'}",
        f"--service-account-private-key-file={folder / 'sa.key'}",
        "--controllers=*,bootstrapsigner,tokencleaner",
        "--allocate-node-cidrs=false",  # a node's Pod CIDR follows from its name: CNI has it before the node joins
        f"--cluster-cidr={','.join(plan.pods for plan in spec.nets)}",
        f"--service-cluster-ip-range={','.join(plan.services for plan in spec.nets)}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
    ]


def _scheduler(layout: Layout, binary: Path) -> list[str | Path]:
    config = identities.kubeconfig(layout, "scheduler")
    return [
        binary,
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
    ]
