"""CoreDNS as a process of the control plane's, behind the kube-dns Service by a hand-written EndpointSlice."""

from __future__ import annotations

from pathlib import Path

from devcluster import controlplane, identities, kube, processes
from devcluster.layout import Layout
from devcluster.spec import DOMAIN, ClusterSpec

_READY_PORT = 8181
_COREFILE = """.:53 {{
  bind {addresses}
  errors
  ready {host}:{ready}
  kubernetes {domain} in-addr.arpa ip6.arpa {{
    kubeconfig {kubeconfig}
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 5
  }}
  cache 5
}}
"""


def start(layout: Layout, spec: ClusterSpec, binary: Path) -> processes.Program:
    """Write its Corefile and start it."""
    corefile = layout.root / "Corefile"
    corefile.write_text(
        _COREFILE.format(
            addresses=" ".join(plan.control_plane() for plan in spec.nets),
            host="127.0.0.1",
            ready=_READY_PORT,
            domain=DOMAIN,
            kubeconfig=identities.kubeconfig(layout, "coredns"),
        )
    )
    program = controlplane.program(layout, "coredns", [binary, "-conf", corefile])
    controlplane.launch(program)
    return program


def register(api: kube.Client, spec: ClusterSpec) -> None:
    """Its role, and the kube-dns Service with its endpoints."""
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    api.apply(
        f"{rbac}/clusterroles/devcluster:coredns",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "devcluster:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
    )
    api.apply(
        f"{rbac}/clusterrolebindings/devcluster:coredns",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "devcluster:coredns"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "devcluster:coredns"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": identities.DNS.user}],
        },
    )
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    api.apply(
        "/api/v1/namespaces/kube-system/services/kube-dns",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            "spec": {
                "clusterIP": spec.primary.dns,
                "clusterIPs": [plan.dns for plan in spec.nets],
                "ipFamilies": ["IPv6" if ":" in plan.dns else "IPv4" for plan in spec.nets],
                "ipFamilyPolicy": "RequireDualStack" if len(spec.nets) > 1 else "SingleStack",
                "ports": ports,
            },
        },
    )
    for plan in spec.nets:
        family = "IPv6" if ":" in plan.dns else "IPv4"
        name = f"kube-dns-devcluster-{family.lower()}"
        api.apply(
            f"/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/{name}",
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": name,
                    "namespace": "kube-system",
                    "labels": {
                        "kubernetes.io/service-name": "kube-dns",
                        "endpointslice.kubernetes.io/managed-by": "devcluster",
                    },
                },
                "addressType": family,
                "ports": ports,
                "endpoints": [{"addresses": [plan.control_plane()], "conditions": {"ready": True}}],
            },
        )
