"""The version of every genuine component, in one place."""

from __future__ import annotations

KUBERNETES = "1.37.2"
KUBERNETES_STAGING = "0.37.2"  # k8s.io/api and its sisters, released together with the above
ETCD = "3.7.3"
CONTAINERD = "2.4.2"
CONTAINERD_BEFORE = "2.3.7"  # of the release before, tested too; and the one of DEBIAN
CRIO = "1.34.0"
RUNC = "1.5.2"
CNI_PLUGINS = "1.9.1"
METRICS_SERVER = "0.9.0"
COREDNS = "1.15.0"
GO = "1.26"
KIND = "0.33.0"

PAUSE = "3.10.2"
AGNHOST = "2.66.1"
BUSYBOX = "1.37.0-2"
NGINX = "1.27.0-2"
DEBIAN = "bookworm"
