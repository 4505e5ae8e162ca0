"""A kubelet: runs the Pods that the API server binds to this node, through the CRI."""

VERSION = "0.1.0"
KUBERNETES_VERSION = "1.37.2"
