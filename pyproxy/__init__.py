"""A kube-proxy: makes Service addresses work on this node, through netlink."""

VERSION = "0.1.0"
KUBERNETES_VERSION = "1.37.2"
