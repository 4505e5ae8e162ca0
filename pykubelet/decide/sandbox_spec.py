"""The sandbox a Pod gets. No I/O. Source: pkg/kubelet/kuberuntime/kuberuntime_sandbox.go."""

import dataclasses

from pykubelet.decide import cgroups, hostname, labels, resources, security
from pykubelet.model import runtime_config as cri
from pykubelet.model.pod import Pod


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """What the Pod does not say: where it stands on this node and how names resolve in it."""

    attempt: int
    log_directory: str
    cgroup_parent: str
    cluster_domain: str
    dns: cri.DNSConfig
    runtime_handler: str = ""
    user_namespace: cri.UserNamespace | None = None


def log_directory(root: str, pod: Pod) -> str:
    """`<root>/<namespace>_<name>_<uid>`, where the runtime writes the Pod's logs."""
    return f"{root}/{pod.metadata.namespace}_{pod.metadata.name}_{pod.uid}"


def of(pod: Pod, given: Given) -> cri.SandboxSpec:
    """Raises ConfigError when the Pod's full host name is too long for the kernel."""
    named = "" if pod.spec.host_network else hostname.for_kernel(pod, cluster_domain=given.cluster_domain)
    return cri.SandboxSpec(
        name=pod.metadata.name,
        namespace=pod.metadata.namespace,
        uid=pod.uid,
        attempt=given.attempt,
        hostname=named,
        log_directory=given.log_directory,
        dns=given.dns,
        port_mappings=_ports(pod),
        labels=labels.of_sandbox(pod),
        annotations=pod.metadata.annotations,
        cgroup_parent=given.cgroup_parent,
        security=security.of_sandbox(pod, given.user_namespace),
        sysctls={sysctl.name: sysctl.value for sysctl in pod.spec.security_context.sysctls},
        overhead=_overhead(pod),
        resources=_resources(pod),
        runtime_handler=given.runtime_handler,
    )


def _ports(pod: Pod) -> tuple[cri.PortMapping, ...]:
    if pod.spec.host_network:
        return ()
    sidecars = [c for c in pod.spec.init_containers if resources.is_sidecar(c)]
    return tuple(
        cri.PortMapping(port.container_port, port.host_port, cri.Protocol(port.protocol), port.host_ip)
        for container in (*sidecars, *pod.spec.containers)
        for port in container.ports
        if port.host_port
    )


def _overhead(pod: Pod) -> cri.LinuxResources | None:
    overhead = resources.amounts(pod.spec.overhead)
    if not overhead:
        return None
    cpu = overhead.get(resources.CPU, resources.ZERO).milli
    memory = overhead.get(resources.MEMORY, resources.ZERO).value
    return cri.LinuxResources(
        cpu_period=cgroups.PERIOD_US, cpu_quota=cgroups.quota(cpu), cpu_shares=cgroups.shares(cpu), memory_limit=memory
    )


def _resources(pod: Pod) -> cri.LinuxResources:
    values = cgroups.of_pod(pod)
    return cri.LinuxResources(
        cpu_period=cgroups.PERIOD_US,
        cpu_quota=values.cpu_quota_us,
        cpu_shares=values.cpu_shares,
        memory_limit=values.memory_limit,
    )
