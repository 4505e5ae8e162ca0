"""Who is who in a cluster: the certificates and kubeconfigs of the control plane, the nodes and the administrator."""

from __future__ import annotations

from pathlib import Path

from devcluster import kube, netns, pki
from devcluster.layout import Layout
from devcluster.spec import API_PORT, ClusterSpec

ADMIN = pki.Subject("kubernetes-admin", ("system:masters",))
PROXY = pki.Subject("system:kube-proxy")  # bound to system:node-proxier by the API server's own bootstrap policy
DNS = pki.Subject("devcluster:coredns")
KUBELET_CLIENT = pki.Subject("kube-apiserver-kubelet-client")
AGGREGATOR = pki.Subject("front-proxy-client")


def make(layout: Layout, spec: ClusterSpec) -> None:
    """Everything but what belongs to one node; made once."""
    folder = layout.pki
    ca = pki.authority(folder, "ca", "kubernetes")
    front = pki.authority(folder, "front-proxy-ca", "front-proxy-ca")
    pki.client(front, pki.pair(folder, "front-proxy-client"), AGGREGATOR)
    pki.client(ca, pki.pair(folder, "apiserver-kubelet-client"), KUBELET_CLIENT)
    pki.serving(ca, pki.pair(folder, "apiserver"), pki.Subject("kube-apiserver"), pki.api_server_names(spec))
    pki.token_keys(folder)
    for file, subject in (
        ("admin", ADMIN),
        ("controller-manager", pki.Subject("system:kube-controller-manager")),
        ("scheduler", pki.Subject("system:kube-scheduler")),
        ("coredns", DNS),
        ("kube-proxy", PROXY),
    ):
        _kubeconfig(layout, spec, file, subject)


def node(layout: Layout, spec: ClusterSpec, name: str) -> Path:
    """A node's kubeconfig: user system:node:NAME of group system:nodes."""
    return _kubeconfig(layout, spec, f"kubelet-{name}", pki.Subject(f"system:node:{name}", ("system:nodes",)))


def kubeconfig(layout: Layout, file: str) -> Path:
    return layout.kubeconfigs / f"{file}.conf"


def admin_client(layout: Layout, spec: ClusterSpec) -> kube.Client:
    """The administrator's client, usable from the machine's own network."""
    return kube.Client(
        namespace=layout.netns(netns.CONTROL_PLANE),
        host=spec.api_host,
        port=API_PORT,
        ca=layout.pki / "ca.crt",
        credentials=pki.pair(layout.pki, "admin"),
    )


def _kubeconfig(layout: Layout, spec: ClusterSpec, file: str, subject: pki.Subject) -> Path:
    ca = pki.pair(layout.pki, "ca")
    credentials = pki.client(ca, pki.pair(layout.pki, file), subject)
    path = kubeconfig(layout, file)
    return kube.write_kubeconfig(path, server=spec.api_url, ca=ca.cert, client=credentials, user=subject.user)
