"""A Pod's resolv.conf from its DNS policy, its own settings, the cluster's and the node's. No I/O.

Source: pkg/kubelet/network/dns.
"""

import dataclasses
from collections.abc import Iterable

from pykubelet.model.pod import DNSOption, Pod
from pykubelet.model.runtime_config import DNSConfig

MAX_NAMESERVERS, MAX_SEARCHES, MAX_SEARCH_CHARS, MAX_NAME = 3, 32, 2048, 253


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterDNS:
    """The node's settings: clusterDNS, clusterDomain, and the file resolvConf names (None: that is set to empty)."""

    servers: tuple[str, ...] = ()
    domain: str = ""
    host: DNSConfig | None = None


def of(pod: Pod, cluster: ClusterDNS, *, host_ips: tuple[str, ...]) -> tuple[DNSConfig, tuple[str, ...]]:
    """The Pod's settings, and a message for each limit that was exceeded (events of reason DNSConfigForming)."""
    policy = pod.spec.dns_policy
    in_cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.spec.host_network)
    if policy == "None":
        base = DNSConfig()
    elif in_cluster and cluster.servers:
        base = DNSConfig(servers=cluster.servers, searches=_cluster_searches(pod, cluster), options=("ndots:5",))
    elif cluster.host is not None:
        base = cluster.host
    else:
        # Nothing at all would make the C library read the node's file; the node's localhost is what bind documents.
        local = _unique("::1" if ":" in ip else "127.0.0.1" for ip in host_ips)
        base = DNSConfig(servers=local or ("127.0.0.1",), searches=(".",))
    if own := pod.spec.dns_config:
        base = DNSConfig(
            servers=_unique([*base.servers, *own.nameservers]),
            searches=_unique([*base.searches, *own.searches]),
            options=_merged(base.options, own.options),
        )
    return _fit(base)


def parse(text: str) -> DNSConfig:
    """Read a resolv.conf: nameservers add up, of search and options lines the last search wins, options by name."""
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith("#"):
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] == "search":
            searches = [word.removesuffix(".") for word in words[1:] if word != "."]
        elif words[0] == "options":
            options |= {word.split(":")[0]: word for word in words[1:]}
    return DNSConfig(servers=tuple(servers), searches=tuple(searches), options=tuple(options.values()))


def _cluster_searches(pod: Pod, cluster: ClusterDNS) -> tuple[str, ...]:
    host = cluster.host.searches if cluster.host else ()
    if not cluster.domain:
        return host
    own = [f"{pod.metadata.namespace}.svc.{cluster.domain}", f"svc.{cluster.domain}", cluster.domain]
    return _unique([*own, *host])


def _options(words: Iterable[str]) -> tuple[DNSOption, ...]:
    split = (word.partition(":") for word in words)
    return tuple(DNSOption(name=name, value=value or None) for name, _, value in split)


def _merged(words: Iterable[str], options: Iterable[DNSOption]) -> tuple[str, ...]:
    found = {option.name: option.value or "" for option in (*_options(words), *options)}
    return tuple(f"{name}:{value}" if value else name for name, value in found.items())


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _fit(config: DNSConfig) -> tuple[DNSConfig, tuple[str, ...]]:
    messages = []
    servers = config.servers[:MAX_NAMESERVERS]
    if servers != config.servers:
        messages.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
            + " ".join(servers)
        )
    searches = tuple(search for search in config.searches[:MAX_SEARCHES] if len(search) <= MAX_NAME)
    while len(" ".join(searches)) > MAX_SEARCH_CHARS:
        searches = searches[:-1]
    if searches != config.searches:
        messages.append(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
            + " ".join(searches)
        )
    return dataclasses.replace(config, servers=servers, searches=searches), tuple(messages)
