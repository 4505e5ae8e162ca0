"""Decide whether a Pod may set the sysctls it asks for. No I/O. Source: K/pkg/kubelet/sysctl."""

from collections.abc import Iterable
from typing import Final

from pykubelet.decide.admission import Rejected
from pykubelet.model import sysctls
from pykubelet.model.pod import Pod
from pykubelet.model.sysctls import Namespace

SAFE: Final = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
)
"""What changes nothing for other Pods. The youngest is each namespace's own since Linux 4.15, which is older than any
kernel under a Python of ours."""


def refused(pod: Pod, unsafe: Iterable[str]) -> Rejected | None:
    """Why the Pod cannot run here; None if it can. `unsafe` are the names and patterns that the node allows beside."""
    asked = pod.spec.security_context.sysctls
    if not asked:
        return None
    patterns = (*SAFE, *(sysctls.normalized(pattern) for pattern in unsafe))
    for one in asked:
        problem = _problem(pod, sysctls.normalized(one.name), patterns)
        if problem:
            return Rejected("SysctlForbidden", f"forbidden sysctl: {problem}")
    return None


def _problem(pod: Pod, name: str, patterns: Iterable[str]) -> str:
    pattern = next((pattern for pattern in patterns if _matches(pattern, name)), None)
    if pattern is None:
        return f'"{name}" not allowlisted'
    namespace = sysctls.namespace_of(pattern)
    if namespace is not None and _is_the_hosts(pod, namespace):
        return f'"{name}" not allowed with host {namespace.value} enabled'
    return ""


def _matches(pattern: str, name: str) -> bool:
    prefix, star, _ = pattern.partition("*")
    return name.startswith(prefix) if star else name == pattern


def _is_the_hosts(pod: Pod, namespace: Namespace) -> bool:
    match namespace:
        case Namespace.IPC:
            return pod.spec.host_ipc
        case Namespace.NET:
            return pod.spec.host_network
        case Namespace.USER:
            return pod.spec.host_users
        case Namespace.UTS:
            return False
