"""A genuine kubelet as the distribution's package brings it: what a worker runs before it is converted."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from devcluster import binaries, tools, versions
from devcluster.oci import architecture
from devcluster.progress import Reporter

UNIT: Final = """[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target
[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10
[Install]
WantedBy=multi-user.target
"""
_DROP_IN: Final = """[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""
_CONTROL: Final = f"""Package: kubelet
Version: {versions.KUBERNETES}-1.1
Architecture: {architecture()}
Maintainer: The machines' tests <machines@localhost>
Description: a genuine kubelet
"""
_POSTINST: Final = """#!/bin/sh
deb-systemd-helper enable kubelet.service
systemctl daemon-reload
"""


def package(scratch: Path, target: Path, report: Reporter) -> Path:
    """Build it: the same files in the same places as the package of pkgs.k8s.io, and kubeadm's drop-in with them."""
    program = binaries.resolve([tools.BY_NAME["kubelet"]], report)["kubelet"]
    root = scratch / "kubelet"
    (root / "usr/bin").mkdir(parents=True)
    shutil.copy(program, root / "usr/bin/kubelet")
    for place, content, mode in (
        ("usr/lib/systemd/system/kubelet.service", UNIT, 0o644),
        ("usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", _DROP_IN, 0o644),
        ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=\n", 0o644),
        ("DEBIAN/control", _CONTROL, 0o644),
        ("DEBIAN/conffiles", "/etc/default/kubelet\n", 0o644),
        ("DEBIAN/postinst", _POSTINST, 0o755),
    ):
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
    made = target / f"kubelet_{versions.KUBERNETES}-1.1_{architecture()}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, made], check=True, capture_output=True)
    return made
