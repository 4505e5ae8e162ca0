"""What a Pod is called inside: hostname, domain, and its /etc/hosts. No I/O.

Source: GeneratePodHostNameAndDomain and ensureHostsFile in pkg/kubelet/kubelet_pods.go.
"""

from collections.abc import Iterable

from pykubelet.decide.environment import ConfigError
from pykubelet.model.pod import HostAlias, Pod

_MAX_HOSTNAME, _MAX_FQDN = 63, 64


def of(pod: Pod, *, cluster_domain: str) -> tuple[str, str]:
    """Short host name (at most 63 characters) and domain (empty without a subdomain)."""
    if pod.spec.hostname_override is not None:
        return _cut(pod.spec.hostname_override), ""
    name = _cut(pod.spec.hostname or pod.metadata.name)
    if not pod.spec.subdomain:
        return name, ""
    return name, f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"


def for_kernel(pod: Pod, *, cluster_domain: str) -> str:
    """What uname shows: the short name, or the full one if the Pod asks for it. ConfigError when that is too long."""
    name, domain = of(pod, cluster_domain=cluster_domain)
    if not (domain and pod.spec.set_hostname_as_fqdn):
        return name
    full = f"{name}.{domain}"
    if len(full) > _MAX_FQDN:
        raise ConfigError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({_MAX_FQDN} characters is the max, {len(full)} characters requested)"
        )
    return full


def hosts_file(pod: Pod, pod_ips: Iterable[str], *, cluster_domain: str, node_hosts: str) -> str:
    """The Pod's /etc/hosts; on the host network the node's (`node_hosts`) with the Pod's aliases."""
    if pod.spec.host_network:
        return f"# Kubernetes-managed hosts file (host network).\n{node_hosts}{_aliases(pod.spec.host_aliases)}"
    name, domain = of(pod, cluster_domain=cluster_domain)
    names = f"{name}.{domain}\t{name}" if domain else name
    own = "".join(f"{ip}\t{names}\n" for ip in pod_ips)
    return (
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n"
        f"{own}{_aliases(pod.spec.host_aliases)}"
    )


def _aliases(aliases: tuple[HostAlias, ...]) -> str:
    if not aliases:
        return ""
    lines = "".join(f"{alias.ip}\t" + "\t".join(alias.hostnames) + "\n" for alias in aliases)
    return f"\n# Entries added by HostAliases.\n{lines}"


def _cut(name: str) -> str:
    return name[:_MAX_HOSTNAME].rstrip("-.") if len(name) > _MAX_HOSTNAME else name
