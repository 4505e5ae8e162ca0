"""An image for nodes of kind, of our own making, for machines that can't fetch kind's own.

It is made as kind makes its own: kind's files over a Debian with systemd and containerd, and the images of the control
plane in containerd's store. Source: sigs.k8s.io/kind, images/base/Dockerfile and pkg/build/nodeimage.
"""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from devcluster import binaries, gobuild, images, oci, recipes, tools, versions
from devcluster.progress import Reporter
from tests.machines import ground, roots
from tests.machines.docker import Inside

_VERSION: Final = "2"  # of the recipe
_PACKAGES: Final = ("jq", "curl", "python3-venv")
_CONTAINERD: Final = """version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "registry.k8s.io/pause:{pause}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  base_runtime_spec = "/etc/containerd/cri-base.json"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = true
"""
# What kind applies to each new cluster: its network is made by the caller, and no test asks for storage by default.
_STORAGE: Final = """apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard}
provisioner: kubernetes.io/no-provisioner
"""
_NO_NETWORK: Final = """apiVersion: v1
kind: ConfigMap
metadata: {name: no-network, namespace: kube-system}
"""
_UNWANTED: Final = (
    "lib/systemd/system/multi-user.target.wants/*",
    "etc/systemd/system/*.wants/*",
    "lib/systemd/system/local-fs.target.wants/*",
    "lib/systemd/system/basic.target.wants/*",
    "lib/systemd/system/sockets.target.wants/*udev*",
    "lib/systemd/system/sockets.target.wants/*initctl*",
    "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
)
_LOAD: Final = """
docker rm -f load >/dev/null 2>&1 || true
docker run -d --name load --privileged -v /images:/images:ro -v /e2e-images:/e2e-images:ro \
    --entrypoint sleep {base} infinity >/dev/null
docker exec load sh -ec '
    containerd >/tmp/containerd.log 2>&1 & pid=$!
    for i in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
    for tar in /images/*.tar {agnhost}; do ctr -n k8s.io images import --no-unpack "$tar" >/dev/null; done
    kill $pid; wait $pid || true; rm /tmp/containerd.log'
docker commit load lab/loaded >/dev/null
docker rm -f load >/dev/null
docker build -q -t {name} - <<'END'
FROM lab/loaded
ENV container=docker PIP_NO_INDEX=1
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
END
"""


def made(place: Inside, report: Reporter) -> str:
    """The name of the image in the machine's Docker; it is built there unless it was before."""
    root = _root(report)
    name = f"kindest/node:{root.name.removeprefix('kind-')}"
    if name in place.run("docker images --format '{{.Repository}}:{{.Tag}}'").split():
        return name
    with report.step("make an image for kind's nodes", about=40):
        place.run(f"tar -C /machines/{root.name} -c . | docker import - lab/root")
        agnhost = oci.archive(images.obtain(report), recipes.AGNHOST)
        place.run(_LOAD.format(base="lab/root", agnhost=f"/e2e-images/{agnhost.name}", name=name))
    return name


def _root(report: Reporter) -> Path:
    """What kind's base image holds, as a folder."""
    base = roots.with_packages("kind-base", _PACKAGES, report, node=True)
    key = hashlib.sha256(f"{base.name} {versions.KIND} {versions.KUBERNETES} {_VERSION}".encode()).hexdigest()[:8]
    found = ground.home() / f"kind-v{versions.KUBERNETES}-{key}"
    if found.exists():
        return found
    part = found.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    with report.step("lay out kind's node", about=10):
        roots.copy(base, part)
        _furnish(part, binaries.resolve([tools.BY_NAME["kubelet"]], report)["kubelet"])
    return part.rename(found)


def _furnish(root: Path, kubelet: Path) -> None:
    files = gobuild.module_folder("sigs.k8s.io/kind", versions.KIND) / "images/base/files"
    for path in ("usr/local/sbin/machine-init", "usr/lib/systemd/system/containerd.service", "srv/pykubelet"):
        roots.remove(root / path)
    for folder in ("usr", "kind", "etc"):
        subprocess.run(["cp", "-r", "--no-preserve=mode", files / folder, root], check=True)
    for program in (*(root / "usr/local/bin").iterdir(), *(root / "kind/bin").iterdir()):
        program.chmod(0o755)
    shutil.copyfile(kubelet, root / "usr/bin/kubelet")
    (root / "usr/bin/kubelet").chmod(0o755)
    (root / "etc/containerd/config.toml").write_text(_CONTAINERD.format(pause=versions.PAUSE))
    for pattern in _UNWANTED:
        for path in root.glob(pattern):
            roots.remove(path)
    with (root / "etc/systemd/journald.conf").open("a") as journal:
        journal.write("ReadKMsg=no\n")
    manifests = root / "kind/manifests"
    manifests.mkdir()
    (manifests / "default-storage.yaml").write_text(_STORAGE)
    (manifests / "default-cni.yaml").write_text(_NO_NETWORK)
    (root / "kind/version").write_text(f"v{versions.KUBERNETES}\n")
    (root / "etc/machine-id").write_text("")
    roots.inside(root, "apt-get purge -yq dbus")  # kind's nodes have none
    roots.inside(root, "systemctl enable kubelet containerd undo-mount-hacks; systemctl mask systemd-binfmt")
    specification = json.loads(subprocess.check_output(["chroot", root, "ctr", "oci", "spec"]))
    hook = {"path": "/kind/bin/mount-product-files.sh"}
    specification.setdefault("hooks", {}).setdefault("createContainer", []).append(hook)
    specification["process"].pop("rlimits", None)
    (root / "etc/containerd/cri-base.json").write_text(json.dumps(specification))
