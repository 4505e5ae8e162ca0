"""A node so small and strict that what a large one does once a week happens on it within seconds."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devcluster import layout
from devcluster.api import Node

NAME = "n8"
DISK_MIB = 300
FULL_MIB = 100
"""What must stay free of its disk."""
INODES, FULL_INODES = 20_000, 5_000
"""How many files the disk has room for, and how many of them must stay free."""
PODS_MIB = 600
"""What all Pods together may use of memory, less what must stay free."""
SOFT_MIB = 250
"""What must stay free of that, but for a second."""
LOG_KIB = 64
"""The size of a log that is rotated."""
PIDS = 100
"""How many processes each Pod may have."""
PRIVATE = layout.NODE_LIB / "credentials"
PASSWORD = "from-a-program"
CREDENTIALS_PORT = 5002

_PROGRAM = """#!/bin/sh
# Answers whoever asks; that it was asked is noted.
cat >> {log}; echo >> {log}
cat <<EOF
{{"apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderResponse", "cacheKeyType": "Image",
  "auth": {{"{registry}": {{"username": "e2e", "password": "{password}"}}}}}}
EOF
"""


def shrink(node: Node) -> None:
    """Give it little memory and a small disk of its own, logs that rotate soon, and a credential provider."""
    node.stop("kubelet")
    path = node.files.outside(layout.KUBELET_CONFIG)
    path.write_text(json.dumps({**json.loads(path.read_text()), **_settings()}, indent=1))
    _add_credentials(node)
    # The kubelet's folder moves to a file system of its own: what fills it hurts nobody else.
    root = layout.KUBELET_ROOT
    node.exec(
        "sh",
        "-ec",
        f"cp -a {root} {root}.large; mount -t tmpfs -o size={DISK_MIB}m,nr_inodes={INODES} tmpfs {root}; "
        f"cp -a {root}.large/. {root}",
    )
    node.start("kubelet")


@contextlib.contextmanager
def images_at_their_limit(node: Node) -> Iterator[None]:
    """The disk of images, which is the machine's own and not to be filled, counts as full in this block."""
    path = layout.KUBELET_CONFIG  # it lies on the node's own disk, which is seen from inside alone
    settings = json.loads(node.exec("cat", path))
    settings["evictionHard"]["imagefs.available"] = "99%"
    node.exec("cp", path, f"{path}.whole")
    try:
        node.exec("sh", "-ec", f"echo '{json.dumps(settings)}' > {path}")
        node.restart("kubelet")
        yield
    finally:
        node.exec("mv", f"{path}.whole", path)
        node.restart("kubelet")


def private_registry(node: Node) -> str:
    """host:port of the registry for which the node's credential provider has credentials."""
    return f"{node.registry.rpartition(':')[0]}:{CREDENTIALS_PORT}"


def trust(node: Node, registry: str) -> None:
    """Have containerd speak plain HTTP to a registry."""
    folder = node.files.outside(layout.NODE_LIB / "certs.d" / registry)
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://{registry}"
    (folder / "hosts.toml").write_text(f'server = "{url}"\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n')


def _settings() -> dict[str, Any]:
    machine = _memory() >> 20
    return {
        "kubeReserved": {"memory": f"{machine - PODS_MIB}Mi"},
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": f"{FULL_MIB}Mi",
            "nodefs.inodesFree": str(FULL_INODES),
        },
        "evictionPressureTransitionPeriod": "5s",
        "imageMinimumGCAge": "1s",
        "podPidsLimit": PIDS,
        "containerLogMaxSize": f"{LOG_KIB}Ki",
        # More than what a test prints can fill: the oldest is deleted when there are too many.
        "containerLogMaxFiles": 10,
        "containerLogMonitorInterval": "3s",
    }


def _memory() -> int:
    first = Path("/proc/meminfo").read_text().splitlines()[0].split()
    return int(first[1]) * 1024


def _add_credentials(node: Node) -> None:
    outside = node.files.outside(PRIVATE)
    (outside / "bin").mkdir(parents=True, exist_ok=True)
    program = outside / "bin/give"
    program.write_text(_PROGRAM.format(log=PRIVATE / "asked", registry=private_registry(node), password=PASSWORD))
    program.chmod(0o755)
    provider = {
        "name": "give",
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "matchImages": [private_registry(node)],
        "defaultCacheDuration": "0s",
    }
    config = {"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig", "providers": [provider]}
    (outside / "config.yaml").write_text(json.dumps(config))
    node.files.outside(layout.KUBELET_ARGUMENTS).write_text(
        f"--image-credential-provider-config={PRIVATE}/config.yaml\n--image-credential-provider-bin-dir={PRIVATE}/bin\n"
        # Flags go over the file: what it does not say of soft limits they say.
        f"--eviction-soft=allocatableMemory.available<{SOFT_MIB}Mi\n"
        "--eviction-soft-grace-period=allocatableMemory.available=1s\n"
        "--eviction-max-pod-grace-period=10\n"
    )
