"""Every genuine binary the cluster, its images and the upstream suite need: version, release, Go package. Data."""

from __future__ import annotations

from dataclasses import dataclass

from devcluster import versions
from devcluster.oci import architecture

_ARCH = architecture()
_DL = f"dl.k8s.io/v{versions.KUBERNETES}"


@dataclass(frozen=True, slots=True)
class Release:
    """Where the official binary is: `path` as host/path, `member` its name inside an archive ("" for a bare binary).

    `checksums` is the file with the SHA-256, either bare or in `sha256sum` lines.
    """

    path: str
    checksums: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """One binary. `module` and `package` are for building it from Go modules, `seconds` how long that takes cold."""

    name: str
    version: str
    module: str
    package: str
    seconds: float
    release: Release | None = None


def _kubernetes(name: str, seconds: float) -> Tool:
    release = Release(f"{_DL}/bin/linux/{_ARCH}/{name}", f"{_DL}/bin/linux/{_ARCH}/{name}.sha256")
    return Tool(name, versions.KUBERNETES, "k8s.io/kubernetes", f"k8s.io/kubernetes/cmd/{name}", seconds, release)


def _suite(name: str, package: str, seconds: float) -> Tool:
    archive = f"{_DL}/kubernetes-test-linux-{_ARCH}.tar.gz"
    release = Release(archive, f"{archive}.sha256", f"kubernetes/test/bin/{name}")
    return Tool(name, versions.KUBERNETES, "k8s.io/kubernetes", package, seconds, release)


def _image(name: str, package: str) -> Tool:
    return Tool(name, versions.KUBERNETES, "k8s.io/kubernetes", f"k8s.io/kubernetes/test/images/{package}", 25)


def _etcd(name: str, package: str) -> Tool:
    folder = f"etcd-v{versions.ETCD}-linux-{_ARCH}"
    base = f"github.com/etcd-io/etcd/releases/download/v{versions.ETCD}"
    release = Release(f"{base}/{folder}.tar.gz", f"{base}/SHA256SUMS", f"{folder}/{name}")
    return Tool(name, versions.ETCD, "go.etcd.io/etcd", f"go.etcd.io/etcd/{package}/v3", 12, release)


def containerd(version: str) -> tuple[Tool, ...]:
    """What a containerd of this version 2.x consists of."""
    return tuple(_containerd(name, version) for name in ("containerd", "containerd-shim-runc-v2", "ctr"))


def _containerd(name: str, version: str) -> Tool:
    archive = f"containerd-static-{version}-linux-{_ARCH}.tar.gz"
    base = f"github.com/containerd/containerd/releases/download/v{version}/{archive}"
    module = "github.com/containerd/containerd/v2"
    release = Release(base, f"{base}.sha256sum", f"bin/{name}")
    return Tool(name, version, module, f"{module}/cmd/{name}", 20, release)


def _cni(name: str, kind: str) -> Tool:
    archive = f"cni-plugins-linux-{_ARCH}-v{versions.CNI_PLUGINS}.tgz"
    base = f"github.com/containernetworking/plugins/releases/download/v{versions.CNI_PLUGINS}/{archive}"
    module = "github.com/containernetworking/plugins"
    release = Release(base, f"{base}.sha256", f"./{name}")
    return Tool(name, versions.CNI_PLUGINS, module, f"{module}/plugins/{kind}/{name}", 3, release)


_RUNC = f"github.com/opencontainers/runc/releases/download/v{versions.RUNC}"
_COREDNS = (
    f"github.com/coredns/coredns/releases/download/v{versions.COREDNS}/coredns_{versions.COREDNS}_linux_{_ARCH}.tgz"
)

CLUSTER = (
    _kubernetes("kube-apiserver", 330),
    _kubernetes("kube-controller-manager", 30),
    _kubernetes("kube-scheduler", 15),
    _kubernetes("kubelet", 35),
    _kubernetes("kube-proxy", 15),
    _kubernetes("kubectl", 15),
    _etcd("etcd", "server"),
    *containerd(versions.CONTAINERD),
    Tool(
        "runc",
        versions.RUNC,
        "github.com/opencontainers/runc",
        "github.com/opencontainers/runc",
        9,
        Release(f"{_RUNC}/runc.{_ARCH}", f"{_RUNC}/runc.sha256sum"),
    ),
    _cni("bridge", "main"),
    _cni("loopback", "main"),
    _cni("host-local", "ipam"),
    _cni("portmap", "meta"),
    Tool(
        "coredns",
        versions.COREDNS,
        "github.com/coredns/coredns",
        "github.com/coredns/coredns",
        60,
        Release(_COREDNS, f"{_COREDNS}.sha256", "coredns"),
    ),
)
IMAGES = (
    _image("agnhost", "agnhost"),
    Tool("nnp", versions.KUBERNETES, "k8s.io/kubernetes", "k8s.io/kubernetes/test/images/nonewprivs", 3),
    _image("regression-issue-74839", "regression-issue-74839"),
    Tool("sample-apiserver", versions.KUBERNETES_STAGING, "k8s.io/sample-apiserver", "k8s.io/sample-apiserver", 10),
)
SUITE = (
    _suite("e2e.test", "k8s.io/kubernetes/test/e2e", 120),
    _suite("ginkgo", "github.com/onsi/ginkgo/v2/ginkgo", 5),
    _kubernetes("kubeadm", 10),
)
CRIO = Tool("crio", versions.CRIO, "github.com/cri-o/cri-o", "github.com/cri-o/cri-o/cmd/crio", 160)
_KIND = f"github.com/kubernetes-sigs/kind/releases/download/v{versions.KIND}/kind-linux-{_ARCH}"
KIND = Tool("kind", versions.KIND, "sigs.k8s.io/kind", "sigs.k8s.io/kind", 20, Release(_KIND, f"{_KIND}.sha256sum"))
_METRICS_SERVER = "sigs.k8s.io/metrics-server"
TESTS = (
    _image("sample-device-plugin", "sample-device-plugin"),
    Tool("metrics-server", versions.METRICS_SERVER, _METRICS_SERVER, f"{_METRICS_SERVER}/cmd/metrics-server", 60),
)
"""What e2e tests of the project's own run."""
BY_NAME = {tool.name: tool for tool in (*CLUSTER, *IMAGES, *SUITE, *TESTS, KIND)}
